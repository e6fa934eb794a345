//! LINSTOR's own objects in the cluster, its database: a resource for each node that holds a volume or a snapshot of it, and the
//! volume's size.
//!
//! LINSTOR's controller keeps them under hashed names, and names of nodes and resources in capitals (LINBIT/linstor-server,
//! controller/generated-resources, dbcp/k8s/crd). The lab has of its tables only these two, in one of the versions that are served.
use super::super::objects::{hash, text};
use crate::kube::store::Key;
use crate::world::World;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const GROUP: &str = "internal.linstor.linbit.com";
const VERSION: &str = "v1-19-1";
/// The definitions that the controller makes when it starts.
pub const TABLES: [(&str, &str); 2] = [(GROUP, RESOURCES), (GROUP, SIZES)];
const RESOURCES: &str = "resources";
const SIZES: &str = "volumedefinitions";

/// Flags of a resource (`core/objects/Resource.java`).
const DISKLESS: u64 = 1 << 2;
pub const DRBD_DISKLESS: u64 = DISKLESS | 1 << 8;
pub const TIE_BREAKER: u64 = DRBD_DISKLESS | 1 << 7;

fn key(table: &str, primary: &[&str]) -> Key {
    let name: String = (0..4_u8).map(|part| format!("{:016x}", hash(&(part, primary)))).collect();
    Key::new(GROUP, table, "", &name)
}

fn object(kind: &str, spec: Value) -> Value {
    json!({"apiVersion": format!("{GROUP}/{VERSION}"), "kind": kind, "metadata": {}, "spec": spec})
}

/// Puts a replica of the volume, or of its snapshot, on a node.
pub fn place(world: &mut World, volume: &str, snapshot: &str, node: &str, flags: u64) {
    let names = [node.to_uppercase(), volume.to_uppercase(), snapshot.to_uppercase()];
    let key = key(RESOURCES, &names.each_ref().map(String::as_str));
    let [node, volume, snapshot] = names;
    let spec = json!({"node_name": node, "resource_name": volume, "snapshot_name": snapshot, "resource_flags": flags,
        "create_timestamp": world.now.as_millisecond()});
    world.put_object(key, object("Resources", spec));
}

pub fn set_size(world: &mut World, volume: &str, gib: u64) {
    let volume = volume.to_uppercase();
    let spec =
        json!({"resource_name": volume, "snapshot_name": "", "vlm_nr": 0, "vlm_size": gib << 20, "vlm_flags": 0});
    world.put_object(key(SIZES, &[&volume]), object("VolumeDefinitions", spec));
}

fn rows(world: &World, volume: &str, snapshot: &str) -> Vec<(Key, Value)> {
    let (volume, snapshot) = (volume.to_uppercase(), snapshot.to_uppercase());
    world.select(GROUP, RESOURCES, None, |o| {
        text(o, "/spec/resource_name") == volume && text(o, "/spec/snapshot_name") == snapshot
    })
}

fn flags(row: &Value) -> u64 {
    row["spec"]["resource_flags"].as_u64().unwrap_or_default()
}

/// The nodes that hold the data, of the volume or of its snapshot, as the cluster names them.
pub fn nodes(world: &World, volume: &str, snapshot: &str) -> BTreeSet<String> {
    let rows = rows(world, volume, snapshot);
    let with_data = rows.iter().filter(|(_, row)| flags(row) & DISKLESS == 0);
    let capitals: BTreeSet<&str> = with_data.map(|(_, row)| text(row, "/spec/node_name")).collect();
    let all = world.objects("", "nodes", None).into_iter().map(|(key, _)| key.name);
    all.filter(|name| capitals.contains(name.to_uppercase().as_str())).collect()
}

/// True when the node has the volume, with its data or without.
pub fn is_on(world: &World, volume: &str, node: &str) -> bool {
    rows(world, volume, "").iter().any(|(_, row)| text(row, "/spec/node_name") == node.to_uppercase())
}

/// Removes the replica of a node that only reads it from the others; a tie-breaker stays.
pub fn leave(world: &mut World, volume: &str, node: &str) {
    for (key, row) in rows(world, volume, "") {
        if text(&row, "/spec/node_name") == node.to_uppercase() && flags(&row) == DRBD_DISKLESS {
            world.remove_object(&key);
        }
    }
}

fn on(world: &World, node: &str) -> Vec<(Key, Value)> {
    let node = node.to_uppercase();
    world.select(GROUP, RESOURCES, None, |o| text(o, "/spec/node_name") == node)
}

/// The volumes whose data lies on the node, by their names in the cluster.
pub fn with_data_on(world: &World, node: &str) -> Vec<String> {
    let with_data = on(world, node).into_iter().filter(|(_, row)| flags(row) & DISKLESS == 0);
    with_data.map(|(_, row)| text(&row, "/spec/resource_name").to_lowercase()).collect()
}

/// Removes what is on the node, whose LINSTOR node goes.
pub fn leave_all(world: &mut World, node: &str) {
    for (key, _) in on(world, node) {
        world.remove_object(&key);
    }
}

pub fn forget(world: &mut World, volume: &str) {
    for (key, _) in rows(world, volume, "") {
        world.remove_object(&key);
    }
    world.remove_object(&key(SIZES, &[&volume.to_uppercase()]));
}

pub fn forget_snapshot(world: &mut World, volume: &str, snapshot: &str) {
    for (key, _) in rows(world, volume, snapshot) {
        world.remove_object(&key);
    }
}
