//! LINSTOR as Piraeus runs it: satellites, their storage pools, and where a volume can lie.
mod objects;

pub use objects::forget_snapshot;

use super::objects::{items, selects, set_condition, text, uid};
use super::{definitions, storage};
use crate::kube::settle;
use crate::kube::store::{Key, seconds};
use crate::world::World;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub const PROVISIONER: &str = "linstor.csi.linbit.com";
const HOSTNAME: &str = "linbit.com/hostname";
/// After the install cert-manager writes the certificate of LINSTOR's API once more, and what uses it is started again.
const RELOAD_S: f64 = 20.0;
/// The variable by which the reloader marks a container that it starts again; the value stands for the certificate.
const RELOADED: (&str, &str) = ("STAKATER_LINSTOR_API_TLS_SECRET", "5d1c7c2f0e6f4b6b8f0f1b0c5a0f8c0d2b7d3a11");

fn satellite_key(node: &str) -> Key {
    Key::new("piraeus.io", "linstorsatellites", "", node)
}

/// The HelmRelease `linstor` is Ready: the cluster object, a satellite per node, the CSI driver.
pub fn installed(world: &mut World) {
    let at = seconds(world.now);
    let mut cluster =
        json!({"apiVersion": "piraeus.io/v1", "kind": "LinstorCluster", "metadata": {}, "spec": cluster_spec()});
    for kind in ["Applied", "Available", "Configured"] {
        set_condition(&mut cluster, &at, kind, "True", "AsExpected", "");
    }
    world.put_object(Key::new("piraeus.io", "linstorclusters", "", "linstorcluster"), cluster);
    // The operator merges these four of the chart with the one that has the pools.
    for (name, spec) in satellite_specs() {
        let own = json!({"apiVersion": "piraeus.io/v1", "kind": "LinstorSatelliteConfiguration", "metadata": {},
            "spec": spec});
        world.put_object(Key::new("piraeus.io", "linstorsatelliteconfigurations", "", name), own);
    }
    // Of the chart too; who serves its kind is a release of its own.
    let class = json!({"apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshotClass", "metadata": {
            "annotations": {"snapshot.storage.kubernetes.io/is-default-class": "true"}},
        "driver": PROVISIONER, "deletionPolicy": "Delete"});
    world.put_object(Key::new("snapshot.storage.k8s.io", "volumesnapshotclasses", "", "linstor-snapshots"), class);
    world.after(RELOAD_S, |world| {
        reload(world);
        settle(world);
    });
    storage::driver_object(world, PROVISIONER);
    definitions::define(world, &objects::TABLES);
    nodes_changed(world);
    for (key, _) in world.objects("piraeus.io", "linstorsatelliteconfigurations", None) {
        configuration_changed(world, &key, None);
    }
}

/// Of the chart's LinstorCluster: certificates of two issuers, DRBD's timeouts, a plunger beside the controller, and what
/// makes the reloader look at three workloads.
fn cluster_spec() -> Value {
    let property = |name: &str, value: &str| json!({"name": format!("DrbdOptions/Net/{name}"), "value": value});
    json!({
        "internalTLS": {"certManager": {"name": "linstor-internal-ca", "kind": "Issuer"}},
        "apiTLS": {"certManager": {"name": "linstor-api-ca", "kind": "Issuer"}},
        "properties": [property("connect-int", "15"), property("ping-int", "15"), property("ping-timeout", "20"),
            property("timeout", "100")],
        "controller": {"enabled": true, "podTemplate": {"spec": {"containers": [{"name": "plunger"}]}}},
        "patches": [reloaded("Deployment", "linstor-controller"), reloaded("Deployment", "linstor-csi-controller"),
            reloaded("DaemonSet", "linstor-csi-node")],
    })
}

fn reloaded(kind: &str, name: &str) -> Value {
    let patch = "- op: add\n  path: /metadata/annotations/reloader.stakater.com~1auto\n  value: \"true\"\n";
    json!({"target": {"kind": kind, "name": name}, "patch": patch})
}

/// The chart's configurations of satellites.
fn satellite_specs() -> [(&'static str, Value); 4] {
    let tls = json!({"certManager": {"name": "linstor-internal-ca", "kind": "Issuer"}});
    let pod = |spec: Value| json!({"internalTLS": tls, "podTemplate": {"spec": spec}});
    let talos = json!({"target": {"group": "apps", "version": "v1", "kind": "DaemonSet", "name": "linstor-satellite"},
        "patch": "spec: {template: {spec: {initContainers: [{name: drbd-module-loader, $patch: delete}]}}}\n"});
    [
        ("cozystack", pod(json!({"hostNetwork": true, "containers": [{"name": "linstor-satellite"}]}))),
        ("cozystack-plunger", pod(json!({"containers": [{"name": "plunger"}, {"name": "drbd-logger"}]}))),
        ("cozystack-reloader", json!({"patches": [reloaded("DaemonSet", "linstor-satellite")]})),
        ("cozystack-talos", json!({"patches": [talos]})),
    ]
}

/// The reloader: a variable more in the pods of what carries its annotation, so that they are made anew.
fn reload(world: &mut World) {
    let key = Key::new("apps", "deployments", "cozy-linstor", "linstor-controller");
    if world.object(&key).is_none() {
        return;
    }
    world.change_object(&key, |deployment| {
        deployment["metadata"]["annotations"]["reloader.stakater.com/auto"] = json!("true");
        deployment["spec"]["template"]["spec"]["containers"][0]["env"] =
            json!([{"name": RELOADED.0, "value": RELOADED.1}]);
    });
}

/// Every node gets a satellite, and what the configurations say about it.
pub fn nodes_changed(world: &mut World) {
    if world.object(&Key::new("piraeus.io", "linstorclusters", "", "linstorcluster")).is_none() {
        return;
    }
    let at = seconds(world.now);
    for (node, object) in world.objects("", "nodes", None) {
        if world.object(&satellite_key(&node.name)).is_none() {
            let mut satellite = json!({"apiVersion": "piraeus.io/v1", "kind": "LinstorSatellite", "metadata": {},
                "spec": {"clusterRef": {"name": "linstorcluster"}}});
            for kind in ["Applied", "Available", "Configured"] {
                set_condition(&mut satellite, &at, kind, "True", "AsExpected", "");
            }
            world.put_object(satellite_key(&node.name), satellite);
            storage::add_driver(world, &node.name, PROVISIONER, &[HOSTNAME]);
            if object["metadata"]["labels"][HOSTNAME].is_null() {
                let name = node.name.clone();
                world.change_object(&node, |n| n["metadata"]["labels"][HOSTNAME] = json!(name));
            }
            for (key, _) in world.objects("piraeus.io", "linstorsatelliteconfigurations", None) {
                configuration_changed(world, &key, None);
            }
        }
    }
}

/// The operator deletes the satellite of a node that is gone, and LINSTOR's own node with it. It waits for ever while data
/// lies there (piraeus-operator v2, `deleteSatellite`).
pub fn node_gone(world: &mut World, node: &str) {
    let key = satellite_key(node);
    if world.object(&key).is_none() {
        return;
    }
    let at = seconds(world.now);
    let left = objects::with_data_on(world, node);
    if !left.is_empty() {
        let why = format!("remaining resources: {}", left.join(", "));
        world.change_object(&key, |satellite| {
            satellite["metadata"]["deletionTimestamp"] = json!(at);
            satellite["metadata"]["finalizers"] = json!(["piraeus.io/satellite-protection"]);
            set_condition(satellite, &at, "EvacuationCompleted", "False", "Error", &why);
        });
        return;
    }
    objects::leave_all(world, node);
    if let Some(state) = world.state() {
        state.pools.remove(node);
        state.underway.retain(|mark| !mark.starts_with(&format!("satellite {node} ")));
    }
    world.remove_object(&key);
}

/// Starts the work on every satellite that the configuration means.
pub fn configuration_changed(world: &mut World, key: &Key, gone: Option<&Value>) {
    let at = seconds(world.now);
    if let Some(gone) = gone {
        let names: BTreeSet<&str> = items(gone, "/spec/storagePools").map(|p| text(p, "/name")).collect();
        if let Some(state) = world.state() {
            state.pools.values_mut().for_each(|pools| pools.retain(|p| !names.contains(p.as_str())));
        }
        for (satellite, _) in world.objects("piraeus.io", "linstorsatellites", None) {
            world.change_object(&satellite, |s| {
                if let Some(pools) = s["spec"]["storagePools"].as_array_mut() {
                    pools.retain(|p| !names.contains(text(p, "/name")));
                }
            });
        }
        return;
    }
    let Some(configuration) = world.object(key).cloned() else { return };
    let generation = configuration["metadata"]["generation"].as_u64().unwrap_or_default();
    for node in meant(world, &configuration) {
        let mark = format!("satellite {node} {} {generation}", uid(&configuration));
        if world.object(&satellite_key(&node)).is_none() || !world.begin(mark) {
            continue;
        }
        if items(&configuration, "/spec/storagePools").next().is_some() {
            let pools = configuration["spec"]["storagePools"].clone();
            world.change_object(&satellite_key(&node), |s| {
                // The operator writes what the configurations say into each satellite's own spec.
                merge_pools(&mut s["spec"]["storagePools"], &pools);
                set_condition(s, &at, "Configured", "False", "Pending", "waiting for storage pools");
            });
        }
        let (key, uid) = (key.clone(), uid(&configuration));
        let after = world.scenario.latency.satellite_pool_s;
        world.after(after, move |world| {
            if world.is_still(&key, &uid) {
                configure(world, &key, &node);
                settle(world);
            }
        });
    }
    world.change_object(key, |c| set_condition(c, &at, "Applied", "True", "AsExpected", ""));
}

/// A pool of the same name is replaced, a new one is added.
fn merge_pools(into: &mut Value, pools: &Value) {
    let mut merged: Vec<Value> = into.as_array().cloned().unwrap_or_default();
    for pool in pools.as_array().into_iter().flatten() {
        merged.retain(|p| text(p, "/name") != text(pool, "/name"));
        merged.push(pool.clone());
    }
    *into = Value::Array(merged);
}

fn meant(world: &World, configuration: &Value) -> Vec<String> {
    let selector = &configuration["spec"]["nodeSelector"];
    let all = selector.as_object().is_none_or(serde_json::Map::is_empty);
    let fits = |n: &Value| all || selects(selector, &n["metadata"]["labels"]);
    world.select("", "nodes", None, fits).into_iter().map(|(k, _)| k.name).collect()
}

/// Makes the pools on one node, or says which device is not there.
fn configure(world: &mut World, key: &Key, node: &str) {
    let at = seconds(world.now);
    let Some(configuration) = world.object(key).cloned() else { return };
    let disks: Vec<String> = world
        .cluster
        .as_ref()
        .and_then(|c| c.nodes.get(node))
        .map(|n| n.data_disks.iter().map(|(d, _)| d.trim_start_matches("/dev/").to_string()).collect())
        .unwrap_or_default();
    let mut missing = Vec::new();
    for pool in items(&configuration, "/spec/storagePools") {
        let name = text(pool, "/name").to_string();
        let devices = items(pool, "/source/hostDevices").filter_map(Value::as_str);
        let absent: Vec<&str> =
            devices.filter(|d| !disks.iter().any(|have| have == d.trim_start_matches("/dev/"))).collect();
        if let Some(device) = absent.first() {
            missing.push(format!(
                "failed to create storage pool '{name}' on node '{node}': device '{device}' does not exist"
            ));
        } else if let Some(state) = world.state() {
            state.pools.entry(node.to_string()).or_default().insert(name);
        }
    }
    let pools: Vec<String> = world.state().and_then(|s| s.pools.get(node)).into_iter().flatten().cloned().collect();
    world.change_object(&satellite_key(node), |s| {
        if missing.is_empty() {
            let message = format!("storage pools: {}", pools.join(", "));
            set_condition(s, &at, "Configured", "True", "AsExpected", &message);
        } else {
            set_condition(s, &at, "Configured", "False", "Error", &missing.join("; "));
        }
    });
    storage::wake(world);
}

fn parameter<'a>(class: &'a Value, name: &str) -> Option<&'a str> {
    let parameters = &class["parameters"];
    parameters[format!("linstor.csi.linbit.com/{name}")].as_str().or_else(|| parameters[name].as_str())
}

/// The nodes that hold the class's pool.
fn holders(world: &World, class: &Value) -> Vec<String> {
    let pool = parameter(class, "storagePool").unwrap_or_default();
    let pools = world.cluster.iter().flat_map(|c| &c.state.pools);
    pools.filter(|(_, p)| pool.is_empty() && !p.is_empty() || p.contains(pool)).map(|(n, _)| n.clone()).collect()
}

fn replicas(class: &Value) -> usize {
    parameter(class, "autoPlace")
        .or_else(|| parameter(class, "placementCount"))
        .and_then(|n| n.parse().ok())
        .unwrap_or(1)
}

fn is_local(class: &Value) -> bool {
    parameter(class, "allowRemoteVolumeAccess") == Some("false")
}

/// # Errors
/// LINSTOR's words when the pool is not there, or not on enough nodes.
pub fn can_provision(world: &World, class: &Value, node: Option<&str>) -> Result<(), String> {
    let there = holders(world, class);
    let (pool, wanted) = (parameter(class, "storagePool").unwrap_or_default(), replicas(class));
    if there.len() < wanted {
        return Err(format!(
            "rpc error: code = ResourceExhausted desc = Not enough available nodes: storage pool '{pool}' is on {} of {wanted} nodes",
            there.len()
        ));
    }
    match node {
        Some(node) if is_local(class) && !there.iter().any(|n| n == node) => {
            Err(format!("rpc error: code = ResourceExhausted desc = node '{node}' has no storage pool '{pool}'"))
        }
        Some(_) | None => Ok(()),
    }
}

/// The volume's handle, and where it can be reached from. Its replicas lie on the node where it is wanted first and on others with
/// the pool; of two, a third node breaks the tie. One that is filled from a snapshot lies where the snapshot does.
pub fn place(
    world: &mut World,
    class: &Value,
    node: Option<&str>,
    volume: &str,
    gib: u64,
    from: Option<&(String, String)>,
) -> (String, Value) {
    let mut nodes = match from {
        Some((source, snapshot)) => objects::nodes(world, source, snapshot).into_iter().collect(),
        None => holders(world, class),
    };
    nodes.sort_by_key(|holder| (node != Some(holder.as_str()), holder.clone()));
    let count = replicas(class);
    for holder in nodes.iter().take(count) {
        objects::place(world, volume, "", holder, 0);
    }
    if let Some(third) = nodes.get(count).filter(|_| count == 2 && !is_local(class)) {
        objects::place(world, volume, "", third, objects::TIE_BREAKER);
    }
    objects::set_size(world, volume, gib);
    if !is_local(class) {
        return (volume.to_string(), Value::Null);
    }
    let node = nodes.into_iter().next();
    (volume.to_string(), json!([{"key": HOSTNAME, "operator": "In", "values": [node]}]))
}

/// A node without a replica reads and writes it over the network.
pub fn attach(world: &mut World, node: &str, volume: &str) {
    if !objects::is_on(world, volume, node) {
        objects::place(world, volume, "", node, objects::DRBD_DISKLESS);
    }
}

pub fn detach(world: &mut World, node: &str, volume: &str) {
    objects::leave(world, volume, node);
}

pub fn expand(world: &mut World, volume: &str, gib: u64) {
    objects::set_size(world, volume, gib);
}

/// Where the volume's data is, its snapshot is.
pub fn snapshot(world: &mut World, volume: &str, snapshot: &str) {
    for node in objects::nodes(world, volume, "") {
        objects::place(world, volume, snapshot, &node, 0);
    }
}

pub fn forget(world: &mut World, volume: &str) {
    objects::forget(world, volume);
}
