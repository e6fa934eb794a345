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
    super::components(plan)
        .into_iter()
        .filter(|(_, name, enabled)| !enabled && NEEDED.contains(name))
        .map(|(key, name, _)| {
            let why =
                "later steps of the run use it: storage, LoadBalancer addresses, certificates, tenants or Cluster API";
            Problem::new(key, format!("the run needs {name}"), why, "a list without it")
        })
        .collect()
}

const NEEDED: [&str; 18] = [
    "capi-operator",
    "capi-providers-bootstrap",
    "capi-providers-core",
    "capi-providers-cpprovider",
    "cert-manager",
    "cert-manager-crds",
    "cert-manager-issuers",
    "cozystack-api",
    "cozystack-controller",
    "cozystack-resource-definition-crd",
    "cozystack-resource-definitions",
    "etcd-operator",
    "fluxcd",
    "fluxcd-operator",
    "linstor",
    "metallb",
    "piraeus-operator",
    "snapshot-controller",
];
