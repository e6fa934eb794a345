//! An override of a rule that does not exist.
use super::RULES;
use super::{Plan, Problem, Rule, Severity};
use crate::plan::names::nearest;
use crate::plan::reference::FORM_RULES;

pub const RULE: Rule = Rule {
    id: "override-unknown",
    severity: Severity::Error,
    overridable: false,
    about: "an override of a rule that does not exist",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    super::overrides(plan)
        .filter(|(_, set_aside, rule)| rule.is_none() && !FORM_RULES.iter().any(|(id, _)| *id == set_aside.rule))
        .map(|(i, set_aside, _)| {
            let what = format!("there is no rule `{}`", set_aside.rule);
            let near = nearest(&set_aside.rule, RULES.iter().filter(|r| r.overridable).map(|r| r.id));
            let write = near.map_or("an id from docs/PLAN.md".to_string(), |near| format!("rule: {near}"));
            Problem::new(format!("overrides[{i}].rule"), what, "an override that hits nothing hides a mistake", write)
        })
        .collect()
}
