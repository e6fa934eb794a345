//! Pods that do not come up, with the status, the events and the log that scheduler and kubelet give them (Kubernetes v1.33:
//! pkg/kubelet/images/image_manager.go, pkg/kubelet/kuberuntime/kuberuntime_manager.go).
use super::objects::{set_condition, text, uid};
use super::{RETRY_S, pods};
use crate::kube::settle;
use crate::kube::store::{Key, seconds};
use crate::scenario::{FaultKind, PodFailure};
use crate::world::World;
use serde_json::{Value, json};
use std::time::Duration;

/// What is said of a pod that a fault of the scenario keeps down in this way now.
fn fault(world: &mut World, key: &Key, wanted: PodFailure) -> Option<String> {
    let fault = world.bites(|fault| {
        matches!(fault, FaultKind::PodsFail { namespace, pod, how, .. }
            if *how == wanted && *namespace == key.namespace && key.name.starts_with(pod.as_str()))
    });
    match fault {
        Some(FaultKind::PodsFail { says, .. }) => Some(says),
        Some(_) | None => None,
    }
}

/// The scheduler's reason why no node takes the pod; it looks again after a while.
pub fn nowhere(world: &mut World, key: &Key) -> Option<String> {
    let why = fault(world, key, PodFailure::Pending)?;
    let again = key.clone();
    world.after(RETRY_S, move |world| {
        pods::reconcile(world, &again, None);
        settle(world);
    });
    Some(why)
}

/// True when the pod's container does not begin, or ends at once.
pub fn holds(world: &mut World, key: &Key, pod: &Value) -> bool {
    if let Some(why) = fault(world, key, PodFailure::ImagePullBackOff) {
        no_image(world, key, pod, &why);
        return true;
    }
    let Some(says) = fault(world, key, PodFailure::CrashLoopBackOff) else { return false };
    crash(world, key, &says);
    true
}

fn no_image(world: &mut World, key: &Key, pod: &Value, why: &str) {
    let image = text(pod, "/spec/containers/0/image").to_string();
    world.change_object(key, |p| {
        p["status"]["phase"] = json!("Pending");
        if let Some(status) = p.pointer_mut("/status/containerStatuses/0") {
            status["state"] = json!({"waiting": {"reason": "ImagePullBackOff",
                "message": format!("Back-off pulling image \"{image}\": ErrImagePull: {why}")}});
        }
    });
    world.emit(key, "Warning", "Failed", &format!("Failed to pull image \"{image}\": {why}"));
    again(world, key);
}

/// The container ended with an error: its reason is in the log, and it comes back after a while.
pub fn crash(world: &mut World, key: &Key, output: &str) {
    let at = seconds(world.now);
    let mut name = String::new();
    world.change_object(key, |p| {
        p["status"]["phase"] = json!("Running");
        if let Some(status) = p.pointer_mut("/status/containerStatuses/0") {
            name = text(status, "/name").to_string();
            let restarts = status["restartCount"].as_u64().unwrap_or_default() + 1;
            status["restartCount"] = json!(restarts);
            status["ready"] = json!(false);
            status["state"] = json!({"waiting": {"reason": "CrashLoopBackOff",
                "message": "back-off restarting failed container"}});
            status["lastState"] = json!({"terminated": {"exitCode": 1, "reason": "Error", "message": output,
                "finishedAt": at}});
        }
        set_condition(p, &at, "ContainersReady", "False", "ContainersNotReady", "");
        set_condition(p, &at, "Ready", "False", "ContainersNotReady", "");
    });
    if let Some(state) = world.state() {
        state.logs.remove(&(key.namespace.clone(), key.name.clone()));
    }
    for line in output.lines() {
        pods::note(world, key, Duration::ZERO, line.to_string());
    }
    world.emit(key, "Warning", "BackOff", &format!("Back-off restarting failed container {name}"));
    again(world, key);
}

fn again(world: &mut World, key: &Key) {
    let Some(uid) = world.object(key).map(uid) else { return };
    let key = key.clone();
    world.after(RETRY_S, move |world| {
        if world.is_still(&key, &uid) {
            pods::run(world, &key);
            settle(world);
        }
    });
}
