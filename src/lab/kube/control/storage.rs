//! Claims and volumes: who provisions them, where, and how they go.
use super::objects::{is_deleting, items, text, uid};
use super::{RETRY_S, attach, expand, linstor, pods, proxmox, snapshots, workloads};
use crate::kube::settle;
use crate::kube::store::Key;
use crate::world::World;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const SELECTED: &str = "volume.kubernetes.io/selected-node";
const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";

fn class(world: &World, name: &str) -> Option<Value> {
    world.object(&Key::new("storage.k8s.io", "storageclasses", "", name)).cloned()
}

pub fn default_class(world: &World) -> Option<String> {
    let is_default = |c: &Value| c["metadata"]["annotations"][DEFAULT_CLASS] == "true";
    world.select("storage.k8s.io", "storageclasses", None, is_default).into_iter().next().map(|(k, _)| k.name)
}

fn waits_for_consumer(class: &Value) -> bool {
    class["volumeBindingMode"] == "WaitForFirstConsumer"
}

const NO_CLASS: &str = "no persistent volumes available for this claim and no storage class is set";

/// A claim as the scheduler sees it.
pub enum Claim {
    /// Reachable from these nodes, or from all.
    Bound(Option<BTreeSet<String>>),
    Immediate,
    WaitsForConsumer,
    /// Waits for its volume on this node.
    Chosen(String),
    /// It is not there, or goes; in the scheduler's words.
    Unusable(String),
}

pub fn look(world: &World, key: &Key) -> Claim {
    let Some(claim) = world.object(key) else {
        return Claim::Unusable(format!("persistentvolumeclaim \"{}\" not found", key.name));
    };
    if is_deleting(claim) {
        return Claim::Unusable(format!("persistentvolumeclaim \"{}\" is being deleted", key.name));
    }
    if claim["status"]["phase"] == "Bound" {
        let volume = Key::new("", "persistentvolumes", "", text(claim, "/spec/volumeName"));
        let terms = "/spec/nodeAffinity/required/nodeSelectorTerms";
        let wanted = world.object(&volume).filter(|v| v.pointer(terms).is_some()).cloned();
        return Claim::Bound(wanted.map(|v| {
            let fits = |node: &Value| {
                items(&v, terms).any(|term| {
                    items(term, "/matchExpressions").all(|e| {
                        let label = &node["metadata"]["labels"][text(e, "/key")];
                        items(e, "/values").any(|value| value == label)
                    })
                })
            };
            world.select("", "nodes", None, fits).into_iter().map(|(k, _)| k.name).collect()
        }));
    }
    if let Some(node) = chosen(claim) {
        return Claim::Chosen(node.to_string());
    }
    let waits = class(world, text(claim, "/spec/storageClassName")).is_some_and(|c| waits_for_consumer(&c));
    if waits { Claim::WaitsForConsumer } else { Claim::Immediate }
}

/// The node for which the claim's volume is made.
pub fn chosen(claim: &Value) -> Option<&str> {
    claim["metadata"]["annotations"][SELECTED].as_str()
}

/// The scheduler's word on where the consumer will run.
pub fn choose_node(world: &mut World, claim: &Key, node: &str) {
    world.change_object(claim, |c| {
        if !c["metadata"]["annotations"].is_object() {
            c["metadata"]["annotations"] = json!({});
        }
        c["metadata"]["annotations"][SELECTED] = json!(node);
    });
}

/// Checks that the claim's provisioner could make its volume for a pod on `node`.
///
/// # Errors
/// With the provisioner's error.
pub fn can_provision(world: &World, claim: &Key, node: &str) -> Result<(), String> {
    let name = world.object(claim).map(|c| text(c, "/spec/storageClassName").to_string()).unwrap_or_default();
    let class = class(world, &name).ok_or_else(|| no_class(&name))?;
    match text(&class, "/provisioner") {
        linstor::PROVISIONER => linstor::can_provision(world, &class, Some(node)),
        proxmox::PROVISIONER => proxmox::can_provision(world, node),
        other => Err(format!("waiting for a volume to be created by the external provisioner '{other}'")),
    }
}

fn no_class(name: &str) -> String {
    format!("storageclass.storage.k8s.io \"{name}\" not found")
}

pub fn reconcile(world: &mut World, key: &Key, gone: Option<&Value>) {
    if let Some(claim) = gone {
        release(world, text(claim, "/spec/volumeName"));
        return workloads::claim_gone(world, &key.namespace);
    }
    let Some(claim) = world.object(key).cloned() else { return };
    if is_deleting(&claim) {
        if !in_use(world, key) {
            world.remove_object(key);
        }
        return;
    }
    if text(&claim, "/status/phase").is_empty() || claim["metadata"]["finalizers"].is_null() {
        world.change_object(key, |c| {
            if c["status"]["phase"].is_null() {
                c["status"] = json!({"phase": "Pending"});
            }
            c["metadata"]["finalizers"] = json!(["kubernetes.io/pvc-protection"]);
        });
    }
    if claim["status"]["phase"] == "Bound" {
        return expand::reconcile(world, key, &claim);
    }
    let Some(name) = claim["spec"]["storageClassName"].as_str() else {
        match default_class(world) {
            // Also claims that are older than the default class get it.
            Some(name) => {
                world.change_object(key, |c| c["spec"]["storageClassName"] = json!(name));
            }
            None => world.emit(key, "Normal", "FailedBinding", NO_CLASS),
        }
        return;
    };
    if name.is_empty() {
        return world.emit(key, "Normal", "FailedBinding", NO_CLASS);
    }
    let Some(class) = class(world, name) else {
        return world.emit(key, "Warning", "ProvisioningFailed", &no_class(name));
    };
    let node = claim["metadata"]["annotations"][SELECTED].as_str();
    if waits_for_consumer(&class) && node.is_none() {
        return world.emit(
            key,
            "Normal",
            "WaitForFirstConsumer",
            "waiting for first consumer to be created before binding",
        );
    }
    provision(world, key, &claim, &class, node.map(str::to_string));
}

fn provision(world: &mut World, key: &Key, claim: &Value, class: &Value, node: Option<String>) {
    let able = match text(class, "/provisioner") {
        linstor::PROVISIONER => linstor::can_provision(world, class, node.as_deref()),
        proxmox::PROVISIONER => match node.clone().or_else(|| proxmox::any_node(world)) {
            Some(node) => proxmox::can_provision(world, &node),
            None => Err("no node carries the topology labels of the driver".into()),
        },
        other => {
            let message = format!(
                "Waiting for a volume to be created either by the external provisioner '{other}' or manually by the system administrator."
            );
            return world.emit(key, "Normal", "ExternalProvisioning", &message);
        }
    };
    if let Err(why) = able.and_then(|()| snapshots::source(world, &key.namespace, claim).map(drop)) {
        return failed(world, key, class, &why);
    }
    let uid = uid(claim);
    let mark = format!("claim {uid}");
    if !world.begin(mark.clone()) {
        return;
    }
    let (key, class) = (key.clone(), class.clone());
    let after = world.scenario.latency.volume_bind_s;
    world.after(after, move |world| {
        world.done(&mark);
        if world.is_still(&key, &uid) {
            if let Err(why) = bind(world, &key, &class, node) {
                failed(world, &key, &class, &why);
                world.after(RETRY_S, move |world| {
                    reconcile(world, &key, None);
                    settle(world);
                });
            }
            settle(world);
        }
    });
}

fn failed(world: &mut World, key: &Key, class: &Value, why: &str) {
    let name = text(class, "/metadata/name");
    let message = format!("failed to provision volume with StorageClass \"{name}\": {why}");
    world.emit(key, "Warning", "ProvisioningFailed", &message);
}

fn bind(world: &mut World, key: &Key, class: &Value, node: Option<String>) -> Result<(), String> {
    let Some(claim) = world.object(key).cloned() else { return Ok(()) };
    let name = format!("pvc-{}", uid(&claim));
    let asked = text(&claim, "/spec/resources/requests/storage").to_string();
    let provisioner = text(class, "/provisioner").to_string();
    let from = snapshots::source(world, &key.namespace, &claim)?;
    let (handle, affinity) = if provisioner == proxmox::PROVISIONER {
        let node = node.or_else(|| proxmox::any_node(world)).unwrap_or_default();
        proxmox::create(world, class, &node, &name, gib(&asked))?
    } else {
        linstor::place(world, class, node.as_deref(), &name, gib(&asked), from.as_ref())
    };
    if let (Some((_, snapshot)), Some(state)) = (&from, world.state()) {
        let files = state.volumes.get(snapshot).cloned().unwrap_or_default();
        state.volumes.insert(name.clone(), files);
    }
    let reclaim = class["reclaimPolicy"].as_str().unwrap_or("Delete");
    let mut volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"annotations": {"pv.kubernetes.io/provisioned-by": provisioner}},
        "spec": {
            "capacity": {"storage": asked}, "accessModes": claim["spec"]["accessModes"], "volumeMode": "Filesystem",
            "persistentVolumeReclaimPolicy": reclaim, "storageClassName": class["metadata"]["name"],
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": key.namespace,
                "name": key.name, "uid": claim["metadata"]["uid"]},
            "csi": {"driver": provisioner, "volumeHandle": handle, "fsType": "ext4"},
        },
        "status": {"phase": "Bound"},
    });
    if !affinity.is_null() {
        volume["spec"]["nodeAffinity"] = json!({"required": {"nodeSelectorTerms": [{"matchExpressions": affinity}]}});
    }
    world.put_object(Key::new("", "persistentvolumes", "", &name), volume);
    world.emit(key, "Normal", "ProvisioningSucceeded", &format!("Successfully provisioned volume {name}"));
    world.change_object(key, |c| {
        c["spec"]["volumeName"] = json!(name);
        c["spec"]["volumeMode"] = json!("Filesystem");
        c["status"] =
            json!({"phase": "Bound", "accessModes": c["spec"]["accessModes"], "capacity": {"storage": asked}});
    });
    Ok(())
}

/// Whole GiB of a quantity, rounded up; 1 for one that is not understood.
pub fn gib(quantity: &str) -> u64 {
    let digits = quantity.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number = digits.parse::<f64>().unwrap_or(1.0);
    let unit = match quantity.strip_prefix(digits).unwrap_or_default() {
        "Ki" => 1.0 / 1_048_576.0,
        "Mi" => 1.0 / 1024.0,
        "Ti" => 1024.0,
        "M" => 1e6 / 1_073_741_824.0,
        "G" => 1e9 / 1_073_741_824.0,
        "T" => 1e12 / 1_073_741_824.0,
        "" => 1.0 / 1_073_741_824.0,
        _ => 1.0,
    };
    // A float becomes an integer only by its text or by `as`; sizes here are far below both limits.
    (number * unit).ceil().max(1.0) as u64
}

/// The claim is gone: its volume follows, unless it is to be retained.
fn release(world: &mut World, volume: &str) {
    let key = Key::new("", "persistentvolumes", "", volume);
    let Some(object) = world.object(&key).cloned() else { return };
    world.change_object(&key, |v| v["status"] = json!({"phase": "Released"}));
    if object["spec"]["persistentVolumeReclaimPolicy"] != "Delete" {
        return;
    }
    let after = world.scenario.latency.volume_delete_s;
    reclaim(world, key, uid(&object), after);
}

/// Removes the volume, but not while a node still has it.
fn reclaim(world: &mut World, key: Key, uid: String, after: f64) {
    world.after(after, move |world| {
        if !world.is_still(&key, &uid) {
            return;
        }
        if attach::is_held(world, &key.name) {
            return reclaim(world, key, uid, 1.0);
        }
        proxmox::remove(world, &key.name);
        linstor::forget(world, &key.name);
        if let Some(state) = world.state() {
            state.volumes.remove(&key.name);
        }
        world.remove_object(&key);
        settle(world);
    });
}

/// True when a pod of the namespace that is on a node uses the claim and has not ended (`pvc_protection_controller.go`, `podUsesPVC`).
fn in_use(world: &World, claim: &Key) -> bool {
    !world
        .select("", "pods", Some(&claim.namespace), |p| {
            !matches!(text(p, "/status/phase"), "Succeeded" | "Failed")
                && !text(p, "/spec/nodeName").is_empty()
                && items(p, "/spec/volumes").any(|v| text(v, "/persistentVolumeClaim/claimName") == claim.name)
        })
        .is_empty()
}

/// Claims that were only waiting for their pod to go.
pub fn pod_gone(world: &mut World, namespace: &str) {
    for (key, _) in world.select("", "persistentvolumeclaims", Some(namespace), is_deleting) {
        reconcile(world, &key, None);
    }
}

/// Looks again at every claim without a volume, and at the pods that wait for one.
pub fn wake(world: &mut World) {
    for (key, _) in world.select("", "persistentvolumeclaims", None, |c| c["status"]["phase"] != "Bound") {
        reconcile(world, &key, None);
    }
    pods::wake(world, None);
}

/// Adds a driver to a node's CSINode.
pub fn add_driver(world: &mut World, node: &str, driver: &str, topology: &[&str]) {
    let key = Key::new("storage.k8s.io", "csinodes", "", node);
    world.change_object(&key, |n| {
        let entry = json!({"name": driver, "nodeID": node, "topologyKeys": topology});
        // The API writes an empty list as null.
        if n["spec"]["drivers"].is_null() {
            n["spec"]["drivers"] = json!([]);
        }
        if let Some(drivers) = n["spec"]["drivers"].as_array_mut()
            && !drivers.iter().any(|d| d["name"] == driver)
        {
            drivers.push(entry);
        }
    });
}

pub fn driver_object(world: &mut World, name: &str) {
    let driver = json!({"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {},
        "spec": {"attachRequired": true, "podInfoOnMount": true, "storageCapacity": true,
            "volumeLifecycleModes": ["Persistent"]}});
    world.apply_object(Key::new("storage.k8s.io", "csidrivers", "", name), driver);
}

/// Node labels decide where the Proxmox driver works.
pub fn nodes_changed(world: &mut World) {
    if proxmox::spread(world) {
        wake(world);
    }
}
