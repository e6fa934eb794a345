//! The control plane of a Cluster, as far as Cluster API core reads it, and Kamaji's provider, which makes one unless it is
//! paused.
use super::gate;
use crate::kube::control::objects::{items, owned_by, text};
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

/// Kamaji's provider v0.15.1: without an owner it waits, paused it does nothing at all, else it makes a control plane.
pub fn reconcile(world: &mut World, key: &Key, object: &Value) {
    let is_paused = object["metadata"]["annotations"][PAUSED].is_string();
    if is_paused || !gate::kamaji(world) || items(object, "/metadata/ownerReferences").next().is_none() {
        return;
    }
    let tenant = Key::new("kamaji.clastix.io", "tenantcontrolplanes", &key.namespace, &key.name);
    if world.object(&tenant).is_none() {
        let made = json!({"apiVersion": "kamaji.clastix.io/v1alpha1", "kind": "TenantControlPlane",
            "metadata": {"ownerReferences": owned_by(object)}, "spec": {"kubernetes": {"version": object["spec"]["version"]}}});
        world.put_object(tenant, made);
    }
}
