//! Storages: their volumes and the account of their space.
use super::lvm;
use super::property::{GIB, MIB};
use crate::scenario;
use cozyup_base::clock::{add, between};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// The longest wait of an allocation for the lock of its storage, in lab seconds (pve-storage).
pub const LOCK_WAIT_S: f64 = 10.0;
/// The time in which a volume is made or removed, in lab seconds; the storage's lock is held meanwhile.
const ALLOCATION: Duration = Duration::from_millis(300);
/// Size of a cloud-init drive.
const CLOUD_INIT: u64 = 4 * MIB;

/// The Proxmox node a local volume is on; empty on shared storages.
pub type Place = String;

#[derive(Debug, Clone)]
pub struct Volume {
    /// `images`, `iso`, `import`, `vztmpl`, `backup`
    pub content: String,
    pub format: String,
    /// The size that the volume's user sees, in bytes; for an import file the size of the file.
    pub size: u64,
    /// The room that it takes on the storage, in bytes.
    pub used: u64,
    /// Size of the disk inside an import file, in bytes.
    pub disk: u64,
    pub vmid: Option<u32>,
    /// The bytes came from an imported image, at first hand or through clones.
    pub imported: bool,
    /// The version of the kubelet on a disk with an Ubuntu that has kubeadm, first hand or through clones.
    pub kubelet: Option<String>,
    pub sha256: Option<String>,
    /// The content of a small CD-ROM.
    pub bytes: Option<Arc<Vec<u8>>>,
    pub created: Timestamp,
}

impl Volume {
    /// An empty disk.
    pub fn disk(vmid: u32, format: &str, size: u64, created: Timestamp) -> Self {
        Volume {
            content: "images".into(),
            format: format.into(),
            size,
            used: 0,
            disk: size,
            vmid: Some(vmid),
            imported: false,
            kubelet: None,
            sha256: None,
            bytes: None,
            created,
        }
    }

    pub fn cloud_init(vmid: u32, created: Timestamp) -> Self {
        Volume { used: CLOUD_INIT, ..Volume::disk(vmid, "raw", CLOUD_INIT, created) }
    }
}

#[derive(Debug)]
pub struct Storage {
    pub name: String,
    pub kind: String,
    pub content: Vec<String>,
    pub total: u64,
    /// Taken by what the scenario says was there before, in bytes.
    before: u64,
    pub shared: bool,
    /// The time that each question about its state takes.
    pub latency: Duration,
    pub sparse: bool,
    pub disabled: bool,
    /// So many copies go at full speed side by side.
    pub streams: f64,
    /// The nodes that may use it; all of them when there is none here.
    pub nodes: BTreeSet<String>,
    pub volumes: BTreeMap<(Place, String), Volume>,
    /// The VM for which the storage's lock was last taken, and until when.
    locked: BTreeMap<Place, (u32, Timestamp)>,
}

impl Storage {
    pub fn new(site: &scenario::Storage) -> Self {
        Storage {
            name: site.name.clone(),
            kind: site.kind.clone(),
            content: site.content.clone(),
            total: site.total_gib * GIB,
            before: site.used_gib * GIB,
            shared: site.shared,
            latency: Duration::from_secs_f64(site.latency_s.max(0.0)),
            sparse: site.sparse,
            streams: site.streams.max(0.01),
            disabled: false,
            nodes: site.nodes.iter().cloned().collect(),
            volumes: BTreeMap::new(),
            locked: BTreeMap::new(),
        }
    }

    pub fn place(&self, node: &str) -> Place {
        if self.shared { String::new() } else { node.to_string() }
    }

    pub fn holds(&self, content: &str) -> bool {
        self.content.iter().any(|c| c == content)
    }

    pub fn is_on(&self, node: &str) -> bool {
        self.nodes.is_empty() || self.nodes.contains(node)
    }

    pub fn file_based(&self) -> bool {
        matches!(self.kind.as_str(), "dir" | "nfs" | "cifs" | "cephfs" | "btrfs")
    }

    /// A clone can share the blocks of a template's disk (pve-storage, feature `clone`).
    pub fn clones_linked(&self) -> bool {
        self.kind != "lvm" && !self.kind.starts_with("iscsi")
    }

    pub fn used(&self, node: &str) -> u64 {
        let place = self.place(node);
        let taken = |v: &Volume| if self.is_thick() { v.used.max(v.size) } else { v.used };
        let volumes: u64 = self.volumes.iter().filter(|((p, _), _)| *p == place).map(|(_, v)| taken(v)).sum();
        self.before + volumes
    }

    /// Others write so many bytes more, below 0 remove them.
    pub fn others_write(&mut self, bytes: i64) {
        self.before = self.before.saturating_add_signed(bytes);
    }

    /// A ZFS volume reserves its whole size unless the storage is sparse.
    fn is_thick(&self) -> bool {
        self.kind == "zfspool" && !self.sparse
    }

    pub fn is_lvm(&self) -> bool {
        self.kind.starts_with("lvm")
    }

    /// The size that a volume of `bytes` gets: LVM has whole extents, and Proxmox makes ZFS volumes of whole MiB
    /// (`zfs_create_zvol`).
    pub fn whole(&self, bytes: u64) -> u64 {
        match self.kind.as_str() {
            "lvm" | "lvmthin" => lvm::whole(bytes),
            "zfspool" => bytes.div_ceil(MIB) * MIB,
            _ => bytes,
        }
    }

    /// Takes the storage's lock for one small volume of this VM; what a task says that finds it taken. The wait itself, of
    /// moments, is not simulated.
    pub fn lock(&mut self, node: &str, vmid: u32, now: Timestamp) -> Vec<String> {
        let taken = self.is_locked_for(node, vmid, now) > ALLOCATION;
        if !taken {
            self.hold(node, vmid, add(now, ALLOCATION));
        }
        match (taken, self.shared) {
            (false, _) => Vec::new(),
            (true, false) => vec![self.lock_attempt(), " OK".into()],
            (true, true) => vec![self.lock_attempt()],
        }
    }

    /// The time for which another VM's allocation still holds the storage's lock.
    pub fn is_locked_for(&self, node: &str, vmid: u32, now: Timestamp) -> Duration {
        match self.locked.get(&self.place(node)) {
            Some((holder, until)) if *holder != vmid && *until > now => between(now, *until),
            Some(_) | None => Duration::ZERO,
        }
    }

    /// Holds the lock for this VM until then.
    pub fn hold(&mut self, node: &str, vmid: u32, until: Timestamp) {
        let place = self.place(node);
        self.locked.insert(place, (vmid, until));
    }

    pub fn available(&self, node: &str) -> u64 {
        self.total.saturating_sub(self.used(node))
    }

    pub fn volid(&self, name: &str) -> String {
        format!("{}:{name}", self.name)
    }

    pub fn volume(&self, node: &str, name: &str) -> Option<&Volume> {
        self.volumes.get(&(self.place(node), name.to_string()))
    }

    pub fn volume_mut(&mut self, node: &str, name: &str) -> Option<&mut Volume> {
        self.volumes.get_mut(&(self.place(node), name.to_string()))
    }

    pub fn insert(&mut self, node: &str, name: &str, volume: Volume) {
        self.volumes.insert((self.place(node), name.to_string()), volume);
    }

    pub fn remove(&mut self, node: &str, name: &str) -> Option<Volume> {
        self.volumes.remove(&(self.place(node), name.to_string()))
    }

    /// The name of the next free disk of this VM, as the storage's kind writes it.
    pub fn next_disk(&self, node: &str, vmid: u32, format: &str) -> String {
        let place = self.place(node);
        (0_u32..)
            .map(|n| (format!("-{vmid}-disk-{n}"), n))
            .find(|(tail, _)| {
                let own = |name: &str| name.rsplit('/').next().unwrap_or(name).to_string();
                !self.volumes.keys().any(|(p, name)| {
                    *p == place && {
                        let name = own(name);
                        let stem = name.split('.').next().unwrap_or_default();
                        stem.strip_prefix("vm").or_else(|| stem.strip_prefix("base")) == Some(tail.as_str())
                    }
                })
            })
            .map(|(tail, _)| self.image_name(vmid, &format!("vm{tail}"), format))
            .unwrap_or_default()
    }

    pub fn cloud_init_name(&self, vmid: u32) -> String {
        self.image_name(vmid, &format!("vm-{vmid}-cloudinit"), "qcow2")
    }

    fn image_name(&self, vmid: u32, stem: &str, format: &str) -> String {
        if self.file_based() { format!("{vmid}/{stem}.{format}") } else { stem.to_string() }
    }

    /// The name a disk gets when its VM becomes a template.
    pub fn base_name(&self, name: &str) -> String {
        if self.kind == "lvm" {
            return name.to_string();
        }
        match name.rsplit_once('/') {
            Some((folder, file)) => format!("{folder}/{}", file.replacen("vm-", "base-", 1)),
            None => name.replacen("vm-", "base-", 1),
        }
    }

    /// The name of a linked clone: lvmthin keeps no reference to its base, the others do.
    pub fn linked_name(&self, base: &str, clone: &str) -> String {
        if self.kind == "lvmthin" { clone.to_string() } else { format!("{base}/{clone}") }
    }

    /// # Errors
    /// The error of the storage's plugin about a name that none of its volumes can have (`parse_volname`).
    pub fn check_name(&self, name: &str) -> Result<(), String> {
        let is_disk = |name: &str| {
            let rest = ["vm-", "base-", "subvol-"].iter().find_map(|stem| name.strip_prefix(stem));
            rest.and_then(|rest| rest.split_once('-')).is_some_and(|(id, own)| is_number(id) && !own.is_empty())
        };
        let ends = |endings: &[&str]| endings.iter().any(|e| name.to_ascii_lowercase().ends_with(e));
        let (kind, fine) = if self.file_based() {
            let fine = match name.split_once('/').map(|(folder, _)| folder) {
                Some("iso") => ends(&[".iso", ".img"]),
                Some("import") => ends(&[".ova", ".ovf", ".qcow2", ".raw", ".vmdk"]),
                Some("vztmpl" | "backup" | "snippets") => true,
                Some(folder) => is_number(folder),
                None => false,
            };
            ("directory", fine)
        } else {
            match self.kind.as_str() {
                "zfspool" => ("zfs", name.split('/').all(is_disk)),
                "rbd" => ("rbd", name.split('/').all(is_disk)),
                _ => ("lvm", is_disk(name)),
            }
        };
        fine.then_some(()).ok_or_else(|| format!("unable to parse {kind} volume name '{name}'"))
    }

    /// The path at which the node has a file of this storage.
    pub fn path(&self, content: &str, file: &str) -> String {
        let root = if self.name == "local" { "/var/lib/vz".to_string() } else { format!("/mnt/pve/{}", self.name) };
        let folder = match content {
            "iso" => "template/iso",
            "vztmpl" => "template/cache",
            "import" => "import",
            "backup" => "dump",
            _ => "images",
        };
        format!("{root}/{folder}/{file}")
    }

    /// The error of an allocation that finds no room.
    pub fn no_room(&self, name: &str) -> String {
        match self.kind.as_str() {
            "lvmthin" => format!(
                "lvcreate 'pve/{name}' error:   Cannot create new thin volume, free space in thin pool pve/data reached threshold."
            ),
            "zfspool" => format!("zfs error: cannot create 'rpool/data/{name}': out of space"),
            "lvm" => format!("lvcreate 'pve/{name}' error:   Volume group \"pve\" has insufficient free space"),
            _ => format!("unable to create image: qemu-img: {}: No space left on device", self.path("images", name)),
        }
    }

    /// The error of a clone that got the storage's lock too late.
    pub fn lock_timeout(&self) -> String {
        if self.shared {
            format!("cfs-lock 'storage-{}' error: got lock request timeout", self.name)
        } else {
            format!("can't lock file '/var/lock/pve-manager/pve-storage-{}' - got timeout", self.name)
        }
    }

    pub fn lock_attempt(&self) -> String {
        if self.shared {
            format!("trying to acquire cfs lock 'storage-{}' ...", self.name)
        } else {
            "trying to acquire lock...".into()
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storage(kind: &str) -> Storage {
        Storage::new(&scenario::Storage {
            name: "data".into(),
            kind: kind.into(),
            content: vec!["images".into()],
            total_gib: 100,
            used_gib: 10,
            shared: false,
            latency_s: 0.0,
            sparse: false,
            streams: 1.0,
            nodes: vec![],
        })
    }

    #[test]
    fn disks_are_numbered_past_the_bases_that_templates_left() {
        let mut thin = storage("lvmthin");
        assert_eq!(thin.next_disk("pve", 9100, "raw"), "vm-9100-disk-0");
        thin.insert("pve", "base-9100-disk-0", Volume::disk(9100, "raw", GIB, Timestamp::UNIX_EPOCH));
        assert_eq!(thin.next_disk("pve", 9100, "raw"), "vm-9100-disk-1");
        assert_eq!(thin.next_disk("other", 9100, "raw"), "vm-9100-disk-0", "local to its node");
        assert_eq!(storage("dir").next_disk("pve", 7, "qcow2"), "7/vm-7-disk-0.qcow2");
    }

    #[test]
    fn a_template_renames_its_disks_except_on_thick_lvm() {
        assert_eq!(storage("lvmthin").base_name("vm-9-disk-0"), "base-9-disk-0");
        assert_eq!(storage("dir").base_name("9/vm-9-disk-0.raw"), "9/base-9-disk-0.raw");
        assert_eq!(storage("lvm").base_name("vm-9-disk-0"), "vm-9-disk-0");
    }

    /// reports.md B19.
    #[test]
    fn a_zfs_volume_takes_its_whole_size_unless_the_storage_is_sparse() {
        for (sparse, left) in [(false, 40), (true, 90)] {
            let mut zfs = Storage { sparse, ..storage("zfspool") };
            zfs.insert("pve", "vm-1-disk-0", Volume::disk(1, "raw", 50 * GIB, Timestamp::UNIX_EPOCH));
            assert_eq!(zfs.available("pve"), left * GIB);
        }
    }

    #[test]
    fn only_what_is_written_takes_space() {
        let mut thin = storage("lvmthin");
        thin.insert("pve", "vm-1-disk-0", Volume::disk(1, "raw", 50 * GIB, Timestamp::UNIX_EPOCH));
        assert_eq!(thin.available("pve"), 90 * GIB);
        if let Some(volume) = thin.volume_mut("pve", "vm-1-disk-0") {
            volume.used = GIB;
        }
        assert_eq!(thin.available("pve"), 89 * GIB);
    }
}
