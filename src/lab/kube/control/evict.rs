//! Pods on a node that went away: evicted when they tolerate it no longer, and there until their kubelet has ended them, or somebody
//! removes them by force (kubernetes v1.33, pkg/controller/tainteviction and the pod's graceful deletion).
use super::nodes::{self, UNREACHABLE};
use super::objects::{condition, is_deleting, items, text, uid};
use crate::kube::settle;
use crate::kube::store::{Key, seconds};
use crate::world::World;
use serde_json::{Value, json};

/// The admission plugin's default, in seconds.
const DEFAULT_S: f64 = 300.0;

/// The kubelet is silent: the clock of every pod on its node begins.
pub fn node_down(world: &mut World, node: &str) {
    let since = went(world, node);
    for (key, pod) in world.select("", "pods", None, |pod| text(pod, "/spec/nodeName") == node) {
        let Some(stays) = stays(&pod) else { continue };
        let (node, since, uid) = (node.to_string(), since.clone(), uid(&pod));
        world.after(stays, move |world| {
            if went(world, &node) == since && is_away(world, &node) && world.is_still(&key, &uid) {
                mark(world, &key);
                settle(world);
            }
        });
    }
}

fn went(world: &World, node: &str) -> Option<Value> {
    condition(world.object(&nodes::key(node))?, "Ready").map(|ready| ready["lastTransitionTime"].clone())
}

/// True of a static pod and of one of a DaemonSet, which go nowhere else.
pub fn is_of_its_node(pod: &Value) -> bool {
    let is_static = !pod["metadata"]["annotations"]["kubernetes.io/config.mirror"].is_null();
    is_static || items(pod, "/metadata/ownerReferences").any(|owner| owner["kind"] == "DaemonSet")
}

/// Seconds that the pod stays; `None` for one that stays for ever: of the node itself, of a DaemonSet, or one that says so.
fn stays(pod: &Value) -> Option<f64> {
    if is_of_its_node(pod) {
        return None;
    }
    let fits = |t: &&Value| {
        (t["key"] == UNREACHABLE || t["key"].is_null()) && (t["effect"] == "NoExecute" || t["effect"].is_null())
    };
    let said: Vec<&Value> = items(pod, "/spec/tolerations").filter(fits).collect();
    if said.is_empty() {
        return Some(DEFAULT_S);
    }
    // The shortest of those with a time; those without one alone mean for ever.
    said.iter().filter_map(|t| t["tolerationSeconds"].as_f64()).min_by(f64::total_cmp)
}

fn is_away(world: &World, node: &str) -> bool {
    world.object(&nodes::key(node)).is_some_and(nodes::is_unreachable)
}

/// True when nobody can end the pod: its node is away. Without a node, or with one that is gone, it goes at once.
pub fn lingers(world: &World, pod: &Value) -> bool {
    let node = text(pod, "/spec/nodeName");
    let has_ended = matches!(text(pod, "/status/phase"), "Succeeded" | "Failed");
    !node.is_empty() && !has_ended && is_away(world, node)
}

/// The end of a pod that is to go, if anybody can end it.
pub fn end(world: &mut World, key: &Key, pod: &Value) {
    if !lingers(world, pod) {
        world.remove_object(key);
    }
}

/// Marks the pod as going.
pub fn mark(world: &mut World, key: &Key) {
    let at = seconds(world.now);
    world.change_object(key, |pod| {
        if !is_deleting(pod) {
            pod["metadata"]["deletionTimestamp"] = json!(at);
            pod["metadata"]["deletionGracePeriodSeconds"] = pod["spec"]["terminationGracePeriodSeconds"].clone();
        }
    });
}

/// The kubelet is back and ends what was to end.
pub fn node_back(world: &mut World, node: &str) {
    if is_away(world, node) {
        return;
    }
    let going = |pod: &Value| is_deleting(pod) && text(pod, "/spec/nodeName") == node;
    for (key, _) in world.select("", "pods", None, going) {
        world.remove_object(&key);
    }
}
