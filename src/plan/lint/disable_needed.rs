//! A component disabled on which the run's own steps stand.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "disable-needed",
    severity: Severity::Error,
    overridable: true,
    about: "a component disabled on which the run's own steps stand",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let needed = &super::release_of(plan).needed;
    super::components(plan)
        .into_iter()
        .filter(|(_, name, enabled)| !enabled && needed.iter().any(|n| n == name))
        .map(|(key, name, _)| {
            let why =
                "later steps of the run use it: storage, LoadBalancer addresses, certificates, tenants or Cluster API";
            Problem::new(key, format!("the run needs {name}"), why, "a list without it")
        })
        .collect()
}
