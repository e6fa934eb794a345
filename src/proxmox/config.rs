//! A VM's configuration: every key as text, and the compound ones taken apart.
use super::fields::{Fields, scalar};
use super::vm::TAG_SEPARATORS;
use crate::base::text::{clean, clean_lines};
use serde_json::Value;
use std::collections::BTreeMap;

/// `GET /nodes/{node}/qemu/{vmid}/config`; pending values count as set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmConfig(pub BTreeMap<String, String>);

/// A disk or CD-ROM of a VM, as its slot (`scsi0`, `ide2`) describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// `STORAGE:NAME` of the volume: `local-lvm:vm-1001-disk-0`.
    pub volid: String,
    /// `size` of the slot in bytes; 0 when it is not written there.
    pub size_bytes: u64,
    /// Whole GiB, rounded down; 0 when the size is not known.
    pub size_gib: u64,
    /// True for `media=cdrom`.
    pub cdrom: bool,
}

impl Disk {
    /// True for Proxmox VE's own drive for a guest's first configuration (`STORAGE:vm-101-cloudinit`).
    pub fn is_cloud_init(&self) -> bool {
        let name = self.volid.rsplit([':', '/']).next().unwrap_or_default();
        name.strip_prefix("vm-").is_some_and(|rest| rest.split('.').next().unwrap_or_default().ends_with("-cloudinit"))
    }
}

/// A network card of a VM, as its slot (`net0`) describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Net {
    /// `virtio`, `e1000`, …
    pub model: String,
    /// Lower case.
    pub mac: String,
    /// Bridge or vnet that the card is attached to; `None` when it hangs on none.
    pub bridge: Option<String>,
    /// VLAN tag; `None`: untagged.
    pub tag: Option<u16>,
    /// MTU in bytes, 1 for the bridge's; `None`: the bridge's from Proxmox VE 9.0 on, before it 1500.
    pub mtu: Option<u16>,
}

impl VmConfig {
    /// The value of a key as Proxmox VE writes it, property strings whole.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The VM's name; `None` when it has none.
    pub fn name(&self) -> Option<&str> {
        self.get("name")
    }

    /// The VM's notes, with their line breaks.
    pub fn description(&self) -> Option<&str> {
        self.get("description")
    }

    /// True when the VM is a template.
    pub fn template(&self) -> bool {
        self.get("template") == Some("1")
    }

    /// The kind of work that holds the VM: `clone`, `create`, `backup`, …
    pub fn lock(&self) -> Option<&str> {
        self.get("lock")
    }

    /// Digest of the configuration; a change can be made to depend on it.
    pub fn digest(&self) -> Option<&str> {
        self.get("digest")
    }

    /// The VM's tags, in the order of the configuration.
    pub fn tags(&self) -> Vec<&str> {
        self.get("tags").unwrap_or_default().split(TAG_SEPARATORS).filter(|t| !t.is_empty()).collect()
    }

    /// Per socket; Proxmox VE's default where the key is missing.
    pub fn cores(&self) -> u64 {
        self.number("cores").unwrap_or(1)
    }

    /// Number of sockets; Proxmox VE's default where the key is missing.
    pub fn sockets(&self) -> u64 {
        self.number("sockets").unwrap_or(1)
    }

    /// MiB; Proxmox VE's default where the key is missing. Since 8.0 a property string whose default key is `current`.
    pub fn memory(&self) -> u64 {
        let value = self.get("memory").and_then(|m| part(m, "current").unwrap_or_else(|| first(m)).parse().ok());
        value.unwrap_or(512)
    }

    /// Lower case.
    pub fn net0_mac(&self) -> Option<String> {
        self.net("net0").map(|n| n.mac)
    }

    /// The network card in `slot`, such as `net0`; `None` when there is none or it can't be read.
    pub fn net(&self, slot: &str) -> Option<Net> {
        let text = self.get(slot)?;
        let (model, mac) = match part(text, "macaddr") {
            Some(mac) => (part(text, "model")?, mac),
            None => first(text).split_once('=')?,
        };
        is_mac(mac).then(|| Net {
            model: model.to_string(),
            mac: mac.to_ascii_lowercase(),
            bridge: part(text, "bridge").map(str::to_string),
            tag: part(text, "tag").and_then(|t| t.parse().ok()),
            mtu: part(text, "mtu").and_then(|t| t.parse().ok()),
        })
    }

    /// `None` also for an empty drive (`none,media=cdrom`).
    pub fn disk(&self, slot: &str) -> Option<Disk> {
        let text = self.get(slot)?;
        let volid = part(text, "file").unwrap_or_else(|| first(text));
        if matches!(volid, "" | "none" | "cdrom") {
            return None;
        }
        let size_bytes = part(text, "size").and_then(bytes).unwrap_or_default();
        let cdrom = part(text, "media") == Some("cdrom");
        Some(Disk { volid: volid.to_string(), size_bytes, size_gib: size_bytes >> 30, cdrom })
    }

    /// Every slot with something in it that is a CD-ROM, a cloud-init drive too.
    pub fn cdroms(&self) -> impl Iterator<Item = (&str, Disk)> {
        self.drives().filter(|(_, drive)| drive.cdrom)
    }

    /// Every slot with something in it: disks and CD-ROMs.
    pub fn drives(&self) -> impl Iterator<Item = (&str, Disk)> {
        let buses = ["ide", "sata", "scsi", "virtio"];
        let is_slot = move |key: &str| {
            let number = buses.iter().find_map(|bus| key.strip_prefix(bus));
            number.is_some_and(|n| !n.is_empty() && n.chars().all(|c| c.is_ascii_digit()))
        };
        let keys = self.0.keys().filter(move |key| is_slot(key));
        keys.filter_map(|key| Some((key.as_str(), self.disk(key)?)))
    }

    /// The devices that the VM tries to boot from, in order; none where the configuration does not say.
    pub fn boot_order(&self) -> Vec<&str> {
        let order = self.get("boot").and_then(|boot| part(boot, "order"));
        order.map(|o| o.split(';').filter(|d| !d.is_empty()).collect()).unwrap_or_default()
    }

    /// Lower case.
    pub fn smbios_uuid(&self) -> Option<String> {
        part(self.get("smbios1")?, "uuid").map(str::to_ascii_lowercase)
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.get(key)?.parse().ok()
    }
}

pub(super) fn config(data: &Value) -> Result<VmConfig, String> {
    let fields = Fields::of(data)?;
    Ok(VmConfig(fields.all().filter_map(|(k, v)| Some((clean(k), clean_lines(&scalar(v)?)))).collect()))
}

fn first(text: &str) -> &str {
    text.split(',').next().unwrap_or_default()
}

fn part<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.split(',').find_map(|p| p.split_once('=').filter(|(k, _)| *k == key).map(|(_, v)| v))
}

fn is_mac(text: &str) -> bool {
    let pair = |p: &str| p.len() == 2 && p.chars().all(|c| c.is_ascii_hexdigit());
    text.split(':').count() == 6 && text.split(':').all(pair)
}

/// `50G`, `1246M`, `1.5T`, `512` as Proxmox VE prints sizes, in bytes.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(['K', 'M', 'G', 'T']);
    let shift = match text.get(digits.len()..)? {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return None,
    };
    let unit = 1_u64 << shift;
    match digits.parse::<u64>() {
        Ok(whole) => whole.checked_mul(unit),
        Err(_) => digits.parse::<f64>().ok().filter(|f| (0.0..1e9).contains(f)).map(|f| (f * unit as f64) as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn of(pairs: &[(&str, &str)]) -> VmConfig {
        VmConfig(pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect())
    }

    #[test]
    fn numbers_and_texts_are_read_alike() {
        let vm = config(&json!({"name": "cp1", "memory": "8192", "cores": 4, "template": 1, "digest": "ab", "x": null,
            "description": "one\ntwo\u{1b}[31m", "smbios1": "uuid=AB-CD,serial=x", "tags": "a;b"}))
        .unwrap();
        assert_eq!((vm.name(), vm.cores(), vm.sockets(), vm.memory()), (Some("cp1"), 4, 1, 8192));
        assert!(vm.template());
        assert_eq!(vm.description(), Some("one\ntwo [31m"));
        assert_eq!(vm.smbios_uuid().as_deref(), Some("ab-cd"));
        assert_eq!(vm.tags(), ["a", "b"]);
        assert_eq!(of(&[("memory", "current=2048")]).memory(), 2048);
        assert_eq!((of(&[]).memory(), of(&[]).cores()), (512, 1));
    }

    #[test]
    fn a_disk_is_its_volume_and_its_size() {
        let disk = |t: &str| of(&[("scsi0", t)]).disk("scsi0");
        let d = disk("local-lvm:vm-9101-disk-0,discard=on,size=50G,ssd=1").unwrap();
        assert_eq!((d.volid.as_str(), d.size_gib, d.cdrom), ("local-lvm:vm-9101-disk-0", 50, false));
        assert_eq!(disk("a:b,size=1246M").unwrap().size_bytes, 1246 << 20);
        assert_eq!(disk("a:b,size=1246M").unwrap().size_gib, 1);
        assert_eq!(disk("file=a:b,size=1.5T").unwrap().size_gib, 1536);
        assert_eq!(disk("a:b").unwrap().size_bytes, 0);
        assert!(disk("local:iso/x.iso,media=cdrom,size=4M").unwrap().cdrom);
        assert_eq!(disk("none,media=cdrom"), None);
        assert_eq!(of(&[]).disk("scsi0"), None);
    }

    #[test]
    fn a_cdrom_is_told_from_a_disk_and_from_what_only_begins_like_one() {
        let vm = of(&[
            ("scsi0", "a:vm-1-disk-0,size=50G"),
            ("scsihw", "virtio-scsi-pci"),
            ("ide2", "local:iso/x.iso,media=cdrom,size=70K"),
            ("ide0", "none,media=cdrom"),
            ("boot", "order=scsi0;ide2"),
        ]);
        let found: Vec<(&str, String)> = vm.cdroms().map(|(slot, disk)| (slot, disk.volid)).collect();
        assert_eq!(found, [("ide2", "local:iso/x.iso".to_string())]);
        assert_eq!(vm.boot_order(), ["scsi0", "ide2"]);
        assert_eq!(of(&[("boot", "cdn")]).boot_order(), Vec::<&str>::new());
    }

    #[test]
    fn the_mac_is_lower_case_in_either_spelling() {
        let net = |t: &str| of(&[("net0", t)]).net("net0");
        let n = net("virtio=BC:24:11:0A:0B:0C,bridge=vmbr0,tag=30").unwrap();
        assert_eq!((n.mac.as_str(), n.model.as_str(), n.tag), ("bc:24:11:0a:0b:0c", "virtio", Some(30)));
        assert_eq!(n.bridge.as_deref(), Some("vmbr0"));
        assert_eq!(net("model=e1000,macaddr=BC:24:11:0A:0B:0C").unwrap().model, "e1000");
        assert_eq!(net("virtio,bridge=vmbr0"), None);
        assert_eq!(net("virtio=nonsense,bridge=vmbr0"), None);
    }

    proptest! {
        #[test]
        fn no_compound_value_is_too_strange(text in "[a-zA-Z0-9:=,.é -]{0,60}", free in ".*") {
            for text in [text.clone(), free, format!("size={text}"), format!("{text}T")] {
                let vm = of(&[("scsi0", &text), ("net0", &text), ("memory", &text), ("smbios1", &text)]);
                let _ = (vm.disk("scsi0"), vm.net0_mac(), vm.memory(), vm.smbios_uuid());
                bytes(&text);
            }
        }
    }
}
