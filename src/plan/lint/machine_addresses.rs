//! Addresses of day 6 that are somebody's already, lie outside the subnet, or are too few.
use super::held_addresses;
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "machine-addresses",
    severity: Severity::Error,
    overridable: false,
    about: "a range of day 6's addresses that holds a node, the VIP, the gateway, a DNS server or part of the pool, lies \
            outside the subnet, or has fewer than three addresses",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let key = "tests.machine_addresses";
    let Some(range) = plan.tests.machine_addresses else { return Vec::new() };
    let network = &plan.network;
    let mut problems = Vec::new();
    if range.count() < 3 {
        let why = "one is the endpoint of the test's cluster, which capmox keeps out of the pool, and a removed VM's is free only a little later";
        problems.push(Problem::new(
            key,
            format!("{range} is {} addresses long", range.count()),
            why,
            "three at the least",
        ));
    }
    if !network.subnet.contains(&range.first) || !network.subnet.contains(&range.last) {
        let why = "the VMs stand on the machines' bridge and use its gateway";
        problems.push(Problem::new(
            key,
            format!("{range} is outside {}", network.subnet),
            why,
            "a range of network.subnet",
        ));
    }
    let why = "two machines with one address break both";
    for (owner, address) in held_addresses(plan).iter().filter(|(_, address)| range.contains(*address)) {
        problems.push(Problem::new(
            key,
            format!("{range} holds {address}, which is {owner}"),
            why,
            "a range that leaves it out",
        ));
    }
    for (i, pool) in network.address_pool.iter().enumerate().filter(|(_, pool)| pool.overlaps(&range)) {
        let what = format!("{range} and network.address_pool[{i}] {pool} overlap");
        problems.push(Problem::new(key, what, why, "ranges that share no address"));
    }
    problems
}
