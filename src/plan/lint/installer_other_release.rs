//! An installer URL that does not name the plan's CozyStack version.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "installer-other-release",
    severity: Severity::Warning,
    overridable: true,
    about: "an installer URL that does not name the plan's CozyStack version",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let cozystack = &plan.cozystack;
    if cozystack.installer_url.contains(&cozystack.version) {
        return Vec::new();
    }
    let what = format!("does not name {}", cozystack.version);
    let why = "what is installed is what the manifest says, whatever cozystack.version says";
    vec![Problem::new(
        "cozystack.installer_url",
        what,
        why,
        format!("…/{}/cozystack-installer.yaml", cozystack.version),
    )]
}
