//! What Proxmox VE's words mean: one list for refused calls and for the ends of tasks.
//!
//! Proxmox VE has no codes for its errors: HTTP 500 and a text is all that most of them are. The texts are those of
//! qemu-server, pve-storage, pve-access-control, pve-guest-common and pve-common (8.3 to 9.2), and of the programs that
//! they run (qemu-img, lvcreate, zfs, cp).

/// Why Proxmox VE refused a call, or why a task failed, told apart by what one does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The id, name or file is taken.
    Exists,
    /// Held by flock, by cfs-lock, or by `lock:` in a guest's configuration.
    Lock,
    NoQuorum,
    /// The thing that was asked for is not there.
    NotThere,
    /// The Proxmox node of the request is no member of the cluster.
    NoSuchNode,
    /// A storage has no room left, or its thin pool has none.
    StorageFull,
    /// A storage can't be activated, is disabled, or is not available on this node.
    StorageOffline,
    /// A program that asks a storage gave no answer in time.
    StorageSlow,
    /// A storage does not take this kind of content, or can't hold such a volume.
    StorageContent,
    /// A clone or move to another node wants a storage that both nodes share.
    NotShared,
    /// The bridge or vnet of a network card is not on this node.
    NoBridge,
    /// The node offers no hardware virtualisation.
    NoVirtualisation,
    /// More processors than the node has.
    TooManyCpus,
    /// The node can't give a guest its memory.
    NoMemory,
    /// Linked clones still need the base volume.
    InUse,
    /// The guest or volume is protected against removal.
    Protected,
    /// The guest is a resource of the HA manager.
    HaManaged,
    /// It runs, and must not.
    Running,
    /// The configuration has changed since it was read.
    ChangedMeanwhile,
    /// A file did not arrive as it was sent.
    Corrupted,
    /// QEMU ended at its start; why stands in the task's log alone.
    QemuEnded,
    /// The worker of a task was killed, or its daemon or node restarted.
    WorkerGone,
    /// Something within the node took too long.
    TimedOut,
    /// Words of whatever else.
    Unknown,
}

/// What is wrong with a token, by the reason of a 401 (pve-access-control, `PVE/AccessControl.pm`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFault {
    NoSuchUser,
    NoSuchToken,
    /// The token's own end, or that of its user.
    Expired,
    Disabled,
    WrongSecret,
    Unknown,
}

impl TokenFault {
    pub fn of(text: &str) -> TokenFault {
        let faults = [
            ("no such token", TokenFault::NoSuchToken),
            ("no such user", TokenFault::NoSuchUser),
            ("access expired", TokenFault::Expired),
            ("is disabled", TokenFault::Disabled),
            ("invalid token value", TokenFault::WrongSecret),
        ];
        faults.iter().find(|(words, _)| text.contains(words)).map_or(TokenFault::Unknown, |(_, fault)| *fault)
    }
}

/// Order matters: the first group with a match tells.
const WORDS: [(Cause, &[&str]); 21] = [
    (
        Cause::Lock,
        &[
            "VM is locked",
            "CT is locked",
            "can't lock file",
            "cfs-lock",
            "got lock request timeout",
            "unable to acquire lock",
        ],
    ),
    (
        Cause::StorageFull,
        &[
            "No space left on device",
            "out of space",
            "not enough free space",
            "insufficient free space",
            "Insufficient free space",
            "insufficient free extents",
            "Insufficient suitable",
            "exceeds the size of thin pool",
            "Free space in pool",
            "Disk quota exceeded",
            "No space in pool",
        ],
    ),
    (Cause::NotShared, &["non-shared storage", "VM uses local storage", "uses local storage"]),
    (Cause::NoQuorum, &["no quorum"]),
    (Cause::NoSuchNode, &["hostname lookup '", "no such cluster node"]),
    (
        Cause::StorageOffline,
        &[
            "is not online",
            "activate storage",
            "connection check for storage",
            "' is disabled",
            "is not available on node",
            "no such volume group",
            "does not exist or is unreachable",
            "mount error",
            "error connecting to the cluster",
        ],
    ),
    (
        Cause::StorageContent,
        &[
            "content type 'images' is not available",
            "content-type '",
            "does not support vm images",
            "does not support content type",
            "Content type 'images' is not available",
            "is not available on storage",
            "can't upload to storage type",
            "not a file based storage",
            "' content",
        ],
    ),
    (
        Cause::NoVirtualisation,
        &["KVM virtualisation configured, but not available", "Could not access KVM kernel module"],
    ),
    (Cause::NoBridge, &["bridge '", "network script ", "vnet '", "can't find bridge"]),
    (Cause::TooManyCpus, &["vcpus allowed per VM"]),
    (Cause::NoMemory, &["Cannot allocate memory", "cannot set up guest memory", "can't allocate memory"]),
    (Cause::InUse, &["still in use by linked clone", "is still in use by"]),
    (Cause::Protected, &["protection mode enabled", "remove protected", "is protected"]),
    (Cause::HaManaged, &["used in HA resources", "managed by HA", "HA resource"]),
    (Cause::ChangedMeanwhile, &["checksum mismatch (file change"]),
    (Cause::Corrupted, &["checksum mismatch: got"]),
    (Cause::Exists, &["already exists"]),
    (Cause::Running, &["is running", "already running"]),
    (Cause::QemuEnded, &["QEMU exited with code"]),
    (Cause::StorageSlow, &["' failed: got timeout", "zfs error: got timeout", "rbd error: got timeout"]),
    (
        Cause::NotThere,
        &["does not exist", "unable to find configuration file", "no such user", "no such token", "no such role"],
    ),
];

/// Ends of tasks whose worker left no word of its own.
const GONE: [&str; 6] = [
    "unexpected status",
    "unable to read tail",
    "unable to open file",
    "interrupted by signal",
    "received interrupt",
    "QEMU exited with code -1",
];

impl Cause {
    /// What `text` means, which stands in an answer, at the end of a task, or in a task's log.
    pub fn of(text: &str) -> Cause {
        if GONE.iter().any(|gone| text.contains(gone)) {
            return Cause::WorkerGone;
        }
        let known = WORDS.iter().find(|(_, words)| words.iter().any(|word| text.contains(word)));
        match known {
            Some((cause, _)) => *cause,
            None if text.contains("got timeout") || text.contains("timeout:") => Cause::TimedOut,
            None => Cause::Unknown,
        }
    }

    /// Whether the same may well succeed later without anybody doing anything.
    pub fn is_passing(self) -> bool {
        match self {
            Cause::Lock
            | Cause::NoQuorum
            | Cause::StorageSlow
            | Cause::Running
            | Cause::ChangedMeanwhile
            | Cause::Corrupted
            | Cause::WorkerGone
            | Cause::TimedOut => true,
            Cause::Exists
            | Cause::NotThere
            | Cause::NoSuchNode
            | Cause::StorageFull
            | Cause::StorageOffline
            | Cause::StorageContent
            | Cause::NotShared
            | Cause::NoBridge
            | Cause::NoVirtualisation
            | Cause::TooManyCpus
            | Cause::NoMemory
            | Cause::InUse
            | Cause::Protected
            | Cause::HaManaged
            | Cause::QemuEnded
            | Cause::Unknown => false,
        }
    }
}

/// Whether the answer to a question says that something went away while it was being looked at: a list of volumes is made
/// by asking each of them, and a neighbour's may be deleted in between.
pub(super) fn vanished_meanwhile(text: &str) -> bool {
    (text.contains("Could not open") && text.contains("No such file or directory"))
        || ["Failed to find logical volume", "dataset does not exist", "Failed to get shared", "error opening image"]
            .iter()
            .any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts as the sources have them. proxmox.md part 1 2.2 to 2.9, reports.md B01, B19, and their brothers.
    #[test]
    fn each_of_proxmoxs_own_texts_has_its_cause() {
        for (text, cause) in [
            ("can't lock file '/var/lock/qemu-server/lock-101.conf' - got timeout", Cause::Lock),
            ("clone failed: cfs-lock 'storage-ceph' error: got lock request timeout", Cause::Lock),
            ("VM is locked (backup)", Cause::Lock),
            ("zfs error: cannot create 'rpool/data/vm-1001-disk-1': out of space", Cause::StorageFull),
            (
                "lvcreate 'pve/vm-1-disk-0' error: Insufficient free space: 12800 extents needed, but only 4 available",
                Cause::StorageFull,
            ),
            ("lvcreate 'pve/vm-1-disk-0' error:   Free space in pool pve/data reached 100.00%", Cause::StorageFull),
            ("not enough free space (1024 < 2048)", Cause::StorageFull),
            ("cp: error writing '/var/lib/vz/import/x.raw': No space left on device", Cause::StorageFull),
            ("Can't clone to non-shared storage 'local-lvm'", Cause::NotShared),
            ("can't clone VM to node 'pve2' (VM uses local storage)", Cause::NotShared),
            ("cluster not ready - no quorum?", Cause::NoQuorum),
            (
                "hostname lookup 'x' failed - failed to get address info for: x: Name or service not known",
                Cause::NoSuchNode,
            ),
            ("no such cluster node 'pve9'", Cause::NoSuchNode),
            ("storage 'nas' is not online", Cause::StorageOffline),
            ("could not activate storage 'nas', timeout", Cause::StorageOffline),
            (
                "unable to activate storage 'nas' - directory '/mnt/pve/nas' does not exist or is unreachable",
                Cause::StorageOffline,
            ),
            ("no such volume group 'pve2'", Cause::StorageOffline),
            ("storage 'nas' is disabled", Cause::StorageOffline),
            ("storage 'nas' is not available on node 'pve2'", Cause::StorageOffline),
            ("storage 'local' does not support 'import' content", Cause::StorageContent),
            ("storage 'local' is not configured for content-type 'import'", Cause::StorageContent),
            ("can't upload to storage type 'rbd', not a file based storage!", Cause::StorageContent),
            ("bridge 'vmbr9' does not exist", Cause::NoBridge),
            (
                "KVM virtualisation configured, but not available. Either disable in VM configuration or enable in BIOS.",
                Cause::NoVirtualisation,
            ),
            ("MAX 8 vcpus allowed per VM on this node", Cause::TooManyCpus),
            ("kvm: cannot set up guest memory 'pc.ram': Cannot allocate memory", Cause::NoMemory),
            ("base volume 'local-lvm:base-9100-disk-0' is still in use by linked cloned", Cause::InUse),
            ("base volume 'base-9100-disk-0' is still in use by linked clones", Cause::InUse),
            ("can't remove VM 101 - protection mode enabled", Cause::Protected),
            ("unable to remove VM 101 - used in HA resources and purge parameter not set.", Cause::HaManaged),
            ("VM 101 is running - destroy failed", Cause::Running),
            ("VM 101 already running", Cause::Running),
            ("checksum mismatch (file change by other user?)", Cause::ChangedMeanwhile),
            ("checksum mismatch: got 'aa' != expect 'bb'", Cause::Corrupted),
            ("unable to create VM 101: config file already exists", Cause::Exists),
            ("start failed: QEMU exited with code 1", Cause::QemuEnded),
            ("start failed: QEMU exited with code -1", Cause::WorkerGone),
            ("unexpected status", Cause::WorkerGone),
            ("unable to read tail (got 0 bytes)", Cause::WorkerGone),
            ("unable to open file - No such file or directory", Cause::WorkerGone),
            ("command '/sbin/vgs --separator :' failed: got timeout", Cause::StorageSlow),
            ("VM quit/powerdown failed - got timeout", Cause::TimedOut),
            ("timeout: no zvol device link for 'vm-1-disk-0' found after 300 sec.", Cause::TimedOut),
            ("Configuration file 'nodes/pve/qemu-server/9.conf' does not exist", Cause::NotThere),
            ("storage 'x' does not exist", Cause::NotThere),
            ("ACL update failed: role 'X' does not exist", Cause::NotThere),
            ("only root can set 'args' config", Cause::Unknown),
        ] {
            assert_eq!(Cause::of(text), cause, "{text}");
        }
    }

    /// proxmox.md 2.5
    #[test]
    fn a_volume_that_is_deleted_while_a_list_is_made_is_nothing_for_a_person() {
        let gone = "qemu-img: Could not open '/var/lib/vmd/images/1001/vm-1001-disk-0.raw': Could not open \
                    '/var/lib/vmd/images/1001/vm-1001-disk-0.raw': No such file or directory";
        assert!(vanished_meanwhile(gone));
        assert!(vanished_meanwhile("cannot open 'rpool/data/vm-1-disk-0': dataset does not exist"));
        assert!(!vanished_meanwhile("storage 'x' does not exist"));
    }
}
