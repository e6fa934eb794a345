//! Volumes and the nodes that they are attached to: the VolumeAttachments of the attach/detach controller, and what the drivers
//! do for each.
//!
//! A volume of one writer is attached to one node: a pod on another one waits until it is detached there, and it is detached
//! when no pod of its node uses it any more (kubernetes v1.33, pkg/controller/volume/attachdetach).
use super::objects::{hash, items, text};
use super::{RETRY_S, linstor, nodes, pods, proxmox};
use crate::kube::settle;
use crate::kube::store::{Key, seconds};
use crate::world::World;
use serde_json::{Value, json};

/// After how long the kubelet has unmounted what a pod that is gone had mounted, in seconds.
pub const UNMOUNT_S: f64 = 1.0;
/// After how long a volume is taken from a node whose kubelet does not unmount it (`reconcilerMaxWaitForUnmountDuration`).
const FORCE_S: f64 = 360.0;

fn key(volume: &str, node: &str) -> Key {
    Key::new("storage.k8s.io", "volumeattachments", "", &format!("csi-{:016x}", hash(&(volume, node))))
}

fn volume_of(attachment: &Value) -> String {
    text(attachment, "/spec/source/persistentVolumeName").to_string()
}

/// The attachments of a volume, by node.
fn of(world: &World, volume: &str) -> Vec<(Key, Value)> {
    world.select("storage.k8s.io", "volumeattachments", None, |a| volume_of(a) == volume)
}

/// True when an attachment of the volume is there.
pub fn is_held(world: &World, volume: &str) -> bool {
    !of(world, volume).is_empty()
}

/// The node that the volume is attached to.
pub fn node_of(world: &World, volume: &str) -> Option<String> {
    let (_, attachment) = of(world, volume).into_iter().find(|(_, a)| a["status"]["attached"] == true)?;
    Some(text(&attachment, "/spec/nodeName").to_string())
}

fn claim(namespace: &str, name: &str) -> Key {
    Key::new("", "persistentvolumeclaims", namespace, name)
}

/// The volumes behind a pod's claims.
pub fn volumes(world: &World, namespace: &str, pod: &Value) -> Vec<String> {
    let claims = items(pod, "/spec/volumes").map(|v| text(v, "/persistentVolumeClaim/claimName"));
    let bound = claims.filter(|c| !c.is_empty()).filter_map(|c| world.object(&claim(namespace, c)));
    bound.map(|c| text(c, "/spec/volumeName").to_string()).filter(|v| !v.is_empty()).collect()
}

/// True when all that the pod mounts is attached to its node; begins with what is not.
pub fn all_attached(world: &mut World, pod_key: &Key, pod: &Value, node: &str) -> bool {
    let mut all = true;
    for volume in volumes(world, &pod_key.namespace, pod) {
        all &= is_attached(world, pod_key, &volume, node);
    }
    all
}

fn is_attached(world: &mut World, pod: &Key, volume: &str, node: &str) -> bool {
    let own = key(volume, node);
    if let Some(attachment) = world.object(&own) {
        return attachment["status"]["attached"] == true;
    }
    if !of(world, volume).is_empty() {
        let why = format!(
            "Multi-Attach error for volume \"{volume}\" Volume is already exclusively attached to one node and can't be \
             attached to another"
        );
        world.emit(pod, "Warning", "FailedAttachVolume", &why);
        return false;
    }
    let Some(driver) = driver(world, volume) else { return true };
    let attachment = json!({"apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttachment", "metadata": {},
        "spec": {"attacher": driver, "nodeName": node, "source": {"persistentVolumeName": volume}},
        "status": {"attached": false}});
    world.put_object(own.clone(), attachment);
    attach(world, own);
    false
}

/// The CSI driver of a PersistentVolume; `None` for one that needs no attaching.
fn driver(world: &World, volume: &str) -> Option<String> {
    let volume = world.object(&Key::new("", "persistentvolumes", "", volume))?;
    volume.pointer("/spec/csi/driver").and_then(Value::as_str).map(str::to_string)
}

fn attach(world: &mut World, own: Key) {
    let Some(attachment) = world.object(&own).cloned() else { return };
    let (volume, node) = (volume_of(&attachment), text(&attachment, "/spec/nodeName").to_string());
    if text(&attachment, "/spec/attacher") == proxmox::PROVISIONER {
        return proxmox::attach(world, &node, &volume, move |world, result| {
            attached(world, own, result);
            settle(world);
        });
    }
    linstor::attach(world, &node, &volume);
    attached(world, own, Ok(()));
}

fn attached(world: &mut World, own: Key, result: Result<(), String>) {
    let at = seconds(world.now);
    let Err(why) = result else {
        world.change_object(&own, |a| a["status"] = json!({"attached": true}));
        return pods::wake(world, None);
    };
    world.change_object(&own, |a| {
        a["status"] = json!({"attached": false, "attachError": {"message": why, "time": at}});
    });
    let volume = world.object(&own).map(volume_of).unwrap_or_default();
    for (pod, _) in users(world, &volume, None) {
        let why =
            format!("AttachVolume.Attach failed for volume \"{volume}\" : rpc error: code = Internal desc = {why}");
        world.emit(&pod, "Warning", "FailedAttachVolume", &why);
    }
    world.after(RETRY_S, move |world| {
        attach(world, own);
        settle(world);
    });
}

/// The pods that use a volume and have not ended, on one node or on any.
fn users(world: &World, volume: &str, node: Option<&str>) -> Vec<(Key, Value)> {
    let held = Key::new("", "persistentvolumes", "", volume);
    let Some(held) = world.object(&held) else { return Vec::new() };
    let (namespace, claim) = (text(held, "/spec/claimRef/namespace"), text(held, "/spec/claimRef/name"));
    world.select("", "pods", Some(namespace), |pod| {
        !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
            && node.is_none_or(|node| text(pod, "/spec/nodeName") == node)
            && items(pod, "/spec/volumes").any(|v| text(v, "/persistentVolumeClaim/claimName") == claim)
    })
}

/// True when a pod that runs has the volume mounted.
pub fn is_mounted(world: &World, volume: &str) -> bool {
    users(world, volume, None).iter().any(|(_, pod)| text(pod, "/status/phase") == "Running")
}

/// Detaches what nobody uses any more.
pub fn review(world: &mut World) {
    for (own, attachment) in world.objects("storage.k8s.io", "volumeattachments", None) {
        let (volume, node) = (volume_of(&attachment), text(&attachment, "/spec/nodeName").to_string());
        if !users(world, &volume, Some(&node)).is_empty() {
            continue;
        }
        let is_away = world.object(&nodes::key(&node)).is_some_and(nodes::is_unreachable);
        let (how, after) = if is_away { ("force", FORCE_S) } else { ("detach", UNMOUNT_S) };
        let mark = format!("{how} {}", own.name);
        if world.begin(mark.clone()) {
            world.after(after, move |world| {
                world.done(&mark);
                if users(world, &volume, Some(&node)).is_empty() {
                    detach(world, &own, &volume, &node);
                }
                settle(world);
            });
        }
    }
}

fn detach(world: &mut World, own: &Key, volume: &str, node: &str) {
    let Some(attachment) = world.object(own).cloned() else { return };
    let done = if text(&attachment, "/spec/attacher") == proxmox::PROVISIONER {
        proxmox::detach(world, node, volume)
    } else {
        linstor::detach(world, node, volume);
        Ok(())
    };
    let Err(why) = done else {
        world.remove_object(own);
        return pods::wake(world, None);
    };
    let at = seconds(world.now);
    world.change_object(own, |a| a["status"]["detachError"] = json!({"message": why, "time": at}));
    world.after(RETRY_S, |world| {
        review(world);
        settle(world);
    });
}
