//! The parts of compound values (`local-lvm:8,discard=on`), as far as the lab knows them, and Proxmox's words about wrong ones.
use super::kind::{Kind, MAC, MISSING, UNKNOWN, VOLUME as VOLUME_ID};
use crate::pve::vm::is_numbered;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug)]
pub struct Schema {
    /// The part that may stand without its name.
    head: Option<&'static str>,
    /// Parts that have to be there.
    needed: &'static [&'static str],
    parts: &'static [&'static [Part]],
    /// Names that stand for the head, with a hardware address as their value: `virtio=BC:24:11:00:00:01`.
    pairs: &'static [&'static str],
}

type Part = (&'static str, Kind);

const COUNT: Kind = Kind::Integer(i64::MIN, i64::MAX);
const SECONDS: Kind = Kind::Integer(1, i64::MAX);
const MODELS: &[&str] = &[
    "e1000",
    "e1000-82540em",
    "e1000-82544gc",
    "e1000-82545em",
    "e1000e",
    "i82551",
    "i82557b",
    "i82559er",
    "ne2k_isa",
    "ne2k_pci",
    "pcnet",
    "rtl8139",
    "virtio",
    "vmxnet3",
];

/// Of every drive.
const VOLUME: &[Part] = &[
    ("file", VOLUME_ID),
    ("format", Kind::Choice(&["raw", "qcow", "qed", "qcow2", "vmdk", "cloop"])),
    ("import-from", Kind::Text),
    ("size", Kind::Text),
];
/// Of drives on a bus.
const DISK: &[Part] = &[
    ("aio", Kind::Choice(&["native", "threads", "io_uring"])),
    ("backup", Kind::Boolean),
    ("cache", Kind::Choice(&["none", "writethrough", "writeback", "unsafe", "directsync"])),
    ("detect_zeroes", Kind::Boolean),
    ("discard", Kind::Choice(&["ignore", "on"])),
    ("media", Kind::Choice(&["cdrom", "disk"])),
    ("replicate", Kind::Boolean),
    ("rerror", Kind::Choice(&["ignore", "report", "stop"])),
    ("serial", Kind::Short(60)),
    ("shared", Kind::Boolean),
    ("snapshot", Kind::Boolean),
    ("werror", Kind::Choice(&["enospc", "ignore", "report", "stop"])),
];
/// The speed limits of a disk.
const LIMITS: &[Part] = &[
    ("bps", COUNT),
    ("bps_max_length", SECONDS),
    ("bps_rd", COUNT),
    ("bps_rd_max_length", SECONDS),
    ("bps_wr", COUNT),
    ("bps_wr_max_length", SECONDS),
    ("iops", COUNT),
    ("iops_max", COUNT),
    ("iops_max_length", SECONDS),
    ("iops_rd", COUNT),
    ("iops_rd_max", COUNT),
    ("iops_rd_max_length", SECONDS),
    ("iops_wr", COUNT),
    ("iops_wr_max", COUNT),
    ("iops_wr_max_length", SECONDS),
    ("mbps", Kind::Float),
    ("mbps_max", Kind::Float),
    ("mbps_rd", Kind::Float),
    ("mbps_rd_max", Kind::Float),
    ("mbps_wr", Kind::Float),
    ("mbps_wr_max", Kind::Float),
];
const SOLID: &[Part] = &[("ssd", Kind::Boolean), ("wwn", Kind::Text)];
const THREAD: &[Part] = &[("iothread", Kind::Boolean), ("ro", Kind::Boolean)];

const fn drive(parts: &'static [&'static [Part]]) -> Schema {
    Schema { head: Some("file"), needed: &["file"], pairs: &[], parts }
}

static IDE: Schema = drive(&[VOLUME, DISK, LIMITS, SOLID, &[("model", Kind::Short(120))]]);
static SATA: Schema = drive(&[VOLUME, DISK, LIMITS, SOLID]);
static SCSI: Schema = drive(&[
    VOLUME,
    DISK,
    LIMITS,
    SOLID,
    THREAD,
    &[
        ("product", Kind::Short(16)),
        ("queues", Kind::Integer(2, i64::MAX)),
        ("scsiblock", Kind::Boolean),
        ("vendor", Kind::Short(8)),
    ],
]);
static VIRTIO: Schema = drive(&[VOLUME, DISK, LIMITS, THREAD]);
static EFI: Schema = drive(&[
    VOLUME,
    &[
        ("efitype", Kind::Choice(&["2m", "4m"])),
        ("ms-cert", Kind::Choice(&["2011", "2023"])),
        ("pre-enrolled-keys", Kind::Boolean),
    ],
]);
static TPM: Schema = drive(&[VOLUME, &[("version", Kind::Choice(&["v1.2", "v2.0"]))]]);
static NET: Schema = Schema {
    head: Some("model"),
    needed: &["model"],
    pairs: MODELS,
    parts: &[&[
        ("model", Kind::Choice(MODELS)),
        ("bridge", Kind::Text),
        ("firewall", Kind::Boolean),
        ("link_down", Kind::Boolean),
        ("macaddr", MAC),
        ("mtu", Kind::Integer(1, 65_520)),
        ("queues", Kind::Integer(0, 64)),
        ("rate", Kind::Float),
        ("tag", Kind::Integer(1, 4094)),
        ("trunks", Kind::Text),
    ]],
};
static IP: Schema = Schema {
    head: None,
    needed: &[],
    pairs: &[],
    parts: &[&[("ip", Kind::Text), ("gw", Kind::Text), ("ip6", Kind::Text), ("gw6", Kind::Text)]],
};
static AGENT: Schema = Schema {
    head: Some("enabled"),
    needed: &["enabled"],
    pairs: &[],
    parts: &[&[
        ("enabled", Kind::Boolean),
        ("freeze-fs-on-backup", Kind::Boolean),
        ("fstrim_cloned_disks", Kind::Boolean),
        ("type", Kind::Choice(&["virtio", "isa"])),
    ]],
};
static MEMORY: Schema = Schema {
    head: Some("current"),
    needed: &["current"],
    pairs: &[],
    parts: &[&[("current", Kind::Integer(16, i64::MAX))]],
};
static SMBIOS: Schema = Schema {
    head: None,
    needed: &[],
    pairs: &[],
    parts: &[&[
        ("uuid", Kind::Text),
        ("base64", Kind::Boolean),
        ("family", Kind::Text),
        ("manufacturer", Kind::Text),
        ("product", Kind::Text),
        ("serial", Kind::Text),
        ("sku", Kind::Text),
        ("version", Kind::Text),
    ]],
};
static BOOT: Schema = Schema {
    head: Some("legacy"),
    needed: &[],
    pairs: &[],
    parts: &[&[("legacy", Kind::Text), ("order", Kind::Text)]],
};

/// The schema of a configuration option; `None` where the lab takes any text.
pub fn of(option: &str) -> Option<&'static Schema> {
    let numbered: [(&str, u32, &Schema); 6] = [
        ("ide", 3, &IDE),
        ("sata", 5, &SATA),
        ("scsi", 30, &SCSI),
        ("virtio", 15, &VIRTIO),
        ("net", 31, &NET),
        ("ipconfig", 31, &IP),
    ];
    match option {
        "efidisk0" => Some(&EFI),
        "tpmstate0" => Some(&TPM),
        "agent" => Some(&AGENT),
        "memory" => Some(&MEMORY),
        "smbios1" => Some(&SMBIOS),
        "boot" => Some(&BOOT),
        _ => numbered.iter().find(|(stem, most, _)| is_numbered(option, stem, *most)).map(|(_, _, schema)| *schema),
    }
}

impl Schema {
    /// # Errors
    /// The error of Proxmox about `value` of the parameter `name`.
    pub fn check(&self, name: &str, value: &str) -> Result<(), String> {
        let mut errors: BTreeMap<&str, String> = BTreeMap::new();
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let invalid = |why: String| Err(format!("invalid format - {why}\n"));
        for part in value.split(',').filter(|p| !p.trim().is_empty()) {
            let (key, text) = match (part.split_once('='), self.head) {
                (Some((key, text)), _) if !key.is_empty() && !text.is_empty() => (key, text),
                (Some(_), _) => return invalid("missing key in comma-separated list property".into()),
                (None, Some(head)) => (head, part),
                (None, None) => {
                    return invalid("value without key, but schema does not define a default key".into());
                }
            };
            let (key, text) = match self.pairs.contains(&key) {
                true => {
                    seen.extend(self.head);
                    ("macaddr", text)
                }
                false => (key, text),
            };
            if !seen.insert(key) {
                return invalid(format!("duplicate key in comma-separated list property: {key}"));
            }
            match self.parts.iter().copied().flatten().find(|(known, _)| *known == key) {
                None => {
                    errors.insert(key, UNKNOWN.into());
                }
                Some((_, kind)) => {
                    // Inside of compound values, words are booleans too.
                    let text = match (kind, text) {
                        (Kind::Boolean, "on" | "yes" | "true") => "1",
                        (Kind::Boolean, "off" | "no" | "false") => "0",
                        _ => text,
                    };
                    if let Err(why) = kind.check(key, text) {
                        errors.insert(key, why);
                    }
                }
            }
        }
        for missing in self.needed.iter().filter(|key| !seen.contains(*key)) {
            errors.insert(missing, MISSING.into());
        }
        if errors.is_empty() {
            return Ok(());
        }
        let lines = errors.iter().map(|(key, why)| format!("{name}.{key}: {why}\n"));
        Err(format!("invalid format - format error\n{}", lines.collect::<String>()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_known_by_name_and_named_with_their_parameter() {
        let check = |option: &str, value: &str| of(option).unwrap().check(option, value);
        assert_eq!(check("scsi1", "local-lvm:8,discard=on,ssd=1,iothread=1"), Ok(()));
        assert_eq!(check("ide2", "local-lvm:cloudinit"), Ok(()));
        assert_eq!(check("net0", "virtio=BC:24:11:00:00:01,bridge=vmbr0,tag=5"), Ok(()));
        assert_eq!(check("memory", "8192"), Ok(()));
        assert_eq!(check("agent", "enabled=on"), Ok(()));
        assert_eq!(
            check("scsi1", "local-lvm:8,sdd=1").unwrap_err(),
            format!("invalid format - format error\nscsi1.sdd: {UNKNOWN}\n")
        );
        assert_eq!(
            check("scsi1", "local-lvm:8,ssd=2").unwrap_err(),
            "invalid format - format error\nscsi1.ssd: type check ('boolean') failed - got '2'\n"
        );
        assert_eq!(
            check("net0", "bridge=vmbr0").unwrap_err(),
            format!("invalid format - format error\nnet0.model: {MISSING}\n")
        );
        assert!(
            check("net0", "foo,bridge=vmbr0").unwrap_err().contains("net0.model: value 'foo' does not have a value")
        );
        assert_eq!(
            check("scsi1", "nonsense").unwrap_err(),
            "invalid format - format error\nscsi1.file: invalid format - unable to parse volume ID 'nonsense'\n\n"
        );
        assert!(check("virtio1", "local-lvm:8,ssd=1").is_err(), "only SCSI, SATA and IDE disks can be SSDs");
        assert_eq!(
            check("net0", "virtio=01:00:5E:00:00:01").unwrap_err(),
            "invalid format - format error\nnet0.macaddr: invalid format - value does not look like a valid unicast MAC \
             address\n\n"
        );
        assert!(of("name").is_none() && of("scsihw").is_none());
    }
}
