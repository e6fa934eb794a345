//! The same disk, or a partition of it, for Talos and for LINSTOR.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "data-disk-is-install-disk",
    severity: Severity::Error,
    overridable: false,
    about: "the same disk, or a partition of it, for Talos and for LINSTOR",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let (device, system) = (&plan.integration.linstor.device, &plan.talos.install_disk);
    if device.trim_end_matches(|c: char| c.is_ascii_digit()) != system.as_str() {
        return Vec::new();
    }
    let what = format!("{device} is on talos.install_disk {system}");
    let why = "LINSTOR wants an empty disk of its own; Talos has its partitions on this one";
    vec![Problem::new("integration.linstor.device", what, why, "/dev/sdb, the disk at scsi1")]
}
