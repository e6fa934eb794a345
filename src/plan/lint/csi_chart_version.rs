//! A Proxmox CSI chart version that is none.
use super::{Plan, Problem, Rule, Severity};
use crate::plan::version::version;

pub const RULE: Rule = Rule {
    id: "csi-chart-version",
    severity: Severity::Error,
    overridable: false,
    about: "a Proxmox CSI chart version that is none",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let csi = &plan.integration.csi;
    if !csi.enabled || version(&csi.chart_version).is_some_and(|_| !csi.chart_version.starts_with('v')) {
        return Vec::new();
    }
    let what = format!("`{}` is no chart version", csi.chart_version);
    let why = "Flux takes a fixed version, so that the run is the same tomorrow";
    vec![Problem::new("integration.csi.chart_version", what, why, "0.3.16")]
}
