//! An MTU outside 1280 to 9216.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "mtu-range",
    severity: Severity::Error,
    overridable: false,
    about: "an MTU outside 1280 to 9216",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let mtu = plan.network.mtu.filter(|mtu| !(1280..=9216).contains(mtu));
    let why =
        "the tunnels of the pods' network take 100 bytes of each packet, and no usual switch carries more than 9216";
    mtu.map(|mtu| Problem::new("network.mtu", format!("{mtu} is no usable MTU"), why, "1280 to 9216, or no mtu"))
        .into_iter()
        .collect()
}
