//! A VLAN tag outside 1 to 4094.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "vlan-range",
    severity: Severity::Error,
    overridable: false,
    about: "a VLAN tag outside 1 to 4094",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let tag = plan.network.vlan.filter(|tag| !(1..=4094).contains(tag));
    let why = "0 and 4095 are reserved (IEEE 802.1Q), and the field has 12 bits";
    tag.map(|tag| Problem::new("network.vlan", format!("{tag} is no VLAN tag"), why, "1 to 4094, or no vlan"))
        .into_iter()
        .collect()
}
