//! An address used twice: gateway, VIP and nodes.
use super::{Plan, Problem, Rule, Severity};
use super::{owned_addresses, repeated};

pub const RULE: Rule = Rule {
    id: "duplicate-address",
    severity: Severity::Error,
    overridable: false,
    about: "an address used twice: gateway, VIP and nodes",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    repeated(owned_addresses(plan))
        .into_iter()
        .map(|(key, address, first)| {
            let why = "two owners of one address answer ARP in turn, and connections break at random";
            Problem::new(key, format!("{address} is {first} already"), why, "a free address of the subnet")
        })
        .collect()
}
