//! A nip.io or sslip.io root host that leads to an address outside the pool.
use super::{Plan, Problem, Rule, Severity};
use std::net::Ipv4Addr;

pub const RULE: Rule = Rule {
    id: "root-host-elsewhere",
    severity: Severity::Warning,
    overridable: true,
    about: "a nip.io or sslip.io root host that leads to an address outside the pool",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let host = plan.cozystack.root_host.as_str();
    let Some(name) = host.strip_suffix(".nip.io").or_else(|| host.strip_suffix(".sslip.io")) else { return Vec::new() };
    let address = name.rsplit('.').next().unwrap_or_default().replace('-', ".");
    let address = address.parse().or_else(|_| name.parse::<Ipv4Addr>());
    if address.is_ok_and(|a| plan.network.address_pool.iter().any(|range| range.contains(a))) {
        return Vec::new();
    }
    let why =
        "these names lead to the address written in them, and the root ingress gets one from network.address_pool";
    let write = plan.network.address_pool.first().map(|r| format!("{}.nip.io", r.first.to_string().replace('.', "-")));
    vec![Problem::new(
        "cozystack.root_host",
        format!("`{host}` does not lead into the pool"),
        why,
        write.unwrap_or_default(),
    )]
}
