//! A disk name that follows neither the SCSI bus nor the disk's id.
use super::{Plan, Problem, Rule, Severity};
use crate::base::disk::by_slot;

pub const RULE: Rule = Rule {
    id: "disk-name",
    severity: Severity::Error,
    overridable: false,
    about: "a disk name that follows neither the SCSI bus nor the disk's id",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let disks = [
        ("talos.install_disk", &plan.talos.install_disk),
        ("integration.linstor.device", &plan.integration.linstor.device),
    ];
    disks
        .into_iter()
        .filter(|(_, disk)| !is_scsi_letter(disk) && !is_by_id(disk))
        .map(|(key, disk)| {
            let what = format!("`{disk}` is no name of a SCSI disk");
            let why = "the VMs' disks hang on a VirtIO SCSI controller (scsi0, scsi1): Talos sees /dev/sda and /dev/sdb; vda would be virtio-blk";
            let next = format!("{} for Talos, {} for LINSTOR", by_slot("scsi0"), by_slot("scsi1"));
            Problem::new(key, what, why, next)
        })
        .collect()
}

pub(super) fn is_scsi_letter(disk: &str) -> bool {
    let letters = disk.strip_prefix("/dev/sd").unwrap_or_default().trim_end_matches(|c: char| c.is_ascii_digit());
    !letters.is_empty() && letters.bytes().all(|b| b.is_ascii_lowercase())
}

/// A link that udev makes from what the disk says of itself: it stays when disks are found in another order.
fn is_by_id(disk: &str) -> bool {
    let name = disk.strip_prefix("/dev/disk/by-id/").unwrap_or_default();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.:-".contains(&b);
    !name.is_empty() && !matches!(name, "." | "..") && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// reports.md B36: sda and sdb may change places from one boot to the next.
    #[test]
    fn letters_and_names_by_id_are_taken_and_nothing_else() {
        assert!(is_by_id(&by_slot("scsi1")) && is_scsi_letter("/dev/sdb"));
        for wrong in [
            "/dev/vda",
            "/dev/disk/by-id/",
            "/dev/disk/by-id/..",
            "/dev/disk/by-id/../../sda",
            "/dev/disk/by-path/x",
            "sdb",
        ] {
            assert!(!is_by_id(wrong) && !is_scsi_letter(wrong), "{wrong}");
        }
    }
}
