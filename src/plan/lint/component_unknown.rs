//! A component that the release does not have, or one enabled that is not optional.
use super::{Plan, Problem, Rule, Severity};
use crate::plan::names::{is_dns_label, nearest};
use crate::release::Release;

pub const RULE: Rule = Rule {
    id: "component-unknown",
    severity: Severity::Warning,
    overridable: true,
    about: "a component that the release does not have, or one enabled that is not optional",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let Some(release) = Release::known(&plan.cozystack.version) else { return Vec::new() };
    let optional: Vec<&str> = release.optional().collect();
    let mut problems = Vec::new();
    for (key, name, enabled) in super::components(plan) {
        let what = if !is_dns_label(name) {
            continue;
        } else if !release.names().any(|known| known == name) {
            format!("`{name}` is no component of {}", release.version)
        } else if enabled && !optional.contains(&name) {
            format!("`{name}` is not optional: enabling it changes nothing")
        } else {
            continue;
        };
        let write = match nearest(name, release.names()) {
            Some(near) if near != name => near.to_string(),
            Some(_) | None if enabled => optional.join(", "),
            Some(_) | None => "a name of the bundle paas-full".to_string(),
        };
        problems.push(Problem::new(key, what, "the release ignores such names without a word", write));
    }
    problems
}
