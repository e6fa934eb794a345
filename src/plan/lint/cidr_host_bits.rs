//! A network written with an address of a host in it.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "cidr-host-bits",
    severity: Severity::Error,
    overridable: false,
    about: "a network written with an address of a host in it",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    super::networks(plan)
        .into_iter()
        .filter(|(_, cidr)| cidr.addr() != cidr.network())
        .map(|(key, cidr)| {
            let why = "Kube-OVN and the API server want the network's own address";
            Problem::new(key, format!("{cidr} names a host in {}", cidr.trunc()), why, cidr.trunc().to_string())
        })
        .collect()
}
