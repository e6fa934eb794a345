//! Nodes of a cluster that no plan speaks of: those that are not ready first.
use super::{Column, Grade, Item, Moment, Table, column, gap};
use crate::base::clock::between;
use crate::base::text::quoted;
use crate::observed::{Backend, Node, Object};
use crate::tui::model::observed::Observed;
use crate::tui::view::coarse;

static COLUMNS: [Column; 6] = [
    column("NODE", 20).grows(),
    column("STATE", 18),
    column("ROLES", 13).rank(2),
    column("VERSION", 9).rank(3),
    column("AGE", 6).right().rank(4),
    column("SAYS", 18).grows().rank(1),
];

pub fn table(observed: &Observed, moment: Moment) -> Table {
    let reading = observed.reading(&Backend::Kubernetes, moment.now, moment.wall);
    let gap = observed.gaps().and_then(|gaps| gaps.nodes).map(|it| gap(it, "nodes"));
    let nodes = match (gap, observed.nodes()) {
        (Some(text), _) => return Table::without(reading, &COLUMNS, text),
        (None, None) => return Table::without(reading, &COLUMNS, "not read yet"),
        (None, Some(nodes)) => nodes,
    };
    let mut items: Vec<Item> = nodes.rows.iter().map(|node| row(node, moment)).collect();
    let unlisted = nodes.total.saturating_sub(nodes.rows.len());
    if unlisted > 0 {
        items.push(Item::line("unlisted", Grade::Quiet, 0, format!("and {unlisted} more")));
    }
    let count = format!("{}/{} ready", nodes.ready, nodes.total);
    if items.is_empty() {
        return Table { count, ..Table::without(reading, &COLUMNS, "the cluster has no node") };
    }
    Table::of(reading, &COLUMNS, count, items)
}

/// Ready or not, and whether somebody keeps new pods from it.
pub fn state(node: &Node) -> String {
    let ready = if node.ready { "Ready" } else { "NotReady" };
    if node.cordoned { format!("{ready}, cordoned") } else { ready.to_string() }
}

pub fn grade(node: &Node) -> Grade {
    match (node.ready && node.pressures.is_empty(), node.cordoned) {
        (false, _) => Grade::Bad,
        (true, true) => Grade::Warn,
        (true, false) => Grade::Good,
    }
}

/// The kubelet's reason, and what presses on the node.
pub fn says(node: &Node) -> String {
    let reason = (!node.reason.is_empty()).then(|| node.reason.clone());
    reason.into_iter().chain(node.pressures.iter().cloned()).collect::<Vec<_>>().join(", ")
}

fn row(node: &Node, moment: Moment) -> Item {
    let age = node.created.map(|created| coarse(between(created, moment.now))).unwrap_or_default();
    let roles = if node.roles.is_empty() { "worker".to_string() } else { node.roles.join(",") };
    let cells = vec![node.name.clone(), state(node), roles.clone(), node.version.clone(), age.clone(), says(node)];
    let describe = format!("kubectl describe node {}", quoted(&node.name));
    let object = Object::Node { name: node.name.clone() };
    Item::row(format!("node/{}", node.name), grade(node), cells).shows(object).about(vec![
        ("node", node.name.clone()),
        ("state", state(node)),
        ("says", says(node)),
        ("roles", roles),
        ("taints", node.taints.join(", ")),
        ("kubelet", node.version.clone()),
        ("age", age),
        ("by hand", describe),
    ])
}
