//! The Proxmox VE host's own address given to a node, the VIP or the pool.
use super::owned_addresses;
use super::{Plan, Problem, Rule, Severity};
use std::net::Ipv4Addr;

pub const RULE: Rule = Rule {
    id: "proxmox-address-taken",
    severity: Severity::Error,
    overridable: false,
    about: "the Proxmox VE host's own address given to a node, the VIP or the pool",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let Ok(site) = plan.site.url.host().parse::<Ipv4Addr>() else { return Vec::new() };
    let why = "that address answers the Proxmox VE API that this run talks to";
    let mut problems: Vec<Problem> = owned_addresses(plan)
        .into_iter()
        // A Proxmox VE host that is also the router of a private bridge is common.
        .filter(|(key, address)| *address == site && key != "network.gateway")
        .map(|(key, address)| Problem::new(key, format!("{address} is the host of site.url"), why, "a free address"))
        .collect();
    for (i, range) in plan.network.address_pool.iter().enumerate().filter(|(_, r)| r.contains(site)) {
        let what = format!("{range} holds {site}, the host of site.url");
        problems.push(Problem::new(format!("network.address_pool[{i}]"), what, why, "a range without it"));
    }
    problems
}
