//! The Cluster API operator: providers from applied to Ready, or refused with a reason.
use super::objects::{is_deleting, is_true, selects, set_condition, text, uid};
use super::products;
use crate::lab::kube::settle;
use crate::lab::kube::store::{Key, seconds};
use crate::lab::world::World;
use serde_json::{Value, json};

const GROUP: &str = "operator.cluster.x-k8s.io";
/// Cluster API's contract of the core that CozyStack v0.37.2 ships.
const CONTRACT: &str = "v1beta1";

/// Looks again at every provider that is not installed: a Secret, a ConfigMap or the core provider changed.
pub fn wake(world: &mut World) {
    for plural in ["infrastructureproviders", "ipamproviders", "bootstrapproviders", "controlplaneproviders"] {
        for (key, _) in world.select(GROUP, plural, None, |p| !is_true(p, "Ready")) {
            reconcile(world, &key, None);
        }
    }
}

pub fn reconcile(world: &mut World, key: &Key, gone: Option<&Value>) {
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
    if is_true(&provider, "Ready") && text(&provider, "/status/installedVersion") == version {
        return;
    }
    let at = seconds(world.now);
    if let Err((condition, reason, message)) = check(world, key, &provider) {
        world.change_object(key, |p| {
            set_condition(p, &at, condition, "False", reason, &message);
            set_condition(p, &at, "Ready", "False", reason, &message);
        });
        return;
    }
    let mark = format!("provider {} {version}", uid(&provider));
    if !world.begin(mark.clone()) {
        return;
    }
    world.change_object(key, |p| {
        set_condition(p, &at, "PreflightCheckPassed", "True", "", "");
        set_condition(p, &at, "ProviderInstalled", "False", "", "");
        set_condition(p, &at, "Ready", "False", "NoDeploymentAvailableConditionReason", "");
    });
    let name = deployment(key);
    products::deploy(world, &key.namespace, &name, &labels(key), &provider);
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

fn installed(world: &mut World, key: &Key, version: &str) {
    let at = seconds(world.now);
    products::serve(world, &key.resource.plural);
    world.change_object(key, |p| {
        set_condition(p, &at, "PreflightCheckPassed", "True", "", "");
        set_condition(p, &at, "ProviderInstalled", "True", "", "");
        set_condition(p, &at, "Ready", "True", "", "");
        p["status"]["installedVersion"] = json!(version);
        p["status"]["contract"] = json!(CONTRACT);
        p["status"]["observedGeneration"] = p["metadata"]["generation"].clone();
    });
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
    if let Some(selector) = provider.pointer("/spec/fetchConfig/selector/matchLabels") {
        let wanted = |m: &Value| {
            let kept = |field: &str| m["data"][field].is_string() || m["binaryData"][field].is_string();
            selects(selector, &m["metadata"]["labels"]) && kept("components") && kept("metadata")
        };
        if world.select("", "configmaps", Some(&key.namespace), wanted).is_empty() {
            let message =
                format!("failed to load the repository: no ConfigMap with components and metadata of {version} found");
            return Err((INSTALLED, "ComponentsFetchError", message));
        }
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
    Ok(())
}
