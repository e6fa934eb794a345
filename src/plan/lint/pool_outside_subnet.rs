//! A pool range outside the subnet.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "pool-outside-subnet",
    severity: Severity::Warning,
    overridable: true,
    about: "a pool range outside the subnet",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let subnet = plan.network.subnet;
    let ranges = plan.network.address_pool.iter().enumerate();
    ranges
        .filter(|(_, range)| !subnet.contains(&range.first) || !subnet.contains(&range.last))
        .map(|(i, range)| {
            let what = format!("{range} is not inside {subnet}");
            let why = "MetalLB answers ARP on the nodes' segment (L2 mode); other addresses need a route to a node";
            Problem::new(format!("network.address_pool[{i}]"), what, why, "a free range of network.subnet")
        })
        .collect()
}
