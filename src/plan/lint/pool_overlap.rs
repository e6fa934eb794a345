//! An address pool that holds a node, the VIP, the gateway, a DNS server or part of a cluster network.
use super::held_addresses;
use super::{Plan, Problem, Rule, Severity};
use crate::plan::model::AddressRange;

pub const RULE: Rule = Rule {
    id: "pool-overlap",
    severity: Severity::Error,
    overridable: false,
    about: "an address pool that holds a node, the VIP, the gateway, a DNS server or part of a cluster network",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let why =
        "MetalLB would announce an address that somebody else answers for (CozyStack v0.37.2, MetalLB configuration)";
    let network = &plan.network;
    let held = held_addresses(plan);
    let mut problems = Vec::new();
    for (i, range) in network.address_pool.iter().enumerate() {
        let key = format!("network.address_pool[{i}]");
        for (owner, address) in held.iter().filter(|(_, address)| range.contains(*address)) {
            let what = format!("{range} holds {address}, which is {owner}");
            problems.push(Problem::new(key.clone(), what, why, "ranges that leave it out"));
        }
        let inside =
            [("pod_cidr", network.pod_cidr), ("service_cidr", network.service_cidr), ("join_cidr", network.join_cidr)];
        for (name, cidr) in inside {
            if range.overlaps(&AddressRange { first: cidr.network(), last: cidr.broadcast() }) {
                let what = format!("{range} reaches into network.{name} {cidr}");
                problems.push(Problem::new(key.clone(), what, why, "a range of the nodes' subnet"));
            }
        }
    }
    problems
}
