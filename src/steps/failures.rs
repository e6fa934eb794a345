//! From a client's error to a failure with a class and a next action. `doing` says what was tried, as in `clone vm 1001`.
use crate::engine::failure::Failure;
use crate::{kubernetes, proxmox, talos};

pub fn proxmox(error: &proxmox::Error, doing: &str) -> Failure {
    use proxmox::Error;
    let what = format!("{doing}: {error}");
    match error {
        Error::Unreachable { .. } => Failure::retryable(what, "check the network and pveproxy; cozyup tries again"),
        Error::Busy { .. } => Failure::retryable(what, "the node is slow or down; cozyup tries again"),
        Error::NoSuchTask => Failure::retryable(what, "cozyup looks again"),
        Error::Locked { .. } => {
            Failure::retryable(what, "another task holds the lock; cozyup tries again when it may be free")
        }
        Error::Certificate { .. } => Failure::refused(
            what,
            "if the site's certificate was renewed, compare it on the Proxmox console \
             (pvenode cert info) and write the new fingerprint into the plan; if not, somebody is in between",
        ),
        Error::Unauthorized { .. } => Failure::person(
            what,
            "check the token id in the plan and the token's secret file; make a new token with \
             `pveum user token add USER TOKENID` if it is lost or expired",
        ),
        Error::Forbidden { path, privilege, .. } => {
            let path = path.as_deref().unwrap_or("/");
            let privilege = privilege.as_deref().unwrap_or("the missing privilege");
            Failure::refused(
                what,
                format!(
                    "give the token {privilege} on {path}: put it into the token's role \
                     (pveum role modify ROLE --append --privs {privilege}) or add a role with it there \
                     (pveum acl modify {path} --tokens TOKEN --roles ROLE)"
                ),
            )
        }
        Error::Exists { .. } => {
            Failure::refused(what, "it exists and is not ours: choose another id or name in the plan")
        }
        Error::NotFound { .. } => Failure::person(what, "it is gone: restore it, or run again so that it is made anew"),
        Error::Parameters { .. } => Failure::broken(what, "the server refuses a value: correct the plan key it names"),
        Error::Server { .. } => Failure::person(what, "read the message; the task log on the node says more"),
        Error::Target { .. } => Failure::person(what, "correct the site section of the plan"),
        Error::Answer { .. } => {
            Failure::broken(what, "check that the URL is a Proxmox VE API and no other service or proxy in front of it")
        }
        Error::File { .. } => Failure::person(what, "check the file on the jump host"),
    }
}

pub fn talos(error: &talos::Error, doing: &str) -> Failure {
    let what = format!("{doing}: {error}");
    if error.is_transient() {
        return Failure::retryable(what, "the node is starting or busy; cozyup tries again");
    }
    match error {
        talos::Error::Untrusted { .. } => Failure::refused(
            what,
            "the node belongs to another cluster or shows another certificate than before: \
             check that the address is the VM's, reset the node if it is yours",
        ),
        _ => Failure::person(what, "read the node's console and `talosctl dmesg`"),
    }
}

pub fn kubernetes(error: &kubernetes::Error, doing: &str) -> Failure {
    use kubernetes::Error;
    let what = format!("{doing}: {error}");
    if error.is_transient() {
        return Failure::retryable(what, "the API server is starting or busy; cozyup tries again");
    }
    match error {
        Error::NotFound => Failure::retryable(what, "what is asked for is not installed yet; cozyup tries again"),
        Error::Conflict { .. } => Failure::refused(
            what,
            "somebody else manages this field or object: look at it with kubectl and decide whose it is",
        ),
        Error::Unauthorized | Error::Untrusted { .. } | Error::Kubeconfig { .. } => {
            Failure::person(what, "check the kubeconfig in the run's secrets folder")
        }
        Error::Forbidden { .. } => Failure::refused(what, "the kubeconfig's user lacks this right"),
        Error::Invalid { .. } => {
            Failure::broken(what, "the API server refuses the object: correct the plan key it names")
        }
        Error::Unreachable { .. }
        | Error::Webhook { .. }
        | Error::Gone
        | Error::Server { .. }
        | Error::Answer { .. } => Failure::person(what, "read the message; `kubectl get events -A` says more"),
    }
}
