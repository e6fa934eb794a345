//! No certificate fingerprint.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "site-unpinned",
    severity: Severity::Note,
    overridable: false,
    about: "no certificate fingerprint",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    if plan.site.fingerprint.is_some() || plan.site.ca_file.is_some() {
        return Vec::new();
    }
    let why = "Proxmox VE signs its certificate itself unless told otherwise, and this machine would then refuse it";
    vec![Problem::new(
        "site",
        "the certificate must verify against the system's roots",
        why,
        "fingerprint: as the GUI shows it under Certificates",
    )]
}
