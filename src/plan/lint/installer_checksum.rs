//! A SHA-256 of the installer manifest that is none.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "installer-checksum",
    severity: Severity::Error,
    overridable: false,
    about: "a SHA-256 of the installer manifest that is none",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let cozystack = &plan.cozystack;
    let given = cozystack.installer_sha256.as_ref();
    given
        .map(|sha256| super::checksum("cozystack.installer_sha256", sha256, &cozystack.installer_url))
        .unwrap_or_default()
}
