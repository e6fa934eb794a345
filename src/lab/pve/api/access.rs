//! `/access`: tickets, permissions, roles, users, tokens.
use super::call::{Call, Failure, Outcome, done, rows};
use super::kind::{Kind, WORDS};
use super::route::{Need, Route, needed, optional, route};
use super::sign_in::{by_ticket, enabled};
use crate::pve::rights::{Privileges, Role, Ticket, Token, User, Who, effective, random_uuid};
use crate::world::World;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cozyup_base::secret::Secret;
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
            needed("username", Kind::Short(64)),
            needed("password", Kind::Text),
            optional("realm", Kind::Text),
            optional("otp", Kind::Text),
            optional("new-format", Kind::Boolean),
            optional("path", Kind::Short(64)).with("privs"),
            optional("privs", Kind::Short(64)).with("path"),
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
    route("POST", "/access/roles", ROLE_WRITE, &[needed("roleid", Kind::Text), optional("privs", WORDS)], add_role),
    route(
        "PUT",
        "/access/roles/{roleid}",
        ROLE_WRITE,
        &[optional("privs", WORDS), optional("append", Kind::Boolean).with("privs")],
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
    route("GET", "/access/users/{userid}", Need::Rule(may_see_user), &[], user),
    route(
        "POST",
        "/access/users",
        Need::Rule(may_add_user),
        &[
            needed("userid", Kind::Text),
            optional("comment", Kind::Short(2048)),
            optional("email", Kind::Text),
            optional("enable", Kind::Boolean),
            optional("expire", EPOCH),
            optional("firstname", Kind::Text),
            optional("lastname", Kind::Text),
            optional("groups", WORDS),
            optional("keys", Kind::Text),
            optional("password", Kind::Between(8, 64)),
        ],
        add_user,
    ),
    route(
        "PUT",
        "/access/users/{userid}",
        Need::Rule(may_change_user),
        &[
            optional("comment", Kind::Short(2048)),
            optional("enable", Kind::Boolean),
            optional("expire", EPOCH),
            optional("groups", WORDS),
            optional("append", Kind::Boolean).with("groups"),
        ],
        change_user,
    ),
    route("DELETE", "/access/users/{userid}", Need::Rule(may_remove_user), &[], remove_user),
    route("GET", "/access/users/{userid}/token", Need::Rule(may_set_tokens), &[], tokens),
    route("GET", "/access/users/{userid}/token/{tokenid}", Need::Rule(may_set_tokens), &[], token),
    route("POST", "/access/users/{userid}/token/{tokenid}", Need::Rule(may_set_tokens), &TOKEN_PARAMS, add_token),
    route("PUT", "/access/users/{userid}/token/{tokenid}", Need::Rule(may_set_tokens), &TOKEN_PARAMS, change_token),
    route("DELETE", "/access/users/{userid}/token/{tokenid}", Need::Rule(may_set_tokens), &[], remove_token),
];

pub fn items(list: &str) -> impl Iterator<Item = &str> {
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
        Some(realm) => format!("{username}@{realm}"),
        None => username.to_string(),
    };
    let password = call.text("password");
    let renewed = by_ticket(world, password).is_ok_and(|who| who.user == user);
    let known = enabled(world, &user).ok().and_then(|u| u.password.as_ref());
    if enabled(world, &user).is_err() || (!renewed && known.is_none_or(|p| p.expose() != password)) {
        return Err(Failure::new(401, "authentication failure"));
    }
    let who = Who { user: user.clone(), token: None };
    if let (Some(path), Some(privileges)) = (call.get("path"), call.get("privs")) {
        // Only whether the caller has them there: no new ticket.
        if items(privileges).any(|p| !call_may(world, &who, path, p)) {
            return Err(Failure::new(401, "authentication failure"));
        }
        return Ok(json!({"username": user, "cap": capabilities(world, &who)}).into());
    }
    let seconds = format!("{:08X}", world.now.as_second());
    let signature = || STANDARD.encode(random_uuid());
    let ticket = format!("PVE:{user}:{seconds}::{}", signature());
    let csrf = format!("{seconds}:{}", signature());
    let issued = world.now;
    world.pve.rights.tickets.insert(ticket.clone(), Ticket { user: user.clone(), csrf: csrf.clone(), issued });
    let mut answer =
        json!({"username": user, "ticket": ticket, "CSRFPreventionToken": csrf, "cap": capabilities(world, &who)});
    if world.pve.nodes.len() > 1 && call_may(world, &who, "/", "Sys.Audit") {
        answer["clustername"] = json!("lab");
    }
    Ok(answer.into())
}

fn call_may(world: &mut World, who: &Who, path: &str, privilege: &str) -> bool {
    effective(world, who, path).contains_key(privilege)
}

/// What the web interface shows and hides: the caller's privileges by kind of object, wherever it has them.
fn capabilities(world: &mut World, who: &Who) -> Value {
    const KINDS: [(&str, &[&str]); 7] = [
        ("vms", &["VM."]),
        ("access", &["User.", "Group."]),
        ("storage", &["Datastore."]),
        ("nodes", &["Sys."]),
        ("sdn", &["SDN."]),
        ("dc", &["Sys.Audit", "Sys.Modify", "SDN."]),
        ("mapping", &["Mapping."]),
    ];
    let mut found: BTreeMap<&str, Map<String, Value>> = KINDS.iter().map(|(kind, _)| (*kind, Map::new())).collect();
    let always = ["/", "/nodes", "/access/groups", "/vms", "/storage", "/sdn", "/mapping"].map(String::from);
    let paths: BTreeSet<String> =
        always.into_iter().chain(world.pve.rights.acls.iter().map(|acl| acl.path.clone())).collect();
    for path in paths {
        let top = path.split('/').nth(1).filter(|top| !top.is_empty()).unwrap_or("dc");
        for privilege in effective(world, who, &path).into_keys() {
            let permissions = privilege == "Permissions.Modify";
            let into = |kind: &str, own: &[&str]| match top {
                // A right on a pool is one on its guests and storages.
                "pool" => {
                    matches!(kind, "vms" | "storage") && (permissions || own.iter().any(|o| privilege.starts_with(o)))
                }
                "dc" => kind == "dc" && own.iter().any(|o| privilege.starts_with(o)),
                _ => kind == top && (permissions || own.iter().any(|o| privilege.starts_with(o))),
            };
            for (kind, _) in KINDS.iter().filter(|(kind, own)| into(kind, own)) {
                found.entry(kind).or_default().insert(privilege.clone(), json!(1));
            }
        }
    }
    json!(found)
}

/// Everybody may ask about themselves, users also about their tokens.
fn permissions(world: &mut World, call: &Call) -> Outcome {
    let caller = call.who.id();
    let asked = call.get("userid").unwrap_or(&caller);
    let (user, token) = match asked.split_once('!') {
        Some((user, token)) => (user.to_string(), Some(token.to_string())),
        None => (asked.to_string(), None),
    };
    if !user.contains('@') {
        return Err(Failure::parameter("userid", "value does not match the regex pattern"));
    }
    let own = asked == caller || (token.is_some() && user == caller);
    if !own {
        call.check(world, "/access", &["Sys.Audit"])?;
    }
    let who = Who { user, token };
    let map_of = |privileges: Privileges| -> Value {
        privileges.into_iter().map(|(p, propagate)| (p, json!(i32::from(propagate)))).collect::<Map<_, _>>().into()
    };
    if let Some(path) = call.get("path") {
        return Ok(json!({path: map_of(effective(world, &who, path))}).into());
    }
    let rights = &world.pve.rights;
    let top = ["/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms"].map(String::from);
    let members = rights.pools.values().flat_map(|pool| {
        let vms = pool.vms.iter().map(|vmid| format!("/vms/{vmid}"));
        vms.chain(pool.storages.iter().map(|storage| format!("/storage/{storage}")))
    });
    let paths: BTreeSet<String> =
        top.into_iter().chain(rights.acls.iter().map(|a| a.path.clone())).chain(members).collect();
    let mut map = Map::new();
    for path in paths {
        let privileges = effective(world, &who, &path);
        if !privileges.is_empty() {
            map.insert(path, map_of(privileges));
        }
    }
    Ok(Value::Object(map).into())
}

fn roles(world: &mut World, _: &Call) -> Outcome {
    let row = |(id, role): (&String, &Role)| {
        let privileges: Vec<&str> = role.privileges.iter().map(String::as_str).collect();
        json!({"roleid": id, "privs": privileges.join(","), "special": i32::from(role.built_in)})
    };
    rows(world.pve.rights.roles.iter().map(row).collect())
}

pub fn no_role(id: &str) -> Failure {
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
        let why = "cannot use role ID starting with the (case-insensitive) 'PVE' namespace";
        return Err(Failure::parameter("roleid", why));
    }
    if world.pve.rights.roles.contains_key(id) {
        return Err(Failure::died(format!("create role failed: role '{id}' already exists")));
    }
    world.pve.rights.roles.insert(id.into(), Role { privileges, built_in: false });
    done()
}

/// A role that may be changed; `verb` and `past` say what is to happen to it.
fn own_role<'a>(world: &'a mut World, id: &str, verb: &str, past: &str) -> Result<&'a mut Role, Failure> {
    let role = world.pve.rights.roles.get_mut(id);
    let role = role.ok_or_else(|| no_role(id).under(&format!("{verb} role failed")))?;
    if role.built_in {
        return Err(Failure::died(format!("auto-generated role '{id}' cannot be {past}")));
    }
    Ok(role)
}

fn change_role(world: &mut World, call: &Call) -> Outcome {
    let privileges = wanted_privileges(world, call)?;
    let append = call.flag("append") == Some(true);
    let role = own_role(world, call.text("roleid"), "update", "modified")?;
    if !append {
        role.privileges.clear();
    }
    role.privileges.extend(privileges);
    done()
}

fn remove_role(world: &mut World, call: &Call) -> Outcome {
    let id = call.text("roleid");
    own_role(world, id, "delete", "deleted")?;
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

pub fn no_user(id: &str) -> Failure {
    Failure::died(format!("no such user ('{id}')"))
}

/// Users are looked for before anybody's rights are.
fn may_see_user(world: &mut World, call: &Call) -> Result<(), Failure> {
    user_is_there(world, call)?;
    may_with_groups(world, call, &["User.Modify", "Sys.Audit"])
}

fn user_is_there(world: &World, call: &Call) -> Result<(), Failure> {
    let id = call.text("userid");
    if call.who.is_root() || world.pve.rights.users.contains_key(id) { Ok(()) } else { Err(no_user(id)) }
}

fn may_with_groups(world: &mut World, call: &Call, any: &[&str]) -> Result<(), Failure> {
    if call.allowed_any(world, "/access/groups", any) { Ok(()) } else { Err(Failure::denied_plainly()) }
}

fn may_allocate_in_realm(world: &mut World, call: &Call) -> Result<(), Failure> {
    let realm = call.text("userid").rsplit_once('@').map_or("", |(_, realm)| realm);
    call.check(world, &format!("/access/realm/{realm}"), &["Realm.AllocateUser"])
}

fn may_add_user(world: &mut World, call: &Call) -> Result<(), Failure> {
    may_allocate_in_realm(world, call)?;
    call.check_any(world, "/access/groups", &["User.Modify"])
}

fn may_remove_user(world: &mut World, call: &Call) -> Result<(), Failure> {
    may_allocate_in_realm(world, call)?;
    user_is_there(world, call)?;
    may_with_groups(world, call, &["User.Modify"])
}

fn user(world: &mut World, call: &Call) -> Outcome {
    let id = call.text("userid");
    let user = world.pve.rights.users.get(id).ok_or_else(|| no_user(id))?;
    let mut row = user_row(id, user);
    if let Some(row) = row.as_object_mut() {
        row.remove("userid");
        row.remove("realm-type");
    }
    row["groups"] = json!([]);
    let tokens: Map<String, Value> =
        user.tokens.iter().map(|(name, token)| (name.clone(), token_info(token))).collect();
    row["tokens"] = if tokens.is_empty() { Value::Null } else { tokens.into() };
    Ok(row.into())
}

fn add_user(world: &mut World, call: &Call) -> Outcome {
    let id = call.text("userid");
    let Some((_, realm)) = id.split_once('@').filter(|(name, realm)| !name.is_empty() && !realm.is_empty()) else {
        // The right to make it is judged first, and that needs the realm.
        return Err(Failure::died(format!("value '{id}' does not look like a valid user name")));
    };
    if world.pve.rights.users.contains_key(id) {
        return Err(Failure::died(format!("create user failed: user '{id}' already exists")));
    }
    if call.get("password").is_some() && !matches!(realm, "pam" | "pve") {
        return Err(Failure::died(format!("create user failed: auth domain '{realm}' does not exist")));
    }
    if let Some(group) = items(call.text("groups")).find(|g| !world.pve.rights.groups.contains_key(*g)) {
        return Err(Failure::died(format!("create user failed: no such group '{group}'")));
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

fn may_change_user(world: &mut World, call: &Call) -> Result<(), Failure> {
    user_is_there(world, call)?;
    may_with_groups(world, call, &["User.Modify"])
}

fn change_user(world: &mut World, call: &Call) -> Outcome {
    let id = call.text("userid");
    let failed = |why: Failure| why.under("update user failed");
    if let Some(group) = items(call.text("groups")).find(|g| !world.pve.rights.groups.contains_key(*g)) {
        return Err(failed(Failure::died(format!("no such group '{group}'"))));
    }
    let user = world.pve.rights.users.get_mut(id).ok_or_else(|| failed(no_user(id)))?;
    user.enabled = call.flag("enable").unwrap_or(user.enabled);
    user.expire = call.number("expire").unwrap_or(user.expire);
    if let Some(comment) = call.owned("comment") {
        user.comment = Some(comment).filter(|c| !c.is_empty());
    }
    done()
}

fn remove_user(world: &mut World, call: &Call) -> Outcome {
    let id = call.text("userid");
    // Root may also delete a user that is not there.
    world.pve.rights.users.remove(id);
    let own = format!("{id}!");
    world.pve.rights.acls.retain(|a| a.id != id && !a.id.starts_with(&own));
    done()
}

/// The user itself, or who may modify users. Of a user that is not there nobody but root may: the rights are looked at
/// before the user is looked for (measured on 8.4.1 and 9.1.2).
fn may_set_tokens(world: &mut World, call: &Call) -> Result<(), Failure> {
    if call.who.is_root() || call.text("userid") == call.who.id() {
        return Ok(());
    }
    if !world.pve.rights.users.contains_key(call.text("userid")) {
        return Err(Failure::denied_plainly());
    }
    may_with_groups(world, call, &["User.Modify"])
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
    let mut info = token_info(&token);
    if let Some(info) = info.as_object_mut().filter(|_| call.get("expire").is_none()) {
        info.remove("expire");
    }
    // A value that came as a text goes out as one.
    if let Some(given) = call.flag("privsep") {
        info["privsep"] = json!(i32::from(given).to_string());
    }
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
