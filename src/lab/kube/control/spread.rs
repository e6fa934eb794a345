//! The scheduler's last word: which of the nodes that are able takes a pod.
use super::objects::text;
use super::{pods, storage};
use crate::kube::store::Key;
use crate::world::World;
use serde_json::Value;

/// The name of one of `able`, of which there is one at the least: in turn, and pods of one StatefulSet apart, as the scheduler's own
/// spreading scores them.
pub fn choose(world: &World, pod: &Value, able: &[&(Key, Value)], turn: usize) -> String {
    let least = least_loaded(world, pod, able);
    least.get(turn % least.len().max(1)).map(|(key, _)| key.name.clone()).unwrap_or_default()
}

/// For a pod of a StatefulSet those of these nodes that have the fewest of its pods.
fn least_loaded<'a>(world: &World, pod: &Value, able: &[&'a (Key, Value)]) -> Vec<&'a (Key, Value)> {
    let owner = &pod["metadata"]["ownerReferences"][0];
    if owner["kind"] != "StatefulSet" {
        return able.to_vec();
    }
    let siblings =
        world.select("", "pods", None, |other| other["metadata"]["ownerReferences"][0]["uid"] == owner["uid"]);
    // One whose volume is being made is as good as placed.
    let place = |key: &Key, pod: &Value| {
        let on = text(pod, "/spec/nodeName");
        let chosen = pods::claims(pod).into_iter().find_map(|claim| {
            let claim = world.object(&Key::new("", "persistentvolumeclaims", &key.namespace, &claim))?;
            storage::chosen(claim).map(str::to_string)
        });
        if on.is_empty() { chosen.unwrap_or_default() } else { on.to_string() }
    };
    let places: Vec<String> = siblings.iter().map(|(key, pod)| place(key, pod)).collect();
    let load = |node: &Key| places.iter().filter(|on| **on == node.name).count();
    let least = able.iter().map(|(key, _)| load(key)).min();
    able.iter().copied().filter(|(key, _)| Some(load(key)) == least).collect()
}
