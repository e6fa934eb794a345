//! An even number of control planes.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "even-control-planes",
    severity: Severity::Error,
    overridable: true,
    about: "an even number of control planes",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let count = plan.control_planes().count();
    if count == 0 || count % 2 == 1 {
        return Vec::new();
    }
    let what = format!("{count} control planes");
    let why = "etcd needs a majority: an even member adds a way to fail and tolerates no more failures (etcd, FAQ)";
    vec![Problem::new("nodes", what, why, format!("{} or {} control planes", count - 1, count + 1))]
}
