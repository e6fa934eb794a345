//! The reasons why a machine of Cluster API gets no VM that a person has to know: a refusal of Proxmox VE, a pool without addresses,
//! a capmox that does not run.
use crate::cozystack::addons::CLUSTER_API_NAMESPACE;
use crate::cozystack::cluster_api::Progress;
use crate::engine::failure::{Class, Failure};
use crate::kubernetes::{self, Kind};
use crate::proxmox::Cause;
use crate::steps::cluster::{get, number, text};
use crate::steps::cluster_api::words;
use crate::steps::site::Reading;
use crate::steps::workload::{is_up, trouble};
use crate::steps::{causes, cluster_api, failures};
use std::net::Ipv4Addr;

const DEPLOYMENT: &str = "capmox-controller-manager";
/// All that capmox's client says of a 401 and of a 403 (go-proxmox, `ErrNotAuthorized`).
const NOT_AUTHORIZED: &str = "not authorized to access endpoint";
const TOKEN: &str = "capmox's token was revoked, its rights were taken away, or the template is gone and with it the rights on it: stop the \
     run and start it again, which makes anew what is missing (`pveum user token list capmox@pve` and `pveum user permissions capmox@pve` on \
     a node show what is there)";
const READ: &str = "read what Proxmox VE says; capmox tries again by itself when the cause is gone";

/// What capmox can't do by itself; `anew` is the command after which everything is made anew.
pub fn failure(progress: &Progress, anew: &str) -> Option<Failure> {
    match progress {
        Progress::Refused { message, .. } => refused(message, format!("capmox can't make the VM: {}", words(progress))),
        Progress::TaskFailed(message) => {
            let cause = Cause::of(message);
            let failure = causes::failure(cause, words(progress));
            let next = if cause == Cause::Unknown { "read what Proxmox VE says" } else { failure.next.as_str() };
            if is_of_clone(message) {
                return Some(Failure::person(&failure.what, format!("{next}; then {anew}, so that it is made anew")));
            }
            let is_known = cause != Cause::Unknown && failure.class != Class::Retryable;
            (is_known && !is_taken(message)).then(|| for_a_person(failure))
        }
        Progress::Failed { .. } => Some(Failure::person(
            words(progress),
            format!(
                "take the cause away (free VMIDs in tests.machine_vmids, the template in its place), then {anew}, so that it \
                 is made anew"
            ),
        )),
        Progress::NoOwner
        | Progress::Unseen
        | Progress::WaitsForInfrastructure
        | Progress::WaitsForBootstrapData
        | Progress::WaitsForAddress
        | Progress::Working(_)
        | Progress::Deleting
        | Progress::Made(_) => None,
    }
}

/// capmox never clones a machine again: it keeps the VMID of the VM that did not come, and looks for that one (v0.7.7,
/// `ensureVirtualMachine`). Whatever it does with a VM that is there it tries again after a minute.
pub fn is_of_clone(message: &str) -> bool {
    message.starts_with("clone failed")
}

/// Somebody took the VMID between capmox's question and its clone; its next look takes the next one.
fn is_taken(message: &str) -> bool {
    Cause::of(message) == Cause::Exists
}

fn refused(message: &str, what: String) -> Option<Failure> {
    let cause = Cause::of(message);
    let unauthorized = message.contains(NOT_AUTHORIZED) || message.starts_with("401 ") || cause == Cause::Forbidden;
    if unauthorized {
        return Some(Failure::person(what, TOKEN));
    }
    if is_taken(message) || cause.is_passing() {
        return None;
    }
    Some(if cause == Cause::Unknown { Failure::person(what, READ) } else { for_a_person(causes::failure(cause, what)) })
}

/// Whatever Proxmox VE refuses capmox, capmox goes on asking for it.
fn for_a_person(failure: Failure) -> Failure {
    Failure { class: Class::Person, ..failure }
}

/// The pool of a namespace that has no address left, with who has them; `None` while some are free.
///
/// # Errors
/// When the cluster can't be asked.
pub async fn exhausted(site: &Reading, namespace: &str) -> Result<Option<Failure>, Failure> {
    let pool = cluster_api::pool(site)?;
    let all = match site.kubernetes()?.list(&Kind::IP_ADDRESS, Some(namespace), None).await {
        Ok(all) => all,
        Err(kubernetes::Error::NotFound) => return Ok(None),
        Err(e) => return Err(failures::kubernetes(&e, &format!("list the addresses of {namespace}"))),
    };
    let given = |object: &serde_json::Value| {
        let address: Ipv4Addr = text(object, "/spec/address").parse().ok()?;
        pool.contains(address).then(|| (address, text(object, "/spec/claimRef/name").to_string()))
    };
    let taken: std::collections::BTreeMap<Ipv4Addr, String> = all.value.iter().filter_map(given).collect();
    Ok(none_left(namespace, &pool.to_string(), pool.count(), &taken.into_values().collect::<Vec<_>>()))
}

fn none_left(namespace: &str, pool: &str, count: u64, taken: &[String]) -> Option<Failure> {
    let is_full = u64::try_from(taken.len()).is_ok_and(|taken| taken >= count);
    is_full.then(|| {
        Failure::person(
            format!("no address of {pool} (tests.machine_addresses) is free: given to {}", taken.join(", ")),
            format!(
                "kubectl get -n {namespace} {},{} shows whose they are: remove the claims that nobody needs; the step goes on by \
                 itself",
                Kind::IP_ADDRESS_CLAIM.resource(),
                Kind::IP_ADDRESS.resource()
            ),
        )
    })
}

/// `seen`, and that capmox does not run, when nothing can come of it for that reason.
///
/// # Errors
/// When the cluster can't be asked.
pub async fn beside_capmox(site: &Reading, seen: String) -> Result<String, Failure> {
    let reader = site.kubernetes()?;
    let Some(found) = get(&reader, &Kind::DEPLOYMENT, Some(CLUSTER_API_NAMESPACE), DEPLOYMENT).await? else {
        return Ok(format!("{seen}; capmox is gone: there is no Deployment {CLUSTER_API_NAMESPACE}/{DEPLOYMENT}"));
    };
    let wanted = number(&found.value, "/spec/replicas").unwrap_or(1);
    if wanted > 0 && is_up(&found.value) {
        return Ok(seen);
    }
    let why = match trouble(&reader, CLUSTER_API_NAMESPACE, &found.value).await? {
        Some(why) => why,
        None => {
            format!("{} of {wanted} pods are ready", number(&found.value, "/status/readyReplicas").unwrap_or_default())
        }
    };
    Ok(format!("{seen}; capmox does not run: {why} (kubectl -n {CLUSTER_API_NAMESPACE} get pods)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(message: &str) -> Option<Failure> {
        failure(&Progress::Refused { reason: "CloningFailed".into(), message: message.into() }, "x")
    }

    fn failed(message: &str) -> Option<Failure> {
        failure(&Progress::TaskFailed(message.into()), "x")
    }

    #[test]
    fn a_token_that_was_revoked_is_told_with_who_makes_another_one() {
        for message in ["not authorized to access endpoint", "401 no such token 'capi' for user 'capmox@pve'"] {
            let failure = refused(message).unwrap();
            assert!(
                failure.what.contains(message) && failure.next.contains("makes anew what is missing"),
                "{failure:?}"
            );
        }
        assert!(
            refused("403 Permission check failed (/vms/9100, VM.Clone)").unwrap().next.contains("template is gone")
        );
    }

    #[test]
    fn a_vmid_taken_in_between_is_waited_for_since_capmox_takes_the_next_one() {
        assert_eq!(refused("500 unable to create VM 9500: config file already exists"), None);
    }

    #[test]
    fn a_storage_that_is_full_is_for_a_person_and_a_lock_heals() {
        for full in
            [refused("500 not enough free space (1 < 2)"), failed("resize failed: not enough free space (1 < 2)")]
        {
            let full = full.unwrap();
            assert!(full.class == Class::Person && full.next.contains("the storage is full"), "{full:?}");
        }
        assert_eq!(failed("can't lock file '/var/lock/x' - got timeout"), None);
        assert_eq!(refused("500 VM is locked (clone)"), None);
        assert_eq!(failed("VM 9500 already running"), None);
        assert_eq!(failed("whatever else"), None, "capmox tries it again after a minute");
    }

    #[test]
    fn a_clone_that_failed_is_never_waited_for_since_capmox_does_not_clone_again() {
        for why in ["can't lock file '/var/lock/x' - got timeout", "not enough free space (1 < 2)", "whatever else"] {
            let failure = failed(&format!("clone failed: {why}")).unwrap();
            assert!(
                failure.class == Class::Person && failure.next.ends_with("then x, so that it is made anew"),
                "{failure:?}"
            );
            assert!(!failure.what.contains("tries again"), "{failure:?}");
        }
    }

    #[test]
    fn a_template_that_is_gone_is_named() {
        let gone = refused("500 Configuration file 'nodes/pve/qemu-server/9100.conf' does not exist").unwrap();
        assert!(gone.class == Class::Person && gone.next.contains("run again so that it is made anew"), "{gone:?}");
    }

    #[test]
    fn a_pool_is_exhausted_only_when_every_address_is_given_and_then_says_to_whom() {
        let names = |count: usize| (0..count).map(|n| format!("anns-{n}")).collect::<Vec<_>>();
        assert_eq!(none_left("cozyup-vms", "10.0.0.181-10.0.0.185", 5, &names(4)), None);
        let full = none_left("cozyup-vms", "10.0.0.181-10.0.0.185", 5, &names(5)).unwrap();
        assert!(full.what.contains("10.0.0.181-10.0.0.185") && full.what.contains("anns-4"), "{full:?}");
        assert!(full.next.contains("ipaddressclaims.ipam.cluster.x-k8s.io"), "{full:?}");
    }
}
