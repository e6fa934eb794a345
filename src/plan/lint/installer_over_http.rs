//! An installer manifest over plain http without its SHA-256.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "installer-over-http",
    severity: Severity::Error,
    overridable: true,
    about: "an installer manifest over plain http without its SHA-256",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let cozystack = &plan.cozystack;
    if !cozystack.installer_url.starts_with("http://") || cozystack.installer_sha256.is_some() {
        return Vec::new();
    }
    let why = "the manifest gets cluster-admin: without TLS and without a checksum anybody on the way could write it";
    vec![Problem::new(
        "cozystack.installer_url",
        "is fetched with nothing to check it by",
        why,
        "an https URL, or cozystack.installer_sha256",
    )]
}
