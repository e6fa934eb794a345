//! What a deletion does with one object.
use super::kinds::Kind;
use super::refusal::Refusal;
use super::write::{held, store_mut};
use crate::kube::control::evict;
use crate::kube::store::{Key, seconds};
use crate::world::World;
use serde_json::{Value, json};

/// What a deletion made of the object.
pub enum Deleted {
    /// Waits for its finalizers, or for a kubelet that is away.
    Marked(Value),
    Gone(Value),
}

/// `by_force`: without a kubelet's leave.
///
/// # Errors
/// When the cluster is gone.
pub fn remove(
    world: &mut World,
    kind: &Kind,
    key: &Key,
    live: Value,
    dry_run: bool,
    by_force: bool,
) -> Result<Deleted, Refusal> {
    let now = world.now;
    let lingers = !by_force && kind.is("", "pods") && evict::lingers(world, &live);
    let store = store_mut(world)?;
    if !held(kind, &live) && !lingers {
        if !dry_run {
            store.remove(key);
        }
        return Ok(Deleted::Gone(live));
    }
    let mut object = live;
    if !object["metadata"]["deletionTimestamp"].is_string() {
        object["metadata"]["deletionTimestamp"] = json!(seconds(now));
        if kind.is("", "namespaces") {
            match object.get_mut("status").and_then(Value::as_object_mut) {
                Some(status) => drop(status.insert("phase".into(), json!("Terminating"))),
                None => object["status"] = json!({"phase": "Terminating"}),
            }
        } else {
            object["metadata"]["deletionGracePeriodSeconds"] = json!(0);
        }
    }
    Ok(Deleted::Marked(if dry_run { object } else { store.put(key.clone(), object, now).clone() }))
}
