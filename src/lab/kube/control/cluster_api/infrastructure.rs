//! capmox's ProxmoxCluster: a pool of addresses, and ready. It asks Proxmox VE for nothing.
use super::{IPAM, again, gate, hold, keep_status, own, owner, release};
use crate::kube::control::cluster_api::{INFRASTRUCTURE, REQUEUE_S};
use crate::kube::control::objects::{is_deleting, set_condition, text};
use crate::kube::store::{Key, seconds};
use crate::world::World;
use serde_json::{Value, json};

const FINALIZER: &str = "proxmoxcluster.infrastructure.cluster.x-k8s.io";
const SECRET_FINALIZER: &str = "proxmoxcluster.infrastructure.cluster.x-k8s.io/secret";

pub fn reconcile(world: &mut World, key: &Key, object: &Value) {
    if !gate::capmox(world) {
        return;
    }
    // Without its owner nothing is done and nothing is said.
    let Some((_, cluster)) = owner(world, key, object, "Cluster", "clusters") else { return };
    let cluster_goes = is_deleting(cluster);
    if is_deleting(object) {
        if cluster_goes {
            remove(world, key, object);
        }
        return;
    }
    hold(world, key, FINALIZER);
    let at = seconds(world.now);
    if object["spec"]["externalManagedControlPlane"] == true
        && text(object, "/spec/controlPlaneEndpoint/host").is_empty()
    {
        let why = "The ProxmoxCluster is missing or waiting for a ControlPlaneEndpoint";
        say(world, key, object, &at, Some(("MissingControlPlaneEndpoint", why)));
        return again(world, key, object, REQUEUE_S);
    }
    pool(world, key, object);
    if let Some(secret) = gate::own_credentials(object, &key.namespace) {
        if world.object(&secret).is_none() {
            let why = format!("secrets \"{}\" not found", secret.name);
            return say(world, key, object, &at, Some(("ProxmoxUnreachable", &why)));
        }
        own(world, &secret, object, false);
        hold(world, &secret, SECRET_FINALIZER);
    }
    say(world, key, object, &at, None);
}

/// The pool that machines take their addresses from.
fn pool(world: &mut World, key: &Key, object: &Value) {
    let config = &object["spec"]["ipv4Config"];
    let name = format!("{}-v4-icip", key.name);
    let pool_key = Key::new(IPAM, "inclusterippools", &key.namespace, &name);
    let spec = json!({"addresses": config["addresses"], "prefix": config["prefix"], "gateway": config["gateway"],
        "allocateReservedIPAddresses": false});
    if world.object(&pool_key).is_none() {
        let pool = json!({"apiVersion": "ipam.cluster.x-k8s.io/v1alpha2", "kind": "InClusterIPPool",
            "metadata": {}, "spec": spec});
        world.put_object(pool_key.clone(), pool);
        own(world, &pool_key, object, true);
    } else if world.object(&pool_key).is_some_and(|p| p["spec"] != spec) {
        world.change_object(&pool_key, |p| p["spec"] = spec);
    }
}

/// Ready, or why not; a cluster that was ready stays so.
fn say(world: &mut World, key: &Key, object: &Value, at: &str, why: Option<(&str, &str)>) {
    let mut after = object.clone();
    match why {
        None => {
            after["status"]["ready"] = json!(true);
            after["status"]["inClusterIpPoolRef"] = json!([{"name": format!("{}-v4-icip", key.name)}]);
            for kind in ["ClusterReady", "Ready"] {
                set_condition(&mut after, at, kind, "True", "", "");
            }
        }
        Some((reason, message)) => {
            for kind in ["ClusterReady", "Ready"] {
                set_condition(&mut after, at, kind, "False", reason, message);
            }
        }
    }
    keep_status(world, key, object, &after);
}

fn remove(world: &mut World, key: &Key, object: &Value) {
    let machines = world.objects(INFRASTRUCTURE, "proxmoxmachines", Some(&key.namespace));
    let of_cluster = |o: &Value| o["metadata"]["labels"][super::CLUSTER_LABEL] == key.name.as_str();
    if machines.iter().any(|(_, m)| of_cluster(m)) {
        return again(world, key, object, REQUEUE_S);
    }
    if let Some(secret) = gate::own_credentials(object, &key.namespace) {
        release(world, &secret, SECRET_FINALIZER);
    }
    release(world, key, FINALIZER);
}
