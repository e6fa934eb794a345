//! How Cluster API core empties a node before its machine goes (`drainNode`).
use super::again;
use crate::kube::control::objects::{is_true, set_condition, text};
use crate::kube::control::{evict, nodes};
use crate::kube::store::{Key, seconds};
use crate::world::World;
use serde_json::{Value, json};

const DRAINED: &str = "DrainingSucceeded";
/// After how long core looks again at a node that it empties, in seconds (`drainRetryInterval`).
pub const DRAIN_RETRY_S: f64 = 20.0;

/// Goes on with it; `true` when nothing is left on the node that would have to go.
pub fn drain(world: &mut World, key: &Key, machine: &Value, node: &str) -> bool {
    if is_true(machine, DRAINED) {
        return true;
    }
    let at = seconds(world.now);
    cordon(world, node);
    let pods = world.select("", "pods", None, |pod| text(pod, "/spec/nodeName") == node && !evict::is_of_its_node(pod));
    if pods.is_empty() {
        world.change_object(key, |m| set_condition(m, &at, DRAINED, "True", "", ""));
        world.emit(key, "Normal", "SuccessfulDrainNode", &format!("success draining Machine's node \"{node}\""));
        return true;
    }
    let names: Vec<String> = pods.iter().map(|(pod, _)| format!("{}/{}", pod.namespace, pod.name)).collect();
    let why = format!("* Pods {}: deletionTimestamp set, but still not removed from the Node", names.join(", "));
    world.change_object(key, |m| set_condition(m, &at, DRAINED, "False", "Draining", &why));
    for (pod, _) in pods {
        world.remove_object(&pod);
    }
    again(world, key, machine, DRAIN_RETRY_S);
    false
}

fn cordon(world: &mut World, node: &str) {
    let key = nodes::key(node);
    if world.object(&key).is_some_and(|n| n["spec"]["unschedulable"] != true) {
        world.change_object(&key, |n| {
            n["spec"]["unschedulable"] = json!(true);
            nodes::taint_cordoned(n);
        });
    }
}
