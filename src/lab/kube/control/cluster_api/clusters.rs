//! Cluster API core's Cluster: it owns its infrastructure, tells when that is ready, and takes all of it along.
use super::{CORE, INFRASTRUCTURE, delete, gate, hold, keep_status, label, own, release};
use crate::kube::control::objects::{is_deleting, set_condition, text};
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
    keep_status(world, key, cluster, &after);
}

/// The object that `spec.infrastructureRef` names. Without a namespace it is the Cluster's own, as the webhook fills in.
fn infrastructure(key: &Key, cluster: &Value) -> Option<Key> {
    let reference = &cluster["spec"]["infrastructureRef"];
    let namespace = reference["namespace"].as_str().unwrap_or(&key.namespace);
    (reference["kind"] == "ProxmoxCluster")
        .then(|| Key::new(INFRASTRUCTURE, "proxmoxclusters", namespace, text(reference, "/name")))
}

/// Machines first, then the infrastructure, then itself.
fn remove(world: &mut World, key: &Key, cluster: &Value) {
    let of_cluster = |o: &Value| o["spec"]["clusterName"] == key.name.as_str();
    let machines = world.select(CORE, "machines", Some(&key.namespace), of_cluster);
    if cluster["status"]["phase"] != "Deleting" {
        world.change_object(key, |c| c["status"]["phase"] = json!("Deleting"));
    }
    if !machines.is_empty() {
        machines.iter().for_each(|(key, _)| delete(world, key));
        return;
    }
    match infrastructure(key, cluster).filter(|of| world.object(of).is_some()) {
        Some(of) => delete(world, &of),
        None => release(world, key, FINALIZER),
    }
}
