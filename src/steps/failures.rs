//! From a client's error to a failure with a class and a next action. `doing` says what was tried, as in `clone vm 1001`.
use crate::base::trust::{Distrust, Trust};
use crate::engine::failure::Failure;
use crate::plan::model::NodePlan;
use crate::proxmox::Cause;
use crate::steps::{causes, reaching};
use crate::{kubernetes, proxmox, talos};
use tonic::Code;

pub fn proxmox(error: &proxmox::Error, doing: &str) -> Failure {
    use proxmox::Error;
    let what = format!("{doing}: {error}");
    match error {
        Error::Unreachable { how, .. } => reaching::unreached(*how, what),
        Error::Busy { status: Some(596), .. } => Failure::retryable(
            what,
            "the node behind the one that was asked gave no answer in time: it is slow, cut off, or a storage of it does not \
             answer (`pvesm status` there, `pvecm status`, `systemctl status pvedaemon`); cozyup tries again",
        ),
        Error::Busy { .. } => Failure::retryable(
            what,
            "the node is slow, cut off or down, or one of its storages does not answer: look at it (pvecm status, systemctl \
             status pvedaemon, pvesm status); cozyup tries again",
        ),
        Error::NoSuchTask => Failure::retryable(what, "cozyup looks again"),
        Error::Locked { .. } => causes::failure(Cause::Lock, what),
        Error::Certificate { found, trust, why } => Failure::refused(what, certificate(found, trust, why)),
        Error::Unauthorized { fault, .. } => reaching::token(*fault, what),
        Error::Forbidden { path: Some(path), privilege: Some(privilege), .. } => {
            Failure::refused(what, causes::missing_right(path, privilege))
        }
        Error::Forbidden { .. } => causes::failure(Cause::Forbidden, what),
        Error::Exists { .. } => causes::failure(Cause::Exists, what),
        Error::NotFound { .. } => causes::failure(Cause::NotThere, what),
        Error::NoSuchNode { .. } => causes::failure(Cause::NoSuchNode, what),
        Error::NodeCertificate { .. } => Failure::person(
            what,
            "the certificates between the nodes do not fit (a node was replaced, or its certificate made for another name): \
             on that node `pvecm updatecerts -f`, then `systemctl restart pveproxy` on both; or give that node's own address in \
             site.url; the step goes on by itself",
        ),
        Error::InFront { front, .. } => reaching::in_front(*front, what),
        Error::Parameters { .. } => Failure::broken(
            what,
            "the server refuses a value: correct the plan's key that it comes from and start the run again; a value that no key \
             gives is to be reported, with the version of Proxmox VE (pveversion)",
        ),
        Error::Server { cause, .. } => causes::failure(*cause, what),
        Error::Target { .. } => Failure::person(what, "correct the site section of the plan"),
        Error::Answer { .. } => {
            let next = "cozyup asks again; if it stays, something else answers: check that the URL is a Proxmox VE API with \
                        no other service or proxy in front of it";
            Failure::retryable(what, next)
        }
        Error::File { .. } => Failure::person(what, "check the file on the jump host"),
    }
}

/// The next action for a certificate that is not trusted. It mentions a possible impostor only when a pin says so.
pub fn certificate(found: &proxmox::Certificate, trust: &Trust, why: &Distrust) -> String {
    let compare = "compare it with `pvenode cert info` on the node's own console";
    let pin = &found.fingerprint;
    match (trust, why) {
        (Trust::Leaf(_), _) => format!(
            "if the site's certificate was renewed, {compare} and write the new one into the plan: site.fingerprint: \
             \"{pin}\" (site.ca_file with the site's authority lets renewals pass); if not, somebody is in between"
        ),
        (_, Distrust::OtherName) => format!(
            "use a name or address that the certificate is for in site.url, or {compare} and pin it: site.fingerprint: \"{pin}\""
        ),
        (_, Distrust::Expired | Distrust::NotYet) => format!(
            "compare the clock of this machine (timedatectl); if the certificate has ended, renew it on the node \
             (pvecm updatecerts --force, or pvenode acme cert renew), or {compare} and pin it: site.fingerprint: \"{pin}\""
        ),
        (Trust::Authority(_), _) => format!(
            "if the site shows a certificate of another authority now, put that one into site.ca_file, or {compare} and write \
             site.fingerprint: \"{pin}\" instead; if not, somebody is in between"
        ),
        (Trust::System, Distrust::UnknownIssuer) if found.names_own_authority() => format!(
            "Proxmox VE's own authority signs it, as usual: {compare}, then write into the plan: site.fingerprint: \"{pin}\""
        ),
        (Trust::System, _) => format!(
            "an authority that this machine does not know signs it ({}): {compare}, then write into the plan: \
             site.fingerprint: \"{pin}\", or site.ca_file with that authority",
            found.issuer
        ),
    }
}

/// A node and this machine that do not agree on the time.
pub fn clocks(what: &str) -> Failure {
    Failure::person(
        what,
        "set the clocks: `timedatectl` here, `talosctl time` on the node and `chronyc tracking` on its Proxmox host say \
         which is wrong; the step goes on by itself",
    )
}

/// A service of a Talos node that Talos has given up; `said` names it.
pub fn given_up(node: &NodePlan, said: &str) -> Failure {
    Failure::person(
        format!("{} can't go on: {said}", node.name),
        format!(
            "Talos does not start it again by itself: most often its image could not be pulled (DNS, registry, mirror); mend \
             that, then: talosctl -n {} reboot",
            node.address
        ),
    )
}

/// A node that does not know the time; `servers` are those of its config.
pub fn no_time(what: impl AsRef<str>, node: &NodePlan, servers: &[String]) -> Failure {
    Failure::person(what, no_time_next(node, servers))
}

/// The next action for it.
pub fn no_time_next(node: &NodePlan, servers: &[String]) -> String {
    format!(
        "{name} gets no time from {}: open UDP 123 to them and the step goes on by itself; or name others in `network.ntp`, \
         start the run again, which writes the config anew, and apply it: `talosctl -n {at} apply-config -f \
         machine-{name}.yaml`; `talosctl -n {at} get timestatus` says whether the node knows the time",
        servers.join(", "),
        name = node.name,
        at = node.address
    )
}

pub fn talos(error: &talos::Error, doing: &str) -> Failure {
    let what = format!("{doing}: {error}");
    if error.is_transient() {
        return Failure::retryable(what, "the node is starting or busy; cozyup tries again");
    }
    match error {
        talos::Error::Untrusted { why: talos::Distrust::Clocks, .. } => clocks(&what),
        talos::Error::Untrusted { .. } => Failure::refused(
            what,
            "the node belongs to another cluster or shows another certificate than before: \
             check that the address is the VM's; a machine that may be wiped is reset by its labels STATE and EPHEMERAL, \
             never as a whole",
        ),
        talos::Error::TimeNotInSync { .. } => Failure::person(
            what,
            "the node gets no time from its time servers: let it reach them on UDP 123, or name others in `network.ntp`; \
             `talosctl get timestatus` says when it does, and the step goes on by itself",
        ),
        talos::Error::InstallDisk { .. } => Failure::person(
            what,
            "`talosctl get disks --insecure` lists the disks of the node, `qm config` the VM's: its system disk is scsi0, \
             which Talos calls /dev/sda; correct `talos.install_disk` in the plan, or give the VM its disk, and start the \
             run again",
        ),
        talos::Error::ConfigRefused { .. } => Failure::person(
            what,
            "the node's words name the key: correct what it comes from in the plan and start the run again; keys that it \
             does not know mean that it runs another Talos than `talos.version` says (`talosctl get version --insecure`)",
        ),
        talos::Error::Refused { code: Code::Unauthenticated | Code::PermissionDenied, .. } => Failure::refused(
            what,
            "the node does not let this run's certificate do this: it needs the role os:admin, from the secrets in the \
             run's folder; check that they are those of this node (talosctl --talosconfig talosconfig version)",
        ),
        talos::Error::Answer { .. } => Failure::retryable(
            what,
            "cozyup asks again; if it stays, check that nothing else than Talos answers on port 50000 there",
        ),
        talos::Error::Refused { .. }
        | talos::Error::AlreadyBootstrapped
        | talos::Error::Unreachable { .. }
        | talos::Error::NotReady { .. }
        | talos::Error::EtcdSilent { .. }
        | talos::Error::BootstrapTooEarly { .. } => {
            Failure::person(what, "read the node's console and `talosctl dmesg`; cozyup looks again by itself")
        }
    }
}

const WEBHOOK_SILENT: &str = "the API server asks that controller before it takes such an object, and its pod starts or does not run: \
     `kubectl get pods -A` shows it; cozyup tries again";
const WEBHOOK_REFUSES: &str = "the webhook that is named there judges such objects, and its own words say what it does not take: `kubectl get \
     validatingwebhookconfigurations,mutatingwebhookconfigurations` shows whose it is; take the cause away, or ask who set its rules; the \
     step goes on by itself";

const BUSY: &str = "the API server is starting or busy; cozyup tries again";

fn is_webhook(error: &kubernetes::Error) -> bool {
    matches!(error, kubernetes::Error::Webhook { .. })
}

pub fn kubernetes(error: &kubernetes::Error, doing: &str) -> Failure {
    use kubernetes::Error;
    let what = format!("{doing}: {error}");
    if error.is_transient() {
        return Failure::retryable(what, if is_webhook(error) { WEBHOOK_SILENT } else { BUSY });
    }
    match error {
        Error::NotFound => Failure::retryable(what, "what is asked for is not installed yet; cozyup tries again"),
        // Two writers at the same moment: the next try works on what is there now.
        Error::Conflict { text } if text.contains("has been modified") => {
            Failure::retryable(what, "somebody changed it at the same moment; cozyup looks again")
        }
        Error::Conflict { .. } => Failure::refused(
            what,
            "somebody else manages this field or object: look at it with kubectl and decide whose it is",
        ),
        Error::Untrusted { .. } => Failure::refused(
            what,
            "compare the clocks of this machine and of the control planes; if they agree, something else answers at the \
             cluster's address: find it; cozyup talks to no server that the cluster's CA does not vouch for",
        ),
        Error::Unauthorized => Failure::person(
            what,
            "compare the clocks of this machine and of the control planes; a kubeconfig that has expired is written anew \
             when it is removed from the run's secrets folder and `cozyup run PLAN` is started again",
        ),
        Error::Kubeconfig { .. } => Failure::person(
            what,
            "remove the kubeconfig from the run's secrets folder and start `cozyup run PLAN` again: it is written anew",
        ),
        Error::Forbidden { .. } => Failure::refused(
            what,
            "the kubeconfig's user lacks this right (kubectl auth can-i --list): give it back; the step goes on by itself",
        ),
        Error::Denied { .. } => Failure::person(what, WEBHOOK_REFUSES),
        Error::Invalid { .. } => {
            Failure::broken(what, "the API server refuses the object: correct the plan key it names")
        }
        Error::Answer { .. } => Failure::retryable(
            what,
            "cozyup asks again; if it stays, something else than the API server answers: look for a proxy or load balancer \
             in between",
        ),
        Error::Unreachable { .. } | Error::Webhook { .. } | Error::Gone | Error::Server { .. } => {
            Failure::person(what, "read the message; `kubectl get events -A` says more; cozyup looks again by itself")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::tls::Fingerprint;
    use crate::engine::failure::Class;
    use crate::plan::defaults::{Defaults, plan};
    use jiff::Timestamp;

    /// reports.md B25
    #[test]
    fn a_certificate_that_was_never_pinned_is_no_alarm_and_the_line_to_paste_stands_there() {
        let shown = |issuer: &str| proxmox::Certificate::sample(issuer, Timestamp::UNIX_EPOCH);
        let (own, other) =
            (shown("CN=Proxmox Virtual Environment, O=PVE Cluster Manager CA"), shown("CN=Example Corp CA"));
        let line = format!("site.fingerprint: \"{}\"", own.fingerprint);
        let next = |found: &proxmox::Certificate, trust: Trust, why: Distrust| certificate(found, &trust, &why);
        let usual = next(&own, Trust::System, Distrust::UnknownIssuer);
        assert!(usual.contains("as usual") && usual.contains(&line) && !usual.contains("in between"), "{usual}");
        let company = next(&other, Trust::System, Distrust::UnknownIssuer);
        assert!(company.contains("Example Corp") && company.contains(&other.fingerprint.to_string()), "{company}");
        let changed = next(&own, Trust::Leaf(Fingerprint::of(b"pin")), Distrust::Another);
        assert!(changed.contains("somebody is in between") && changed.contains(&line), "{changed}");
        assert!(next(&own, Trust::System, Distrust::OtherName).contains("site.url"));
        assert!(next(&own, Trust::System, Distrust::Expired).contains("pvecm updatecerts"));
    }

    /// reports.md B28
    #[test]
    fn a_node_without_time_is_told_whom_it_asks_and_what_to_open() {
        let plan = plan(&Defaults::default());
        let node = &plan.nodes[0];
        let failure = no_time("bootstrap etcd", node, &["10.0.0.1".into(), "pool.ntp.org".into()]);
        assert_eq!(failure.class, Class::Person);
        for part in [&*node.name, "10.0.0.1, pool.ntp.org", "UDP 123", "`network.ntp`", "get timestatus"] {
            assert!(failure.next.contains(part), "{part}: {}", failure.next);
        }
        let anywhere = talos(&talos::Error::TimeNotInSync { text: "time is not in sync yet".into() }, "x");
        assert!(anywhere.class == Class::Person && anywhere.next.contains("UDP 123"), "{anywhere:?}");
    }

    /// reports.md B37
    #[test]
    fn a_disk_that_is_not_there_names_the_key_and_where_disks_are_listed() {
        let text = "configuration validation failed: specified install disk does not exist: /dev/sda".to_string();
        let failure = talos(&talos::Error::InstallDisk { text: text.clone() }, "apply the config of cp1");
        assert!(failure.what.ends_with(&text), "{}", failure.what);
        for part in ["talosctl get disks", "scsi0", "`talos.install_disk`"] {
            assert!(failure.next.contains(part), "{part}: {}", failure.next);
        }
    }
}
