//! HelmReleases as Flux's helm-controller takes them: dependencies, install, failure, remediation and retry, upgrade,
//! uninstall.
//!
//! A release is Ready when its install time is over and everything it brought is available. An attempt that waits for what
//! does not come lasts its timeout. A failed one is taken back, Flux waits for twice as long as the last time, and begins
//! again: Ready is False only in between, while Released and the counters of failures stay. Simplified: a waiting release
//! is looked at again at once when a dependency becomes Ready (Flux: every 30 s), the history keeps what succeeded only, and
//! Flux works while its own pods still wait for the CNI (in truth the installer itself applies Cilium and Kube-OVN).
use super::objects::{condition, drop_condition, is_deleting, is_ready_now, items, set_condition, text, uid};
use super::{RETRY_S, applications, bundle, charts, installer, products, proxmox, workloads};
use crate::kube::settle;
use crate::kube::store::{Key, seconds};
use crate::scenario::FaultKind;
use crate::world::World;
use serde_json::{Value, json};

const GROUP: &str = "helm.toolkit.fluxcd.io";
const NAME_LABEL: &str = "helm.toolkit.fluxcd.io/name";
const NAMESPACE_LABEL: &str = "helm.toolkit.fluxcd.io/namespace";
/// Seconds that Helm's uninstall or rollback of a failed attempt takes, as measured.
const REMEDIATION_S: f64 = 9.0;
/// Seconds before the second attempt, doubled with each one after it, and their limit: controller-runtime's rate limiter as
/// helm-controller sets it.
const BACKOFF_S: f64 = 0.75;
const BACKOFF_LIMIT_S: f64 = 900.0;
/// Helm's message when the time is over.
const TIMED_OUT: &str = "context deadline exceeded";

fn release_key(namespace: &str, name: &str) -> Key {
    Key::new(GROUP, "helmreleases", namespace, name)
}

pub fn labels(release: &Key) -> Value {
    json!({NAME_LABEL: release.name, NAMESPACE_LABEL: release.namespace})
}

fn generation(release: &Value) -> u64 {
    release["metadata"]["generation"].as_u64().unwrap_or_default()
}

/// Names one attempt: a new spec, a failure and a request for another one make it a new one.
fn attempt_mark(release: &Value) -> String {
    let handled = text(release, "/status/lastHandledReconcileAt");
    format!("release {} {} {} {handled}", uid(release), generation(release), failures(release))
}

fn failures(release: &Value) -> u64 {
    release["status"]["failures"].as_u64().unwrap_or_default()
}

/// The pause after a failed attempt.
fn pause_mark(release: &Value) -> String {
    format!("pause after {}", attempt_mark(release))
}

/// The attempt's timeout in seconds, and as Flux writes it.
fn timeout(release: &Value) -> (f64, String) {
    let asked = text(release, "/spec/timeout");
    let number = |unit: char| asked.strip_suffix(unit).and_then(|n| n.parse::<u64>().ok());
    let seconds = number('m').map(|m| m * 60).or_else(|| number('s')).unwrap_or(300);
    (seconds as f64, format!("{}m{}s", seconds / 60, seconds % 60))
}

/// Sets a condition as Flux does: its moment moves with every change of status, reason or message.
fn mark(release: &mut Value, at: &str, kind: &str, status: &str, reason: &str, message: &str) {
    let same = |c: &Value| c["status"] == status && c["reason"] == reason && c["message"] == message;
    if condition(release, kind).is_some_and(|c| !same(c)) {
        drop_condition(release, kind);
    }
    set_condition(release, at, kind, status, reason, message);
}

pub fn reconcile(world: &mut World, key: &Key, gone: Option<&Value>) {
    if gone.is_some() {
        return uninstall(world, key);
    }
    let Some(release) = world.object(key).cloned() else { return };
    if is_deleting(&release) {
        return applications::uninstall(world, key, &release);
    }
    let release = take_up(world, key, release);
    if is_ready_now(&release) {
        return became_ready(world, key);
    }
    let pauses = world.state().is_some_and(|s| s.underway.contains(&pause_mark(&release)));
    if release["spec"]["suspend"] == true || pauses {
        return;
    }
    if let Some((reason, message)) = obstacle(world, key, &release) {
        return not_ready(world, key, reason, &message);
    }
    begin(world, key, &release);
}

/// Flux's status after its first look, and its answer to a person's request for another attempt.
fn take_up(world: &mut World, key: &Key, release: Value) -> Value {
    let asked = |name: &str| release["metadata"]["annotations"][format!("reconcile.fluxcd.io/{name}")].clone();
    let requested = asked("requestedAt");
    let is_new = requested.is_string() && requested != release["status"]["lastHandledReconcileAt"];
    if !is_new && release["status"]["observedGeneration"].is_i64() {
        return release;
    }
    let source = &release["spec"]["chart"]["spec"]["sourceRef"];
    let chart = format!("{}/{}-{}", source["namespace"].as_str().unwrap_or(&key.namespace), key.namespace, key.name);
    world.change_object(key, |r| {
        if r["status"]["observedGeneration"].is_null() {
            r["status"]["observedGeneration"] = json!(-1);
            r["status"]["helmChart"] = json!(chart);
        }
        if is_new {
            r["status"]["lastHandledReconcileAt"] = requested.clone();
            if asked("resetAt") == requested {
                r["status"]["lastHandledResetAt"] = requested.clone();
                forget_failures(r);
            }
        }
    });
    world.object(key).cloned().unwrap_or(release)
}

fn forget_failures(release: &mut Value) {
    if let Some(status) = release["status"].as_object_mut() {
        for counter in ["failures", "installFailures", "upgradeFailures"] {
            status.remove(counter);
        }
    }
}

/// Everything that waited for this release looks again.
fn became_ready(world: &mut World, key: &Key) {
    let waits = |r: &Value| {
        !is_ready_now(r)
            && items(r, "/spec/dependsOn")
                .any(|d| d["name"] == key.name.as_str() && d["namespace"].as_str().is_none_or(|n| n == key.namespace))
    };
    for (dependent, _) in world.select(GROUP, "helmreleases", None, waits) {
        reconcile(world, &dependent, None);
    }
}

/// The reason why the release can't be installed now.
fn obstacle(world: &World, key: &Key, release: &Value) -> Option<(&'static str, String)> {
    for dependency in items(release, "/spec/dependsOn") {
        let namespace = dependency["namespace"].as_str().unwrap_or(&key.namespace);
        let name = text(dependency, "/name");
        match world.object(&release_key(namespace, name)) {
            None => {
                let message = format!(
                    "unable to get '{namespace}/{name}' dependency: helmreleases.helm.toolkit.fluxcd.io \"{name}\" not found"
                );
                return Some(("DependencyNotReady", message));
            }
            Some(other) if !is_ready_now(other) => {
                return Some(("DependencyNotReady", format!("dependency '{namespace}/{name}' is not ready")));
            }
            Some(_) => {}
        }
    }
    let source = &release["spec"]["chart"]["spec"]["sourceRef"];
    let (name, namespace) = (text(source, "/name"), source["namespace"].as_str().unwrap_or(&key.namespace));
    let repository = Key::new("source.toolkit.fluxcd.io", "helmrepositories", namespace, name);
    if text(source, "/kind") == "HelmRepository" && world.object(&repository).is_none() {
        let message = format!(
            "HelmChart '{namespace}/{}-{}' is not ready: failed to get source: \
             HelmRepository.source.toolkit.fluxcd.io \"{name}\" not found",
            key.namespace, key.name
        );
        return Some(("SourceNotReady", message));
    }
    None
}

fn not_ready(world: &mut World, key: &Key, reason: &str, message: &str) {
    let at = seconds(world.now);
    let told = world
        .object(key)
        .and_then(|r| condition(r, "Ready"))
        .is_some_and(|c| c["reason"] == reason && c["message"] == message);
    if told {
        return;
    }
    world.change_object(key, |r| {
        mark(r, &at, "Reconciling", "True", "Progressing", "Fulfilling prerequisites");
        mark(r, &at, "Ready", "False", reason, message);
    });
    world.emit(key, "Normal", reason, message);
}

fn begin(world: &mut World, key: &Key, release: &Value) {
    let name = attempt_mark(release);
    if !world.begin(name.clone()) {
        return;
    }
    let at = seconds(world.now);
    let verb = if was_installed(release) { "upgrade" } else { "install" };
    let message = format!("Running '{verb}' action with timeout of {}", timeout(release).1);
    let revision = charts::version(world, release);
    world.change_object(key, |r| {
        mark(r, &at, "Reconciling", "True", "Progressing", &message);
        mark(r, &at, "Ready", "Unknown", "Progressing", &message);
        r["status"]["lastAttemptedGeneration"] = r["metadata"]["generation"].clone();
        r["status"]["lastAttemptedReleaseAction"] = json!(verb);
        r["status"]["lastAttemptedRevision"] = json!(revision);
        r["status"]["storageNamespace"] = json!(key.namespace);
    });
    products::begin(world, key);
    let after = bundle::install_seconds(&world.scenario, &key.name);
    let (limit, _) = timeout(release);
    for (after, over) in [(after.min(limit), false), (limit, true)] {
        let (key, name) = (key.clone(), name.clone());
        world.after(after, move |world| {
            attempt(world, &key, &name, over);
            settle(world);
        });
    }
}

fn was_installed(release: &Value) -> bool {
    release.pointer("/status/history/0").is_some()
}

/// The install time, or with `over` the time that an attempt may take, is over: Ready, failed, or still waiting for what
/// it brought. Without effect when the attempt has ended.
fn attempt(world: &mut World, key: &Key, name: &str, over: bool) {
    let current = world.object(key).cloned().filter(|r| attempt_mark(r) == name);
    let Some(release) = current.filter(|r| !is_ready_now(r)) else { return };
    let stuck = world.bites(|f| matches!(f, FaultKind::ReleaseStuck { release, .. } if *release == key.name));
    let refused = match stuck {
        Some(FaultKind::ReleaseStuck { message, .. }) => Some(message),
        Some(_) | None => products::refusal(world, &release),
    };
    let timed_out = |m: &String| m.contains(TIMED_OUT) || m.contains("timed out");
    if let Some(message) = refused.as_ref().filter(|m| over || !timed_out(m)) {
        return fail(world, key, &release, message);
    }
    let lacks = refused.is_some() || !is_available(world, key) || !applications::is_available(world, key, &release);
    if lacks && over {
        return fail(world, key, &release, TIMED_OUT);
    }
    if let Some(state) = world.state() {
        if lacks {
            state.waiting.insert(key.clone());
        } else {
            state.waiting.remove(key);
        }
    }
    if !lacks {
        return succeed(world, key, &release);
    }
    // Nothing in the store tells that a fault is over.
    if refused.is_some() {
        let (key, name) = (key.clone(), name.to_string());
        world.after(RETRY_S, move |world| {
            attempt(world, &key, &name, false);
            settle(world);
        });
    }
}

fn fail(world: &mut World, key: &Key, release: &Value, message: &str) {
    let at = seconds(world.now);
    if let Some(state) = world.state() {
        state.waiting.remove(key);
    }
    let upgrade = was_installed(release);
    let (verb, reason, counter, remedy) = if upgrade {
        ("upgrade", "UpgradeFailed", "upgradeFailures", "rollback")
    } else {
        ("install", "InstallFailed", "installFailures", "uninstall")
    };
    let message = format!(
        "Helm {verb} failed for release {}/{} with chart {}: {message}",
        key.namespace,
        release_name(key, release),
        charts::named(world, release)
    );
    let running = format!("Running '{remedy}' action with timeout of {}", timeout(release).1);
    world.change_object(key, |r| {
        mark(r, &at, "Released", "False", reason, &message);
        mark(r, &at, "Ready", "False", reason, &message);
        mark(r, &at, "Reconciling", "True", "Progressing", &running);
        drop_condition(r, "Remediated");
        for counter in ["failures", counter] {
            let failures = r["status"][counter].as_u64().unwrap_or_default() + 1;
            r["status"][counter] = json!(failures);
        }
    });
    world.emit(key, "Warning", reason, &message);
    let Some(failed) = world.object(key).cloned() else { return };
    let name = attempt_mark(&failed);
    let pause = pause_mark(&failed);
    if !world.begin(pause.clone()) {
        return;
    }
    let doubled = failures(&failed).saturating_sub(1).min(20) as i32;
    let backoff = (BACKOFF_S * 2f64.powi(doubled)).min(BACKOFF_LIMIT_S);
    let (first, second) = (key.clone(), key.clone());
    let again = name.clone();
    world.after(REMEDIATION_S, move |world| {
        remediated(world, &first, &name, upgrade);
        settle(world);
    });
    world.after(REMEDIATION_S + backoff, move |world| {
        world.done(&pause);
        if world.object(&second).is_some_and(|r| attempt_mark(r) == again) {
            reconcile(world, &second, None);
            settle(world);
        }
    });
}

/// Removes what the failed attempt brought, or puts it back as it was before.
fn remediated(world: &mut World, key: &Key, name: &str, upgrade: bool) {
    let current = world.object(key).cloned().filter(|r| attempt_mark(r) == name && !is_ready_now(r));
    let Some(release) = current else { return };
    let at = seconds(world.now);
    let told =
        format!("{}/{}.v1 with chart {}", key.namespace, release_name(key, &release), charts::named(world, &release));
    let (reason, message) = if upgrade {
        ("RollbackSucceeded", format!("Helm rollback to previous release {told} succeeded"))
    } else {
        uninstall(world, key);
        ("UninstallSucceeded", format!("Helm uninstall remediation for release {told} succeeded"))
    };
    world.change_object(key, |r| {
        mark(r, &at, "Remediated", "True", reason, &message);
        if upgrade {
            mark(r, &at, "Ready", "False", reason, &message);
        }
        let last = condition(r, "Ready").map(|c| text(c, "/message").to_string()).unwrap_or_default();
        mark(r, &at, "Reconciling", "True", "ProgressingWithRetry", &last);
    });
    world.emit(key, "Normal", reason, &message);
}

fn release_name(key: &Key, release: &Value) -> String {
    release["spec"]["releaseName"].as_str().unwrap_or(&key.name).to_string()
}

fn succeed(world: &mut World, key: &Key, release: &Value) {
    let at = seconds(world.now);
    let before = release["status"]["history"].as_array().cloned().unwrap_or_default();
    let version = before.len() + 1;
    let (verb, reason) =
        if before.is_empty() { ("install", "InstallSucceeded") } else { ("upgrade", "UpgradeSucceeded") };
    let name = release_name(key, release);
    let message = format!(
        "Helm {verb} succeeded for release {}/{name}.v{version} with chart {}",
        key.namespace,
        charts::named(world, release)
    );
    let first = before.last().map_or(json!(at), |h| h["firstDeployed"].clone());
    let snapshot = json!({
        "name": name, "namespace": key.namespace, "version": version, "status": "deployed",
        "chartName": text(release, "/spec/chart/spec/chart"), "chartVersion": charts::version(world, release),
        "appVersion": charts::version(world, release), "firstDeployed": first, "lastDeployed": at,
        "digest": format!("sha256:{:064x}", super::objects::hash(&release["spec"].to_string())),
        "configDigest": format!("sha256:{:064x}", super::objects::hash(&release["spec"]["values"].to_string())),
    });
    let history: Vec<Value> = [snapshot].into_iter().chain(before).collect();
    products::installed(world, key, release);
    world.change_object(key, |r| {
        for over in ["Reconciling", "Remediated", "Stalled"] {
            drop_condition(r, over);
        }
        mark(r, &at, "Released", "True", reason, &message);
        mark(r, &at, "Ready", "True", reason, &message);
        let status = &mut r["status"];
        status["observedGeneration"] = json!(generation(release));
        status["history"] = json!(history);
        forget_failures(r);
    });
    world.emit(key, "Normal", reason, &message);
    products::settled(world, key);
}

/// True when every workload and LoadBalancer of the release has what it needs.
fn is_available(world: &World, key: &Key) -> bool {
    let wanted = labels(key);
    let of_release = |o: &Value| super::objects::selects(&wanted, &o["metadata"]["labels"]);
    let ready = ["deployments", "daemonsets", "statefulsets"].into_iter().all(|plural| {
        world.select("apps", plural, None, of_release).iter().all(|(k, o)| workloads::is_available(k, o))
    });
    ready
        && world
            .select("", "services", None, of_release)
            .iter()
            .all(|(_, s)| s["spec"]["type"] != "LoadBalancer" || s.pointer("/status/loadBalancer/ingress/0").is_some())
}

/// Something that a release brought changed: a release that waits for it looks again.
pub fn owned_changed(world: &mut World, key: &Key, gone: Option<&Value>) {
    let Some(labels) = gone.or_else(|| world.object(key)).map(|o| o["metadata"]["labels"].clone()) else { return };
    let (Some(name), Some(namespace)) = (labels[NAME_LABEL].as_str(), labels[NAMESPACE_LABEL].as_str()) else { return };
    let release = release_key(namespace, name);
    if world.state().is_some_and(|s| s.waiting.contains(&release))
        && let Some(object) = world.object(&release).cloned()
    {
        attempt(world, &release, &attempt_mark(&object), false);
    }
}

/// A driver's configuration changed: its failed release is tried again at once.
pub fn secret_changed(world: &mut World, key: &Key) {
    let uses = |r: &Value| !is_ready_now(r) && was_attempted(r) && proxmox::is_configuration(r, &key.name);
    for (release, object) in world.select(GROUP, "helmreleases", Some(&key.namespace), uses) {
        if condition(&object, "Ready").is_some_and(|c| c["status"] == "False") {
            products::begin(world, &release);
            attempt(world, &release, &attempt_mark(&object), false);
        }
    }
}

fn was_attempted(release: &Value) -> bool {
    release["status"]["lastAttemptedGeneration"] == release["metadata"]["generation"]
}

pub fn repository_changed(world: &mut World, key: &Key, gone: Option<&Value>) {
    if gone.is_some() {
        return;
    }
    installer::repository_ready(world, key);
    for (release, _) in world
        .select(GROUP, "helmreleases", None, |r| condition(r, "Ready").is_some_and(|c| c["reason"] == "SourceNotReady"))
    {
        reconcile(world, &release, None);
    }
}

/// Removes what the release had brought.
fn uninstall(world: &mut World, key: &Key) {
    if let Some(state) = world.state() {
        state.waiting.remove(key);
    }
    let wanted = labels(key);
    for (group, plural) in [
        ("apps", "deployments"),
        ("apps", "daemonsets"),
        ("apps", "statefulsets"),
        ("", "services"),
        ("storage.k8s.io", "storageclasses"),
    ] {
        let owned = world.select(group, plural, None, |o| super::objects::selects(&wanted, &o["metadata"]["labels"]));
        for (object, _) in owned {
            world.remove_object(&object);
        }
    }
}
