//! The ways to patch: what the patched object is, not yet whether it may be.
use super::fields::{ListType, identity, list_type};
use super::kinds::Kind;
use super::refusal::Refusal;
use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchType {
    Json,
    Merge,
    Strategic,
    Apply,
}

impl PatchType {
    pub fn of(content_type: &str) -> Result<Self, Refusal> {
        match content_type.split(';').next().unwrap_or_default().trim() {
            "application/json-patch+json" => Ok(PatchType::Json),
            "application/merge-patch+json" => Ok(PatchType::Merge),
            "application/strategic-merge-patch+json" => Ok(PatchType::Strategic),
            "application/apply-patch+yaml" | "application/apply-patch+json" => Ok(PatchType::Apply),
            _ => Err(Refusal::PatchMediaType),
        }
    }
}

/// `live` with a patch that is not an apply.
pub fn patched(kind: &'static Kind, live: &Value, patch: &Value, by: PatchType) -> Result<Value, Refusal> {
    let mut object = live.clone();
    match by {
        PatchType::Json => {
            if !patch.is_array() {
                return Err(Refusal::bad(
                    "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
                ));
            }
            let steps: json_patch::Patch = serde_json::from_value(patch.clone()).map_err(|_| Refusal::Unprocessable)?;
            json_patch::patch(&mut object, &steps).map_err(|_| Refusal::Unprocessable)?;
        }
        PatchType::Merge | PatchType::Strategic if !patch.is_object() => {
            return Err(Refusal::bad(
                "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}",
            ));
        }
        PatchType::Merge => json_patch::merge(&mut object, patch),
        PatchType::Strategic if kind.custom => {
            return Err(Refusal::MediaType(
                "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
            ));
        }
        PatchType::Strategic => strategic(&mut object, patch),
        PatchType::Apply => return Err(Refusal::Internal("an apply is no patch of the live object".into())),
    }
    if object.is_object() { Ok(object) } else { Err(Refusal::bad("the patch leaves no object")) }
}

/// A strategic merge: like a merge patch, but lists whose elements have a key are merged by it, and directives
/// (`$patch`, `$deleteFromPrimitiveList/…`, `$retainKeys`) say what else is to happen.
fn strategic(into: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *into = patch.clone();
        return;
    };
    if patch.get("$patch") == Some(&json!("replace")) {
        let rest = patch.iter().filter(|(name, _)| *name != "$patch");
        *into = Value::Object(rest.map(|(k, v)| (k.clone(), v.clone())).collect());
        return;
    }
    if !into.is_object() {
        *into = json!({});
    }
    let Some(map) = into.as_object_mut() else { return };
    if let Some(kept) = patch.get("$retainKeys").and_then(Value::as_array) {
        map.retain(|name, _| kept.iter().any(|k| k == name));
    }
    for (name, value) in patch {
        if let Some(list) = name.strip_prefix("$deleteFromPrimitiveList/") {
            if let Some(items) = map.get_mut(list).and_then(Value::as_array_mut) {
                items.retain(|item| !value.as_array().is_some_and(|gone| gone.contains(item)));
            }
            continue;
        }
        // `$patch: delete` of a whole map is done by the one that holds it; orders are not kept.
        if name.starts_with('$') {
            continue;
        }
        if value.is_null() || value.get("$patch") == Some(&json!("delete")) {
            map.remove(name);
            continue;
        }
        match (map.get_mut(name), value) {
            (Some(Value::Array(items)), Value::Array(changes)) => strategic_list(name, items, changes),
            (None, Value::Array(changes)) => {
                let mut items = Vec::new();
                strategic_list(name, &mut items, changes);
                map.insert(name.clone(), Value::Array(items));
            }
            (Some(slot), value) => strategic(slot, value),
            (None, value) => strategic(map.entry(name.clone()).or_insert(Value::Null), value),
        }
    }
}

fn strategic_list(field: &str, items: &mut Vec<Value>, changes: &[Value]) {
    let directive = |change: &Value| change.get("$patch").and_then(Value::as_str).map(str::to_string);
    let plain: Vec<Value> = changes.iter().filter(|c| directive(c).as_deref() != Some("replace")).cloned().collect();
    let known = list_type(field, if plain.is_empty() { items } else { &plain }, true);
    if plain.len() < changes.len() {
        *items = plain;
        return;
    }
    match known {
        ListType::Atomic => *items = plain,
        ListType::Set => {
            for item in plain {
                if !items.contains(&item) {
                    items.push(item);
                }
            }
        }
        ListType::Map(keys) => {
            // Patches name the first key alone (`containerPort`), whatever tells elements apart elsewhere.
            let keys = keys.get(..1).unwrap_or(keys);
            for change in &plain {
                let at = items.iter().position(|item| identity(item, keys) == identity(change, keys));
                match (at, directive(change).as_deref()) {
                    (Some(at), Some("delete")) => drop(items.remove(at)),
                    (None, Some("delete")) => {}
                    (at, _) => {
                        let mut made = Value::Null;
                        let slot = at.and_then(|at| items.get_mut(at)).unwrap_or(&mut made);
                        strategic(slot, change);
                        if at.is_none() {
                            items.push(made);
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::kinds::KINDS;
    use super::*;

    fn strategic_of(live: Value, patch: Value) -> Value {
        let kind = KINDS.iter().find(|k| k.plural == "deployments").unwrap();
        patched(kind, &live, &patch, PatchType::Strategic).unwrap()
    }

    #[test]
    fn a_strategic_merge_meets_containers_by_name_and_replaces_plain_lists() {
        let live = json!({"containers": [{"name": "a", "image": "1", "args": ["x"]}, {"name": "b"}]});
        let patch = json!({"containers": [{"name": "a", "image": "2", "args": ["y"]}, {"name": "c"}],
            "$setElementOrder/containers": [{"name": "a"}, {"name": "c"}]});
        assert_eq!(
            strategic_of(live, patch),
            json!({"containers": [{"name": "a", "image": "2", "args": ["y"]}, {"name": "b"}, {"name": "c"}]})
        );
    }

    #[test]
    fn directives_delete_replace_and_retain() {
        let live = json!({"containers": [{"name": "a"}, {"name": "b"}], "strategy": {"type": "x", "rollingUpdate": {}},
            "finalizers": ["p", "q"], "labels": {"l": "1"}});
        let patch = json!({"containers": [{"name": "a", "$patch": "delete"}],
            "strategy": {"$retainKeys": ["type"], "type": "Recreate"},
            "$deleteFromPrimitiveList/finalizers": ["p"], "labels": {"l": null}});
        assert_eq!(
            strategic_of(live, patch),
            json!({"containers": [{"name": "b"}], "strategy": {"type": "Recreate"}, "finalizers": ["q"], "labels": {}})
        );
    }

    #[test]
    fn custom_resources_have_no_strategic_merge() {
        let kind = KINDS.iter().find(|k| k.plural == "helmreleases").unwrap();
        let refusal = patched(kind, &json!({}), &json!({}), PatchType::Strategic).unwrap_err();
        assert!(matches!(refusal, Refusal::MediaType(_)));
    }
}
