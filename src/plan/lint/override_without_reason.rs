//! An override without a reason of at least eight letters.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "override-without-reason",
    severity: Severity::Error,
    overridable: false,
    about: "an override without a reason of at least eight letters",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    super::overrides(plan)
        .filter(|(_, set_aside, _)| set_aside.reason.chars().filter(|c| c.is_alphabetic()).count() < 8)
        .map(|(i, _, _)| {
            let why = "the reason goes into the record of the run; who reads it later was not there";
            Problem::new(
                format!("overrides[{i}].reason"),
                "gives no reason",
                why,
                "why this plan may do without the rule",
            )
        })
        .collect()
}
