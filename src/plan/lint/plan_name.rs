//! A run's name that is no DNS label, or longer than 40 characters.
use super::{Plan, Problem, Rule, Severity};
use crate::plan::names::is_dns_label;

pub const RULE: Rule = Rule {
    id: "plan-name",
    severity: Severity::Error,
    overridable: false,
    about: "a run's name that is no DNS label, or longer than 40 characters",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    if is_dns_label(&plan.name) && plan.name.len() <= 40 {
        return Vec::new();
    }
    let what = format!("`{}` is no name for a run", plan.name);
    let why = "the state folder, VM tags and Kubernetes labels carry it";
    vec![Problem::new("name", what, why, "a-z, 0-9 and dashes, 1 to 40 characters, no dash at either end")]
}
