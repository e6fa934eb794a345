//! Fewer than two pool addresses.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "pool-too-small",
    severity: Severity::Error,
    overridable: true,
    about: "fewer than two pool addresses",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let count: u64 = plan.network.address_pool.iter().map(|range| range.count()).sum();
    if count >= 2 {
        return Vec::new();
    }
    let why = "the root ingress keeps one address, the LoadBalancer test of day 5 needs another, each tenant's ingress one more";
    vec![Problem::new(
        "network.address_pool",
        format!("holds {count} of at least 2 addresses"),
        why,
        "a range of ten or more",
    )]
}
