//! Cluster API core's Machine: it owns its infrastructure's machine, follows it and takes it along.
use super::{CORE, INFRASTRUCTURE, control_plane, delete, drain, gate, hold, kubeadm, label, own, release};
use crate::kube::control::nodes;
use crate::kube::control::objects::{is_deleting, is_true, items, set_condition, text};
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
        return remove(world, key, machine, infrastructure.filter(|of| world.object(of).is_some()));
    }
    let cluster_key = Key::new(CORE, "clusters", &key.namespace, text(machine, "/spec/clusterName"));
    let Some(cluster) = world.object(&cluster_key).cloned() else { return };
    hold(world, key, FINALIZER);
    // One that a MachineSet made is that set's.
    if !items(machine, "/metadata/ownerReferences").any(|o| o["controller"] == true) {
        own(world, key, &cluster, false);
    }
    label(world, key, &cluster_key.name);
    let found = infrastructure.as_ref().and_then(|of| world.object(of)).cloned();
    if let (Some(of), Some(_)) = (&infrastructure, &found) {
        adopt(world, of, machine);
        label(world, of, &cluster_key.name);
    }
    let machine = bootstrap(world, key, machine);
    follow(world, key, &machine, found.as_ref());
}

/// The bootstrap provider's object is the Machine's, and its Secret becomes the Machine's data.
fn bootstrap(world: &mut World, key: &Key, machine: &Value) -> Value {
    let reference = &machine["spec"]["bootstrap"]["configRef"];
    if reference["kind"] != "KubeadmConfig" {
        return machine.clone();
    }
    let of = kubeadm::key(&key.namespace, text(reference, "/name"));
    adopt(world, &of, machine);
    let found = world.object(&of).filter(|c| c["status"]["ready"] == true);
    let secret = found.map(|c| c["status"]["dataSecretName"].clone());
    if let Some(secret) = secret.filter(|s| machine["spec"]["bootstrap"]["dataSecretName"] != *s) {
        world.change_object(key, |m| m["spec"]["bootstrap"]["dataSecretName"] = secret);
    }
    world.object(key).cloned().unwrap_or_else(|| machine.clone())
}

/// The infrastructure's machine is the Machine's from now on, and no longer that of the set that made both.
fn adopt(world: &mut World, of: &Key, machine: &Value) {
    let is_of_set = |o: &Value| o["kind"] == "MachineSet";
    if world.object(of).is_some_and(|o| items(o, "/metadata/ownerReferences").any(is_of_set)) {
        world.change_object(of, |o| {
            if let Some(owners) = o["metadata"]["ownerReferences"].as_array_mut() {
                owners.retain(|o| !is_of_set(o));
            }
        });
    }
    own(world, of, machine, true);
}

/// The node is emptied, the infrastructure goes, and then the node itself, where Cluster API core may do so.
fn remove(world: &mut World, key: &Key, machine: &Value, infrastructure: Option<Key>) {
    if machine["status"]["phase"] != "Deleting" {
        world.change_object(key, |m| m["status"]["phase"] = json!("Deleting"));
    }
    let node = deletable_node(world, key, machine);
    if let Some(node) = &node
        && !drain::drain(world, key, machine, node)
    {
        return;
    }
    match infrastructure {
        Some(of) => delete(world, &of),
        None => {
            if let Some(node) = node {
                let cluster = (key.namespace.clone(), text(machine, "/spec/clusterName").to_string());
                match world.tenants.get(&cluster) {
                    Some(tenant) => tenant.remove_node(&node),
                    None => drop(world.remove_object(&nodes::key(&node))),
                }
            }
            release(world, key, FINALIZER);
        }
    }
}

/// The node that goes with the machine: not while the whole Cluster goes, and not without a control plane that is there
/// or managed by somebody else (`isDeleteNodeAllowed`).
fn deletable_node(world: &World, key: &Key, machine: &Value) -> Option<String> {
    let cluster_key = Key::new(CORE, "clusters", &key.namespace, text(machine, "/spec/clusterName"));
    let cluster = world.object(&cluster_key).filter(|c| !is_deleting(c))?;
    if !control_plane::is_external(world, cluster, &key.namespace) {
        return None;
    }
    let known = machine["status"]["nodeRef"]["name"].as_str().map(str::to_string);
    known.or_else(|| node(world, &cluster_key, machine["spec"]["providerID"].as_str()?))
}

/// Looks at the machines of every cluster whose nodes are watched.
pub fn nodes_changed(world: &mut World) {
    for (key, machine) in world.objects(CORE, "machines", None) {
        let cluster = Key::new(CORE, "clusters", &key.namespace, text(&machine, "/spec/clusterName"));
        if world.object(&cluster).is_some_and(|c| is_true(c, "ControlPlaneInitialized")) {
            reconcile(world, &key, &machine);
        }
    }
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
    // Without a bootstrap provider's object core never says so, also where the Secret is named
    // (`reconcileBootstrap`, v1.10.1).
    let bootstrapped = machine["status"]["bootstrapReady"] == true
        || (machine["spec"]["bootstrap"]["configRef"].is_object()
            && machine["spec"]["bootstrap"]["dataSecretName"].is_string());
    let ready = found.is_some_and(|o| o["status"]["ready"] == true);
    let provider_id = found.and_then(|o| o["spec"]["providerID"].as_str()).filter(|_| ready);
    if bootstrapped {
        after["status"]["bootstrapReady"] = json!(true);
    }
    after["status"]["infrastructureReady"] = json!(ready);
    if let Some(id) = provider_id {
        after["spec"]["providerID"] = json!(id);
    }
    if let Some(addresses) = found.map(|o| &o["status"]["addresses"]).filter(|a| a.is_array()) {
        after["status"]["addresses"] = addresses.clone();
    }
    let cluster = Key::new(CORE, "clusters", &key.namespace, text(machine, "/spec/clusterName"));
    let node = provider_id.and_then(|id| node(world, &cluster, id));
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

/// The node with the provider id, in the cluster to which the Cluster's kubeconfig leads.
fn node(world: &World, cluster: &Key, provider_id: &str) -> Option<String> {
    if let Some(tenant) = world.tenants.get(&(cluster.namespace.clone(), cluster.name.clone())) {
        return tenant.node(provider_id);
    }
    if !gate::is_connected(world, cluster) {
        return None;
    }
    let found = world.select("", "nodes", None, |n| n["spec"]["providerID"] == provider_id);
    found.into_iter().next().map(|(key, _)| key.name)
}
