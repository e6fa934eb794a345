//! The `scale` subresource: an object's replicas as a `Scale` of the autoscaling group.
use super::path::Target;
use super::read::store;
use super::refusal::Refusal;
use crate::world::World;
use serde_json::{Value, json};

/// The Scale of an object.
pub fn of(object: &Value) -> Value {
    let meta = &object["metadata"];
    let labels = object["spec"]["selector"]["matchLabels"].as_object().into_iter().flatten();
    let selector: Vec<String> = labels.map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect();
    // As Go writes it: none is not written.
    let replicas = object["spec"]["replicas"].as_u64().filter(|n| *n > 0);
    json!({
        "apiVersion": "autoscaling/v1", "kind": "Scale",
        "metadata": {
            "name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"],
            "resourceVersion": meta["resourceVersion"], "creationTimestamp": meta["creationTimestamp"],
        },
        "spec": replicas.map_or_else(|| json!({}), |n| json!({"replicas": n})),
        "status": {"replicas": object["status"]["replicas"].as_u64().unwrap_or(0), "selector": selector.join(",")},
    })
}

pub fn get(world: &World, target: &Target, name: &str) -> Result<Value, Refusal> {
    store(world)?.get(&target.key(name)).map(of).ok_or_else(|| Refusal::not_found(target.kind, name))
}

/// The parts of a Scale that can be written.
pub fn checked(scale: &Value) -> Result<Value, Refusal> {
    let replicas = scale["spec"].get("replicas").map_or(Some(0), Value::as_u64);
    let replicas =
        replicas.ok_or_else(|| Refusal::bad("spec.replicas: must be a number greater than or equal to 0"))?;
    let meta = &scale["metadata"];
    let metadata = json!({"name": meta["name"], "uid": meta["uid"], "resourceVersion": meta["resourceVersion"]});
    Ok(json!({"metadata": metadata, "spec": {"replicas": replicas}}))
}
