//! `/nodes/{node}/tasks`: the only way to learn how something that takes time went.
use super::call::{Call, Failure, Good, Outcome, done, rows};
use super::route::{Kind, Need, Route, VMID, optional, route};
use crate::lab::pve::task::{Task, find, finish};
use crate::lab::world::World;
use serde_json::{Value, json};

const MANY: Kind = Kind::Integer(0, i64::MAX);

pub const ROUTES: &[Route] = &[
    route(
        "GET",
        "/nodes/{node}/tasks",
        Need::Anyone,
        &[
            optional("source", Kind::Choice(&["active", "all", "archive"])),
            optional("vmid", VMID),
            optional("typefilter", Kind::Text),
            optional("statusfilter", Kind::Text),
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
        &[optional("start", MANY), optional("limit", MANY)],
        log,
    ),
    route("DELETE", "/nodes/{node}/tasks/{upid}", Need::Anyone, &[], stop),
];

/// The task of the path, when it ran on the node of the path and the caller may see it.
fn named<'a>(world: &'a mut World, call: &Call, otherwise: &str) -> Result<&'a Task, Failure> {
    let upid = call.text("upid");
    if !(upid.starts_with("UPID:") && upid.ends_with(':') && upid.split(':').count() == 9) {
        return Err(Failure::parameter("upid", "unable to parse worker upid"));
    }
    let (node, owner) = (call.node().to_string(), call.who.id());
    let own = find(world, upid).is_some_and(|t| t.user == owner);
    if !own {
        call.check(world, &format!("/nodes/{node}"), &[otherwise])?;
    }
    find(world, upid).filter(|t| t.node == node).ok_or_else(|| Failure::parameter("upid", "no such task"))
}

fn list(world: &mut World, call: &Call) -> Outcome {
    let node = call.node().to_string();
    let all = call.allowed(world, &format!("/nodes/{node}"), "Sys.Audit");
    let mine = call.who.id();
    let source = call.get("source").unwrap_or("archive");
    let number = |name: &str| call.number(name).and_then(|n| usize::try_from(n).ok());
    let fits = |task: &&Task| {
        let over = task.end.is_some();
        let failed = task.end.as_ref().is_some_and(|(_, exit)| exit != "OK");
        let status = task.end.as_ref().map_or("running", |(_, exit)| if exit == "OK" { "ok" } else { "error" });
        task.node == node
            && (all || task.user == mine)
            && (source == "all" || over == (source == "archive"))
            && call.get("vmid").is_none_or(|v| v == task.id)
            && call.get("typefilter").is_none_or(|t| t == task.kind)
            && call.get("userfilter").is_none_or(|u| task.user.contains(u))
            && call.get("statusfilter").is_none_or(|want| want.split(',').any(|w| w == status))
            && call.number("since").is_none_or(|since| task.start.as_second() >= since)
            && call.number("until").is_none_or(|until| task.start.as_second() <= until)
            && (call.flag("errors") != Some(true) || failed)
    };
    let found: Vec<&Task> = world.pve.tasks.iter().rev().filter(fits).collect();
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
    let now = world.now;
    let task = named(world, call, "Sys.Audit")?;
    let lines = task.lines(now);
    if lines.is_empty() {
        return rows(vec![json!({"n": 1, "t": "no content"})]);
    }
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

fn stop(world: &mut World, call: &Call) -> Outcome {
    let upid = named(world, call, "Sys.Modify")?.upid.clone();
    finish(world, &upid, Err("interrupted by signal".into()));
    done()
}
