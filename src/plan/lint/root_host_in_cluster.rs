//! A root host that the cluster's own DNS answers for.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "root-host-in-cluster",
    severity: Severity::Error,
    overridable: false,
    about: "a root host that is the cluster's own domain, or lies in it",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let plain = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
    let (host, domain) = (plain(&plan.cozystack.root_host), plain(&plan.network.cluster_domain));
    if domain.is_empty() || (host != domain && !host.ends_with(&format!(".{domain}"))) {
        return Vec::new();
    }
    let why = "the cluster's DNS answers for this domain itself, with the names of services: inside of it dashboard, api and \
               keycloak below the root host are not found, and nobody outside can be led to them";
    vec![Problem::new(
        "cozystack.root_host",
        format!("`{}` lies in network.cluster_domain `{}`", plan.cozystack.root_host, plan.network.cluster_domain),
        why,
        "a domain of yours, outside of the cluster's: cozy.example.com",
    )]
}
