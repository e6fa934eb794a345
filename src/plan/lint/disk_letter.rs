//! A disk by its letter.
use super::{Plan, Problem, Rule, Severity};
use crate::base::disk::by_slot;

pub const RULE: Rule = Rule {
    id: "disk-letter",
    severity: Severity::Warning,
    overridable: true,
    about: "a disk by its letter, which another disk may have after the next boot",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let disks = [
        ("talos.install_disk", &plan.talos.install_disk, "scsi0"),
        ("integration.linstor.device", &plan.integration.linstor.device, "scsi1"),
    ];
    disks
        .into_iter()
        .filter(|(_, disk, _)| super::disk_name::is_scsi_letter(disk))
        .map(|(key, disk, slot)| {
            let why =
                "the kernel gives letters in the order in which it finds disks, and that may change at every boot";
            Problem::new(key, format!("{disk} need not stay the disk at {slot}"), why, by_slot(slot))
        })
        .collect()
}
