//! Cilium or kubeovn disabled.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "disable-network",
    severity: Severity::Error,
    overridable: false,
    about: "cilium or kubeovn disabled",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let network = &super::release_of(plan).indispensable;
    super::components(plan)
        .into_iter()
        .filter(|(_, name, enabled)| !enabled && network.iter().any(|n| n == name))
        .map(|(key, name, _)| {
            let why = "they are the cluster's network, and tenant-root depends on both whatever is disabled (CozyStack v0.37.2, apps.yaml)";
            Problem::new(key, format!("{name} can't be left out"), why, "a list without it")
        })
        .collect()
}
