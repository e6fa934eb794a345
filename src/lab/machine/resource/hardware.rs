//! Resources about disks, links and the rest of the VM.
use super::super::outside::{Vm, by_id};
use super::super::spec::Spec;
use super::{Made, View};

const GIB: u64 = 1 << 30;

/// Bytes of the squashfs that Talos runs from.
const ROOT: u64 = 78 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskKind {
    Drive,
    Cdrom,
    /// Talos' own root file system, read-only and of no device.
    Loop,
}

/// A disk as the kernel of a VM with virtio-scsi shows it. A drive without `serial=` has none: what QEMU calls it stands
/// in the links of udev alone.
pub struct Disk {
    /// `sda`
    pub name: String,
    pub slot: String,
    pub size: u64,
    pub system: bool,
    pub kind: DiskKind,
}

impl Disk {
    pub fn path(&self) -> String {
        format!("/dev/{}", self.name)
    }

    pub fn model(&self) -> &'static str {
        match self.kind {
            DiskKind::Drive => "QEMU HARDDISK",
            DiskKind::Cdrom => "QEMU DVD-ROM",
            DiskKind::Loop => "",
        }
    }

    pub fn bus_path(&self) -> String {
        match self.kind {
            DiskKind::Drive | DiskKind::Cdrom => {
                format!("/pci0000:00/0000:00:05.0/virtio2/host2/target2:0:{0}/2:0:{0}:0", self.slot_number())
            }
            DiskKind::Loop => "/virtual".into(),
        }
    }

    pub fn readonly(&self) -> bool {
        self.kind != DiskKind::Drive
    }

    fn slot_number(&self) -> String {
        self.slot.chars().filter(char::is_ascii_digit).collect()
    }
}

/// The system disk, the data disks, the drive of the cloud-init image, then what Talos runs from.
pub fn disk_list(vm: &Vm) -> Vec<Disk> {
    let slots = std::iter::once(("scsi0".to_string(), vm.system_disk_gib)).chain(vm.extra_disks.iter().cloned());
    let mut disks: Vec<Disk> = vm
        .devices()
        .zip(slots)
        .enumerate()
        .map(|(at, (path, (slot, gib)))| Disk {
            name: path.trim_start_matches("/dev/").into(),
            slot,
            size: gib * GIB,
            system: at == 0,
            kind: DiskKind::Drive,
        })
        .collect();
    let other =
        |name: &str, slot: &str, size, kind| Disk { name: name.into(), slot: slot.into(), size, system: false, kind };
    disks.push(other("sr0", "ide2", 4 << 20, DiskKind::Cdrom));
    disks.push(other("loop0", "", ROOT, DiskKind::Loop));
    disks
}

pub fn disks(view: &View<'_>) -> Vec<Made> {
    disk_list(&view.machine.vm).iter().map(|disk| Made::new(&disk.name, disk_spec(disk))).collect()
}

fn disk_spec(disk: &Disk) -> Spec {
    let cdrom = disk.kind == DiskKind::Cdrom;
    let sector = if cdrom { 2048 } else { 512 };
    let spec = Spec::new()
        .text(14, "dev_path", disk.path())
        .number(1, "size", disk.size)
        .text(15, "pretty_size", pretty(disk.size))
        .number(2, "io_size", sector)
        .number(3, "sector_size", sector)
        .flag(4, "readonly", disk.readonly())
        .flag(13, "cdrom", cdrom);
    let spec = match disk.kind {
        DiskKind::Loop => spec,
        DiskKind::Drive | DiskKind::Cdrom => {
            spec.text(5, "model", disk.model()).text(7, "modalias", if cdrom { "scsi:t-0x05" } else { "scsi:t-0x00" })
        }
    };
    let spec = spec.text(9, "bus_path", disk.bus_path()).text(10, "sub_system", "/sys/class/block");
    match disk.kind {
        DiskKind::Loop => spec,
        DiskKind::Cdrom => spec.text(11, "transport", "ata").flag(12, "rotational", true),
        DiskKind::Drive => spec.text(11, "transport", "virtio").texts(18, "symlinks", &[by_id(&disk.slot)]),
    }
}

/// Decimal units, as Talos prints sizes.
pub fn pretty(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in UNITS {
        if value < 1000.0 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    if value < 10.0 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

pub fn system_disk(view: &View<'_>) -> Vec<Made> {
    let disk = view.machine.vm.system_disk();
    let path = format!("/dev/{disk}");
    vec![Made::new("system-disk", Spec::new().text(1, "diskID", disk).text(2, "devPath", path))]
}

/// Label and size of the partitions of the nocloud image; EPHEMERAL takes the rest.
fn partitions(vm: &Vm) -> Vec<(&'static str, &'static str, u64)> {
    const MIB: u64 = 1 << 20;
    let used = 105 + 1 + 1000 + 1 + 100;
    vec![
        ("EFI", "vfat", 105 * MIB),
        ("BIOS", "", MIB),
        ("BOOT", "xfs", 1000 * MIB),
        ("META", "talosmeta", MIB),
        ("STATE", "xfs", 100 * MIB),
        ("EPHEMERAL", "xfs", (vm.system_disk_gib * GIB).saturating_sub(used * MIB)),
    ]
}

pub fn volumes(view: &View<'_>) -> Vec<Made> {
    let vm = &view.machine.vm;
    let volume = |name: &str, kind: &str, size: u64, discovered: &str| {
        Spec::new()
            .text(17, "dev_path", format!("/dev/{name}"))
            .text(14, "type", kind)
            .text(15, "device_path", format!("/devices/pci0000:00/0000:00:05.0/block/{name}"))
            .number(1, "size", size)
            .text(19, "pretty_size", pretty(size))
            .text(4, "name", discovered)
    };
    let disks = disk_list(vm).into_iter().map(|disk| {
        let discovered = match disk.kind {
            DiskKind::Drive if disk.system => "gpt",
            DiskKind::Drive => "",
            DiskKind::Cdrom => "iso9660",
            DiskKind::Loop => "squashfs",
        };
        let spec = volume(&disk.name, "disk", disk.size, discovered);
        Made::new(&disk.name, if disk.kind == DiskKind::Cdrom { spec.text(6, "label", "cidata") } else { spec })
    });
    let system = vm.system_disk();
    let partitions = (1u64..).zip(partitions(vm)).map(|(index, (label, filesystem, size))| {
        let name = format!("{system}{index}");
        let spec = volume(&name, "partition", size, filesystem);
        // Only XFS carries the partition's name in itself.
        let spec = if filesystem == "xfs" { spec.text(6, "label", label) } else { spec };
        let spec = spec
            .text(12, "partition_label", label)
            .number(13, "partition_index", index)
            .text(16, "parent", &system)
            .text(18, "parent_dev_path", format!("/dev/{system}"));
        Made::new(name, spec)
    });
    disks.chain(partitions).collect()
}

pub fn volume_statuses(view: &View<'_>) -> Vec<Made> {
    let system = view.machine.vm.system_disk();
    (1u64..)
        .zip(partitions(&view.machine.vm))
        .filter(|(_, (label, ..))| ["META", "STATE", "EPHEMERAL"].contains(label))
        .map(|(index, (label, _, size))| {
            let located = view.configured() || label == "META";
            let spec = match located {
                true => Spec::new().number_shown(1, "phase", 6, "ready"),
                false => Spec::new().number_shown(1, "phase", 0, "waiting"),
            };
            let spec = spec.number_shown(16, "type", 0, "partition");
            let spec = if located {
                spec.text(2, "location", format!("/dev/{system}{index}"))
                    .number(8, "partitionIndex", index)
                    .text(7, "parentLocation", format!("/dev/{system}"))
                    .number(9, "size", size)
                    .text(13, "prettySize", pretty(size))
            } else {
                spec
            };
            Made::new(label, spec)
        })
        .collect()
}

pub fn mounts(view: &View<'_>) -> Vec<Made> {
    if !view.configured() {
        return Vec::new();
    }
    let system = view.machine.vm.system_disk();
    [("EPHEMERAL", 6, "/var"), ("STATE", 5, "/system/state")]
        .into_iter()
        .map(|(id, index, target)| {
            let source = format!("/dev/{system}{index}");
            let spec = Spec::new().text(1, "source", source).text(2, "target", target).text(3, "filesystemType", "xfs");
            Made::new(id, spec.texts(4, "options", &["rw".into(), "noatime".into()]).flag(5, "encrypted", false))
        })
        .collect()
}

/// The six bytes of a MAC.
fn mac_bytes(mac: &str) -> Vec<u8> {
    mac.split(':').filter_map(|part| u8::from_str_radix(part, 16).ok()).collect()
}

/// The common fields of a link of any kind, in the state `operational` (number and word).
fn link(index: u64, kind: (u64, &str), flags: (u64, &str), mac: &str, mtu: u64, operational: (u64, &str)) -> Spec {
    let (broadcast, bytes) = match operational.0 {
        6 => ("ff:ff:ff:ff:ff:ff", vec![0xff; 6]),
        _ => ("00:00:00:00:00:00", vec![0; 6]),
    };
    let spec = Spec::new()
        .number(1, "index", index)
        .number_shown(2, "type", kind.0, kind.1)
        .number(3, "linkIndex", 0)
        .number_shown(4, "flags", flags.0, flags.1)
        .bytes_shown(5, "hardwareAddr", mac_bytes(mac), mac)
        .bytes_shown(6, "broadcastAddr", bytes, broadcast)
        .number(7, "mtu", mtu)
        .text(8, "queueDisc", if operational.0 == 6 { "pfifo_fast" } else { "noqueue" })
        .number_shown(10, "operationalState", operational.0, operational.1)
        .text(11, "kind", "")
        .text(12, "slaveKind", "")
        .flag(22, "linkState", true)
        .number_shown(24, "port", 255, "Other")
        .number_shown(25, "duplex", 255, "Unknown")
        .bytes_shown(30, "permanentAddr", mac_bytes(mac), mac);
    // Unused kinds of link stand there as empty messages, as Talos' encoder writes them.
    [26, 27, 28, 29].into_iter().fold(spec, |spec, n| spec.message(n, "", Spec::new()))
}

/// The link that the kernel's `dummy` module brings and nobody uses. Whoever looks for the card of the VM meets it too.
fn dummy() -> Made {
    let spec = link(3, (1, "ether"), (0x82, "BROADCAST,NOARP"), "86:3b:1c:7d:a0:52", 1500, (2, "down"));
    Made::new("dummy0", spec.text(11, "kind", "dummy").flag(22, "linkState", false))
}

pub fn links(view: &View<'_>) -> Vec<Made> {
    const UP: &str = "UP,BROADCAST,RUNNING,MULTICAST,LOWER_UP";
    let card = link(2, (1, "ether"), (0x1_1043, UP), &view.machine.vm.mac, view.machine.vm.mtu.into(), (6, "up"))
        .text(13, "busPath", "0000:00:12.0")
        .text(14, "pciID", "1AF4:1000")
        .text(15, "driver", "virtio_net")
        .text(20, "product", "Virtio network device")
        .text(21, "vendor", "Red Hat, Inc.")
        .texts(32, "altNames", &["enp0s18".to_string(), "ens18".to_string()]);
    let lo = link(
        1,
        (772, "loopback"),
        (0x1_0049, "UP,LOOPBACK,RUNNING,LOWER_UP"),
        "00:00:00:00:00:00",
        65536,
        (0, "unknown"),
    );
    vec![dummy(), Made::new("eth0", card), Made::new("lo", lo)]
}

pub fn first_address(view: &View<'_>) -> Vec<Made> {
    let mac = &view.machine.vm.mac;
    let spec = Spec::new().text(1, "name", "eth0").bytes_shown(2, "hardwareAddr", mac_bytes(mac), mac);
    vec![Made::new("first", spec)]
}

pub fn processors(view: &View<'_>) -> Vec<Made> {
    let cores = u64::from(view.machine.vm.cores);
    let spec = Spec::new()
        .text(2, "manufacturer", "QEMU")
        .text(3, "productName", "pc-q35")
        .number(10, "coreCount", cores)
        .number(12, "threadCount", cores);
    vec![Made::new("CPU-0", spec)]
}

pub fn memory(view: &View<'_>) -> Vec<Made> {
    let spec = Spec::new().number(1, "sizeMiB", view.machine.vm.memory_mib);
    vec![Made::new("DIMM-0", spec)]
}

pub fn system(view: &View<'_>) -> Vec<Made> {
    let spec = Spec::new()
        .text(1, "manufacturer", "QEMU")
        .text(2, "productName", "Standard PC (Q35 + ICH9, 2009)")
        .text(3, "version", "pc-q35-9.0")
        .text(5, "uuid", &view.machine.vm.uuid);
    vec![Made::new("systeminformation", spec)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_talos_prints_them() {
        assert_eq!(pretty(50 * GIB), "54 GB");
        assert_eq!(pretty(4 << 20), "4.2 MB");
    }
}
