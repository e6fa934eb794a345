//! Keycloak exposed, which is not installed.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "expose-keycloak",
    severity: Severity::Warning,
    overridable: true,
    about: "keycloak exposed, which is not installed",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let names = plan.cozystack.expose.iter().enumerate().filter(|(_, name)| *name == "keycloak");
    names
        .map(|(i, _)| {
            let why = "Keycloak is installed only with oidc-enabled \"true\", which cozyup leaves off";
            Problem::new(format!("cozystack.expose[{i}]"), "keycloak will not exist", why, "expose: [api, dashboard]")
        })
        .collect()
}
