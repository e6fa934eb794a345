//! An installer URL that is neither https nor http.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "installer-url",
    severity: Severity::Error,
    overridable: false,
    about: "an installer URL that is neither https nor http",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let url = &plan.cozystack.installer_url;
    if super::web_address(url) {
        return Vec::new();
    }
    let why = "this machine fetches the manifest itself, over HTTP";
    vec![Problem::new(
        "cozystack.installer_url",
        format!("`{url}` is no https URL"),
        why,
        super::release_of(plan).installer.url.as_str(),
    )]
}
