//! A capmox version from v0.8 on, or no version.
use super::{Plan, Problem, Rule, Severity};
use crate::plan::version::version;

pub const RULE: Rule = Rule {
    id: "capmox-version",
    severity: Severity::Error,
    overridable: false,
    about: "a capmox version from v0.8 on, or no version",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let capmox = &plan.integration.capmox;
    if !capmox.enabled || version(&capmox.version).is_some_and(|found| found < (0, 8, 0)) {
        return Vec::new();
    }
    let what = format!("`{}` is not below v0.8", capmox.version);
    let why = "from v0.8 on it speaks the contract v1beta2; the Cluster API core of CozyStack is v1.10.1 with v1beta1";
    vec![Problem::new("integration.capmox.version", what, why, "v0.7.7")]
}
