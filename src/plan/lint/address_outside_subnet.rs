//! A node's address outside the subnet.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "address-outside-subnet",
    severity: Severity::Error,
    overridable: false,
    about: "a node's address outside the subnet",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let subnet = plan.network.subnet;
    let nodes = plan.nodes.iter().enumerate().filter(|(_, n)| !subnet.contains(&n.address));
    nodes
        .map(|(i, node)| {
            let what = format!("{} is not in {subnet}", node.address);
            let why =
                "all nodes share one L2 segment and reach the gateway directly (CozyStack, hardware requirements)";
            Problem::new(format!("nodes[{i}].address"), what, why, "a free address of network.subnet")
        })
        .collect()
}
