//! The reasons why a machine of Cluster API gets no VM that a person has to know: a refusal of Proxmox VE, a pool without addresses,
//! a capmox that does not run.
use crate::cozystack::addons::CLUSTER_API_NAMESPACE;
use crate::cozystack::cluster_api::{Denied, Progress};
use crate::engine::failure::{Class, Failure};
use crate::engine::step::{Context, Observed};
use crate::kubernetes::{self, Kind};
use crate::proxmox::{self, Cause};
use crate::steps::addons::access::CAPMOX;
use crate::steps::cluster::{get, text};
use crate::steps::cluster_api::{lack, words};
use crate::steps::site::Reading;
use crate::steps::workload::{down, pods_of};
use crate::steps::{causes, cluster_api, day0, failures};
use std::net::Ipv4Addr;

const DEPLOYMENT: &str = "capmox-controller-manager";
/// All that capmox's client says of a 401 and of a 403 (go-proxmox, `ErrNotAuthorized`).
const NOT_AUTHORIZED: &str = "not authorized to access endpoint";
/// All that its client says of an answer without content: a host that is off (595), a proxy in between (502 to 504).
const NO_ANSWER: &str = "unexpected end of JSON input";
const MADE_ANEW: &str = "stop the run and start it again, which makes anew what is missing (`pveum user token list capmox@pve` and `pveum \
     user permissions capmox@pve` on a node show what is there)";
/// In a run, whose day 4 makes a token that is missing.
pub const ON_THE_WAY: &str = "stop the run and start it again: it makes the token anew, and capmox goes on by itself (`pveum user token list \
     capmox@pve` on a node shows what is there)";
/// In a teardown, which makes nothing.
pub const ON_THE_WAY_BACK: &str = "without it nobody deletes these VMs: stop the teardown, let `cozyup run` with the same plan make the token anew \
     (day 4), then tear down again (`pveum user token list capmox@pve` on a node shows what is there)";
const READ: &str = "read what Proxmox VE says; capmox tries again by itself when the cause is gone";

/// What capmox can't do by itself; `anew` is the command after which everything is made anew.
pub fn failure(progress: &Progress, anew: &str) -> Option<Failure> {
    match progress {
        Progress::Refused { message, .. } => refused(message, format!("capmox can't make the VM: {}", words(progress))),
        Progress::Denied { .. } => {
            Some(Failure::person(format!("capmox can't make the VM: {}", words(progress)), MADE_ANEW))
        }
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
        | Progress::RefusedBefore { .. }
        | Progress::WaitsForInfrastructure
        | Progress::WaitsForBootstrapData
        | Progress::WaitsForAddress
        | Progress::Working(_)
        | Progress::Deleting
        | Progress::Made(_) => None,
    }
}

/// Says of what capmox was refused what capmox can't say: that it was before the start of the one that runs, see
/// [`Progress::after_start`], or what exactly it lacks.
///
/// # Errors
/// When the cluster or Proxmox VE can't be asked.
pub async fn look_closer(cx: &dyn Context, site: &Reading, mut all: Vec<&mut Progress>) -> Result<(), Failure> {
    all.retain(|progress| matches!(progress, Progress::Refused { .. }));
    if all.is_empty() {
        return Ok(());
    }
    let reader = site.kubernetes()?;
    let Some(found) = get(&reader, &Kind::DEPLOYMENT, Some(CLUSTER_API_NAMESPACE), DEPLOYMENT).await? else {
        return Ok(());
    };
    let pods = pods_of(&reader, CLUSTER_API_NAMESPACE, &found.value).await?;
    let Some(started) = pods.iter().filter_map(|pod| pod.started).max() else { return Ok(()) };
    for progress in &mut all {
        **progress = progress.clone().after_start(started, cx.clock().now());
    }
    let denied = |progress: &&mut Progress| matches!(progress, Progress::Refused { message, .. } if is_denied(message));
    all.retain(|progress| denied(progress));
    if all.is_empty() {
        return Ok(());
    }
    let why = denied_by(site).await?;
    for progress in all {
        if let Progress::Refused { reason, message, .. } = progress {
            *progress = Progress::Denied { reason: reason.clone(), message: message.clone(), why };
        }
    }
    Ok(())
}

/// What capmox lacks, by what Proxmox VE says to its own token and to the installer's.
async fn denied_by(site: &Reading) -> Result<Denied, Failure> {
    if is_revoked(site).await? {
        return Ok(Denied::Token);
    }
    let guests = site.proxmox.resources().await.map_err(|e| failures::proxmox(&e, "look for the template"))?;
    let mut of_machines = site.plan.day_9().into_iter().chain([site.plan.template.vmid]);
    let gone = of_machines.find(|vmid| !guests.value.iter().any(|row| row.vmid == *vmid));
    Ok(gone.map_or(Denied::Rights, Denied::Template))
}

async fn is_revoked(site: &Reading) -> Result<bool, Failure> {
    if !CAPMOX.secret_path(site).exists() {
        return Ok(false);
    }
    Ok(matches!(CAPMOX.reader(site)?.version().await, Err(proxmox::Error::Unauthorized { .. })))
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
    if is_taken(message) || cause.is_passing() || message.ends_with(NO_ANSWER) {
        return None;
    }
    Some(if is_denied(message) {
        Failure::person(what, MADE_ANEW)
    } else if cause == Cause::Unknown {
        Failure::person(what, READ)
    } else {
        for_a_person(causes::failure(cause, what))
    })
}

fn is_denied(message: &str) -> bool {
    message.contains(NOT_AUTHORIZED) || message.starts_with("401 ") || Cause::of(message) == Cause::Forbidden
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

/// `seen`, and what keeps capmox from its work: a host that is off, pods of its own that do not run.
///
/// # Errors
/// When the cluster or Proxmox VE can't be asked.
pub async fn beside_capmox(site: &Reading, mut seen: String) -> Result<String, Failure> {
    let cluster = site.proxmox.cluster_status().await.map_err(|e| failures::proxmox(&e, "read the cluster status"))?;
    if let Some(trouble) = day0::api_version::trouble(&cluster.value, &day0::hosts(&site.plan)) {
        seen = format!("{seen}; {trouble}");
    }
    Ok(match down(&site.kubernetes()?, CLUSTER_API_NAMESPACE, DEPLOYMENT).await? {
        Some(why) => format!("{seen}; capmox does not run: {why}"),
        None => seen,
    })
}

/// `observed`, and what keeps capmox from deleting a VM while somebody waits for that: it says no word of it in its objects.
///
/// # Errors
/// When Proxmox VE does not take capmox's token any more, with `next`; when the cluster can't be asked.
pub async fn while_it_goes(site: &Reading, observed: Observed, next: &str) -> Result<Observed, Failure> {
    let Observed::Underway(mut wait) = observed else { return Ok(observed) };
    if is_revoked(site).await? {
        return Err(Failure::person(format!("{}, and {}", wait.seen, lack(Denied::Token)), next));
    }
    wait.seen = beside_capmox(site, wait.seen).await?;
    Ok(Observed::Underway(wait))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::vmid::Vmid;

    fn refused(message: &str) -> Option<Failure> {
        failure(&Progress::Refused { reason: "CloningFailed".into(), message: message.into(), since: None }, "x")
    }

    fn failed(message: &str) -> Option<Failure> {
        failure(&Progress::TaskFailed(message.into()), "x")
    }

    #[test]
    fn a_token_that_was_revoked_is_told_with_who_makes_another_one() {
        for message in ["not authorized to access endpoint", "403 Permission check failed (/vms/9100, VM.Clone)"] {
            let failure = refused(message).unwrap();
            assert!(failure.what.contains(message), "{failure:?}");
            assert!(failure.next.contains("makes anew what is missing"), "{failure:?}");
        }
    }

    #[test]
    fn what_capmox_is_denied_is_told_by_what_proxmox_says() {
        let told = |why| {
            let denied = Progress::Denied { reason: "CloningFailed".into(), message: NOT_AUTHORIZED.into(), why };
            failure(&denied, "x").unwrap().what
        };
        assert!(told(Denied::Token).ends_with("Proxmox VE does not take token capmox@pve!capi of capmox any more"));
        assert!(told(Denied::Template(Vmid::of(9100))).contains("template 9100 is gone"));
        assert!(told(Denied::Rights).contains("lacks a right"));
    }

    /// go-proxmox v0.4.0, `handleResponse`: of a 595 it reads the body, which is empty.
    #[test]
    fn a_host_that_does_not_answer_capmox_is_waited_for() {
        assert_eq!(refused("cannot find node with name pve2: unexpected end of JSON input"), None);
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
