//! The test of class proxmox while Proxmox CSI is off.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "test-volume-without-csi",
    severity: Severity::Error,
    overridable: false,
    about: "the test of class proxmox while Proxmox CSI is off",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    if plan.integration.csi.enabled {
        return Vec::new();
    }
    let wanted = plan.tests.volumes.iter().enumerate().filter(|(_, class)| *class == "proxmox");
    wanted
        .map(|(i, _)| {
            let why = "the class proxmox belongs to Proxmox CSI, and integration.csi.enabled is false";
            let what = "the class will not exist";
            Problem::new(
                format!("tests.volumes[{i}]"),
                what,
                why,
                "integration.csi.enabled: true, or no `proxmox` here",
            )
        })
        .collect()
}
