//! Only one control plane.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "single-control-plane",
    severity: Severity::Warning,
    overridable: true,
    about: "only one control plane",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    if plan.control_planes().count() != 1 {
        return Vec::new();
    }
    let why = "its loss is the loss of etcd and of the API; CozyStack's documents ask for three nodes";
    vec![Problem::new("nodes", "one control plane", why, "three control planes")]
}
