//! An exposed service that CozyStack does not know.
use super::{Plan, Problem, Rule, Severity};
use crate::release::Release;

pub const RULE: Rule = Rule {
    id: "expose-unknown",
    severity: Severity::Error,
    overridable: false,
    about: "an exposed service that CozyStack does not know",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let Some(release) = Release::known(&plan.cozystack.version) else { return Vec::new() };
    let unknown = plan.cozystack.expose.iter().enumerate().filter(|(_, name)| !release.exposable.contains(name));
    unknown
        .map(|(i, name)| {
            let what = format!("`{name}` can't be exposed");
            let why =
                "the release ignores names that it does not know, so nothing would be exposed (key expose-services)";
            Problem::new(format!("cozystack.expose[{i}]"), what, why, release.exposable.join(", "))
        })
        .collect()
}
