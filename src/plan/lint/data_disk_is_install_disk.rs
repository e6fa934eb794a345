//! The same disk, or a partition of it, for Talos and for LINSTOR.
use super::{Plan, Problem, Rule, Severity};
use crate::base::disk::by_slot;

pub const RULE: Rule = Rule {
    id: "data-disk-is-install-disk",
    severity: Severity::Error,
    overridable: false,
    about: "the same disk, or a partition of it, for Talos and for LINSTOR",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let (device, system) = (&plan.integration.linstor.device, &plan.talos.install_disk);
    if whole(device) != whole(system) {
        return Vec::new();
    }
    let what = format!("{device} is on talos.install_disk {system}");
    let why = "LINSTOR wants an empty disk of its own; Talos has its partitions on this one";
    vec![Problem::new("integration.linstor.device", what, why, by_slot("scsi1"))]
}

/// The disk that a name stands for, without the partition: the names of scsi0 by its id and by its letter are the same.
fn whole(disk: &str) -> String {
    let by_id = disk.split("-part").next().unwrap_or(disk);
    match by_id.rsplit_once("_drive-scsi").map(|(_, slot)| slot) {
        Some("0") => "/dev/sda".to_string(),
        Some("1") => "/dev/sdb".to_string(),
        Some(_) => by_id.to_string(),
        None if disk.starts_with("/dev/sd") => disk.trim_end_matches(|c: char| c.is_ascii_digit()).to_string(),
        None => by_id.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_disk_by_two_names_is_one_disk() {
        let by_id = |slot: &str| by_slot(&format!("scsi{slot}"));
        assert_eq!(whole(&by_id("0-part3")), whole("/dev/sda4"));
        assert_eq!(whole(&by_id("1")), whole("/dev/sdb"));
        assert_ne!(whole(&by_id("1")), whole(&by_id("0")));
    }
}
