//! HelmReleases as Flux's helm-controller takes them: dependencies, install, failure and retry, upgrade, uninstall.
//!
//! A release is Ready when its install time is over and everything it brought is available. Simplified: a waiting
//! release is looked at again at once when a dependency becomes Ready (Flux: every 5 s), an install never times out,
//! and Flux works while its own pods still wait for the CNI (in truth the installer itself applies Cilium and Kube-OVN).
use super::objects::{condition, drop_condition, is_deleting, is_ready_now, items, set_condition, text, uid};
use super::{RETRY_S, bundle, installer, products, proxmox, workloads};
use crate::lab::kube::settle;
use crate::lab::kube::store::{Key, seconds};
use crate::lab::scenario::FaultKind;
use crate::lab::world::World;
use serde_json::{Value, json};

const GROUP: &str = "helm.toolkit.fluxcd.io";
const NAME_LABEL: &str = "helm.toolkit.fluxcd.io/name";
const NAMESPACE_LABEL: &str = "helm.toolkit.fluxcd.io/namespace";

fn release_key(namespace: &str, name: &str) -> Key {
    Key::new(GROUP, "helmreleases", namespace, name)
}

pub fn labels(release: &Key) -> Value {
    json!({NAME_LABEL: release.name, NAMESPACE_LABEL: release.namespace})
}

fn generation(release: &Value) -> u64 {
    release["metadata"]["generation"].as_u64().unwrap_or_default()
}

pub fn reconcile(world: &mut World, key: &Key, gone: Option<&Value>) {
    if gone.is_some() {
        return uninstall(world, key);
    }
    let Some(release) = world.object(key).cloned() else { return };
    if is_deleting(&release) {
        world.remove_object(key);
        return;
    }
    if is_ready_now(&release) {
        return became_ready(world, key);
    }
    if release["spec"]["suspend"] == true {
        return;
    }
    if let Some((reason, message)) = obstacle(world, key, &release) {
        return not_ready(world, key, reason, &message);
    }
    begin(world, key, &release);
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

/// What keeps the release from being installed now.
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
        set_condition(r, &at, "Ready", "False", reason, message);
        if r["status"]["observedGeneration"].is_null() {
            r["status"]["observedGeneration"] = json!(-1);
        }
    });
    world.tell(key, "Normal", reason, message);
}

fn begin(world: &mut World, key: &Key, release: &Value) {
    let (uid, generation) = (uid(release), generation(release));
    let mark = format!("release {uid} {generation}");
    if !world.begin(mark) {
        return;
    }
    let at = seconds(world.now);
    let verb = if was_installed(release) { "upgrade" } else { "install" };
    let message = format!("Running '{verb}' action with timeout of 5m0s");
    world.change_object(key, |r| {
        set_condition(r, &at, "Reconciling", "True", "Progressing", &message);
        set_condition(r, &at, "Ready", "Unknown", "Progressing", &message);
        r["status"]["lastAttemptedGeneration"] = json!(generation);
        r["status"]["lastAttemptedReleaseAction"] = json!(verb);
    });
    world.tell(key, "Normal", "Progressing", &message);
    products::begin(world, key);
    let key = key.clone();
    let after = bundle::install_seconds(&world.scenario, &key.name);
    world.after(after, move |world| {
        attempt(world, &key, &uid, generation);
        settle(world);
    });
}

fn was_installed(release: &Value) -> bool {
    release.pointer("/status/history/0").is_some()
}

/// The install time is over: Ready, failed, or still waiting for what it brought.
fn attempt(world: &mut World, key: &Key, uid: &str, generation: u64) {
    let current = world.object(key).cloned().filter(|r| text(r, "/metadata/uid") == uid);
    // A newer spec has a way of its own.
    let Some(release) = current.filter(|r| self::generation(r) == generation && !is_ready_now(r)) else { return };
    let stuck = world.bites(|f| matches!(f, FaultKind::ReleaseStuck { release, .. } if *release == key.name));
    let refused = match stuck {
        Some(FaultKind::ReleaseStuck { message, .. }) => Some(message),
        Some(_) | None => products::refusal(world, &release),
    };
    if let Some(message) = refused {
        return fail(world, key, &release, &message);
    }
    if !is_available(world, key) {
        if let Some(state) = world.state() {
            state.waiting.insert(key.clone());
        }
        return;
    }
    if let Some(state) = world.state() {
        state.waiting.remove(key);
    }
    succeed(world, key, &release);
}

fn fail(world: &mut World, key: &Key, release: &Value, message: &str) {
    let at = seconds(world.now);
    let (verb, reason) =
        if was_installed(release) { ("upgrade", "UpgradeFailed") } else { ("install", "InstallFailed") };
    let message = format!(
        "Helm {verb} failed for release {}/{} with chart {}: {message}",
        key.namespace,
        release_name(key, release),
        chart(release)
    );
    world.change_object(key, |r| {
        set_condition(r, &at, "Ready", "False", reason, &message);
        set_condition(r, &at, "Released", "False", reason, &message);
        drop_condition(r, "Reconciling");
        r["status"]["observedGeneration"] = r["metadata"]["generation"].clone();
        for counter in ["failures", "installFailures"] {
            let failures = r["status"][counter].as_u64().unwrap_or_default() + 1;
            r["status"][counter] = json!(failures);
        }
    });
    world.tell(key, "Warning", reason, &message);
    let (key, uid, generation) = (key.clone(), uid(release), generation(release));
    let mark = format!("retry {uid} {generation}");
    if !world.begin(mark.clone()) {
        return;
    }
    world.after(RETRY_S, move |world| {
        world.done(&mark);
        attempt(world, &key, &uid, generation);
        settle(world);
    });
}

fn release_name(key: &Key, release: &Value) -> String {
    release["spec"]["releaseName"].as_str().unwrap_or(&key.name).to_string()
}

fn chart(release: &Value) -> String {
    format!("{}@{}", text(release, "/spec/chart/spec/chart"), chart_version(release))
}

fn chart_version(release: &Value) -> String {
    let asked = text(release, "/spec/chart/spec/version");
    let exact = asked.starts_with(|c: char| c.is_ascii_digit());
    if exact { asked.to_string() } else { bundle::graph().version.trim_start_matches('v').to_string() }
}

fn succeed(world: &mut World, key: &Key, release: &Value) {
    let at = seconds(world.now);
    let before = release["status"]["history"].as_array().cloned().unwrap_or_default();
    let version = before.len() + 1;
    let (verb, reason) =
        if before.is_empty() { ("install", "InstallSucceeded") } else { ("upgrade", "UpgradeSucceeded") };
    let name = release_name(key, release);
    let message =
        format!("Helm {verb} succeeded for release {}/{name}.v{version} with chart {}", key.namespace, chart(release));
    let first = before.last().map_or(json!(at), |h| h["firstDeployed"].clone());
    let snapshot = json!({
        "name": name, "namespace": key.namespace, "version": version, "status": "deployed",
        "chartName": text(release, "/spec/chart/spec/chart"), "chartVersion": chart_version(release),
        "appVersion": chart_version(release), "firstDeployed": first, "lastDeployed": at,
        "digest": format!("sha256:{:064x}", super::objects::hash(&release["spec"].to_string())),
        "configDigest": format!("sha256:{:064x}", super::objects::hash(&release["spec"]["values"].to_string())),
    });
    let history: Vec<Value> = [snapshot].into_iter().chain(before).collect();
    products::installed(world, key, release);
    world.change_object(key, |r| {
        drop_condition(r, "Reconciling");
        set_condition(r, &at, "Released", "True", reason, &message);
        set_condition(r, &at, "Ready", "True", reason, &message);
        let status = &mut r["status"];
        status["observedGeneration"] = json!(generation(release));
        status["history"] = json!(history);
        status["storageNamespace"] = json!(key.namespace);
        status["helmChart"] = json!(format!("{}/{}-{}", key.namespace, key.namespace, key.name));
        status["lastAttemptedRevision"] = json!(chart_version(release));
        status["lastAppliedRevision"] = json!(chart_version(release));
        if let Some(status) = status.as_object_mut() {
            status.remove("failures");
            status.remove("installFailures");
        }
    });
    world.tell(key, "Normal", reason, &message);
    products::settled(world, key);
}

/// Whether every workload and LoadBalancer of the release has what it needs.
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
        attempt(world, &release, &uid(&object), generation(&object));
    }
}

/// A driver's configuration changed: its failed release is tried again at once.
pub fn secret_changed(world: &mut World, key: &Key) {
    let uses = |r: &Value| !is_ready_now(r) && was_attempted(r) && proxmox::is_configuration(r, &key.name);
    for (release, object) in world.select(GROUP, "helmreleases", Some(&key.namespace), uses) {
        if condition(&object, "Ready").is_some_and(|c| c["status"] == "False") {
            attempt(world, &release, &uid(&object), generation(&object));
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
