//! The control plane of a Cluster, as far as Cluster API core reads it, and Kamaji's provider, which makes one unless it is
//! paused.
use super::{CLUSTER_LABEL, INFRASTRUCTURE, gate, kamaji, keep_status, owner};
use crate::kube::control::objects::{is_deleting, owned_by, text};
use crate::kube::store::Key;
use crate::world::World;
use serde_json::{Value, json};

pub const GROUP: &str = "controlplane.cluster.x-k8s.io";
const PAUSED: &str = "cluster.x-k8s.io/paused";

/// The object that the Cluster's `spec.controlPlaneRef` names.
pub fn of(cluster: &Value, namespace: &str) -> Option<Key> {
    let reference = &cluster["spec"]["controlPlaneRef"];
    (reference["kind"] == "KamajiControlPlane")
        .then(|| Key::new(GROUP, "kamajicontrolplanes", namespace, text(reference, "/name")))
}

/// True when the nodes of the cluster may be deleted although no Machine is a control plane (`isDeleteNodeAllowed`).
pub fn is_external(world: &World, cluster: &Value, namespace: &str) -> bool {
    let found = of(cluster, namespace).and_then(|key| world.object(&key));
    found.is_some_and(|o| o["status"]["externalManagedControlPlane"] == true)
}

/// Looks again at the control planes of the namespace.
pub fn wake(world: &mut World, namespace: &str) {
    for (key, object) in world.objects(GROUP, "kamajicontrolplanes", Some(namespace)) {
        reconcile(world, &key, &object);
    }
}

/// Kamaji's provider v0.15.1: without an owner it waits, paused it does nothing at all, else it makes a control plane.
pub fn reconcile(world: &mut World, key: &Key, object: &Value) {
    let is_paused = object["metadata"]["annotations"][PAUSED].is_string();
    if is_paused || is_deleting(object) || !gate::kamaji(world) {
        return;
    }
    let Some((cluster_key, cluster)) = owner(world, key, object, "Cluster", "clusters") else { return };
    let cluster = cluster.clone();
    let tenant = Key::new(kamaji::GROUP, "tenantcontrolplanes", &key.namespace, &key.name);
    let Some(found) = world.object(&tenant).cloned() else { return world.put_object(tenant, asked(object)) };
    let Some((host, port)) = endpoint(&found) else { return };
    let wanted = json!({"host": host, "port": port});
    if object["spec"]["controlPlaneEndpoint"] != wanted {
        world.change_object(key, |o| o["spec"]["controlPlaneEndpoint"] = wanted.clone());
    }
    let of =
        Key::new(INFRASTRUCTURE, "proxmoxclusters", &key.namespace, text(&cluster, "/spec/infrastructureRef/name"));
    let is_empty = |o: &Value| text(o, "/spec/controlPlaneEndpoint/host").is_empty();
    if world.object(&of).is_some_and(is_empty) {
        world.change_object(&of, |o| o["spec"]["controlPlaneEndpoint"] = wanted.clone());
    }
    let cluster = world.object(&cluster_key).cloned().unwrap_or(cluster);
    let is_placed = !text(&cluster, "/spec/controlPlaneEndpoint/host").is_empty();
    if is_placed && cluster["status"]["infrastructureReady"] == true {
        tell(world, key, &found, &cluster_key.name);
    }
}

/// Kamaji's object, as the provider asks for it.
fn asked(object: &Value) -> Value {
    let spec = &object["spec"];
    json!({"apiVersion": "kamaji.clastix.io/v1alpha1", "kind": "TenantControlPlane",
    "metadata": {"ownerReferences": owned_by(object)},
    "spec": {
        "dataStore": spec["dataStoreName"],
        "kubernetes": {"version": spec["version"], "kubelet": spec["kubelet"]},
        "controlPlane": {
            "deployment": {"replicas": spec["replicas"].as_u64().unwrap_or(2),
                "podAdditionalMetadata": spec["deployment"]["podAdditionalMetadata"]},
            "service": {"serviceType": spec["network"]["serviceType"].as_str().unwrap_or("LoadBalancer")},
        },
    }})
}

fn endpoint(tenant: &Value) -> Option<(String, u16)> {
    let (host, port) = text(tenant, "/status/controlPlaneEndpoint").rsplit_once(':')?;
    Some((host.to_string(), port.parse().ok()?))
}

/// Initialized and ready, with the numbers of its pods; and the access that Cluster API core uses.
fn tell(world: &mut World, key: &Key, tenant: &Value, cluster: &str) {
    let Some(object) = world.object(key).cloned() else { return };
    let (made, mut after) = (&tenant["status"]["kubernetesResources"], object.clone());
    if made["version"]["status"] == "Ready" {
        after["status"]["initialized"] = json!(true);
    }
    if after["status"]["initialized"] != true {
        return;
    }
    for field in ["replicas", "readyReplicas", "updatedReplicas", "unavailableReplicas"] {
        after["status"][field] = made["deployment"][field].clone();
    }
    after["status"]["version"] = made["version"]["version"].clone();
    after["status"]["externalManagedControlPlane"] = json!(true);
    after["status"]["ready"] = json!(made["version"]["status"] == "Ready");
    let access = Key::new("", "secrets", &key.namespace, &format!("{cluster}-kubeconfig"));
    let admin = Key::new("", "secrets", &key.namespace, text(tenant, "/status/kubeconfig/admin/secretName"));
    let value = world.object(&admin).map(|s| s["data"]["admin.conf"].clone());
    if let (None, Some(value)) = (world.object(&access), value) {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "cluster.x-k8s.io/secret",
            "metadata": {"labels": {CLUSTER_LABEL: cluster}, "ownerReferences": owned_by(&object)}, "data": {"value": value}});
        world.put_object(access, secret);
    }
    keep_status(world, key, &object, &after);
}
