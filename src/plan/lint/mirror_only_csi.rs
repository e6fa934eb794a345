//! A registry that only its mirror or a proxy may be asked for, from which Flux takes a chart by itself.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "mirror-only-csi",
    severity: Severity::Warning,
    overridable: true,
    about: "the CSI driver's chart, which Flux takes from ghcr.io past the nodes' mirrors and their proxy",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let past = |entry: &String| "ghcr.io" == entry.trim_start_matches('.');
    let by_proxy = plan.network.proxy.is_some() && !plan.network.no_proxy.iter().any(past);
    let shut = by_proxy || plan.mirrors_of("ghcr.io").any(|mirror| mirror.only);
    if !shut || !plan.integration.csi.enabled {
        return Vec::new();
    }
    let what = "Flux fetches the driver's chart from ghcr.io itself";
    let why = "mirrors and the proxy are for the images that nodes pull; a pod that asks ghcr.io needs a way out";
    let write = "let the pods reach ghcr.io, or enabled: false";
    vec![Problem::new("integration.csi.enabled", what, why, write)]
}
