//! A fingerprint beside the authority that lets renewed certificates pass.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "site-pinned-twice",
    severity: Severity::Warning,
    overridable: true,
    about: "a fingerprint beside ca_file: the fingerprint decides, and a renewed certificate is refused",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    if plan.site.fingerprint.is_none() || plan.site.ca_file.is_none() {
        return Vec::new();
    }
    let why = "the fingerprint decides, so a renewed certificate is refused although the authority signed it";
    vec![Problem::new("site.ca_file", "stands beside site.fingerprint", why, "only one of the two")]
}
