//! `/access` and `/pools`: tickets, permissions, roles, users, tokens.
use super::call::{Call, Failure, Outcome, done, rows};
use super::route::{Kind, Need, Route, needed, optional, route};
use crate::base::secret::Secret;
use crate::lab::pve::rights::{Acl, Pool, Role, Subject, Ticket, Token, User, effective, random_uuid};
use crate::lab::world::World;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

const EPOCH: Kind = Kind::Integer(0, i64::MAX);
const ROLE_WRITE: Need = Need::All("/access", &["Sys.Modify"]);
const TOKEN_PARAMS: [super::route::Param; 3] =
    [optional("comment", Kind::Text), optional("expire", EPOCH), optional("privsep", Kind::Boolean)];

pub const ROUTES: &[Route] = &[
    route("GET", "/access/domains", Need::Nobody, &[], domains),
    route("GET", "/access/ticket", Need::Nobody, &[], |_, _| done()),
    route(
        "POST",
        "/access/ticket",
        Need::Nobody,
        &[
            needed("username", Kind::Text),
            needed("password", Kind::Text),
            optional("realm", Kind::Text),
            optional("otp", Kind::Text),
            optional("new-format", Kind::Boolean),
            optional("path", Kind::Text),
            optional("privs", Kind::Text),
            optional("tfa-challenge", Kind::Text),
        ],
        ticket,
    ),
    route(
        "GET",
        "/access/permissions",
        Need::Anyone,
        &[optional("path", Kind::Text), optional("userid", Kind::Text)],
        permissions,
    ),
    route("GET", "/access/roles", Need::Anyone, &[], roles),
    route("GET", "/access/roles/{roleid}", Need::Anyone, &[], role),
    route(
        "POST",
        "/access/roles",
        ROLE_WRITE,
        &[needed("roleid", Kind::Text), optional("privs", Kind::Text)],
        add_role,
    ),
    route(
        "PUT",
        "/access/roles/{roleid}",
        ROLE_WRITE,
        &[optional("privs", Kind::Text), optional("append", Kind::Boolean)],
        change_role,
    ),
    route("DELETE", "/access/roles/{roleid}", ROLE_WRITE, &[], remove_role),
    route(
        "GET",
        "/access/users",
        Need::Anyone,
        &[optional("enabled", Kind::Boolean), optional("full", Kind::Boolean)],
        users,
    ),
    route("GET", "/access/users/{userid}", Need::Anyone, &[], user),
    route(
        "POST",
        "/access/users",
        Need::All("/access/groups", &["User.Modify"]),
        &[
            needed("userid", Kind::Text),
            optional("comment", Kind::Text),
            optional("email", Kind::Text),
            optional("enable", Kind::Boolean),
            optional("expire", EPOCH),
            optional("firstname", Kind::Text),
            optional("lastname", Kind::Text),
            optional("groups", Kind::Text),
            optional("password", Kind::Text),
        ],
        add_user,
    ),
    route("DELETE", "/access/users/{userid}", Need::All("/access/groups", &["User.Modify"]), &[], remove_user),
    route("GET", "/access/users/{userid}/token", Need::Rule(may_see_tokens), &[], tokens),
    route("GET", "/access/users/{userid}/token/{tokenid}", Need::Rule(may_see_tokens), &[], token),
    route("POST", "/access/users/{userid}/token/{tokenid}", Need::Rule(may_set_tokens), &TOKEN_PARAMS, add_token),
    route("PUT", "/access/users/{userid}/token/{tokenid}", Need::Rule(may_set_tokens), &TOKEN_PARAMS, change_token),
    route("DELETE", "/access/users/{userid}/token/{tokenid}", Need::Rule(may_set_tokens), &[], remove_token),
    route("GET", "/access/acl", Need::Anyone, &[], acls),
    route(
        "PUT",
        "/access/acl",
        Need::Rule(may_set_acl),
        &[
            needed("path", Kind::Text),
            needed("roles", Kind::Text),
            optional("users", Kind::Text),
            optional("groups", Kind::Text),
            optional("tokens", Kind::Text),
            optional("propagate", Kind::Boolean),
            optional("delete", Kind::Boolean),
        ],
        set_acl,
    ),
    route("GET", "/pools", Need::Anyone, &[optional("poolid", Kind::Text), optional("type", Kind::Text)], pools),
    route("GET", "/pools/{poolid}", Need::All("/pool/{poolid}", &["Pool.Audit"]), &[], pool),
    route(
        "POST",
        "/pools",
        Need::All("/pool/{poolid}", &["Pool.Allocate"]),
        &[needed("poolid", Kind::Text), optional("comment", Kind::Text)],
        add_pool,
    ),
    route(
        "PUT",
        "/pools",
        Need::All("/pool/{poolid}", &["Pool.Allocate"]),
        &[
            needed("poolid", Kind::Text),
            optional("comment", Kind::Text),
            optional("vms", Kind::Text),
            optional("storage", Kind::Text),
            optional("delete", Kind::Boolean),
            optional("allow-move", Kind::Boolean),
        ],
        change_pool,
    ),
    route(
        "DELETE",
        "/pools",
        Need::All("/pool/{poolid}", &["Pool.Allocate"]),
        &[needed("poolid", Kind::Text)],
        remove_pool,
    ),
];

fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split([',', ';', ' ']).filter(|i| !i.is_empty())
}

fn domains(_: &mut World, _: &Call) -> Outcome {
    rows(vec![
        json!({"realm": "pam", "type": "pam", "comment": "Linux PAM standard authentication"}),
        json!({"realm": "pve", "type": "pve", "comment": "Proxmox VE authentication server"}),
    ])
}

/// The ticket itself is accepted as password too: that renews it.
fn ticket(world: &mut World, call: &Call) -> Outcome {
    let username = call.text("username");
    let user = match call.get("realm") {
        Some(realm) if !username.contains('@') => format!("{username}@{realm}"),
        Some(_) | None => username.to_string(),
    };
    let password = call.text("password");
    let renewed = world.pve.rights.tickets.get(password).is_some_and(|t| t.user == user);
    let known = world.pve.rights.users.get(&user).filter(|u| u.enabled).and_then(|u| u.password.as_ref());
    if !renewed && known.is_none_or(|p| p.expose() != password) {
        return Err(Failure::new(401, "authentication failure"));
    }
    let seconds = format!("{:08X}", world.now.as_second());
    let signature = || STANDARD.encode(random_uuid());
    let ticket = format!("PVE:{user}:{seconds}::{}", signature());
    let csrf = format!("{seconds}:{}", signature());
    let issued = world.now;
    world.pve.rights.tickets.insert(ticket.clone(), Ticket { user: user.clone(), csrf: csrf.clone(), issued });
    Ok(json!({"username": user, "ticket": ticket, "CSRFPreventionToken": csrf, "cap": {}}).into())
}

fn permissions(world: &mut World, call: &Call) -> Outcome {
    if let Some(other) = call.get("userid").filter(|u| *u != call.who.id() && *u != call.who.user) {
        call.check(world, "/access", &["Sys.Audit"])?;
        let (user, token) = match other.split_once('!') {
            Some((user, token)) => (user.to_string(), Some(token.to_string())),
            None => (other.to_string(), None),
        };
        let who = crate::lab::pve::rights::Who { user, token };
        return Ok(map_of(world, &who, call).into());
    }
    Ok(map_of(world, &call.who.clone(), call).into())
}

fn map_of(world: &mut World, who: &crate::lab::pve::rights::Who, call: &Call) -> Value {
    let paths: BTreeSet<String> = match call.get("path") {
        Some(path) => BTreeSet::from([path.to_string()]),
        None => ["/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms"]
            .map(String::from)
            .into_iter()
            .chain(world.pve.rights.acls.iter().map(|a| a.path.clone()))
            .collect(),
    };
    let mut map = Map::new();
    for path in paths {
        let privileges = effective(world, who, &path);
        if !privileges.is_empty() {
            let privileges: Map<String, Value> =
                privileges.into_iter().map(|(p, propagate)| (p, json!(i32::from(propagate)))).collect();
            map.insert(path, Value::Object(privileges));
        }
    }
    Value::Object(map)
}

fn roles(world: &mut World, _: &Call) -> Outcome {
    let row = |(id, role): (&String, &Role)| {
        let privileges: Vec<&str> = role.privileges.iter().map(String::as_str).collect();
        json!({"roleid": id, "privs": privileges.join(","), "special": i32::from(role.built_in)})
    };
    rows(world.pve.rights.roles.iter().map(row).collect())
}

fn no_role(id: &str) -> Failure {
    Failure::died(format!("role '{id}' does not exist"))
}

fn role(world: &mut World, call: &Call) -> Outcome {
    let role = world.pve.rights.roles.get(call.text("roleid")).ok_or_else(|| no_role(call.text("roleid")))?;
    let map: Map<String, Value> = role.privileges.iter().map(|p| (p.clone(), json!(1))).collect();
    Ok(Value::Object(map).into())
}

fn wanted_privileges(world: &World, call: &Call) -> Result<BTreeSet<String>, Failure> {
    let known = world.pve.rights.known();
    let wanted: BTreeSet<String> = items(call.text("privs")).map(Into::into).collect();
    match wanted.iter().find(|p| !known.contains(*p)) {
        Some(unknown) => Err(Failure::parameter("privs", format!("invalid format - invalid privilege '{unknown}'\n"))),
        None => Ok(wanted),
    }
}

fn add_role(world: &mut World, call: &Call) -> Outcome {
    let id = call.text("roleid");
    let privileges = wanted_privileges(world, call)?;
    if id.to_ascii_lowercase().starts_with("pve") {
        let why = format!("role ID may not start with 'PVE' (it's reserved for built-in roles): '{id}'");
        return Err(Failure::parameter("roleid", why));
    }
    if world.pve.rights.roles.contains_key(id) {
        return Err(Failure::died(format!("create role failed: role '{id}' already exists")));
    }
    world.pve.rights.roles.insert(id.into(), Role { privileges, built_in: false });
    done()
}

fn own_role<'a>(world: &'a mut World, id: &str) -> Result<&'a mut Role, Failure> {
    let role = world.pve.rights.roles.get_mut(id).ok_or_else(|| no_role(id))?;
    if role.built_in {
        return Err(Failure::died(format!("auto-generated role '{id}' cannot be modified")));
    }
    Ok(role)
}

fn change_role(world: &mut World, call: &Call) -> Outcome {
    let privileges = wanted_privileges(world, call)?;
    let append = call.flag("append") == Some(true);
    let role = own_role(world, call.text("roleid"))?;
    if !append {
        role.privileges.clear();
    }
    role.privileges.extend(privileges);
    done()
}

fn remove_role(world: &mut World, call: &Call) -> Outcome {
    let id = call.text("roleid");
    own_role(world, id)?;
    world.pve.rights.roles.remove(id);
    world.pve.rights.acls.retain(|a| a.role != id);
    done()
}

fn user_row(id: &str, user: &User) -> Value {
    let mut row = json!({"userid": id, "enable": i32::from(user.enabled), "expire": user.expire});
    if let Some((_, realm)) = id.split_once('@') {
        row["realm-type"] = json!(realm);
    }
    if let Some(comment) = &user.comment {
        row["comment"] = json!(comment);
    }
    row
}

fn users(world: &mut World, call: &Call) -> Outcome {
    let all = call.allowed_any(world, "/access/groups", &["User.Modify", "Sys.Audit"]);
    let list = world
        .pve
        .rights
        .users
        .iter()
        .filter(|(id, user)| {
            (all || **id == call.who.user) && call.flag("enabled").is_none_or(|enabled| user.enabled == enabled)
        })
        .map(|(id, user)| {
            let mut row = user_row(id, user);
            if call.flag("full") == Some(true) {
                row["tokens"] = user.tokens.iter().map(|(name, token)| token_row(name, token)).collect();
            }
            row
        })
        .collect();
    rows(list)
}

fn no_user(id: &str) -> Failure {
    Failure::died(format!("no such user ('{id}')"))
}

fn user(world: &mut World, call: &Call) -> Outcome {
    let id = call.text("userid");
    if id != call.who.user {
        call.check_any(world, "/access/groups", &["User.Modify", "Sys.Audit"])?;
    }
    let user = world.pve.rights.users.get(id).ok_or_else(|| no_user(id))?;
    let mut row = user_row(id, user);
    if let Some(row) = row.as_object_mut() {
        row.remove("userid");
        row.remove("realm-type");
    }
    row["groups"] = json!([]);
    row["tokens"] =
        user.tokens.iter().map(|(name, token)| (name.clone(), token_info(token))).collect::<Map<_, _>>().into();
    Ok(row.into())
}

fn add_user(world: &mut World, call: &Call) -> Outcome {
    let id = call.text("userid");
    let Some((_, realm)) = id.split_once('@') else {
        return Err(Failure::parameter(
            "userid",
            format!("invalid format - value '{id}' does not look like a valid user name\n"),
        ));
    };
    call.check(world, &format!("/access/realm/{realm}"), &["Realm.AllocateUser"])?;
    if !matches!(realm, "pam" | "pve") {
        return Err(Failure::died(format!("create user failed: domain '{realm}' does not exist")));
    }
    if world.pve.rights.users.contains_key(id) {
        return Err(Failure::died(format!("create user failed: user '{id}' already exists")));
    }
    let user = User {
        enabled: call.flag("enable") != Some(false),
        expire: call.number("expire").unwrap_or(0),
        comment: call.owned("comment"),
        password: call.owned("password").map(Secret::new),
        tokens: BTreeMap::new(),
    };
    world.pve.rights.users.insert(id.into(), user);
    done()
}

fn remove_user(world: &mut World, call: &Call) -> Outcome {
    let id = call.text("userid");
    if world.pve.rights.users.remove(id).is_none() {
        return Err(Failure::died(format!("user '{id}' does not exist")));
    }
    let own = format!("{id}!");
    world.pve.rights.acls.retain(|a| a.id != id && !a.id.starts_with(&own));
    done()
}

fn may_see_tokens(world: &mut World, call: &Call) -> Result<(), Failure> {
    may_set_tokens(world, call)
}

/// The user itself, or who may modify users.
fn may_set_tokens(world: &mut World, call: &Call) -> Result<(), Failure> {
    let own = call.text("userid") == call.who.user;
    if own || call.allowed(world, "/access/groups", "User.Modify") {
        return Ok(());
    }
    Err(Failure::denied_plainly())
}

fn token_info(token: &Token) -> Value {
    let mut info = json!({"privsep": i32::from(token.privilege_separation), "expire": token.expire});
    if let Some(comment) = &token.comment {
        info["comment"] = json!(comment);
    }
    info
}

fn token_row(name: &str, token: &Token) -> Value {
    let mut row = token_info(token);
    row["tokenid"] = json!(name);
    row
}

fn tokens(world: &mut World, call: &Call) -> Outcome {
    let id = call.text("userid");
    let user = world.pve.rights.users.get(id).ok_or_else(|| no_user(id))?;
    rows(user.tokens.iter().map(|(name, token)| token_row(name, token)).collect())
}

fn no_token(call: &Call) -> Failure {
    Failure::died(format!("no such token '{}' for user '{}'", call.text("tokenid"), call.text("userid")))
}

fn token(world: &mut World, call: &Call) -> Outcome {
    let id = format!("{}!{}", call.text("userid"), call.text("tokenid"));
    Ok(token_info(world.pve.rights.token(&id).ok_or_else(|| no_token(call))?).into())
}

fn add_token(world: &mut World, call: &Call) -> Outcome {
    let (id, name) = (call.text("userid"), call.text("tokenid"));
    let user = world.pve.rights.users.get_mut(id).ok_or_else(|| no_user(id))?;
    let mut letters = name.chars();
    let fine = letters.next().is_some_and(|c| c.is_ascii_alphabetic())
        && name.len() > 1
        && letters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    if !fine {
        return Err(Failure::parameter("tokenid", "value does not match the regex pattern"));
    }
    if user.tokens.contains_key(name) {
        return Err(Failure::parameter("tokenid", "Token already exists."));
    }
    let secret = random_uuid();
    let token = Token {
        secret: Secret::new(secret.clone()),
        privilege_separation: call.flag("privsep") != Some(false),
        expire: call.number("expire").unwrap_or(0),
        comment: call.owned("comment"),
    };
    let info = token_info(&token);
    user.tokens.insert(name.into(), token);
    Ok(json!({"full-tokenid": format!("{id}!{name}"), "value": secret, "info": info}).into())
}

fn change_token(world: &mut World, call: &Call) -> Outcome {
    let user = world.pve.rights.users.get_mut(call.text("userid"));
    let token = user.and_then(|u| u.tokens.get_mut(call.text("tokenid"))).ok_or_else(|| no_token(call))?;
    if let Some(separate) = call.flag("privsep") {
        token.privilege_separation = separate;
    }
    if let Some(expire) = call.number("expire") {
        token.expire = expire;
    }
    if let Some(comment) = call.owned("comment") {
        token.comment = Some(comment);
    }
    Ok(token_info(token).into())
}

fn remove_token(world: &mut World, call: &Call) -> Outcome {
    let (id, name) = (call.text("userid"), call.text("tokenid"));
    let removed = world.pve.rights.users.get_mut(id).and_then(|u| u.tokens.remove(name));
    removed.ok_or_else(|| no_token(call))?;
    let full = format!("{id}!{name}");
    world.pve.rights.acls.retain(|a| a.id != full);
    done()
}

fn acls(world: &mut World, call: &Call) -> Outcome {
    let audit = call.allowed(world, "/access", "Sys.Audit");
    let all = world.pve.rights.acls.clone();
    let mut list = Vec::new();
    for acl in all {
        if audit || call.allowed(world, &acl.path, "Permissions.Modify") {
            list.push(json!({
                "path": acl.path, "type": acl.subject.name(), "ugid": acl.id, "roleid": acl.role,
                "propagate": i32::from(acl.propagate),
            }));
        }
    }
    rows(list)
}

fn may_set_acl(world: &mut World, call: &Call) -> Result<(), Failure> {
    let path = call.text("path");
    let mut any = vec!["Permissions.Modify"];
    for (prefix, privilege) in [("/storage", "Datastore.Allocate"), ("/vms", "VM.Allocate"), ("/pool", "Pool.Allocate")]
    {
        if path.starts_with(prefix) {
            any.push(privilege);
        }
    }
    call.check_any(world, if path.is_empty() { "/access" } else { path }, &any)
}

fn set_acl(world: &mut World, call: &Call) -> Outcome {
    let path = call.text("path");
    if !path.starts_with('/') || (path.len() > 1 && path.ends_with('/')) {
        return Err(Failure::parameter("path", format!("invalid ACL path '{path}'")));
    }
    if let Some(group) = items(call.text("groups")).next() {
        return Err(Failure::died(format!("group '{group}' does not exist")));
    }
    let users = items(call.text("users")).map(|id| (Subject::User, id.to_string()));
    let tokens = items(call.text("tokens")).map(|id| (Subject::Token, id.to_string()));
    let subjects: Vec<(Subject, String)> = users.chain(tokens).collect();
    if subjects.is_empty() {
        return Err(Failure::parameter("users", "either 'users', 'groups' or 'tokens' is required."));
    }
    let rights = &mut world.pve.rights;
    for role in items(call.text("roles")) {
        if !rights.roles.contains_key(role) {
            return Err(no_role(role));
        }
        for (subject, id) in &subjects {
            let there = match subject {
                Subject::User => rights.users.contains_key(id),
                Subject::Token => rights.token(id).is_some(),
            };
            if !there {
                return Err(Failure::died(match (subject, id.split_once('!')) {
                    (Subject::Token, Some((user, token))) => format!("no such token '{token}' for user '{user}'"),
                    (Subject::Token | Subject::User, _) => format!("user '{id}' does not exist"),
                }));
            }
            rights.acls.retain(|a| !(a.path == path && a.subject == *subject && a.id == *id && a.role == role));
            if call.flag("delete") != Some(true) {
                rights.acls.push(Acl {
                    path: path.into(),
                    subject: *subject,
                    id: id.clone(),
                    role: role.into(),
                    propagate: call.flag("propagate") != Some(false),
                });
            }
        }
    }
    done()
}

fn members(world: &World, pool: &Pool) -> Value {
    let vms = pool.vms.iter().filter_map(|vmid| world.pve.vms.get(vmid)).map(|vm| {
        let mut row = vm.row(world.now);
        row["id"] = json!(format!("qemu/{}", vm.vmid));
        row["type"] = json!("qemu");
        row["node"] = json!(vm.node);
        row
    });
    let storages = pool.storages.iter().flat_map(|storage| {
        world.pve.nodes.iter().map(move |node| {
            json!({"id": format!("storage/{}/{storage}", node.name), "type": "storage", "storage": storage, "node": node.name})
        })
    });
    vms.chain(storages).collect()
}

fn pools(world: &mut World, call: &Call) -> Outcome {
    let ids: Vec<String> = world.pve.rights.pools.keys().cloned().collect();
    let asked = call.get("poolid");
    if let Some(id) = asked.filter(|id| !world.pve.rights.pools.contains_key(*id)) {
        return Err(Failure::died(format!("pool '{id}' does not exist")));
    }
    let mut list = Vec::new();
    for id in ids.into_iter().filter(|id| asked.is_none_or(|a| a == id)) {
        if !call.allowed(world, &format!("/pool/{id}"), "Pool.Audit") {
            continue;
        }
        let Some(pool) = world.pve.rights.pools.get(&id) else { continue };
        let mut row = json!({"poolid": id});
        if let Some(comment) = &pool.comment {
            row["comment"] = json!(comment);
        }
        if asked.is_some() {
            row["members"] = members(world, pool);
        }
        list.push(row);
    }
    rows(list)
}

fn named_pool<'a>(world: &'a mut World, call: &Call) -> Result<&'a mut Pool, Failure> {
    let id = call.text("poolid");
    world.pve.rights.pools.get_mut(id).ok_or_else(|| Failure::died(format!("pool '{id}' does not exist")))
}

fn pool(world: &mut World, call: &Call) -> Outcome {
    named_pool(world, call)?;
    let Some(pool) = world.pve.rights.pools.get(call.text("poolid")) else { return done() };
    Ok(json!({"members": members(world, pool), "comment": pool.comment.clone().unwrap_or_default()}).into())
}

fn add_pool(world: &mut World, call: &Call) -> Outcome {
    let id = call.text("poolid");
    if world.pve.rights.pools.contains_key(id) {
        return Err(Failure::died(format!("create pool failed: pool '{id}' already exists")));
    }
    world.pve.rights.pools.insert(id.into(), Pool { comment: call.owned("comment"), ..Pool::default() });
    done()
}

fn change_pool(world: &mut World, call: &Call) -> Outcome {
    let delete = call.flag("delete") == Some(true);
    let vms: Vec<u32> = items(call.text("vms")).filter_map(|v| v.parse().ok()).collect();
    if let Some(missing) = vms.iter().find(|v| !world.pve.vms.contains_key(v)) {
        return Err(Failure::died(format!("update pools failed: VM {missing} does not exist")));
    }
    let pool = named_pool(world, call)?;
    for vmid in vms {
        if delete {
            pool.vms.remove(&vmid)
        } else {
            pool.vms.insert(vmid)
        };
    }
    for storage in items(call.text("storage")) {
        if delete {
            pool.storages.remove(storage)
        } else {
            pool.storages.insert(storage.into())
        };
    }
    if let Some(comment) = call.owned("comment") {
        pool.comment = Some(comment);
    }
    done()
}

fn remove_pool(world: &mut World, call: &Call) -> Outcome {
    let pool = named_pool(world, call)?;
    if !pool.vms.is_empty() || !pool.storages.is_empty() {
        let id = call.text("poolid");
        return Err(Failure::died(format!("delete pool failed: pool '{id}' is not empty")));
    }
    world.pve.rights.pools.remove(call.text("poolid"));
    done()
}
