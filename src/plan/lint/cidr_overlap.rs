//! Two of subnet, pod, service and join network that overlap.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "cidr-overlap",
    severity: Severity::Error,
    overridable: false,
    about: "two of subnet, pod, service and join network that overlap",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let networks = super::networks(plan);
    let mut problems = Vec::new();
    for (i, (key, cidr)) in networks.iter().enumerate() {
        for (first, other) in networks.iter().take(i) {
            if cidr.contains(&other.network()) || other.contains(&cidr.network()) {
                let what = format!("{cidr} overlaps {first} {other}");
                let why = "packets for one would be routed into the other (CozyStack v0.37.2, keys ipv4-*-cidr)";
                problems.push(Problem::new(*key, what, why, "networks without a common address"));
            }
        }
    }
    problems
}
