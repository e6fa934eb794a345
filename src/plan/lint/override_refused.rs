//! An override of a rule that may not be set aside.
use super::{Plan, Problem, Rule, Severity};
use crate::plan::reference::FORM_RULES;

pub const RULE: Rule = Rule {
    id: "override-refused",
    severity: Severity::Error,
    overridable: false,
    about: "an override of a rule that may not be set aside",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    super::overrides(plan)
        .filter(|(_, set_aside, rule)| match rule {
            Some(rule) => !rule.overridable,
            None => FORM_RULES.iter().any(|(id, _)| *id == set_aside.rule),
        })
        .map(|(i, set_aside, _)| {
            let what = format!("`{}` may not be set aside", set_aside.rule);
            let why = "what it guards against would stop the run or break the site, whatever the reason";
            Problem::new(format!("overrides[{i}].rule"), what, why, "no override; mend what the rule says")
        })
        .collect()
}
