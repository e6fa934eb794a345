//! Cluster API core's Cluster: it owns its infrastructure, tells when that is ready, and takes all of it along.
use super::{CLUSTER_LABEL, CORE, INFRASTRUCTURE, control_plane, delete, gate, hold, keep_status, label, own, release};
use crate::kube::control::objects::{is_deleting, items, set_condition, text};
use crate::kube::store::{Key, seconds};
use crate::world::World;
use serde_json::{Value, json};

const FINALIZER: &str = "cluster.cluster.x-k8s.io";

pub fn reconcile(world: &mut World, key: &Key, cluster: &Value) {
    if !gate::core(world) {
        return;
    }
    if is_deleting(cluster) {
        return remove(world, key, cluster);
    }
    hold(world, key, FINALIZER);
    let at = seconds(world.now);
    let infrastructure = infrastructure(key, cluster);
    let found = infrastructure.as_ref().and_then(|key| world.object(key)).cloned();
    let ready = found.as_ref().is_some_and(|o| o["status"]["ready"] == true);
    if let (Some(of), Some(_)) = (&infrastructure, &found) {
        own(world, of, cluster, true);
        label(world, of, &key.name);
    }
    let mut after = cluster.clone();
    if after["status"]["phase"].is_null() {
        after["status"]["phase"] = json!("Pending");
    }
    if infrastructure.is_some() {
        after["status"]["phase"] = json!(if ready { "Provisioned" } else { "Provisioning" });
    }
    after["status"]["infrastructureReady"] = json!(ready);
    if ready {
        set_condition(&mut after, &at, "InfrastructureReady", "True", "", "");
    } else if let Some(of) = &infrastructure {
        let (reason, why) = match found {
            Some(_) => ("WaitingForInfrastructure", String::new()),
            None => ("InfrastructureReferenceDoesNotExist", format!("Could not find ProxmoxCluster {}", of.name)),
        };
        set_condition(&mut after, &at, "InfrastructureReady", "False", reason, &why);
    }
    initialize(world, key, cluster, &mut after, &at);
    keep_status(world, key, cluster, &after);
}

/// The control plane's part: who makes it says when it is there; without one a control plane Machine's node would have to.
fn initialize(world: &mut World, key: &Key, cluster: &Value, after: &mut Value, at: &str) {
    const INITIALIZED: &str = "ControlPlaneInitialized";
    let Some(of) = control_plane::of(cluster, &key.namespace) else {
        let why = "Waiting for the first control plane machine to have its status.nodeRef set";
        return set_condition(after, at, INITIALIZED, "False", "MissingNodeRef", why);
    };
    let Some(found) = world.object(&of).cloned() else { return };
    own(world, &of, cluster, true);
    label(world, &of, &key.name);
    after["status"]["controlPlaneReady"] = json!(found["status"]["ready"] == true);
    let endpoint = &found["spec"]["controlPlaneEndpoint"];
    if text(cluster, "/spec/controlPlaneEndpoint/host").is_empty() && !text(endpoint, "/host").is_empty() {
        let endpoint = endpoint.clone();
        world.change_object(key, |c| c["spec"]["controlPlaneEndpoint"] = endpoint);
    }
    if found["status"]["initialized"] == true {
        set_condition(after, at, INITIALIZED, "True", "", "");
    } else {
        let why = "Waiting for control plane provider to indicate the control plane has been initialized";
        set_condition(after, at, INITIALIZED, "False", "WaitingForControlPlaneProviderInitialized", why);
    }
}

/// The object that `spec.infrastructureRef` names. Without a namespace it is the Cluster's own, as the webhook fills in.
fn infrastructure(key: &Key, cluster: &Value) -> Option<Key> {
    let reference = &cluster["spec"]["infrastructureRef"];
    let namespace = reference["namespace"].as_str().unwrap_or(&key.namespace);
    (reference["kind"] == "ProxmoxCluster")
        .then(|| Key::new(INFRASTRUCTURE, "proxmoxclusters", namespace, text(reference, "/name")))
}

/// What makes machines first, then the machines, the control plane, the infrastructure, and itself.
fn remove(world: &mut World, key: &Key, cluster: &Value) {
    if cluster["status"]["phase"] != "Deleting" {
        world.change_object(key, |c| c["status"]["phase"] = json!("Deleting"));
    }
    let of_cluster = |o: &Value| {
        o["spec"]["clusterName"] == key.name.as_str() || o["metadata"]["labels"][CLUSTER_LABEL] == key.name.as_str()
    };
    let is_its_own = |o: &Value| items(o, "/metadata/ownerReferences").any(|o| o["uid"] == cluster["metadata"]["uid"]);
    let mut is_alone = true;
    for plural in ["machinedeployments", "machinesets", "machines"] {
        for (child, object) in world.select(CORE, plural, Some(&key.namespace), of_cluster) {
            is_alone = false;
            if is_its_own(&object) {
                delete(world, &child);
            }
        }
    }
    if !is_alone {
        return;
    }
    let left = [control_plane::of(cluster, &key.namespace), infrastructure(key, cluster)];
    match left.into_iter().flatten().find(|of| world.object(of).is_some()) {
        Some(of) => delete(world, &of),
        None => release(world, key, FINALIZER),
    }
}
