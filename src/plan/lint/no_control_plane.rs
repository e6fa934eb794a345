//! A plan without a control plane.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "no-control-plane",
    severity: Severity::Error,
    overridable: false,
    about: "a plan without a control plane",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    if plan.control_planes().next().is_some() {
        return Vec::new();
    }
    let why = "etcd and the API server run on control planes";
    vec![Problem::new("nodes", "no node has the role controlplane", why, "three nodes with role: controlplane")]
}
