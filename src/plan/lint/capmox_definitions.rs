//! A capmox version before v0.7.5, whose definitions no server-side apply takes.
use super::{Plan, Problem, Rule, Severity};
use crate::plan::version::version;

pub const RULE: Rule = Rule {
    id: "capmox-definitions",
    severity: Severity::Warning,
    overridable: true,
    about: "a capmox version before v0.7.5, whose definitions can't be applied a second time",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let capmox = &plan.integration.capmox;
    if !capmox.enabled || version(&capmox.version).is_none_or(|found| found >= (0, 7, 5)) {
        return Vec::new();
    }
    let what = format!("`{}` is before v0.7.5", capmox.version);
    let why = "its ProxmoxMachine and ProxmoxMachineTemplate repeat a rule: the first install works, and every later \
               server-side apply, GitOps or restore of them is refused";
    vec![Problem::new("integration.capmox.version", what, why, "v0.7.7")]
}
