//! Resources about disks, links and the rest of the VM.
use super::super::outside::Vm;
use super::super::spec::Spec;
use super::{Made, View};

const GIB: u64 = 1 << 30;

/// A disk as the kernel of a VM with virtio-scsi shows it.
pub struct Disk {
    /// `sda`
    pub name: String,
    pub slot: String,
    pub size: u64,
    pub system: bool,
    pub cdrom: bool,
}

impl Disk {
    pub fn path(&self) -> String {
        format!("/dev/{}", self.name)
    }

    pub fn model(&self) -> &'static str {
        if self.cdrom { "QEMU DVD-ROM" } else { "QEMU HARDDISK" }
    }

    pub fn serial(&self) -> String {
        if self.cdrom { String::new() } else { format!("drive-{}", self.slot) }
    }

    pub fn bus_path(&self) -> String {
        format!("/pci0000:00/0000:00:05.0/virtio2/host2/target2:0:{0}/2:0:{0}:0/", self.slot_number())
    }

    fn slot_number(&self) -> String {
        self.slot.chars().filter(char::is_ascii_digit).collect()
    }
}

/// The system disk, the data disks, then the drive of the cloud-init image.
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
            cdrom: false,
        })
        .collect();
    disks.push(Disk { name: "sr0".into(), slot: "ide2".into(), size: 4 << 20, system: false, cdrom: true });
    disks
}

pub fn disks(view: &View<'_>) -> Vec<Made> {
    disk_list(&view.machine.vm).iter().map(|disk| Made::new(&disk.name, disk_spec(disk))).collect()
}

fn disk_spec(disk: &Disk) -> Spec {
    let links = if disk.cdrom {
        Vec::new()
    } else {
        vec![format!("/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_{}", disk.serial())]
    };
    let spec = Spec::new()
        .number(1, "size", disk.size)
        .number(2, "io_size", if disk.cdrom { 2048 } else { 512 })
        .number(3, "sector_size", if disk.cdrom { 2048 } else { 512 })
        .flag(4, "readonly", disk.cdrom)
        .text(5, "model", disk.model());
    let spec = if disk.cdrom { spec } else { spec.text(6, "serial", disk.serial()) };
    let modalias = if disk.cdrom { "scsi:t-0x05" } else { "scsi:t-0x00" };
    let spec = spec
        .text(7, "modalias", modalias)
        .text(9, "bus_path", disk.bus_path())
        .text(10, "sub_system", "/sys/class/block")
        .text(11, "transport", if disk.cdrom { "ata" } else { "virtio" })
        .flag(12, "rotational", disk.cdrom)
        .flag(13, "cdrom", disk.cdrom)
        .text(14, "dev_path", disk.path())
        .text(15, "pretty_size", pretty(disk.size));
    spec.texts(18, "symlinks", &links)
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

pub fn system_disk(_: &View<'_>) -> Vec<Made> {
    vec![Made::new("system-disk", Spec::new().text(1, "diskID", "sda").text(2, "devPath", "/dev/sda"))]
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
    let mut made: Vec<Made> = disk_list(vm)
        .iter()
        .map(|disk| {
            let name = match (disk.system, disk.cdrom) {
                (true, _) => "gpt",
                (false, true) => "iso9660",
                (false, false) => "",
            };
            let spec = Spec::new()
                .number(1, "size", disk.size)
                .text(4, "name", name)
                .text(6, "label", if disk.cdrom { "cidata" } else { "" })
                .text(14, "type", "disk")
                .text(17, "devPath", disk.path())
                .text(19, "prettySize", pretty(disk.size));
            Made::new(&disk.name, spec)
        })
        .collect();
    made.extend((1u64..).zip(partitions(vm)).map(|(index, (label, filesystem, size))| {
        let spec = Spec::new()
            .number(1, "size", size)
            .text(4, "name", filesystem)
            .text(6, "label", label)
            .text(12, "partitionLabel", label)
            .number(13, "partitionIndex", index)
            .text(14, "type", "partition")
            .text(16, "parent", "sda")
            .text(17, "devPath", format!("/dev/sda{index}"))
            .text(18, "parentDevPath", "/dev/sda")
            .text(19, "prettySize", pretty(size));
        Made::new(format!("sda{index}"), spec)
    }));
    made
}

pub fn volume_statuses(view: &View<'_>) -> Vec<Made> {
    (1u64..)
        .zip(partitions(&view.machine.vm))
        .filter(|(_, (label, ..))| ["META", "STATE", "EPHEMERAL"].contains(label))
        .map(|(index, (label, _, size))| {
            let spec = if view.configured() || label == "META" {
                Spec::new()
                    .number_shown(1, "phase", 6, "ready")
                    .text(2, "location", format!("/dev/sda{index}"))
                    .number(9, "size", size)
                    .text(13, "prettySize", pretty(size))
            } else {
                Spec::new().number_shown(1, "phase", 0, "waiting").text(2, "location", "")
            };
            Made::new(label, spec)
        })
        .collect()
}

pub fn mounts(view: &View<'_>) -> Vec<Made> {
    if !view.configured() {
        return Vec::new();
    }
    [("EPHEMERAL", "/dev/sda6", "/var"), ("STATE", "/dev/sda5", "/system/state")]
        .into_iter()
        .map(|(id, source, target)| {
            let spec = Spec::new().text(1, "source", source).text(2, "target", target).text(3, "filesystemType", "xfs");
            Made::new(id, spec)
        })
        .collect()
}

/// The six bytes of a MAC.
fn mac_bytes(mac: &str) -> Vec<u8> {
    mac.split(':').filter_map(|part| u8::from_str_radix(part, 16).ok()).collect()
}

pub fn links(view: &View<'_>) -> Vec<Made> {
    let mac = &view.machine.vm.mac;
    // Unused kinds of link stand there as empty messages, as Talos' encoder writes them.
    let empty = |spec: Spec| [26, 27, 28, 29].into_iter().fold(spec, |spec, n| spec.message(n, "", Spec::new()));
    let card = Spec::new()
        .number(1, "index", 2)
        .number_shown(2, "type", 1, "ether")
        .number_shown(4, "flags", 0x1_1043, "UP,BROADCAST,RUNNING,MULTICAST,LOWER_UP")
        .bytes_shown(5, "hardwareAddr", mac_bytes(mac), mac)
        .number(7, "mtu", 1500)
        .number_shown(10, "operationalState", 6, "up")
        .text(11, "kind", "")
        .text(13, "busPath", "0000:00:12.0")
        .text(14, "pciID", "1AF4:1000")
        .text(15, "driver", "virtio_net")
        .text(20, "product", "Virtio network device")
        .text(21, "vendor", "Red Hat, Inc.")
        .flag(22, "linkState", true)
        .bytes_shown(30, "permanentAddr", mac_bytes(mac), mac)
        .texts(32, "altNames", &["enp0s18".to_string(), "ens18".to_string()]);
    let lo = Spec::new()
        .number(1, "index", 1)
        .number_shown(2, "type", 772, "loopback")
        .number_shown(4, "flags", 0x1_0049, "UP,LOOPBACK,RUNNING,LOWER_UP")
        .bytes_shown(5, "hardwareAddr", vec![0; 6], "00:00:00:00:00:00")
        .number(7, "mtu", 65536)
        .number_shown(10, "operationalState", 0, "unknown")
        .text(11, "kind", "")
        .flag(22, "linkState", true);
    vec![Made::new("eth0", empty(card)), Made::new("lo", empty(lo))]
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
