//! The subnet's first or last address given to a node, the VIP, the gateway or the pool.
use super::owned_addresses;
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "address-reserved",
    severity: Severity::Error,
    overridable: false,
    about: "the subnet's first or last address given to a node, the VIP, the gateway or the pool",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let subnet = plan.network.subnet;
    // /31 and /32 have neither a network nor a broadcast address (RFC 3021).
    if subnet.prefix_len() > 30 {
        return Vec::new();
    }
    let reserved = [subnet.network(), subnet.broadcast()];
    let why = "the first address names the subnet and the last one is its broadcast address: no host may hold them";
    let mut problems: Vec<Problem> = owned_addresses(plan)
        .into_iter()
        .filter(|(_, address)| reserved.contains(address))
        .map(|(key, address)| {
            Problem::new(key, format!("{address} is reserved in {subnet}"), why, "an address between the two")
        })
        .collect();
    for (i, range) in plan.network.address_pool.iter().enumerate() {
        if let Some(address) = reserved.iter().find(|a| range.contains(**a)) {
            let what = format!("{range} holds {address}, which is reserved in {subnet}");
            problems.push(Problem::new(format!("network.address_pool[{i}]"), what, why, "a range between the two"));
        }
    }
    problems
}
