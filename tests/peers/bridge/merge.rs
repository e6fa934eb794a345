//! Objects as both servers see them: what of them is content, what changed, and how a change is laid over (RFC 7396).
use serde_json::{Map, Value};

/// Metadata that each server keeps for itself.
const OWN: [&str; 6] = ["resourceVersion", "uid", "creationTimestamp", "generation", "managedFields", "selfLink"];

/// What a request to delete writes.
const DELETION: [&str; 2] = ["deletionTimestamp", "deletionGracePeriodSeconds"];

/// What a Deployment's controller writes along with its status.
pub const REVISION: &str = "deployment.kubernetes.io/revision";

/// The object without what each server keeps for itself, and without nulls and what they leave empty.
pub fn content(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|field, _| !OWN.contains(&field.as_str()));
    }
    drop_nulls(&mut object);
    object
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, v| !v.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The merge patch that makes `to` of `from`; `None` when they are equal. Lists are one value.
pub fn difference(from: &Value, to: &Value) -> Option<Value> {
    let (Value::Object(old), Value::Object(new)) = (from, to) else {
        return (from != to).then(|| to.clone());
    };
    let mut patch = Map::new();
    for (field, value) in new {
        match old.get(field) {
            Some(was) => {
                if let Some(change) = difference(was, value) {
                    patch.insert(field.clone(), change);
                }
            }
            None => drop(patch.insert(field.clone(), value.clone())),
        }
    }
    patch.extend(old.keys().filter(|field| !new.contains_key(*field)).map(|field| (field.clone(), Value::Null)));
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// Of a patch, what sets something. The lab's controllers lay whole specs over what is there and know nothing of the
/// defaults that a real server has filled in: what they leave out is not meant to go.
pub fn only_set(patch: Value) -> Option<Value> {
    match patch {
        Value::Null => None,
        Value::Object(map) if map.is_empty() => Some(Value::Object(map)),
        Value::Object(map) => {
            let kept: Map<String, Value> =
                map.into_iter().filter_map(|(field, value)| Some((field, only_set(value)?))).collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        other => Some(other),
    }
}

/// Lays a merge patch over a value.
pub fn lay_over(value: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    let Some(map) = value.as_object_mut() else { return };
    for (field, change) in changes {
        if change.is_null() {
            map.remove(field);
        } else {
            lay_over(map.entry(field.clone()).or_insert(Value::Null), change);
        }
    }
}

/// What a write of the object itself can change: status has its own path, and a pod is bound, never moved.
pub fn written_alone(content: &Value) -> Value {
    let mut rest = content.clone();
    if let Some(fields) = rest.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = rest.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|field, _| !DELETION.contains(&field.as_str()));
    }
    if content["kind"] == "Pod"
        && let Some(spec) = rest.get_mut("spec").and_then(Value::as_object_mut)
    {
        spec.remove("nodeName");
    }
    if content["kind"] == "Deployment"
        && let Some(annotations) = rest.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut)
    {
        annotations.remove(REVISION);
    }
    rest
}

/// The object with the status of another: what the real server knows of the store after a write of one of both parts.
pub fn with_status(object: &Value, other: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
        fields.extend(other.get("status").map(|status| ("status".to_string(), status.clone())));
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_difference_laid_over_the_old_gives_the_new() {
        let old = json!({"a": {"b": 1, "c": [1, 2]}, "gone": true});
        let new = json!({"a": {"b": 1, "c": [2]}, "more": {"x": {}}});
        let patch = difference(&old, &new).unwrap();
        assert_eq!(patch, json!({"a": {"c": [2]}, "more": {"x": {}}, "gone": null}));
        let mut made = old.clone();
        lay_over(&mut made, &patch);
        assert_eq!(made, new);
        assert_eq!(difference(&new, &new), None);
        assert_eq!(only_set(patch), Some(json!({"a": {"c": [2]}, "more": {"x": {}}})));
    }
}
