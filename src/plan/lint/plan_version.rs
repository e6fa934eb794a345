//! A plan version other than 1.
use super::{Plan, Problem, Rule, Severity};
use crate::plan::model::PLAN_VERSION;

pub const RULE: Rule = Rule {
    id: "plan-version",
    severity: Severity::Error,
    overridable: false,
    about: "a plan version other than 1",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    if plan.version == PLAN_VERSION {
        return Vec::new();
    }
    let what = format!("this cozyup reads plan version {PLAN_VERSION}, not {}", plan.version);
    vec![Problem::new("version", what, "the meaning of keys may differ between versions", "version: 1")]
}
