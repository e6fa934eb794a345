//! Proxmox CSI and what else in the cluster touches the simulated Proxmox VE.
mod disks;

pub use disks::{attach, detach, expand};

use super::curl::{self, Answer};
use super::objects::{is_ready_now, items, text};
use super::storage;
use crate::kube::store::Key;
use crate::pve;
use crate::scenario::FaultKind;
use crate::world::World;
use base64::Engine as _;
use serde::Deserialize;
use serde_json::{Value, json};

pub const PROVISIONER: &str = "csi.proxmox.sinextra.dev";
const REGION: &str = "topology.kubernetes.io/region";
const ZONE: &str = "topology.kubernetes.io/zone";

/// The part of the driver's configuration that the lab looks at.
#[derive(Deserialize)]
struct Configuration {
    #[serde(default)]
    clusters: Vec<Site>,
}

#[derive(Deserialize)]
struct Site {
    #[serde(default)]
    token_id: String,
    #[serde(default)]
    token_secret: String,
}

/// The port of Proxmox VE's API.
const PORT: &str = ":8006/";

/// The thing between pods and Proxmox VE, by the status that it answers with, 0 for none at all.
pub fn met(world: &mut World) -> Option<u16> {
    let bites = world.bites(|fault| matches!(fault, FaultKind::PodsMeet { .. }));
    if let Some(FaultKind::PodsMeet { status }) = bites { Some(status) } else { None }
}

/// The error of a pod that asks Proxmox VE and does not get through to it.
pub fn in_between(world: &mut World, url: &str) -> Option<Answer> {
    if !url.contains(PORT) {
        return None;
    }
    Some(match met(world)? {
        0 => Err((curl::TIMED_OUT, "Connection timed out after 20001 milliseconds".to_string())),
        status => Ok((status, format!("<html>{status}</html>"))),
    })
}

/// The words of a client in Go about the same.
pub fn gone_wrong(status: u16, host: &str) -> String {
    match status {
        0 => format!("Get \\\"{host}/api2/json/version\\\": dial tcp: i/o timeout"),
        status => format!("{status} Method 'GET /api2/json/api2/json/version' not implemented"),
    }
}

/// True when this HelmRelease installs the driver.
pub fn is_driver(release: &Value) -> bool {
    text(release, "/spec/chart/spec/chart").ends_with("proxmox-csi-plugin")
}

/// The Secret that the release's values name.
pub fn is_configuration(release: &Value, secret: &str) -> bool {
    is_driver(release) && text(release, "/spec/values/existingConfigSecret") == secret
}

/// The sites of the driver's configuration.
///
/// # Errors
/// When it is not there.
fn sites(world: &World, release: &Value) -> Result<Vec<Site>, String> {
    let namespace = text(release, "/metadata/namespace");
    let name = text(release, "/spec/values/existingConfigSecret");
    let key = release.pointer("/spec/values/existingConfigSecretKey").and_then(Value::as_str).unwrap_or("config.yaml");
    let secret = world.object(&Key::new("", "secrets", namespace, name));
    let secret = secret
        .ok_or_else(|| format!("MountVolume.SetUp failed for volume \"cloud-config\": secret \"{name}\" not found"))?;
    let raw = secret_value(secret, key).unwrap_or_default();
    Ok(serde_saphyr::from_str::<Configuration>(&raw).map(|c| c.clusters).unwrap_or_default())
}

/// The reason why the driver does not come up: its configuration is missing, it does not reach Proxmox VE, or Proxmox VE
/// does not take its token.
pub fn refusal(world: &mut World, release: &Value) -> Option<String> {
    let sites = match sites(world, release) {
        Ok(sites) => sites,
        Err(why) => return Some(why),
    };
    if sites.is_empty() {
        return Some("failed to read cloud config: no clusters in it".into());
    }
    // Its controller ends and is started again, and Helm waits for it.
    if met(world).is_some() {
        return Some("timed out waiting for the condition".into());
    }
    sites
        .iter()
        .find(|s| !world.pve.token_valid(&s.token_id, &s.token_secret))
        .map(|s| format!("failed to initialize proxmox client for token {}: 401 authentication failure", s.token_id))
}

/// The annotations that the driver's values give the pods of its controller; the chart gives its nodes none.
pub fn annotations(world: &World, release: &str, namespace: &str, workload: &str) -> Option<Value> {
    let key = Key::new("helm.toolkit.fluxcd.io", "helmreleases", namespace, release);
    let release = world.object(&key).filter(|r| is_driver(r) && workload.ends_with("controller"))?;
    release.pointer("/spec/values/controller/podAnnotations").cloned()
}

/// A value of a Secret, decoded.
pub fn secret_value(secret: &Value, key: &str) -> Option<String> {
    if let Some(plain) = secret["stringData"][key].as_str() {
        return Some(plain.to_string());
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(secret["data"][key].as_str()?).ok()?;
    String::from_utf8(bytes).ok()
}

/// Makes the objects that the chart brings beside its pods.
pub fn installed(world: &mut World, release: &Value) {
    storage::driver_object(world, PROVISIONER);
    for wanted in items(release, "/spec/values/storageClass") {
        let class = json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
            "metadata": {"labels": {"helm.toolkit.fluxcd.io/name": text(release, "/metadata/name"),
                "helm.toolkit.fluxcd.io/namespace": text(release, "/metadata/namespace")}},
            "provisioner": PROVISIONER, "allowVolumeExpansion": true, "volumeBindingMode": "WaitForFirstConsumer",
            "reclaimPolicy": wanted["reclaimPolicy"].as_str().unwrap_or("Delete"),
            "parameters": {"storage": wanted["storage"], "csi.storage.k8s.io/fstype": wanted["fstype"]},
        });
        world.apply_object(Key::new("storage.k8s.io", "storageclasses", "", text(wanted, "/name")), class);
    }
    spread(world);
}

fn release(world: &World) -> Option<Value> {
    let ready = |r: &Value| is_driver(r) && is_ready_now(r);
    world.select("helm.toolkit.fluxcd.io", "helmreleases", None, ready).into_iter().next().map(|(_, r)| r)
}

fn labels(world: &World, node: &str) -> Option<(String, String)> {
    let node = world.object(&super::nodes::key(node))?;
    let label = |name: &str| node["metadata"]["labels"][name].as_str().map(str::to_string);
    Some((label(REGION)?, label(ZONE)?))
}

/// Registers the driver on every node that carries both topology labels; `true` when one was added.
pub fn spread(world: &mut World) -> bool {
    let Some(release) = release(world) else { return false };
    let mut added = false;
    for (node, _) in world.objects("", "nodes", None) {
        let Some((region, zone)) = labels(world, &node.name) else { continue };
        let csi = Key::new("storage.k8s.io", "csinodes", "", &node.name);
        if world.object(&csi).is_some_and(|n| items(n, "/spec/drivers").any(|d| d["name"] == PROVISIONER)) {
            continue;
        }
        storage::add_driver(world, &node.name, PROVISIONER, &[REGION, ZONE]);
        added = true;
        for class in items(&release, "/spec/values/storageClass") {
            let name = text(class, "/name");
            let capacity = json!({"apiVersion": "storage.k8s.io/v1", "kind": "CSIStorageCapacity", "metadata": {},
                "storageClassName": name, "capacity": "1Ti", "maximumVolumeSize": "1Ti",
                "nodeTopology": {"matchLabels": {REGION: region, ZONE: zone}}});
            let namespace = text(&release, "/metadata/namespace");
            let key = Key::new("storage.k8s.io", "csistoragecapacities", namespace, &format!("csisc-{name}-{zone}"));
            world.apply_object(key, capacity);
        }
    }
    added
}

/// A Ready node on which the driver works.
pub fn any_node(world: &World) -> Option<String> {
    let nodes = world.select("", "nodes", None, super::nodes::node_ready);
    nodes.into_iter().map(|(k, _)| k.name).find(|n| can_provision(world, n).is_ok())
}

/// # Errors
/// With the driver's error.
pub fn can_provision(world: &World, node: &str) -> Result<(), String> {
    if release(world).is_none() {
        return Err(format!("the driver {PROVISIONER} is not running"));
    }
    let csi = Key::new("storage.k8s.io", "csinodes", "", node);
    let registered = world.object(&csi).is_some_and(|n| items(n, "/spec/drivers").any(|d| d["name"] == PROVISIONER));
    if registered {
        return Ok(());
    }
    Err(format!("error generating accessibility requirements: no topology key found on CSINode {node}"))
}

/// What the driver's calls ask of its token for a volume on this node: `GET /storage/ID`, the storage's content, a new
/// image, and the VM's configuration, read and changed (sergelogvinov/proxmox-csi-plugin 0.14, pkg/csi/controller.go).
///
/// # Errors
/// Proxmox VE's words.
fn may(world: &mut World, storage: &str, node: &str) -> Result<(), String> {
    let Some(release) = release(world) else { return Ok(()) };
    let Some(site) = sites(world, &release)?.into_iter().next() else { return Ok(()) };
    let Some((user, token)) = site.token_id.split_once('!') else { return Ok(()) };
    let (on_storage, on_vm) = (format!("/storage/{storage}"), world.pve.path_of(node));
    let mut asked: Vec<(String, &str)> = vec![
        (on_storage.clone(), "Datastore.Allocate"),
        (on_storage.clone(), "Datastore.Audit"),
        (on_storage, "Datastore.AllocateSpace"),
    ];
    // A node of a test may have no VM.
    asked.extend(on_vm.into_iter().flat_map(|vm| [(vm.clone(), "VM.Audit"), (vm, "VM.Config.Disk")]));
    for (path, privilege) in asked {
        if !world.pve.may(user, token, &path, privilege) {
            return Err(format!("403 Permission check failed ({path}, {privilege})"));
        }
    }
    Ok(())
}

/// Makes the volume on the class's storage: its handle, and where it can be reached from.
///
/// # Errors
/// Proxmox VE's words.
pub fn create(world: &mut World, class: &Value, node: &str, volume: &str, gib: u64) -> Result<(String, Value), String> {
    let (region, zone) = labels(world, node).ok_or("the node lost its topology labels")?;
    let storage = text(class, "/parameters/storage");
    may(world, storage, node)?;
    // The driver gives its volumes to this VMID, which nobody has.
    let disk = format!("vm-9999-{volume}");
    if let Some(why) = pve::refusal(world, storage, &disk) {
        return Err(why);
    }
    // A zone is a host of Proxmox VE.
    let volid = world.pve.create_volume_on(&zone, storage, &disk, gib)?;
    if let Some(state) = world.state() {
        state.volume_ids.insert(volume.to_string(), volid);
    }
    let affinity = json!([{"key": REGION, "operator": "In", "values": [region]},
        {"key": ZONE, "operator": "In", "values": [zone]}]);
    Ok((format!("{region}/{zone}/{storage}/{disk}"), affinity))
}

/// Removes the volume behind a PersistentVolume, if Proxmox VE holds it.
pub fn remove(world: &mut World, volume: &str) {
    let volid = world.state().and_then(|s| s.volume_ids.remove(volume));
    if let Some(volid) = volid {
        world.pve.remove_volume(&volid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_written_as_json_is_read_like_yaml() {
        let json = json!({"features": {"provider": "capmox"}, "clusters": [{"url": "https://127.86.0.10:8006/api2/json",
            "insecure": true, "token_id": "kubernetes-csi@pve!csi", "token_secret": "s", "region": "pve"}]});
        let read: Configuration = serde_saphyr::from_str(&json.to_string()).unwrap();
        assert_eq!(read.clusters[0].token_id, "kubernetes-csi@pve!csi");
    }
}
