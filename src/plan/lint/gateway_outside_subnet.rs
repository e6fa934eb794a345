//! A gateway outside the subnet.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "gateway-outside-subnet",
    severity: Severity::Error,
    overridable: false,
    about: "a gateway outside the subnet",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let (gateway, subnet) = (plan.network.gateway, plan.network.subnet);
    if subnet.contains(&gateway) {
        return Vec::new();
    }
    let why = "a node reaches its gateway without a route: it must be on the same segment";
    vec![Problem::new(
        "network.gateway",
        format!("{gateway} is not in {subnet}"),
        why,
        "the router's address in network.subnet",
    )]
}
