//! The words of Proxmox VE and of the programs that it runs, with what they mean.
//!
//! Sources: the `die` and `raise` of pve-storage, qemu-server, pve-guest-common, pve-common, pve-cluster, pve-access-control
//! and pve-http-server (8.3 to 9.2), and the messages of lvm2, zfs, rbd, qemu-img, mount and systemd that they hand on.
use super::cause::Cause;

type Phrases = (Cause, &'static [&'static str]);

/// The first phrase that a text has tells, so what is special stands before what is general. `*` stands for anything.
const PHRASES: [&[Phrases]; 5] = [&TASKS, &CLUSTER, &STORAGES, &GUESTS, &GENERAL];

/// Ends of tasks whose worker left no word of its own, and workers that never began.
const TASKS: [Phrases; 1] = [(
    Cause::WorkerGone,
    &[
        "unexpected status",
        "unable to read tail",
        "unable to get last line from task log",
        "unable to open file - ",
        "interrupted by signal",
        "interrupted by unexpected signal",
        "received interrupt",
        "QEMU exited with code -1",
        "start worker failed",
        "starting worker failed",
        "parent setup error",
    ],
)];

const CLUSTER: [Phrases; 11] = [
    (Cause::NoSuchPool, &["Permission check failed (pool '*' does not exist"]),
    (
        Cause::RootOnly,
        &[
            "Permission check failed (user != root@pam",
            "only root can set '",
            "only root can modify '",
            "Only root may use this option",
            "Only root can pass",
        ],
    ),
    (Cause::Forbidden, &["Permission check failed", "missing privileges to access "]),
    (
        Cause::NotOffered,
        &["Method '* not implemented", "property is not defined in schema", "does not have a value in the enumeration"],
    ),
    // Without a quorum pmxcfs lets nobody write, and says it as a file system does.
    (Cause::NoQuorum, &["no quorum", "/etc/pve/* - Permission denied"]),
    (
        Cause::ClusterFilesystem,
        &[
            "pmxcfs",
            "ipcc_send_rec",
            "pve cluster filesystem not online",
            "Unable to load access control list",
            "RPCEnvironment init request failed",
            "/etc/pve/* - Input/output error",
            "/etc/pve/* - Device or resource busy",
            "/etc/pve/* - Transport endpoint is not connected",
            "/etc/pve/* - No space left on device",
        ],
    ),
    // Where pveproxy puts an upload before anybody looks at it: /var/tmp of the node that was asked.
    (
        Cause::NodeDiskFull,
        &[
            "temporary upload file '*No space left on device",
            "write to temporary file failed - No space left on device",
            "/var/tmp/pveupload-*: No space left on device",
            "/var/log/pve/tasks/*No space left on device",
        ],
    ),
    (Cause::TooOld, &["is too old to run machine type", "Detected old QEMU binary"]),
    (
        Cause::Lock,
        &[
            "VM is locked",
            "CT is locked",
            "can't lock file '*' - got timeout",
            "can't acquire lock '",
            "got lock request timeout",
            "unable to acquire lock",
            "guest migration lock",
        ],
    ),
    (
        Cause::NoSuchNode,
        &[
            "hostname lookup '",
            "address lookup for '",
            "no such cluster node",
            "unable to get remote IP address for node",
        ],
    ),
    (
        Cause::NodeSsh,
        &[
            "Host key verification failed",
            "HOST IDENTIFICATION HAS CHANGED",
            "Permission denied (publickey",
            "command '/usr/bin/ssh *' failed: exit code 255",
        ],
    ),
];

const STORAGES: [Phrases; 14] = [
    (
        Cause::StorageFull,
        &[
            "No space left on device",
            "out of space",
            "size is greater than available space",
            "not enough free space",
            "nsufficient free space",
            "nsufficient free extents",
            "nsufficient suitable",
            "exceeds the size of thin pool",
            "free space in thin pool * reached threshold",
            "ree space in pool",
            "isk quota exceeded",
            "No space in pool",
            "pool(s) full",
        ],
    ),
    (
        Cause::StorageReadOnly,
        &["Read-only file system", ": Permission denied", "mkdir *Permission denied", "failed - Permission denied"],
    ),
    (Cause::StorageBroken, &["Input/output error", "pool I/O is currently suspended", "Structure needs cleaning"]),
    (Cause::NotShared, &["non-shared storage", "uses local storage"]),
    (
        Cause::StorageSlow,
        &[
            "command '*/vgs*' failed: got timeout",
            "command '*/pvs*' failed: got timeout",
            "command '*/lv*' failed: got timeout",
            "command '*mount*' failed: got timeout",
            "command 'z*' failed: got timeout",
            "command '*rbd*' failed: got timeout",
            "zfs error: *got timeout",
            "rbd error: *got timeout",
            "'-locked command timed out",
            "no zvol device link for",
        ],
    ),
    (
        Cause::StorageOffline,
        &[
            "is not online",
            "activate storage",
            "connection check for storage",
            "storage '*' is disabled",
            "is not available on node",
            "no such volume group",
            "olume group \"*\" not found",
            "no such logical volume",
            "no such pool",
            "does not exist or is unreachable",
            "mount error",
            "mount.nfs: ",
            "Stale file handle",
            "NT_STATUS_",
            "error connecting to the cluster",
            "couldn't connect to the cluster",
            "rados_connect failed",
            "Transport endpoint is not connected",
            "is not a btrfs file system",
            "statfs on '",
            "unable to resolve address for server '",
            "unable to parse/resolve portal address",
        ],
    ),
    (Cause::NoSuchStorage, &["No such storage", "storage '*' does not exist"]),
    (Cause::NoSuchPool, &["pool '*' does not exist"]),
    (
        Cause::StorageContent,
        &[
            "ontent type '*' is not available",
            "content-type '",
            "does not support vm images",
            "does not support content type",
            "storage '*' does not support '",
            "can't upload to storage type",
            "not a file based storage",
            "upload content type '*' not allowed",
            "content type needs to be",
            "lone feature is not supported",
            "does not support template/clone",
            "can't create base images in",
            "can't clone images in",
            "can't allocate space in",
            "unsupported format '",
        ],
    ),
    (
        Cause::VolumeName,
        &[
            "unable to parse * volume name",
            "unable to parse volume ID",
            "unable to parse volume filename",
            "illegal name '",
        ],
    ),
    (
        Cause::BadImage,
        &[
            "failed to query file information with qemu-img",
            "mage is not in * format",
            "not a QEMU image format",
            "unknown import format",
            "unable to parse format for import volume",
            "backing file not allowed",
            "'data-file' references are not allowed",
            "multiple children or extents are not allowed",
            "ova archive has no",
        ],
    ),
    (
        Cause::InUse,
        &[
            "still in use by linked clone",
            "is still in use by",
            "olume has children",
            "ilesystem has children",
            "has dependent clones",
        ],
    ),
    (
        Cause::VolumeOpen,
        &[
            "ogical volume * in use",
            "contains a filesystem in use",
            "dataset is busy",
            "still has watchers",
            "volume is still in use",
            "evice or resource busy",
            "Failed to get \"write\" lock",
        ],
    ),
    (
        Cause::VolumeExists,
        &[
            "disk image '*' already exists",
            "ogical volume \"*\" already exists",
            "ogical Volume \"*\" already exists",
            "volume * already exists",
            "dataset already exists",
            "rbd * error: *File exists",
        ],
    ),
];

const GUESTS: [Phrases; 12] = [
    (
        Cause::NoVirtualisation,
        &["KVM virtualisation configured, but not available", "Could not access KVM kernel module"],
    ),
    (
        Cause::NoVlan,
        &[
            "no physical interface on bridge '",
            "vlan aware feature need to be enabled",
            "unable to add vlan ",
            "can't add vlan tag",
            "already exist in bridge",
        ],
    ),
    (
        Cause::NoBridge,
        &[
            "bridge '*' does not exist",
            "bridge '*' is not active",
            "vnet '",
            "can't find bridge",
            "neither a linux nor an OVS bridge",
        ],
    ),
    (
        Cause::NoNetwork,
        &[
            "can't enslave '",
            "can't add ovs port '",
            "failed to query OVS",
            "default vlan tags ",
            "unable to enable port isolation",
            "failed to create interface '",
            "can't create interface ",
            "can't activate interface '",
            "interface activation failed",
            "is bigger than the bridge MTU",
            "is smaller than the IP minimum MTU",
        ],
    ),
    (Cause::TooManyCpus, &["vcpus allowed per VM"]),
    (
        Cause::NoMemory,
        &[
            "Cannot allocate memory",
            "cannot set up guest memory",
            "can't allocate memory",
            "hugepage allocation failed",
        ],
    ),
    (Cause::Protected, &["protection mode enabled", "remove protected", "is protected"]),
    (Cause::HaManaged, &["used in HA resources", "managed by HA", "HA resource"]),
    (
        Cause::ChangedMeanwhile,
        &[
            "checksum mismatch (file change",
            "detected modified configuration",
            "no lock found trying to remove '",
            "found lock '*' trying to remove '",
            "encountered invalid lock",
            "lock changed unexpectedly",
            "unexpected state change",
            "changed state unexpectedly",
        ],
    ),
    (Cause::Corrupted, &["checksum mismatch: got"]),
    (Cause::Systemd, &["org.freedesktop.", "systemd job failed", "timeout waiting on systemd"]),
    (Cause::QemuEnded, &["QEMU exited with code", "network script "]),
];

const GENERAL: [Phrases; 5] = [
    (Cause::Exists, &["already exists", "File exists", "refusing to override existing file"]),
    (Cause::Running, &["is running", "already running"]),
    (
        Cause::NotThere,
        &[
            "does not exist",
            "unable to find configuration file",
            "no such user",
            "no such token",
            "no such role",
            "failed to stat '",
            "could not get size of ",
            "could not get file size of ",
            "can't find file '",
            "Failed to find logical volume",
        ],
    ),
    (Cause::TimedOut, &["got timeout", "timeout:", "timed out", "VM quit/powerdown failed"]),
    (Cause::ProgramFailed, &["command '*' failed: ", "failed: exit code ", "failed: got signal"]),
];

/// The meaning of `text`, which stands in an answer, at the end of a task, or in a task's log.
pub(super) fn meaning(text: &str) -> Cause {
    let all = PHRASES.iter().flat_map(|group| group.iter());
    let known = all.clone().find(|(_, phrases)| phrases.iter().any(|phrase| has(text, phrase)));
    known.map_or(Cause::Unknown, |(cause, _)| *cause)
}

/// True when the pieces of `phrase` between its `*` stand in `text`, in this order.
fn has(text: &str, phrase: &str) -> bool {
    let mut rest = text;
    phrase.split('*').all(|piece| match rest.split_once(piece) {
        Some((_, behind)) => {
            rest = behind;
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_of_a_phrase_stand_in_their_order() {
        assert!(has("bridge 'vmbr9' does not exist", "bridge '*' does not exist"));
        assert!(!has("does not exist: bridge 'vmbr9'", "bridge '*' does not exist"));
        assert!(has("x", "") && has("abab", "ab*ab") && !has("ab", "ab*ab"));
    }

    /// A phrase behind one that is in it would never tell anything.
    #[test]
    fn no_phrase_is_hidden_by_one_before_it() {
        let all: Vec<(Cause, &str)> = PHRASES
            .iter()
            .flat_map(|g| g.iter())
            .flat_map(|(cause, phrases)| phrases.iter().map(|p| (*cause, *p)))
            .collect();
        for (cause, phrase) in &all {
            let text = phrase.replace('*', "x");
            assert_eq!(meaning(&text), *cause, "{phrase}");
        }
    }
}
