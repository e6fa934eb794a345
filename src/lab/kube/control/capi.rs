//! The Cluster API operator: providers from applied to Ready, or refused with a reason.
use super::objects::{condition, is_deleting, is_true, set_condition, text, uid};
use super::{cluster_api, components, containers, products, proxmox};
use crate::kube::settle;
use crate::kube::store::{Key, seconds};
use crate::world::World;
use serde_json::{Value, json};

const GROUP: &str = "operator.cluster.x-k8s.io";
/// The objects that the operator installs beside the core.
const PROVIDERS: [&str; 4] =
    ["infrastructureproviders", "ipamproviders", "bootstrapproviders", "controlplaneproviders"];
/// Cluster API's contract of the core that CozyStack v0.37.2 ships.
const CONTRACT: &str = "v1beta1";

/// Looks again at every provider that is not installed: a Secret, a ConfigMap or the core provider changed.
pub fn wake(world: &mut World) {
    for plural in PROVIDERS {
        for (key, _) in world.select(GROUP, plural, None, |p| !is_true(p, "Ready")) {
            provider(world, &key, None);
        }
    }
}

/// A provider may have waited for the Secret, or a machine.
pub fn secret_changed(world: &mut World, namespace: &str) {
    wake(world);
    cluster_api::wake(world, namespace);
}

/// A provider of the operator, or an object that a provider's controller looks after.
pub fn reconcile(world: &mut World, key: &Key, gone: Option<&Value>) {
    match key.resource.group == GROUP {
        true => provider(world, key, gone),
        false => cluster_api::reconcile(world, key, gone),
    }
}

fn provider(world: &mut World, key: &Key, gone: Option<&Value>) {
    let Some(provider) = world.object(key).cloned() else { return };
    if gone.is_some() {
        return;
    }
    if is_deleting(&provider) {
        world.remove_object(key);
        return;
    }
    if key.resource.plural == "coreproviders" {
        if is_true(&provider, "Ready") {
            wake(world);
        }
        return;
    }
    let version = text(&provider, "/spec/version").to_string();
    if text(&provider, "/status/installedVersion") == version {
        // The operator looks at a provider again when its object changes, not when its Secret does.
        if provider["status"]["observedGeneration"] != provider["metadata"]["generation"] {
            components::render(world, key, &provider);
            world.change_object(key, |p| p["status"]["observedGeneration"] = p["metadata"]["generation"].clone());
        }
        return;
    }
    let at = seconds(world.now);
    if let Err((condition, reason, message)) = check(world, key, &provider) {
        return refuse(world, key, [condition, "Ready"], reason, &message);
    }
    let mark = format!("provider {} {version}", uid(&provider));
    if !world.begin(mark.clone()) {
        return;
    }
    world.change_object(key, |p| {
        set_condition(p, &at, "PreflightCheckPassed", "True", "", "");
        set_condition(p, &at, "ProviderInstalled", "False", "", "");
    });
    if !components::render(world, key, &provider) {
        products::deploy(world, &key.namespace, &deployment(key), &labels(key), &provider);
    }
    let (key, uid) = (key.clone(), uid(&provider));
    let after = world.scenario.latency.capi_provider_s;
    world.after(after, move |world| {
        world.done(&mark);
        if world.is_still(&key, &uid) {
            installed(world, &key, &version);
            settle(world);
        }
    });
}

fn refuse(world: &mut World, key: &Key, conditions: [&str; 2], reason: &str, message: &str) {
    let at = seconds(world.now);
    world.change_object(key, |p| {
        for condition in conditions {
            set_condition(p, &at, condition, "False", reason, message);
        }
    });
}

fn installed(world: &mut World, key: &Key, version: &str) {
    let at = seconds(world.now);
    products::serve(world, &key.resource.plural);
    world.change_object(key, |p| {
        set_condition(p, &at, "PreflightCheckPassed", "True", "", "");
        set_condition(p, &at, "ProviderInstalled", "True", "", "");
        p["status"]["installedVersion"] = json!(version);
        p["status"]["contract"] = json!(CONTRACT);
        p["status"]["observedGeneration"] = p["metadata"]["generation"].clone();
    });
    let (namespace, name) = (key.namespace.clone(), deployment(key));
    tell_readiness(world, key, &Key::new("apps", "deployments", &namespace, &name));
}

/// A provider is Ready while its Deployment is available.
fn tell_readiness(world: &mut World, key: &Key, deployment: &Key) {
    let at = seconds(world.now);
    let Some(found) = world.object(deployment) else { return };
    let available = is_true(found, "Available");
    let before = world.object(key).and_then(|p| condition(p, "Ready")).map(|c| c["status"] == "True");
    if before == Some(available) {
        return;
    }
    let (status, reason, message) = if available {
        ("True", "", "")
    } else {
        ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    world.change_object(key, |p| set_condition(p, &at, "Ready", status, reason, message));
    // A controller that starts looks at everything there is.
    if available {
        cluster_api::wake_all(world);
    }
}

/// A Deployment changed: the provider that it belongs to may be Ready or no more.
pub fn deployment_changed(world: &mut World, deployment: &Key) {
    let Some(found) = world.object(deployment) else { return };
    let owner = found["metadata"]["ownerReferences"][0].clone();
    if !text(&owner, "/apiVersion").starts_with(GROUP) {
        return;
    }
    for plural in PROVIDERS {
        let of = |p: &Value| p["metadata"]["uid"] == owner["uid"] && is_true(p, "ProviderInstalled");
        for (key, _) in world.select(GROUP, plural, Some(&deployment.namespace), of) {
            tell_readiness(world, &key, deployment);
        }
    }
}

/// The reason why capmox's manager ends as soon as it is started: it asks Proxmox VE for its version first.
pub fn manager_refusal(world: &mut World, key: &Key, pod: &Value) -> Option<String> {
    if pod["metadata"]["labels"]["cluster.x-k8s.io/provider"] != "infrastructure-proxmox" {
        return None;
    }
    let env = containers::environment(world, key, pod).ok()?;
    let of = |name: &str| env.get(name).map(String::as_str).unwrap_or_default();
    // Without a token it asks nobody, and a fault on the way does not begin to heal.
    if of("PROXMOX_TOKEN").is_empty() {
        return None;
    }
    let between = proxmox::met(world).map(|status| proxmox::gone_wrong(status, of("PROXMOX_URL")));
    let why = if let Some(why) = &between {
        why
    } else if of("PROXMOX_URL").contains("/api2") {
        "501 Method 'GET /api2/json/api2/json/version' not implemented"
    } else if world.pve.token_valid(of("PROXMOX_TOKEN"), of("PROXMOX_SECRET")) {
        return None;
    } else {
        "not authorized to access endpoint"
    };
    Some(format!(
        "E0101 00:00:00.000000 1 main.go:1] \"unable to setup proxmox API client\" err=\"{why}\" logger=\"setup\""
    ))
}

/// The name of the Deployment that a provider brings.
fn deployment(key: &Key) -> String {
    match (key.resource.plural.as_str(), key.name.as_str()) {
        ("infrastructureproviders", "proxmox") => "capmox-controller-manager".into(),
        ("infrastructureproviders", "kubevirt") => "capk-controller-manager".into(),
        ("ipamproviders", "in-cluster") => "capi-ipam-in-cluster-controller-manager".into(),
        ("bootstrapproviders", "kubeadm") => "capi-kubeadm-bootstrap-controller-manager".into(),
        ("controlplaneproviders", "kamaji") => "capi-kamaji-controller-manager".into(),
        (_, name) => format!("{name}-controller-manager"),
    }
}

fn labels(key: &Key) -> Value {
    let kind = match key.resource.plural.as_str() {
        "infrastructureproviders" => "infrastructure",
        "ipamproviders" => "ipam",
        "bootstrapproviders" => "bootstrap",
        _ => "control-plane",
    };
    json!({"control-plane": "controller-manager", "cluster.x-k8s.io/provider": format!("{kind}-{}", key.name)})
}

type Refusal = (&'static str, &'static str, String);

/// The operator's preflight checks, as of v0.19: what it says and where.
fn check(world: &World, key: &Key, provider: &Value) -> Result<(), Refusal> {
    const PREFLIGHT: &str = "PreflightCheckPassed";
    const INSTALLED: &str = "ProviderInstalled";
    let version = text(provider, "/spec/version");
    let numbers: Vec<u32> =
        version.strip_prefix('v').unwrap_or(version).split(['.', '-']).map_while(|n| n.parse().ok()).collect();
    let [major, minor, _, ..] = numbers.as_slice() else {
        let message = format!("could not parse \"{version}\" as version");
        return Err((PREFLIGHT, "IncorrectVersionFormat", message));
    };
    let others = world.select(GROUP, &key.resource.plural, None, |p| text(p, "/metadata/name") == key.name);
    if let Some((other, _)) = others.into_iter().find(|(k, _)| k < key) {
        let message = format!(
            "There is already a {} with name {} in the cluster. Only one is allowed.",
            other.name, other.namespace
        );
        return Err((PREFLIGHT, "MoreThanOneExists", message));
    }
    let secret = text(provider, "/spec/configSecret/name");
    let namespace = provider.pointer("/spec/configSecret/namespace").and_then(Value::as_str).unwrap_or(&key.namespace);
    if !secret.is_empty() && world.object(&Key::new("", "secrets", namespace, secret)).is_none() {
        let message = format!("failed to get providers secret: Secret \"{secret}\" not found");
        return Err((PREFLIGHT, "ComponentsFetchError", message));
    }
    let core = world.select(GROUP, "coreproviders", None, |p| is_true(p, "Ready"));
    if core.is_empty() {
        let message = "Waiting for the CoreProvider to be installed.".to_string();
        return Err((PREFLIGHT, "WaitingForCoreProviderReady", message));
    }
    // capmox speaks the next contract from v0.8 on, the IPAM provider from v1.1 on.
    let too_new = match key.resource.plural.as_str() {
        "infrastructureproviders" => key.name == "proxmox" && (*major, *minor) >= (0, 8),
        "ipamproviders" => key.name == "in-cluster" && (*major, *minor) >= (1, 1),
        _ => false,
    };
    if too_new {
        let message = format!(
            "CAPI operator is only compatible with {CONTRACT} providers, detected v1beta2 for provider {}.",
            key.name
        );
        return Err((PREFLIGHT, "CAPIVersionIncompatibility", message));
    }
    if let Some(selector) = provider.pointer("/spec/fetchConfig/selector/matchLabels")
        && components::config_map(world, key, selector, version).is_none()
    {
        let message =
            format!("failed to load the repository: no ConfigMap with components and metadata of {version} found");
        return Err((INSTALLED, "ComponentsFetchError", message));
    }
    Ok(())
}
