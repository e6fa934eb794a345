//! A region that is no Kubernetes label value.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "csi-region",
    severity: Severity::Error,
    overridable: false,
    about: "a region that is no Kubernetes label value",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let csi = &plan.integration.csi;
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let fits = csi.region.len() <= 63
        && csi.region.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && ends(csi.region.chars().next())
        && ends(csi.region.chars().last());
    if fits || !csi.enabled {
        return Vec::new();
    }
    let why =
        "it becomes the label topology.kubernetes.io/region of every node, without which Proxmox CSI finds no volume";
    vec![Problem::new("integration.csi.region", format!("`{}` is no label value", csi.region), why, "region: pve")]
}
