//! `/access/groups`: names that users can be put into. The lab's users are in none.
use super::call::{Call, Failure, Outcome, done, rows};
use super::kind::Kind;
use super::route::{Need, Route, needed, optional, route};
use crate::world::World;
use serde_json::json;

const OWN: Need = Need::All("/access/groups", &["Group.Allocate"]);
const SEE: &[&str] = &["Sys.Audit", "Group.Allocate"];

pub const ROUTES: &[Route] = &[
    route("GET", "/access/groups", Need::Anyone, &[], groups),
    route("POST", "/access/groups", OWN, &[needed("groupid", Kind::Text), optional("comment", Kind::Text)], add),
    route("GET", "/access/groups/{groupid}", Need::Any("/access/groups", SEE), &[], group),
    route("PUT", "/access/groups/{groupid}", OWN, &[optional("comment", Kind::Text)], change),
    route("DELETE", "/access/groups/{groupid}", OWN, &[], remove),
];

/// Those that the caller may see; who may modify users sees all.
fn groups(world: &mut World, call: &Call) -> Outcome {
    let all: Vec<(String, Option<String>)> =
        world.pve.rights.groups.iter().map(|(id, comment)| (id.clone(), comment.clone())).collect();
    let mut list = Vec::new();
    for (id, comment) in all {
        let path = format!("/access/groups/{id}");
        if !call.allowed_any(world, &path, &["User.Modify", "Sys.Audit", "Group.Allocate"]) {
            continue;
        }
        let mut row = json!({"groupid": id, "users": ""});
        if let Some(comment) = comment {
            row["comment"] = json!(comment);
        }
        list.push(row);
    }
    rows(list)
}

fn no_group(id: &str) -> Failure {
    Failure::died(format!("group '{id}' does not exist"))
}

fn add(world: &mut World, call: &Call) -> Outcome {
    let id = call.text("groupid");
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if id.is_empty() || !id.chars().all(fine) {
        let why = format!("invalid format - group name '{id}' contains invalid characters\n");
        return Err(Failure::parameter("groupid", why));
    }
    if world.pve.rights.groups.contains_key(id) {
        return Err(Failure::died(format!("create group failed: group '{id}' already exists")));
    }
    world.pve.rights.groups.insert(id.into(), call.owned("comment"));
    done()
}

fn group(world: &mut World, call: &Call) -> Outcome {
    let id = call.text("groupid");
    let comment = world.pve.rights.groups.get(id).ok_or_else(|| no_group(id))?;
    let mut row = json!({"members": []});
    if let Some(comment) = comment {
        row["comment"] = json!(comment);
    }
    Ok(row.into())
}

fn change(world: &mut World, call: &Call) -> Outcome {
    let id = call.text("groupid");
    let comment = world.pve.rights.groups.get_mut(id).ok_or_else(|| no_group(id).under("update group failed"))?;
    *comment = call.owned("comment").or(comment.take());
    done()
}

fn remove(world: &mut World, call: &Call) -> Outcome {
    let id = call.text("groupid");
    world.pve.rights.groups.remove(id).ok_or_else(|| no_group(id).under("delete group failed"))?;
    done()
}
