//! A root host that is no DNS name: a scheme, a port, a path, an address, a single label.
use super::{Plan, Problem, Rule, Severity};
use crate::plan::names::is_dns_name;
use std::net::Ipv4Addr;

pub const RULE: Rule = Rule {
    id: "root-host",
    severity: Severity::Error,
    overridable: false,
    about: "a root host that is no DNS name: a scheme, a port, a path, an address, a single label",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let host = plan.cozystack.root_host.as_str();
    if is_dns_name(host) && host.contains('.') && host.parse::<Ipv4Addr>().is_err() {
        return Vec::new();
    }
    let why = "dashboard, api and grafana become names below it (CozyStack v0.37.2, key root-host)";
    vec![Problem::new(
        "cozystack.root_host",
        format!("`{host}` is no DNS domain"),
        why,
        "a name alone, e.g. cozy.example.com",
    )]
}
