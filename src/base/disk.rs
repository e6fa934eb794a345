//! The names that a VM's disks have inside the VM.

/// udev's link to a SCSI disk of QEMU; the slot follows. Proxmox VE gives each disk its slot as the device's id
/// (`device_id=drive-scsi1`, qemu-server), so the link stays with the disk whatever letter the kernel gives it.
pub const BY_ID: &str = "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_drive-";

/// The lasting name of the disk in a slot of the VM (`scsi1`).
pub fn by_slot(slot: &str) -> String {
    format!("{BY_ID}{slot}")
}

/// The device in few words: a lasting name is known by its slot.
pub fn called(device: &str) -> String {
    device.strip_prefix(BY_ID).map_or_else(|| device.to_string(), |slot| format!("the disk at {slot}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lasting_name_is_told_by_its_slot_and_every_other_as_it_is() {
        assert_eq!(called(&by_slot("scsi1")), "the disk at scsi1");
        assert_eq!(called("/dev/sdb"), "/dev/sdb");
    }
}
