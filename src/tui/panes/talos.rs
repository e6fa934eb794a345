//! Talos: stage, services, etcd and version of each planned machine.
use super::machines;
use super::{Column, Grade, Item, Moment, Table, column, time_of_day};
use crate::base::clock::between;
use crate::base::text::size;
use crate::observed::{Backend, Machine, Object};
use crate::plan::model::{NodePlan, Role};
use crate::tui::model::observed::Reading;
use crate::tui::model::run::RunModel;
use crate::tui::view::coarse;

static COLUMNS: [Column; 6] = [
    column("MACHINE", 14).grows(),
    column("ROLE", 13).rank(2),
    column("STAGE", 13),
    column("SERVICES", 9),
    column("ETCD", 8),
    column("VERSION", 8).rank(1),
];

pub fn table(run: &RunModel, moment: Moment) -> Table {
    let readings: Vec<Reading> = run
        .plan
        .nodes
        .iter()
        .map(|node| run.observed.reading(&Backend::Talos { machine: node.name.clone() }, moment.now, moment.wall))
        .collect();
    let Some(seen) = run.observed.machines() else {
        return Table::without(worst(&readings), &COLUMNS, "nothing was read yet: it is watched from day 2 on");
    };
    let answer = readings.iter().filter(|r| matches!(r, Reading::Live | Reading::Late(_))).count();
    let mut items = Vec::new();
    for node in &run.plan.nodes {
        items.extend(machine(run, node, seen.machines.iter().find(|m| m.name == node.name), moment));
    }
    let foreign = seen.members.iter().flatten().filter(|m| !run.plan.nodes.iter().any(|n| n.name == m.name));
    items.extend(foreign.map(|member| {
        let text = format!("etcd has a member that the plan does not name: {}", member.name);
        Item::line(format!("member/{}", member.name), Grade::Warn, 0, text)
    }));
    Table::of(worst(&readings), &COLUMNS, format!("{answer}/{} answer", run.plan.nodes.len()), items)
}

/// One machine that is silent is told in its row; only when none answers the whole pane is old.
fn worst(readings: &[Reading]) -> Reading {
    let any = |of: fn(&Reading) -> bool| readings.iter().copied().find(of);
    any(|r| *r == Reading::Live)
        .or_else(|| any(|r| matches!(r, Reading::Late(_))))
        .or_else(|| any(|r| matches!(r, Reading::Silent(..))))
        .unwrap_or(Reading::None)
}

/// `etcd Preparing, kubelet unhealthy`; empty where all services are up.
pub fn not_up(machine: &Machine) -> String {
    let word = |state: &str| if state == "Running" { "unhealthy".to_string() } else { state.to_string() };
    let down = machine.services_down.iter().map(|(id, state)| format!("{id} {}", word(state)));
    down.collect::<Vec<_>>().join(", ")
}

fn machine(run: &RunModel, plan: &NodePlan, seen: Option<&Machine>, moment: Moment) -> Vec<Item> {
    let stage = machines::talos(run, plan);
    let etcd = machines::etcd(run, plan);
    let down = seen.map_or(0, |m| m.services_down.len());
    let all = seen.map_or(0, |m| m.services);
    // What a silent machine said once is not so now.
    let is_silent =
        run.observed.contact(&Backend::Talos { machine: plan.name.clone() }).is_some_and(|c| c.silent.is_some());
    let services = if all == 0 || is_silent { String::new() } else { format!("{}/{all} up", all.saturating_sub(down)) };
    let version = seen.and_then(|m| m.version.clone()).unwrap_or_default();
    let role = match plan.role {
        Role::ControlPlane => "control plane",
        Role::Worker => "worker",
    };
    let services_grade = if down > 0 { Grade::Moves } else { Grade::Quiet };
    let grade = stage.grade.max(etcd.grade).max(services_grade);
    let key = format!("machine/{}", plan.name);
    let cells = vec![
        plan.name.clone(),
        role.to_string(),
        stage.text.clone(),
        services.clone(),
        etcd.text.clone(),
        version.clone(),
    ];
    let database = seen.and_then(|m| m.etcd_size).map(size).unwrap_or_default();
    let mut notes = Vec::new();
    let contact = run.observed.contact(&Backend::Talos { machine: plan.name.clone() });
    if let Some((since, cause)) = contact.and_then(|c| c.silent) {
        let silent = coarse(between(since, moment.now));
        notes.push((Grade::Bad, format!("silent since {} ({silent}): {}", time_of_day(since), cause.as_str())));
    }
    if let Some(machine) = seen.filter(|m| !m.services_down.is_empty() && !is_silent) {
        notes.push((Grade::Moves, format!("not up: {}", not_up(machine))));
    }
    let mut about = vec![
        ("machine", format!("{} ({role}) at {}", plan.name, plan.address)),
        ("stage", stage.text),
        ("services", services),
        ("etcd", etcd.text),
        ("database", database),
        ("version", version),
    ];
    about.extend(notes.iter().map(|(_, note)| ("note", note.clone())));
    let row = Item::row(key.clone(), grade, cells).about(about).shows(Object::Machine { name: plan.name.clone() });
    let notes =
        notes.into_iter().enumerate().map(|(n, (grade, note))| Item::line(format!("{key}/{n}"), grade, 4, note));
    std::iter::once(row).chain(notes).collect()
}
