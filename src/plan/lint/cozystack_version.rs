//! A CozyStack release that this cozyup does not know.
use super::{Plan, Problem, Rule, Severity};
use crate::release::Release;

pub const RULE: Rule = Rule {
    id: "cozystack-version",
    severity: Severity::Error,
    overridable: false,
    about: "a CozyStack release that this cozyup does not know",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    if Release::known(&plan.cozystack.version).is_some() {
        return Vec::new();
    }
    let known: Vec<&str> = Release::versions().collect();
    let what = format!("`{}` is no release that this cozyup knows", plan.cozystack.version);
    let why = "each release has its own settings, components and Talos version; guessing them is how installs fail";
    vec![Problem::new("cozystack.version", what, why, known.join(" or "))]
}
