//! An override of a rule that has nothing to say.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "override-unused",
    severity: Severity::Warning,
    overridable: false,
    about: "an override of a rule that has nothing to say",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    super::overrides(plan)
        .filter_map(|(i, _, rule)| rule.filter(|r| r.overridable).map(|r| (i, r)))
        .filter(|(_, rule)| (rule.check)(plan).is_empty())
        .map(|(i, rule)| {
            let what = format!("the plan does not break `{}`", rule.id);
            let why = "left in, it would hide the day on which the plan does";
            Problem::new(format!("overrides[{i}].rule"), what, why, "no override")
        })
        .collect()
}
