//! A bridge name that Linux would refuse.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "bridge-name",
    severity: Severity::Error,
    overridable: false,
    about: "a bridge name that Linux would refuse",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let bridge = plan.network.bridge.as_str();
    let fits = (1..=15).contains(&bridge.len())
        && bridge.starts_with(|c: char| c.is_ascii_alphabetic())
        && bridge.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if fits {
        return Vec::new();
    }
    let why = "an interface name has 1 to 15 characters, a letter first";
    vec![Problem::new(
        "network.bridge",
        format!("`{bridge}` is no bridge name"),
        why,
        "vmbr0, or the SDN network's name",
    )]
}
