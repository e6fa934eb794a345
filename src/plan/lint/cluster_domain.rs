//! A cluster domain other than cozy.local.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "cluster-domain",
    severity: Severity::Warning,
    overridable: true,
    about: "a cluster domain other than cozy.local",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let domain = &plan.network.cluster_domain;
    if domain == "cozy.local" {
        return Vec::new();
    }
    let why = "several charts of CozyStack v0.37.2 have cozy.local written into them; their services would not find each other";
    vec![Problem::new("network.cluster_domain", format!("is `{domain}`"), why, "cluster_domain: cozy.local")]
}
