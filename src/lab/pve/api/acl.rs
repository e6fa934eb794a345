//! `/access/acl`: which role somebody has where, and who may say so.
use super::access::{items, no_role, no_user};
use super::call::{Call, Failure, Outcome, done, rows};
use super::kind::{Kind, WORDS};
use super::route::{Need, Route, needed, optional, route};
use crate::pve::rights::{Acl, Privileges, Subject, effective};
use crate::world::World;
use serde_json::json;
use std::collections::BTreeSet;

pub const ROUTES: &[Route] = &[
    route("GET", "/access/acl", Need::Anyone, &[], acls),
    route(
        "PUT",
        "/access/acl",
        Need::Rule(may_set_acl),
        &[
            needed("path", Kind::Text),
            needed("roles", WORDS),
            optional("users", WORDS),
            optional("groups", WORDS),
            optional("tokens", WORDS),
            optional("propagate", Kind::Boolean),
            optional("delete", Kind::Boolean),
        ],
        set_acl,
    ),
];

fn acls(world: &mut World, call: &Call) -> Outcome {
    let audit = call.allowed(world, "/access", "Sys.Audit");
    let all = world.pve.rights.acls.clone();
    let mut list = Vec::new();
    for acl in all {
        if audit || check_modify(world, call, &acl.path).is_ok() {
            list.push(json!({
                "path": acl.path, "type": acl.subject.name(), "ugid": acl.id, "roleid": acl.role,
                "propagate": i32::from(acl.propagate),
            }));
        }
    }
    rows(list)
}

/// Whoever may allocate what stands below `/storage`, `/vms` or `/pool` may also hand out rights on it.
pub fn check_modify(world: &mut World, call: &Call, path: &str) -> Result<(), Failure> {
    let mut any = vec!["Permissions.Modify"];
    for (prefix, privilege) in
        [("/storage/", "Datastore.Allocate"), ("/vms/", "VM.Allocate"), ("/pool/", "Pool.Allocate")]
    {
        if path.len() > prefix.len() && path.starts_with(prefix) {
            any.push(privilege);
        }
    }
    call.check_any(world, path, &any)
}

fn may_set_acl(world: &mut World, call: &Call) -> Result<(), Failure> {
    if call.who.is_root() {
        return Ok(());
    }
    match normalized(call.text("path")) {
        Some(path) => check_modify(world, call, &path),
        None => Ok(()),
    }
}

/// One slash at a time, none at the end; `None` for what can't be a path at all.
fn normalized(path: &str) -> Option<String> {
    let fine = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '/');
    if path.is_empty() || !path.chars().all(fine) {
        return None;
    }
    Some(format!("/{}", path.split('/').filter(|s| !s.is_empty()).collect::<Vec<_>>().join("/")))
}

/// True when Proxmox knows such objects.
fn is_acl_path(path: &str) -> bool {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match segments.as_slice() {
        [""] | ["access" | "nodes" | "pool" | "sdn" | "storage" | "vms" | "mapping"] => true,
        ["access", "groups" | "realm"] | ["access", "groups" | "realm", _] => true,
        ["nodes" | "storage", _] | ["mapping", _] | ["mapping", _, _] => true,
        ["vms", vmid] => vmid.len() >= 3 && !vmid.starts_with('0') && vmid.bytes().all(|b| b.is_ascii_digit()),
        ["pool", rest @ ..] => rest.len() <= 3,
        ["sdn", kind] | ["sdn", kind, _] => {
            matches!(*kind, "controllers" | "dns" | "fabrics" | "ipams" | "prefix-lists" | "route-maps" | "zones")
        }
        ["sdn", "zones", _, _] => true,
        ["sdn", "zones", _, _, tag] => {
            tag.len() <= 4 && !tag.starts_with('0') && tag.bytes().all(|b| b.is_ascii_digit())
        }
        _ => false,
    }
}

fn set_acl(world: &mut World, call: &Call) -> Outcome {
    let asked = ["users", "groups", "tokens"];
    if asked.iter().all(|name| call.text(name).is_empty()) {
        let why = "either 'users', 'groups' or 'tokens' is required.";
        return Err(Failure::parameters(asked.map(|name| (name.to_string(), why.to_string())).into()));
    }
    let remove = call.flag("delete") == Some(true);
    let path = normalized(call.text("path")).filter(|path| remove || is_acl_path(path));
    let path = path.ok_or_else(|| Failure::parameter("path", format!("invalid ACL path '{}'", call.text("path"))))?;
    grant(world, call, &path, remove).map_err(|why| why.under("ACL update failed"))?;
    done()
}

fn grant(world: &mut World, call: &Call, path: &str, remove: bool) -> Result<(), Failure> {
    let propagate = call.flag("propagate") != Some(false);
    let own = effective(world, &call.who, path);
    for role in items(call.text("roles")) {
        let Some(privileges) = world.pve.rights.roles.get(role).map(|r| r.privileges.clone()) else {
            return Err(no_role(role));
        };
        if !call.who.is_root() && !own.contains_key("Permissions.Modify") {
            only_own(role, &privileges, &own, propagate, remove)?;
        }
        if let Some(group) = items(call.text("groups")).next() {
            return Err(Failure::died(format!("group '{group}' does not exist")));
        }
        let users = items(call.text("users")).map(|id| (Subject::User, id));
        let tokens = items(call.text("tokens")).map(|id| (Subject::Token, id));
        for (subject, id) in users.chain(tokens) {
            subject_is_there(world, subject, id)?;
            let acls = &mut world.pve.rights.acls;
            acls.retain(|a| !(a.path == path && a.subject == subject && a.id == id && a.role == role));
            if !remove {
                let role = role.into();
                acls.push(Acl { path: path.into(), subject, id: id.into(), role, propagate });
            }
        }
    }
    Ok(())
}

/// Without the right to modify permissions, one can hand out at most what one has.
fn only_own(
    role: &str,
    privileges: &BTreeSet<String>,
    own: &Privileges,
    propagate: bool,
    remove: bool,
) -> Result<(), Failure> {
    let verb = if remove { "remove" } else { "add" };
    let refuse = |how: &str, superset: &str| {
        let why = format!("Cannot {verb} role '{role}'{how} - requires 'Permissions.Modify'{superset}");
        Err(Failure::parameter("role", why))
    };
    for privilege in privileges {
        match own.get(privilege) {
            None => return refuse("", " or superset of privileges."),
            Some(false) if propagate && !remove => {
                return refuse(" with propagation", " or propagated superset of privileges.");
            }
            Some(_) => {}
        }
    }
    if role == "NoAccess" { refuse("", "") } else { Ok(()) }
}

fn subject_is_there(world: &World, subject: Subject, id: &str) -> Result<(), Failure> {
    let rights = &world.pve.rights;
    match (subject, id.split_once('!')) {
        (Subject::User, _) if !rights.users.contains_key(id) => {
            Err(Failure::died(format!("user '{id}' does not exist")))
        }
        (Subject::Token, Some((user, _))) if !rights.users.contains_key(user) => Err(no_user(user)),
        (Subject::Token, Some((user, token))) if rights.token(id).is_none() => {
            Err(Failure::died(format!("no such token '{token}' for user '{user}'")))
        }
        (Subject::User | Subject::Token, _) => Ok(()),
    }
}
