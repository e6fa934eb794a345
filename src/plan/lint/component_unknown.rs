//! A component that the release does not have, or one enabled that is not optional.
use super::{Plan, Problem, Rule, Severity};
use crate::plan::names::{is_dns_label, nearest};
use crate::plan::release::release;

pub const RULE: Rule = Rule {
    id: "component-unknown",
    severity: Severity::Warning,
    overridable: true,
    about: "a component that the release does not have, or one enabled that is not optional",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let Some(release) = release(&plan.cozystack.version) else { return Vec::new() };
    let known = || release.components.iter().chain(release.optional).copied();
    let mut problems = Vec::new();
    for (key, name, enabled) in super::components(plan) {
        let what = if !is_dns_label(name) {
            continue;
        } else if !known().any(|k| k == name) {
            format!("`{name}` is no component of {}", release.cozystack)
        } else if enabled && !release.optional.contains(&name) {
            format!("`{name}` is not optional: enabling it changes nothing")
        } else {
            continue;
        };
        let write = match nearest(name, known()) {
            Some(near) if near != name => near.to_string(),
            Some(_) | None if enabled => release.optional.join(", "),
            Some(_) | None => "a name of the bundle paas-full".to_string(),
        };
        problems.push(Problem::new(key, what, "the release ignores such names without a word", write));
    }
    problems
}
