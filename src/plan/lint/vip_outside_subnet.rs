//! A VIP outside the subnet.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "vip-outside-subnet",
    severity: Severity::Error,
    overridable: false,
    about: "a VIP outside the subnet",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let (vip, subnet) = (plan.network.vip, plan.network.subnet);
    if subnet.contains(&vip) {
        return Vec::new();
    }
    let why = "Talos announces the VIP by gratuitous ARP, which ends at the L2 segment (Talos, virtual IP)";
    vec![Problem::new("network.vip", format!("{vip} is not in {subnet}"), why, "a free address of network.subnet")]
}
