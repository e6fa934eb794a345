//! A component name in disable or enable with a comma, a space or a capital.
use super::{Plan, Problem, Rule, Severity};
use crate::plan::names::is_dns_label;

pub const RULE: Rule = Rule {
    id: "component-name",
    severity: Severity::Error,
    overridable: false,
    about: "a component name in disable or enable with a comma, a space or a capital",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    super::components(plan)
        .into_iter()
        .filter(|(_, name, _)| !is_dns_label(name))
        .map(|(key, name, _)| {
            let why = "the list becomes one comma-separated setting that is split without trimming (CozyStack v0.37.2, bundle-disable)";
            Problem::new(key, format!("`{name}` is no component name"), why, "one name per list item")
        })
        .collect()
}
