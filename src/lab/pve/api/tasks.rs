//! `/nodes/{node}/tasks`: the only way to learn how something that takes time went.
use super::call::{Call, Failure, Good, Outcome, done};
use super::kind::{Kind, VMID, WORDS};
use super::route::{Need, Route, optional, route};
use crate::pve::task::{Task, find, finish};
use crate::pve::{Version, clone, create};
use crate::world::World;
use serde_json::{Value, json};

const MANY: Kind = Kind::Integer(0, i64::MAX);

pub const ROUTES: &[Route] = &[
    route(
        "GET",
        "/nodes/{node}/tasks",
        Need::Anyone,
        &[
            optional("source", Kind::Choice(&["archive", "active", "all"])),
            optional("vmid", VMID),
            optional("typefilter", Kind::Text),
            optional("statusfilter", WORDS),
            optional("userfilter", Kind::Text),
            optional("since", MANY),
            optional("until", MANY),
            optional("limit", MANY),
            optional("start", MANY),
            optional("errors", Kind::Boolean),
        ],
        list,
    ),
    route("GET", "/nodes/{node}/tasks/{upid}/status", Need::Anyone, &[], status),
    route(
        "GET",
        "/nodes/{node}/tasks/{upid}/log",
        Need::Anyone,
        &[optional("start", MANY), optional("limit", MANY), optional("download", Kind::Boolean)],
        log,
    ),
    route("DELETE", "/nodes/{node}/tasks/{upid}", Need::Anyone, &[], stop),
];

/// The text of the path as a UPID.
fn upid(call: &Call) -> Result<&str, Failure> {
    let upid = call.text("upid");
    match upid.starts_with("UPID:") && upid.ends_with(':') && upid.split(':').count() == 9 {
        true => Ok(upid),
        false => Err(Failure::parameter("upid", "unable to parse worker upid")),
    }
}

/// Checks that the UPID names the caller as its owner; anybody else needs `otherwise` on the node.
fn check_owner(world: &mut World, call: &Call, upid: &str, otherwise: &str) -> Result<(), Failure> {
    let user = upid.split(':').nth(7).unwrap_or_default();
    let caller = call.who.id();
    let own = user == caller || user.split_once('!').is_some_and(|(user, _)| user == caller);
    if own { Ok(()) } else { call.check(world, &format!("/nodes/{}", call.node()), &[otherwise]) }
}

fn on_node<'a>(world: &'a World, call: &Call) -> Option<&'a Task> {
    find(world, call.text("upid")).filter(|task| task.node == call.node())
}

/// The task of the path, when it ran on the node of the path and the caller may see it.
fn named<'a>(world: &'a mut World, call: &Call, otherwise: &str) -> Result<&'a Task, Failure> {
    let gone = || Failure::parameter("upid", "no such task");
    let upid = upid(call)?;
    on_node(world, call).ok_or_else(gone)?;
    check_owner(world, call, upid, otherwise)?;
    on_node(world, call).ok_or_else(gone)
}

/// Proxmox's kinds of ends; a running task's is not known.
fn kind_of_end(task: &Task) -> &'static str {
    match task.end.as_ref().map(|(_, exit)| exit.as_str()) {
        None | Some("unexpected status") => "unknown",
        Some("OK") => "ok",
        Some(exit) if exit.starts_with("WARNINGS: ") => "warning",
        Some(_) => "error",
    }
}

fn list(world: &mut World, call: &Call) -> Outcome {
    let node = call.node().to_string();
    let all = call.allowed(world, &format!("/nodes/{node}"), "Sys.Audit");
    let caller = call.who.id();
    let source = call.get("source").unwrap_or("archive");
    let number = |name: &str| call.number(name).and_then(|n| usize::try_from(n).ok());
    let errors = call.flag("errors") == Some(true);
    let fits = |task: &&Task| {
        let over = task.end.is_some();
        let end = kind_of_end(task);
        task.node == node
            && (all || if over { task.belongs_to(&caller) } else { task.user == caller })
            && (source == "all" || over == (source == "archive"))
            && call.get("vmid").is_none_or(|v| v == task.id)
            && call.get("typefilter").is_none_or(|t| t == task.kind)
            && call.get("userfilter").is_none_or(|u| task.owner().0.to_lowercase().contains(&u.to_lowercase()))
            && (errors || call.get("statusfilter").is_none_or(|want| want.split(',').any(|w| w == end)))
            && !(errors && end == "ok")
            && call.number("since").is_none_or(|since| task.start.as_second() >= since)
            && call.number("until").is_none_or(|until| task.start.as_second() <= until)
    };
    // Those that run stand first.
    let mut found: Vec<&Task> = world.pve.tasks.iter().rev().filter(fits).collect();
    found.sort_by_key(|task| task.end.is_some());
    let total = found.len();
    let from = number("start").unwrap_or(0);
    let most = number("limit").unwrap_or(50);
    let list: Vec<Value> = found.into_iter().skip(from).take(most).map(Task::row).collect();
    Ok(Good { data: json!(list), total: Some(total) })
}

fn status(world: &mut World, call: &Call) -> Outcome {
    Ok(named(world, call, "Sys.Audit")?.status().into())
}

/// `limit=0` is all of it.
fn log(world: &mut World, call: &Call) -> Outcome {
    check_owner(world, call, upid(call)?, "Sys.Audit")?;
    let Some(task) = on_node(world, call) else { return Ok(gone(world.pve.version)) };
    let lines = task.lines(world.now);
    let lines = if lines.is_empty() { vec!["no content"] } else { lines };
    let from = call.number("start").and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    let most = match call.number("limit").and_then(|n| usize::try_from(n).ok()) {
        Some(0) => usize::MAX,
        Some(limit) => limit,
        None => 50,
    };
    let part: Vec<Value> = lines
        .iter()
        .enumerate()
        .skip(from)
        .take(most)
        .map(|(index, line)| json!({"n": index + 1, "t": line}))
        .collect();
    Ok(Good { data: json!(part), total: Some(lines.len()) })
}

/// Unlike the status, the log of a task that is not there is an answer; before 9.0 (pve-common 51e320ad) not even a list.
fn gone(version: Version) -> Good {
    let line = json!({"n": 1, "t": "unable to open file - No such file or directory"});
    let data = if version < Version(9, 0, 0) { line } else { json!([line]) };
    Good { data, total: Some(1) }
}

fn stop(world: &mut World, call: &Call) -> Outcome {
    let task = named(world, call, "Sys.Modify")?;
    let (upid, kind) = (task.upid.clone(), task.kind.clone());
    if task.end.is_some() {
        return done();
    }
    match kind.as_str() {
        "qmclone" => clone::fail(world, &upid, "interrupted by signal"),
        "qmcreate" => create::interrupt(world, &upid),
        _ => finish(world, &upid, Err("received interrupt".into())),
    }
    done()
}
