//! VolumeSnapshots: the snapshot controller with the sidecar of LINSTOR's driver. The Proxmox driver of this version makes none
//! (`CreateSnapshot` is not implemented), and has no VolumeSnapshotClass.
use super::objects::{is_deleting, text, uid};
use super::{linstor, storage};
use crate::kube::settle;
use crate::kube::store::{Key, seconds};
use crate::world::World;
use serde_json::{Value, json};

const GROUP: &str = "snapshot.storage.k8s.io";
const DEFAULT: &str = "/metadata/annotations/snapshot.storage.kubernetes.io~1is-default-class";
const FINALIZERS: [&str; 2] = [
    "snapshot.storage.kubernetes.io/volumesnapshot-as-source-protection",
    "snapshot.storage.kubernetes.io/volumesnapshot-bound-protection",
];
/// How long LINSTOR takes for one, in seconds.
pub const TAKEN_S: f64 = 3.0;

fn content_key(snapshot: &Value) -> Key {
    Key::new(GROUP, "volumesnapshotcontents", "", &format!("snapcontent-{}", uid(snapshot)))
}

/// Name of the snapshot in LINSTOR.
fn handle(snapshot: &Value) -> String {
    format!("snapshot-{}", uid(snapshot))
}

pub fn reconcile(world: &mut World, key: &Key, gone: Option<&Value>) {
    let Some(snapshot) = world.object(key).filter(|_| gone.is_none()).cloned() else { return };
    if is_deleting(&snapshot) {
        return remove(world, key, &snapshot);
    }
    if snapshot["status"]["readyToUse"] == true {
        return;
    }
    let source = text(&snapshot, "/spec/source/persistentVolumeClaimName");
    let claim = world.object(&Key::new("", "persistentvolumeclaims", &key.namespace, source)).cloned();
    let Some(claim) = claim.filter(|c| text(c, "/status/phase") == "Bound") else {
        return failed(world, key, &format!("failed to get claim {source} of snapshot: it is not bound"));
    };
    let volume = Key::new("", "persistentvolumes", "", text(&claim, "/spec/volumeName"));
    let driver = world.object(&volume).map(|v| text(v, "/spec/csi/driver").to_string()).unwrap_or_default();
    let wanted = snapshot["spec"]["volumeSnapshotClassName"].as_str();
    let fits = |class: &Value| {
        text(class, "/driver") == driver
            && wanted.map_or(text(class, DEFAULT) == "true", |name| text(class, "/metadata/name") == name)
    };
    let Some((class, _)) = world.select(GROUP, "volumesnapshotclasses", None, fits).into_iter().next() else {
        return failed(world, key, "cannot find default snapshot class");
    };
    if world.begin(format!("snapshot {}", uid(&snapshot))) {
        begin(world, key, &snapshot, &class.name, &volume.name, text(&claim, "/status/capacity/storage"));
    }
}

fn failed(world: &mut World, key: &Key, why: &str) {
    let at = seconds(world.now);
    if world.object(key).is_some_and(|s| text(s, "/status/error/message") != why) {
        world.change_object(key, |s| {
            s["status"] = json!({"readyToUse": false, "error": {"message": why, "time": at}});
        });
        world.emit(key, "Warning", "SnapshotContentCreationFailed", why);
    }
}

fn begin(world: &mut World, key: &Key, snapshot: &Value, class: &str, volume: &str, size: &str) {
    let own = content_key(snapshot);
    let content = json!({"apiVersion": format!("{GROUP}/v1"), "kind": "VolumeSnapshotContent",
        "metadata": {"finalizers": ["snapshot.storage.kubernetes.io/volumesnapshotcontent-bound-protection"]},
        "spec": {"deletionPolicy": "Delete", "driver": linstor::PROVISIONER, "volumeSnapshotClassName": class,
            "source": {"volumeHandle": volume}, "sourceVolumeMode": "Filesystem",
            "volumeSnapshotRef": {"apiVersion": format!("{GROUP}/v1"), "kind": "VolumeSnapshot", "name": key.name,
                "namespace": key.namespace, "uid": uid(snapshot)}},
        "status": {"readyToUse": false}});
    world.put_object(own.clone(), content);
    world.change_object(key, |s| {
        s["metadata"]["finalizers"] = json!(FINALIZERS);
        s["status"] = json!({"readyToUse": false, "boundVolumeSnapshotContentName": own.name});
    });
    let (key, uid, handle, volume) = (key.clone(), uid(snapshot), handle(snapshot), volume.to_string());
    let bytes = storage::gib(size) << 30;
    world.after(TAKEN_S, move |world| {
        if world.is_still(&key, &uid) {
            taken(world, &key, &own, &handle, &volume, bytes);
        }
        settle(world);
    });
}

fn taken(world: &mut World, key: &Key, own: &Key, handle: &str, volume: &str, bytes: u64) {
    let at = seconds(world.now);
    linstor::snapshot(world, volume, handle);
    if let Some(state) = world.state() {
        let files = state.volumes.get(volume).cloned().unwrap_or_default();
        state.volumes.insert(handle.to_string(), files);
    }
    world.change_object(own, |c| {
        c["status"] = json!({"readyToUse": true, "snapshotHandle": handle, "restoreSize": bytes});
    });
    world.change_object(key, |s| {
        s["status"] = json!({"readyToUse": true, "boundVolumeSnapshotContentName": own.name, "creationTime": at,
            "restoreSize": format!("{}Gi", bytes >> 30)});
    });
    storage::wake(world);
}

fn remove(world: &mut World, key: &Key, snapshot: &Value) {
    if !world.begin(format!("snapshot {} goes", uid(snapshot))) {
        return;
    }
    let (key, own, handle, uid) = (key.clone(), content_key(snapshot), handle(snapshot), uid(snapshot));
    let after = world.scenario.latency.volume_delete_s;
    world.after(after, move |world| {
        let content = world.object(&own).cloned();
        let volume = content.map(|c| text(&c, "/spec/source/volumeHandle").to_string()).unwrap_or_default();
        linstor::forget_snapshot(world, &volume, &handle);
        if let Some(state) = world.state() {
            state.volumes.remove(&handle);
        }
        world.remove_object(&own);
        if world.is_still(&key, &uid) {
            world.remove_object(&key);
        }
        settle(world);
    });
}

/// What a claim is to be filled with: volume and handle of the snapshot that it names; `None` when it names none.
///
/// # Errors
/// While the snapshot is not ready.
pub fn source(world: &World, namespace: &str, claim: &Value) -> Result<Option<(String, String)>, String> {
    let source = &claim["spec"]["dataSource"];
    if source["kind"] != "VolumeSnapshot" {
        return Ok(None);
    }
    let name = text(source, "/name");
    let found = world.object(&Key::new(GROUP, "volumesnapshots", namespace, name));
    let found = found.ok_or_else(|| format!("error getting snapshot {name} from api server: not found"))?;
    if found["status"]["readyToUse"] != true {
        return Err(format!("snapshot {name} is not Ready"));
    }
    let content = world.object(&content_key(found));
    let volume = content.map(|c| text(c, "/spec/source/volumeHandle").to_string()).unwrap_or_default();
    Ok(Some((volume, handle(found))))
}
