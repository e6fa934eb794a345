//! Claims that ask for more than they have: the drivers' resizer, and the kubelet that lets the file system grow.
use super::objects::{drop_condition, is_true, set_condition, text, uid};
use super::storage::gib;
use super::{RETRY_S, attach, linstor, proxmox};
use crate::kube::settle;
use crate::kube::store::{Key, seconds};
use crate::world::World;
use serde_json::{Value, json};

/// After how long the kubelet has seen that a volume of a running pod has grown, in seconds.
pub const GROW_S: f64 = 2.0;
const PENDING: &str = "FileSystemResizePending";

fn asked(claim: &Value) -> String {
    text(claim, "/spec/resources/requests/storage").to_string()
}

fn is_enough(claim: &Value) -> bool {
    gib(&asked(claim)) <= gib(text(claim, "/status/capacity/storage"))
}

/// A bound claim: lets its volume grow when it asks for more.
pub fn reconcile(world: &mut World, key: &Key, claim: &Value) {
    if is_enough(claim) || !world.begin(format!("expand {}", uid(claim))) {
        return;
    }
    let (at, volume) = (seconds(world.now), text(claim, "/spec/volumeName").to_string());
    world.change_object(key, |c| set_condition(c, &at, "Resizing", "True", "", ""));
    world.emit(key, "Normal", "Resizing", &format!("External resizer is resizing volume {volume}"));
    let (key, uid) = (key.clone(), uid(claim));
    resize(world, key, uid, volume, asked(claim));
}

fn resize(world: &mut World, key: Key, uid: String, volume: String, asked: String) {
    let object = world.object(&Key::new("", "persistentvolumes", "", &volume));
    let driver = object.map(|v| text(v, "/spec/csi/driver").to_string()).unwrap_or_default();
    if driver == proxmox::PROVISIONER {
        let held = volume.clone();
        let wanted = gib(&asked);
        return proxmox::expand(world, &held, wanted, move |world, result| {
            resized(world, key, uid, volume, asked, result);
            settle(world);
        });
    }
    linstor::expand(world, &volume, gib(&asked));
    resized(world, key, uid, volume, asked, Ok(()));
}

fn resized(world: &mut World, key: Key, uid: String, volume: String, asked: String, result: Result<(), String>) {
    if !world.is_still(&key, &uid) {
        return;
    }
    if let Err(why) = result {
        let message = format!("resize volume \"{volume}\" by resizer failed: rpc error: code = Internal desc = {why}");
        world.emit(&key, "Warning", "VolumeResizeFailed", &message);
        return world.after(RETRY_S, move |world| {
            if world.is_still(&key, &uid) {
                resize(world, key, uid, volume, asked);
            }
            settle(world);
        });
    }
    let at = seconds(world.now);
    world.change_object(&Key::new("", "persistentvolumes", "", &volume), |v| {
        v["spec"]["capacity"]["storage"] = json!(asked);
    });
    world.change_object(&key, |c| {
        drop_condition(c, "Resizing");
        let why = "Waiting for user to (re-)start a pod to finish file system resize of volume on node.";
        set_condition(c, &at, PENDING, "True", "", why);
    });
    world.emit(&key, "Normal", "FileSystemResizeRequired", "Require file system resize of volume on node");
    mounted(world, &volume);
}

/// A pod may run now that has volumes mounted.
pub fn pod_changed(world: &mut World, key: &Key) {
    let Some(pod) = world.object(key).filter(|p| text(p, "/status/phase") == "Running").cloned() else { return };
    for volume in attach::volumes(world, &key.namespace, &pod) {
        mounted(world, &volume);
    }
}

/// A pod that runs has the volume mounted: the kubelet lets its file system grow, where that is due.
fn mounted(world: &mut World, volume: &str) {
    let is_due = |c: &Value| text(c, "/spec/volumeName") == volume && is_true(c, PENDING);
    let due = world.select("", "persistentvolumeclaims", None, is_due).into_iter().next();
    let Some((key, claim)) = due.filter(|_| attach::is_mounted(world, volume)) else { return };
    let (uid, volume) = (uid(&claim), volume.to_string());
    world.after(GROW_S, move |world| {
        if world.is_still(&key, &uid) && attach::is_mounted(world, &volume) {
            let size = world.object(&Key::new("", "persistentvolumes", "", &volume));
            let size = size.map(|v| v["spec"]["capacity"]["storage"].clone()).unwrap_or_default();
            world.change_object(&key, |c| {
                drop_condition(c, PENDING);
                c["status"]["capacity"]["storage"] = size;
            });
            world.done(&format!("expand {uid}"));
            settle(world);
        }
    });
}
