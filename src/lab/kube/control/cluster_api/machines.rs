//! Cluster API core's Machine: it owns its infrastructure's machine, follows it and takes it along.
use super::{CORE, INFRASTRUCTURE, delete, gate, hold, label, own, release};
use crate::kube::control::objects::{is_deleting, set_condition, text};
use crate::kube::store::{Key, seconds};
use crate::world::World;
use serde_json::{Value, json};

const FINALIZER: &str = "machine.cluster.x-k8s.io";

pub fn reconcile(world: &mut World, key: &Key, machine: &Value) {
    if !gate::core(world) {
        return;
    }
    let infrastructure = infrastructure(key, machine);
    if is_deleting(machine) {
        if machine["status"]["phase"] != "Deleting" {
            world.change_object(key, |m| m["status"]["phase"] = json!("Deleting"));
        }
        return match infrastructure.filter(|of| world.object(of).is_some()) {
            Some(of) => delete(world, &of),
            None => release(world, key, FINALIZER),
        };
    }
    let cluster_key = Key::new(CORE, "clusters", &key.namespace, text(machine, "/spec/clusterName"));
    let Some(cluster) = world.object(&cluster_key).cloned() else { return };
    hold(world, key, FINALIZER);
    own(world, key, &cluster, false);
    label(world, key, &cluster_key.name);
    let found = infrastructure.as_ref().and_then(|of| world.object(of)).cloned();
    if let (Some(of), Some(_)) = (&infrastructure, &found) {
        own(world, of, machine, true);
        label(world, of, &cluster_key.name);
    }
    follow(world, key, machine, found.as_ref());
}

fn infrastructure(key: &Key, machine: &Value) -> Option<Key> {
    let reference = &machine["spec"]["infrastructureRef"];
    let namespace = reference["namespace"].as_str().unwrap_or(&key.namespace);
    (reference["kind"] == "ProxmoxMachine")
        .then(|| Key::new(INFRASTRUCTURE, "proxmoxmachines", namespace, text(reference, "/name")))
}

/// Phase, provider id and addresses, from what the infrastructure says.
fn follow(world: &mut World, key: &Key, machine: &Value, found: Option<&Value>) {
    let at = seconds(world.now);
    let mut after = machine.clone();
    let bootstrapped = machine["spec"]["bootstrap"]["dataSecretName"].is_string();
    let ready = found.is_some_and(|o| o["status"]["ready"] == true);
    let provider_id = found.and_then(|o| o["spec"]["providerID"].as_str()).filter(|_| ready);
    after["status"]["bootstrapReady"] = json!(bootstrapped);
    after["status"]["infrastructureReady"] = json!(ready);
    if let Some(id) = provider_id {
        after["spec"]["providerID"] = json!(id);
    }
    if let Some(addresses) = found.map(|o| &o["status"]["addresses"]).filter(|a| a.is_array()) {
        after["status"]["addresses"] = addresses.clone();
    }
    let node = provider_id.and_then(|id| node(world, id));
    if let Some(name) = &node {
        after["status"]["nodeRef"] = json!({"apiVersion": "v1", "kind": "Node", "name": name});
    }
    let phase = match (bootstrapped, ready) {
        (_, true) if node.is_some() => "Running",
        (_, true) => "Provisioned",
        (true, false) => "Provisioning",
        (false, false) => "Pending",
    };
    after["status"]["phase"] = json!(phase);
    match ready {
        true => set_condition(&mut after, &at, "InfrastructureReady", "True", "", ""),
        false => set_condition(&mut after, &at, "InfrastructureReady", "False", "WaitingForInfrastructure", ""),
    }
    if after["status"] != machine["status"] || after["spec"] != machine["spec"] {
        world.change_object(key, |m| {
            m["status"] = after["status"].clone();
            m["spec"] = after["spec"].clone();
        });
    }
}

/// The node of this cluster that has the provider id.
fn node(world: &World, provider_id: &str) -> Option<String> {
    let found = world.select("", "nodes", None, |n| n["spec"]["providerID"] == provider_id);
    found.into_iter().next().map(|(key, _)| key.name)
}
