//! Pods: those that are not ready, one each, and how many are.
use super::{Column, Grade, Item, Moment, Table, column, gap};
use crate::base::text::quoted;
use crate::observed::{Backend, Object, Pod};
use crate::tui::model::observed::Observed;

static COLUMNS: [Column; 5] = [
    column("POD", 20).grows(),
    column("STATE", 18),
    column("RESTARTS", 8).right().rank(1),
    column("NODE", 16).rank(2),
    column("NAMESPACE", 20).rank(3),
];

/// `none_yet`: said before something was read.
pub fn table(observed: &Observed, moment: Moment, none_yet: &str) -> Table {
    let reading = observed.reading(&Backend::Kubernetes, moment.now, moment.wall);
    if let Some(it) = observed.gaps().and_then(|gaps| gaps.pods) {
        return Table::without(reading, &COLUMNS, gap(it, "pods"));
    }
    let Some(pods) = observed.pods().filter(|pods| pods.total > 0) else {
        return Table::without(reading, &COLUMNS, none_yet);
    };
    let mut items: Vec<Item> = pods.rows.iter().map(row).collect();
    let unlisted = pods.troubled.saturating_sub(pods.rows.len());
    if unlisted > 0 {
        items.push(Item::line("unlisted", Grade::Warn, 0, format!("and {unlisted} more that are not ready")));
    }
    let ended = pods.phases.get("Succeeded").copied().unwrap_or(0);
    if pods.ready + ended > 0 {
        let ended = if ended > 0 { format!(", {ended} have ended well") } else { String::new() };
        items.push(Item::line("ready", Grade::Good, 0, format!("{} are ready{ended}", pods.ready)));
    }
    let count = format!(
        "{}/{} ready",
        pods.ready,
        pods.total.saturating_sub(pods.phases.get("Succeeded").copied().unwrap_or(0))
    );
    Table::of(reading, &COLUMNS, count, items)
}

/// What a pod says of itself: its reason, or its phase.
pub fn state(pod: &Pod) -> &str {
    pod.reason.as_deref().unwrap_or(&pod.phase)
}

pub fn grade(pod: &Pod) -> Grade {
    match (pod.reason.as_deref(), pod.phase.as_str()) {
        (_, "Failed") => Grade::Bad,
        // No node takes it yet: so it is before the network of the pods is there.
        (Some("Unschedulable"), _) => Grade::Warn,
        // A pod goes through these on its way.
        (None | Some("ContainerCreating" | "PodInitializing"), _) if pod.restarts == 0 => Grade::Moves,
        (None, _) => Grade::Warn,
        (Some(_), _) => Grade::Bad,
    }
}

pub fn object(pod: &Pod) -> Object {
    Object::Pod { namespace: pod.namespace.clone(), name: pod.name.clone() }
}

fn row(pod: &Pod) -> Item {
    let name = format!("{}/{}", pod.namespace, pod.name);
    let restarts = if pod.restarts > 0 { pod.restarts.to_string() } else { String::new() };
    let cells = vec![pod.name.clone(), state(pod).to_string(), restarts, pod.node.clone(), pod.namespace.clone()];
    Item::row(format!("pod/{name}"), grade(pod), cells).shows(object(pod)).about(vec![
        ("pod", name),
        ("phase", pod.phase.clone()),
        ("reason", pod.reason.clone().unwrap_or_default()),
        ("restarts", pod.restarts.to_string()),
        ("node", if pod.node.is_empty() { "none yet".to_string() } else { pod.node.clone() }),
        ("by hand", format!("kubectl -n {} describe pod {}", quoted(&pod.namespace), quoted(&pod.name))),
    ])
}
