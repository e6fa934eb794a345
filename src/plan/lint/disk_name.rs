//! A disk name that does not follow the SCSI bus.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "disk-name",
    severity: Severity::Error,
    overridable: false,
    about: "a disk name that does not follow the SCSI bus",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let disks = [
        ("talos.install_disk", &plan.talos.install_disk),
        ("integration.linstor.device", &plan.integration.linstor.device),
    ];
    let wrong = disks.into_iter().filter(|(_, disk)| {
        let letters = disk.strip_prefix("/dev/sd").unwrap_or_default().trim_end_matches(|c: char| c.is_ascii_digit());
        letters.is_empty() || !letters.bytes().all(|b| b.is_ascii_lowercase())
    });
    wrong
        .map(|(key, disk)| {
            let what = format!("`{disk}` is no name of a SCSI disk");
            let why = "the VMs' disks hang on a VirtIO SCSI controller (scsi0, scsi1): Talos sees /dev/sda and /dev/sdb; vda would be virtio-blk";
            Problem::new(key, what, why, "/dev/sda for Talos, /dev/sdb for LINSTOR")
        })
        .collect()
}
