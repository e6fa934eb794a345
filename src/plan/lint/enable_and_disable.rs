//! A component both enabled and disabled.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "enable-and-disable",
    severity: Severity::Error,
    overridable: false,
    about: "a component both enabled and disabled",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let disabled = &plan.cozystack.disable;
    let both = plan.cozystack.enable.iter().enumerate().filter(|(_, name)| disabled.contains(name));
    both.map(|(i, name)| {
        let why = "disabling wins, so the wish to enable it would be lost";
        Problem::new(
            format!("cozystack.enable[{i}]"),
            format!("`{name}` is in disable too"),
            why,
            "one of the two lists",
        )
    })
    .collect()
}
