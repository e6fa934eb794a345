//! VMs: their configuration, key by key as Proxmox keeps it, and what can be read from it.
use super::property::{GIB, Nic, Property, parse_size};
use super::{Pve, USUAL_MTU, VmFacts};
use crate::iso;
use aws_lc_rs::digest;
use cozyup_base::clock::between;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Options that the API shows as JSON numbers; all others are strings (`memory` too, since 8.0).
const NUMBERS: [&str; 17] = [
    "cores",
    "sockets",
    "vcpus",
    "onboot",
    "numa",
    "balloon",
    "template",
    "kvm",
    "tablet",
    "acpi",
    "autostart",
    "protection",
    "shares",
    "cpuunits",
    "localtime",
    "freeze",
    "reboot",
];

/// Buses that carry disks, with their highest number, in Proxmox's own order.
pub const BUSES: [(&str, u32); 4] = [("ide", 3), ("scsi", 30), ("virtio", 15), ("sata", 5)];

/// Options that a running VM takes at once; all others wait as pending for its next start.
const LIVE: [&str; 9] =
    ["name", "description", "tags", "onboot", "startup", "protection", "hookscript", "shares", "lock"];

/// The uptime of guests that were there before the lab began, in seconds.
const LONGEST_UPTIME_S: u64 = 219 * 24 * 3600;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    Stopped,
    Running { since: Timestamp, pid: u32 },
}

pub type Config = BTreeMap<String, String>;

#[derive(Debug, Clone)]
pub struct Vm {
    pub vmid: u32,
    pub node: String,
    /// `lock` and `template` are keys here too.
    pub config: Config,
    /// Changes that wait for the next start; `None` removes.
    pub pending: BTreeMap<String, Option<String>>,
    pub power: Power,
    pub created: Timestamp,
    /// Sits there because of a `vmid_taken` fault.
    pub stranger: bool,
}

/// `scsi3` is a drive; `scsihw` is not.
pub fn is_drive(key: &str) -> bool {
    matches!(key, "efidisk0" | "tpmstate0") || BUSES.iter().any(|(bus, most)| is_numbered(key, bus, *most))
}

/// Every slot that a drive can be in, in Proxmox's own order.
pub fn drive_slots() -> impl Iterator<Item = String> {
    let numbered = BUSES.iter().flat_map(|(bus, most)| (0..=*most).map(move |n| format!("{bus}{n}")));
    numbered.chain(["efidisk0".into(), "tpmstate0".into()])
}

pub fn is_numbered(key: &str, stem: &str, most: u32) -> bool {
    key.strip_prefix(stem)
        .filter(|n| !n.is_empty() && (*n == "0" || !n.starts_with('0')) && n.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|n| n.parse::<u32>().ok())
        .is_some_and(|n| n <= most)
}

pub fn is_cdrom(drive: &Property) -> bool {
    drive.option("media") == Some("cdrom")
}

pub fn is_cloud_init(drive: &Property) -> bool {
    drive.head.split(':').nth(1).is_some_and(|name| name.ends_with("-cloudinit") || name.contains("-cloudinit."))
}

impl Vm {
    pub fn new(vmid: u32, node: &str, config: Config, created: Timestamp) -> Self {
        Vm {
            vmid,
            node: node.into(),
            config,
            pending: BTreeMap::new(),
            power: Power::Stopped,
            created,
            stranger: false,
        }
    }

    pub fn running(&self) -> bool {
        matches!(self.power, Power::Running { .. })
    }

    pub fn is_template(&self) -> bool {
        self.config.get("template").is_some_and(|t| t == "1")
    }

    /// As lists name it; a VM without a name is `VM 101`.
    pub fn name(&self) -> String {
        self.config.get("name").cloned().unwrap_or_else(|| format!("VM {}", self.vmid))
    }

    pub fn lock(&self) -> Option<&str> {
        self.config.get("lock").map(String::as_str)
    }

    /// # Errors
    /// Proxmox's refusal while a task holds the VM.
    pub fn unlocked(&self) -> Result<(), String> {
        self.lock().map_or(Ok(()), |lock| Err(format!("VM is locked ({lock})")))
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.config.get(key)?.parse().ok()
    }

    pub fn cores(&self) -> u32 {
        let all = self.number("cores").unwrap_or(1).saturating_mul(self.number("sockets").unwrap_or(1));
        u32::try_from(all).unwrap_or(u32::MAX)
    }

    pub fn memory_mib(&self) -> u64 {
        self.config.get("memory").and_then(|m| Property::parse(m, "current").head.parse().ok()).unwrap_or(512)
    }

    /// Every drive with its slot, also CD-ROMs.
    pub fn drives(&self) -> impl Iterator<Item = (&str, Property)> {
        self.config.iter().filter(|(k, _)| is_drive(k)).map(|(k, v)| (k.as_str(), Property::parse(v, "file")))
    }

    /// Drives that hold data: no CD-ROMs, no cloud-init drive.
    pub fn disks(&self) -> impl Iterator<Item = (&str, Property)> {
        self.drives().filter(|(_, d)| !is_cdrom(d) && !is_cloud_init(d))
    }

    pub fn nics(&self) -> impl Iterator<Item = (&str, Nic)> {
        self.config
            .iter()
            .filter(|(k, _)| is_numbered(k, "net", 31))
            .filter_map(|(k, v)| Nic::parse(v).ok().map(|n| (k.as_str(), n)))
    }

    pub fn uuid(&self) -> String {
        self.config
            .get("smbios1")
            .and_then(|s| Property::parse(s, "uuid").options.remove("uuid").or(Some(Property::parse(s, "uuid").head)))
            .unwrap_or_default()
            .to_ascii_lowercase()
    }

    /// The devices of `boot`, in order.
    pub fn boot_order(&self) -> Vec<String> {
        let order = self.config.get("boot").and_then(|b| Property::parse(b, "legacy").options.remove("order"));
        order.map(|o| o.split(';').map(Into::into).collect()).unwrap_or_default()
    }

    pub fn boot_disk(&self) -> Option<(String, Property)> {
        let disks: BTreeMap<String, Property> = self.disks().map(|(k, d)| (k.to_string(), d)).collect();
        self.boot_order().iter().find_map(|slot| disks.get(slot).map(|d| (slot.clone(), d.clone())))
    }

    /// Size of the boot disk in bytes.
    pub fn boot_disk_size(&self) -> u64 {
        self.boot_disk().and_then(|(_, d)| d.option("size").and_then(parse_size)).unwrap_or(0)
    }

    /// The `order=` that Proxmox chooses when none was given: first disk, first CD-ROM, first network card.
    pub fn default_boot(&self) -> String {
        let in_order = |want: &dyn Fn(&Property) -> bool| {
            BUSES.iter().find_map(|(bus, most)| {
                (0..=*most)
                    .map(|n| format!("{bus}{n}"))
                    .find(|slot| self.config.get(slot).is_some_and(|value| want(&Property::parse(value, "file"))))
            })
        };
        let disk = in_order(&|d| !is_cdrom(d) && !is_cloud_init(d));
        let cdrom = in_order(&|d| is_cdrom(d) && !is_cloud_init(d));
        let card = self.nics().next().map(|(slot, _)| slot.to_string());
        format!("order={}", [disk, cdrom, card].into_iter().flatten().collect::<Vec<_>>().join(";"))
    }

    /// SHA-1 over the configuration, in hexadecimal: what `digest` guards.
    pub fn digest(&self) -> String {
        let text: String = self.config.iter().map(|(k, v)| format!("{k}: {v}\n")).collect();
        let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
        hash.as_ref().iter().map(|b| format!("{b:02x}")).collect()
    }

    /// The configuration as `GET config` shows it; `current` leaves pending changes out.
    pub fn config_json(&self, current: bool) -> Value {
        let mut config = self.config.clone();
        if !current {
            for (key, value) in &self.pending {
                match value {
                    Some(value) => config.insert(key.clone(), value.clone()),
                    None => config.remove(key),
                };
            }
        }
        let mut map: Map<String, Value> =
            config.into_iter().map(|(key, value)| (key.clone(), value_json(&key, value))).collect();
        map.insert("digest".into(), json!(self.digest()));
        Value::Object(map)
    }

    /// Rows of `GET pending`.
    pub fn pending_json(&self) -> Value {
        let mut rows = Vec::new();
        for (key, value) in &self.config {
            let mut row = json!({"key": key, "value": value_json(key, value.clone())});
            match self.pending.get(key) {
                Some(Some(new)) => row["pending"] = value_json(key, new.clone()),
                Some(None) => row["delete"] = json!(1),
                None => {}
            }
            rows.push(row);
        }
        for (key, value) in self.pending.iter().filter(|(key, _)| !self.config.contains_key(*key)) {
            if let Some(value) = value {
                rows.push(json!({"key": key, "pending": value_json(key, value.clone())}));
            }
        }
        json!(rows)
    }

    /// Sets or removes an option, at once or, where a running VM can't take it, at its next start.
    pub fn set(&mut self, key: &str, value: Option<String>) {
        let hot = LIVE.contains(&key)
            || (is_drive(key) && !key.starts_with("ide") && !key.starts_with("sata"))
            || is_numbered(key, "net", 31)
            || is_numbered(key, "unused", 255)
            || (is_drive(key) && self.config.contains_key(key) && value.is_some());
        if self.running() && !hot {
            let same = self.config.get(key) == value.as_ref();
            if same {
                self.pending.remove(key);
            } else {
                self.pending.insert(key.into(), value);
            }
            return;
        }
        self.pending.remove(key);
        match value {
            Some(value) => self.config.insert(key.into(), value),
            None => self.config.remove(key),
        };
    }

    /// Changes that waited for a start take effect.
    pub fn apply_pending(&mut self) {
        for (key, value) in std::mem::take(&mut self.pending) {
            match value {
                Some(value) => self.config.insert(key, value),
                None => self.config.remove(&key),
            };
        }
    }

    /// Keeps a volume that lost its slot as `unusedN`.
    pub fn keep_unused(&mut self, volid: &str) {
        let slot = (0_u32..).map(|n| format!("unused{n}")).find(|slot| !self.config.contains_key(slot));
        if let Some(slot) = slot {
            self.config.insert(slot, volid.into());
        }
    }

    pub fn uptime_s(&self, now: Timestamp) -> u64 {
        match self.power {
            Power::Running { since, .. } => between(since, now).as_secs().min(LONGEST_UPTIME_S),
            Power::Stopped => 0,
        }
    }

    pub fn pid(&self) -> Option<u32> {
        match self.power {
            Power::Running { pid, .. } => Some(pid),
            Power::Stopped => None,
        }
    }

    /// The fields that every version shows in lists.
    fn row(&self, now: Timestamp) -> Value {
        let up = self.uptime_s(now);
        let memory = self.memory_mib() << 20;
        let mut row = json!({
            "vmid": self.vmid, "name": self.name(), "status": self.status(), "cpus": self.cores(),
            "cpu": if self.running() { json!(0.03) } else { json!(0) },
            "maxmem": memory, "mem": if self.running() { memory / 12 } else { 0 },
            "maxdisk": self.boot_disk_size(), "disk": 0, "uptime": up,
            "netin": up * 2048, "netout": up * 1024, "diskread": up * 4096, "diskwrite": up * 8192,
        });
        if let Some(pid) = self.pid() {
            row["pid"] = json!(pid);
        }
        if self.is_template() {
            row["template"] = json!(1);
        }
        for key in ["tags", "lock"] {
            if let Some(value) = self.config.get(key) {
                row[key] = json!(value);
            }
        }
        row
    }

    pub fn status(&self) -> &'static str {
        if self.running() { "running" } else { "stopped" }
    }
}

fn value_json(key: &str, value: String) -> Value {
    match key {
        "cipassword" => json!("**********"),
        _ if NUMBERS.contains(&key) => value.parse::<i64>().map_or_else(|_| json!(value), |n| json!(n)),
        _ => json!(value),
    }
}

/// The content of a volume named `cidata`.
enum Labelled {
    /// Proxmox's own, made from the configuration.
    CloudInit,
    /// A CD-ROM with these files.
    Iso(BTreeMap<String, Vec<u8>>),
}

impl Pve {
    /// The row of a VM in lists, in this version's form.
    pub fn row(&self, vm: &Vm, now: Timestamp) -> Value {
        let mut row = vm.row(now);
        let most = self.node(&vm.node).map_or(u32::MAX, |n| n.cores);
        row["cpus"] = json!(vm.cores().min(most));
        if self.version.0 >= 9 {
            super::pressure::since_nine(vm, &mut row);
        }
        row
    }

    /// The first drive with a volume `cidata`, in the order in which a guest finds its CD-ROMs.
    fn labelled(&self, vm: &Vm) -> Option<Labelled> {
        drive_slots().filter_map(|slot| vm.config.get(&slot)).find_map(|value| {
            let drive = Property::parse(value, "file");
            if is_cloud_init(&drive) {
                return Some(Labelled::CloudInit);
            }
            let bytes = self.volume(&vm.node, &drive.head)?.bytes.as_ref().filter(|_| is_cdrom(&drive))?;
            let iso = iso::read(bytes)?;
            ["cidata", "CIDATA"].contains(&iso.label.as_str()).then_some(Labelled::Iso(iso.files))
        })
    }

    /// The files of the CD-ROM that the VM would take its config from; `None` also where that is Proxmox's own drive.
    pub fn cdrom(&self, vmid: u32) -> Option<BTreeMap<String, Vec<u8>>> {
        match self.labelled(self.vms.get(&vmid)?)? {
            Labelled::Iso(files) => Some(files),
            Labelled::CloudInit => None,
        }
    }

    /// See [`VmFacts`].
    pub fn facts(&self, vmid: u32) -> Option<VmFacts> {
        let vm = self.vms.get(&vmid)?;
        let gib = |drive: &Property| drive.option("size").and_then(parse_size).unwrap_or(0).div_ceil(GIB);
        let boot = vm.boot_disk();
        let on_boot = boot.as_ref().and_then(|(_, d)| self.volume(&vm.node, &d.head));
        let boot_slot = boot.as_ref().map(|(slot, _)| slot.clone()).unwrap_or_default();
        let card = vm.nics().next().map(|(_, nic)| nic);
        // Of two volumes with the same label a guest reads the first.
        let carried = matches!(self.labelled(vm), Some(Labelled::CloudInit));
        let ip = vm.config.get("ipconfig0").filter(|_| carried).map(|c| Property::parse(c, "")).unwrap_or_default();
        let address = ip.address();
        let nameservers =
            vm.config.get("nameserver").map(|n| n.split([' ', ',']).filter_map(|a| a.parse().ok()).collect());
        Some(VmFacts {
            vmid,
            name: vm.name(),
            node: vm.node.clone(),
            running: vm.running(),
            cores: vm.cores(),
            memory_mib: vm.memory_mib(),
            mac: card.as_ref().and_then(|n| n.mac.clone()).unwrap_or_default().to_ascii_lowercase(),
            uuid: vm.uuid(),
            mtu: card.as_ref().map_or(USUAL_MTU, |nic| self.mtu(nic)),
            bridge: card.as_ref().and_then(Nic::bridge).unwrap_or_default().to_string(),
            talos_disk: on_boot.is_some_and(|v| v.imported),
            kubelet: on_boot.and_then(|v| v.kubelet.clone()),
            system_disk_gib: boot.as_ref().map_or(0, |(_, d)| gib(d)),
            extra_disks: vm
                .disks()
                .filter(|(slot, _)| *slot != boot_slot && !matches!(*slot, "efidisk0" | "tpmstate0"))
                .map(|(slot, d)| (slot.to_string(), gib(&d)))
                .collect(),
            address,
            gateway: ip.option("gw").and_then(|g| g.parse().ok()),
            hostname: carried.then(|| vm.name()),
            nameservers: nameservers.filter(|_| carried).unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests;
