//! All nodes on one Proxmox node.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "single-host",
    severity: Severity::Warning,
    overridable: true,
    about: "all nodes on one Proxmox node",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let Some(first) = plan.nodes.first() else { return Vec::new() };
    if plan.nodes.len() < 2 || plan.nodes.iter().any(|n| n.host != first.host) {
        return Vec::new();
    }
    let why = "its loss is the loss of the whole cluster, and three replicas of a volume share its disks (CozyStack, storage)";
    vec![Problem::new(
        "nodes",
        format!("all machines are on {}", first.host),
        why,
        "several values of host where the site has them",
    )]
}
