//! The causes for which Proxmox VE refuses a call, and for which its tasks fail.
//!
//! Proxmox VE has no codes for its errors: HTTP 500 and a text is all that most of them are. What its texts mean stands in
//! `words.rs`, one list for refused calls and for the ends of tasks.
use super::words;

/// The cause of a refused call or of a failed task. Two causes are two values where a person does something else next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The id, name or file is taken.
    Exists,
    /// Held by flock, by cfs-lock, or by `lock:` in a guest's configuration.
    Lock,
    /// The cluster has no quorum: nothing in its configuration can be changed.
    NoQuorum,
    /// The cluster's file system (pmxcfs) does not answer on the node: no configuration can be read or written there.
    ClusterFilesystem,
    /// The caller lacks a right.
    Forbidden,
    /// Proxmox VE lets only `root@pam` do it; no role gives that.
    RootOnly,
    /// This version of Proxmox VE has no such call or parameter.
    NotOffered,
    /// There is no resource pool of this name.
    NoSuchPool,
    /// The thing that was asked for is not there.
    NotThere,
    /// The Proxmox node of the request is no member of the cluster.
    NoSuchNode,
    /// A node can't log in to another one, as it has to in order to hand a file on.
    NodeSsh,
    /// No storage of this name is configured.
    NoSuchStorage,
    /// A storage has no room left, or its thin pool has none.
    StorageFull,
    /// The node's own disk is full: where it puts uploads at first, and the logs of its tasks.
    NodeDiskFull,
    /// A storage can't be activated, is disabled, or is not available on this node.
    StorageOffline,
    /// A program that asks a storage gave no answer in time.
    StorageSlow,
    /// A storage can't be written: mounted or exported read-only, or not for this node.
    StorageReadOnly,
    /// The hardware under a storage reports errors.
    StorageBroken,
    /// A storage does not take this kind of content, or can't hold such a volume.
    StorageContent,
    /// The storage's kind has no volumes with such a name.
    VolumeName,
    /// There is a volume of this name on the storage.
    VolumeExists,
    /// Something still has the volume open.
    VolumeOpen,
    /// A disk image that is none, or not of the format that its name says.
    BadImage,
    /// A clone or move to another node wants a storage that both nodes share.
    NotShared,
    /// The bridge or vnet of a network card is not on this node.
    NoBridge,
    /// The bridge can't carry the VLAN.
    NoVlan,
    /// The node could not plug a network card into its bridge.
    NoNetwork,
    /// The node offers no hardware virtualisation.
    NoVirtualisation,
    /// The node's programs are older than the machine that they are to run.
    TooOld,
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
    /// systemd on the node did not take the guest's scope.
    Systemd,
    /// A program that the node ran has failed; why stands in the task's log alone.
    ProgramFailed,
    /// Something within the node took too long.
    TimedOut,
    /// Words of whatever else.
    Unknown,
}

/// The fault of a token, by the reason of a 401 (pve-access-control, `PVE/AccessControl.pm`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFault {
    /// The user before the `!` does not exist.
    NoSuchUser,
    /// The user exists and has no token of this name.
    NoSuchToken,
    /// The token's own end, or that of its user.
    Expired,
    /// The user is disabled.
    Disabled,
    /// The secret is not that of the token.
    WrongSecret,
    /// The server keeps the reason to itself.
    Untold,
    /// A reason that this version of cozyup does not know.
    Unknown,
}

impl TokenFault {
    /// The fault that the reason of a 401 names.
    pub fn of(text: &str) -> TokenFault {
        let faults = [
            // Since January 2026 (pve-manager 26c10a2e) a server says only that it failed, and the reason to its own log.
            ("Authentication failed!", TokenFault::Untold),
            ("no such token", TokenFault::NoSuchToken),
            ("no such user", TokenFault::NoSuchUser),
            ("access expired", TokenFault::Expired),
            ("is disabled", TokenFault::Disabled),
            ("invalid token value", TokenFault::WrongSecret),
        ];
        faults.iter().find(|(words, _)| text.contains(words)).map_or(TokenFault::Unknown, |(_, fault)| *fault)
    }
}

impl Cause {
    /// The meaning of `text`, which stands in an answer, at the end of a task, or in a task's log.
    pub fn of(text: &str) -> Cause {
        words::meaning(text)
    }

    /// True when the same may well succeed later without anybody doing anything.
    pub fn is_passing(self) -> bool {
        match self {
            Cause::Lock
            | Cause::NoQuorum
            | Cause::ClusterFilesystem
            | Cause::StorageSlow
            | Cause::VolumeOpen
            | Cause::Systemd
            | Cause::Running
            | Cause::ChangedMeanwhile
            | Cause::Corrupted
            | Cause::WorkerGone
            | Cause::TimedOut => true,
            Cause::Exists
            | Cause::Forbidden
            | Cause::RootOnly
            | Cause::NotOffered
            | Cause::NoSuchPool
            | Cause::NotThere
            | Cause::NoSuchNode
            | Cause::NodeSsh
            | Cause::NoSuchStorage
            | Cause::StorageReadOnly
            | Cause::StorageBroken
            | Cause::VolumeName
            | Cause::VolumeExists
            | Cause::BadImage
            | Cause::NoVlan
            | Cause::NoNetwork
            | Cause::TooOld
            | Cause::NodeDiskFull
            | Cause::ProgramFailed
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

/// True when the answer to a question says that something went away while it was being looked at: a list of volumes is
/// made by asking each of them, and a neighbour's may be deleted in between.
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
    const TEXTS: &[(&str, Cause)] = &[
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
        ("timeout: no zvol device link for 'vm-1-disk-0' found after 300 sec.", Cause::StorageSlow),
        ("Configuration file 'nodes/pve/qemu-server/9.conf' does not exist", Cause::NotThere),
        ("storage 'x' does not exist", Cause::NoSuchStorage),
        ("can't lock file '/var/lock/x.conf' - can't open file - No space left on device", Cause::StorageFull),
        ("cfs-lock 'storage-nas' error: no quorum!", Cause::NoQuorum),
        ("cfs-lock 'storage-nas' error: pve cluster filesystem not online.", Cause::ClusterFilesystem),
        (
            "RPCEnvironment init request failed: Unable to load access control list: Connection refused",
            Cause::ClusterFilesystem,
        ),
        ("ipcc_send_rec[1] failed: Transport endpoint is not connected", Cause::ClusterFilesystem),
        ("'storage-nas'-locked command timed out - aborting", Cause::StorageSlow),
        ("zfs error: cannot destroy 'rpool/data/vm-1-disk-0': dataset is busy", Cause::VolumeOpen),
        ("lvremove 'pve/vm-1-disk-0' error:   Logical volume pve/vm-1-disk-0 in use.", Cause::VolumeOpen),
        ("rbd rm 'vm-1-disk-0' error: rbd: error: image still has watchers", Cause::VolumeOpen),
        ("zfs error: cannot destroy 'rpool/data/base-9100-disk-0': volume has children", Cause::InUse),
        (
            "zfs error: cannot set property for 'tank/vm-1-disk-0': size is greater than available space",
            Cause::StorageFull,
        ),
        (
            "lvcreate 'pve/vm-1-disk-0' error:   Cannot create new thin volume, free space in thin pool pve/data reached threshold.",
            Cause::StorageFull,
        ),
        (
            "lvcreate 'pve/vm-1-disk-0' error:   Volume group \"pve\" has insufficient free space (1 extents): 9 required.",
            Cause::StorageFull,
        ),
        ("rbd create 'vm-1-disk-0' error: rbd: create error: (122) Disk quota exceeded", Cause::StorageFull),
        ("unable to create image: qemu-img: /mnt/pve/nas/x: Disk quota exceeded", Cause::StorageFull),
        ("unable to create image: qemu-img: /mnt/pve/nas/x: Read-only file system", Cause::StorageReadOnly),
        (
            "mkdir /mnt/pve/nas/images: Permission denied at /usr/share/perl5/PVE/Storage/Plugin.pm line 1",
            Cause::StorageReadOnly,
        ),
        ("qemu-img: error while writing at byte 0: Input/output error", Cause::StorageBroken),
        ("mount.nfs: Connection timed out for nas:/x on /mnt/pve/nas", Cause::StorageOffline),
        ("df: /mnt/pve/nas: Stale file handle", Cause::StorageOffline),
        (
            "could not activate storage 'tank', zfs error: cannot import 'tank': no such pool available",
            Cause::StorageOffline,
        ),
        ("rbd error: rbd: couldn't connect to the cluster!", Cause::StorageOffline),
        (
            "lvcreate 'pve/vm-1-disk-0' error:   Logical Volume \"vm-1-disk-0\" already exists in volume group \"pve\"",
            Cause::VolumeExists,
        ),
        ("disk image '/var/lib/vz/images/1/vm-1-disk-0.raw' already exists", Cause::VolumeExists),
        ("zfs error: cannot create 'rpool/data/vm-1-disk-0': dataset already exists", Cause::VolumeExists),
        ("unable to parse lvm volume name 'abc'", Cause::VolumeName),
        ("unable to parse volume ID 'local'", Cause::VolumeName),
        ("qemu-img: Could not open '/var/tmp/pveupload-0': Image is not in qcow2 format", Cause::BadImage),
        ("failed to query file information with qemu-img", Cause::BadImage),
        ("cannot import from 'local:import/x.raw' - failed to stat '/var/lib/vz/import/x.raw'", Cause::NotThere),
        ("no physical interface on bridge 'vmbr1'", Cause::NoVlan),
        ("bridge 'vmbr1' is not active", Cause::NoBridge),
        ("start failed: org.freedesktop.systemd1.UnitExists: Unit 101.scope already exists.", Cause::Systemd),
        ("start failed: org.freedesktop.DBus.Error.Disconnected: Connection is closed", Cause::Systemd),
        ("timeout waiting on systemd", Cause::Systemd),
        ("start failed: command '/usr/bin/kvm -id 101' failed: got timeout", Cause::TimedOut),
        ("import failed: command 'cp -- /var/tmp/pveupload-0 /mnt/x.raw' failed: exit code 1", Cause::ProgramFailed),
        ("403 Permission check failed (/vms/1, VM.Config.Disk)", Cause::Forbidden),
        ("Permission check failed (pool 'x' does not exist)", Cause::NoSuchPool),
        ("Permission check failed (user != root@pam)", Cause::RootOnly),
        ("Method 'GET /foo' not implemented", Cause::NotOffered),
        (
            "can't activate storage 'nas' on node 'pve2': command '/usr/bin/ssh -o x pve2 -- pvesm' failed: exit code 255",
            Cause::NodeSsh,
        ),
        ("unable to get last line from task log - No such file or directory", Cause::WorkerGone),
        ("got no worker upid - start worker failed", Cause::WorkerGone),
        ("detected modified configuration - file changed by other user? Try again.", Cause::ChangedMeanwhile),
        ("netdev net0: MTU '9000' is bigger than the bridge MTU '1500'", Cause::NoNetwork),
        ("can't enslave 'tap1001i0' to 'vmbr0'", Cause::NoNetwork),
        ("can't add ovs port 'tap1001i0' - command '/usr/bin/ovs-vsctl' failed: exit code 1", Cause::NoNetwork),
        ("unable to add default vlan tags to interface tap1001i0 - exit code 1", Cause::NoNetwork),
        (
            "unable to create temporary upload file '/var/tmp/pveupload-0' - No space left on device",
            Cause::NodeDiskFull,
        ),
        ("write to temporary file failed - No space left on device", Cause::NodeDiskFull),
        ("unable to open file '/etc/pve/nodes/a/qemu-server/1.conf.tmp.7' - Permission denied", Cause::NoQuorum),
        (
            "unable to open file '/etc/pve/nodes/a/qemu-server/1.conf.tmp.7' - Input/output error",
            Cause::ClusterFilesystem,
        ),
        ("unable to open file '/etc/pve/user.cfg.tmp.7' - Device or resource busy", Cause::ClusterFilesystem),
        ("unlink '/mnt/pve/nas/import/x.raw' failed - Permission denied", Cause::StorageReadOnly),
        (
            "Installed QEMU version '8.1.5' is too old to run machine type 'pc-i440fx-9.2', please upgrade",
            Cause::TooOld,
        ),
        ("Full clone feature is not supported for drive 'scsi0'", Cause::StorageContent),
        ("cannot import from 'nas:import/x.raw' - full clone feature is not supported", Cause::StorageContent),
        ("can't clone images in iscsi storage", Cause::StorageContent),
        ("unsupported format 'qcow2' for storage type lvmthin", Cause::StorageContent),
        ("found lock 'backup' trying to remove 'clone' lock", Cause::ChangedMeanwhile),
        ("no lock found trying to remove 'clone'  lock", Cause::ChangedMeanwhile),
        ("could not get size of local:import/x.raw", Cause::NotThere),
        ("missing privileges to access local:backup/x.vma", Cause::Forbidden),
        ("VM quit/powerdown failed", Cause::TimedOut),
        ("VM quit/powerdown failed - got timeout", Cause::TimedOut),
        ("unable to resolve address for server 'nas.example'", Cause::StorageOffline),
        ("ACL update failed: role 'X' does not exist", Cause::NotThere),
        ("only root can set 'args' config", Cause::RootOnly),
    ];

    #[test]
    fn each_of_proxmoxs_own_texts_has_its_cause() {
        for &(text, cause) in TEXTS {
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
