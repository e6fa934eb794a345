//! An in-cluster IPAM version from v1.1 on, or no version.
use super::{Plan, Problem, Rule, Severity};
use crate::plan::version::version;

pub const RULE: Rule = Rule {
    id: "ipam-version",
    severity: Severity::Error,
    overridable: false,
    about: "an in-cluster IPAM version from v1.1 on, or no version",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let capmox = &plan.integration.capmox;
    if !capmox.enabled || version(&capmox.ipam_version).is_some_and(|found| found < (1, 1, 0)) {
        return Vec::new();
    }
    let what = format!("`{}` is not below v1.1", capmox.ipam_version);
    let why = "from v1.1 on it needs a newer Cluster API than the v1.10.1 (contract v1beta1) of CozyStack";
    vec![Problem::new("integration.capmox.ipam_version", what, why, "v1.0.3")]
}
