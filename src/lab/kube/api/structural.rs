//! The schema of a custom resource, as its definition gives it: what it does not know is told and dropped, defaults
//! are filled in, types and required fields are checked.
use super::kinds::Kind;
use super::refusal::{Cause, Refusal};
use crate::kube::store::{Key, Resource, Store};
use serde_json::{Value, json};

/// `None` when no definition has one: of aggregated APIs.
pub fn schema<'a>(store: &'a Store, kind: &Kind) -> Option<&'a Value> {
    let name = format!("{}.{}", kind.plural, kind.group);
    let definition = store.get(&Key::new("apiextensions.k8s.io", "customresourcedefinitions", "", &name))?;
    let mut versions = definition["spec"]["versions"].as_array()?.iter();
    versions.find(|v| v["name"] == kind.version)?.pointer("/schema/openAPIV3Schema")
}

/// Drops what no field takes and fills in defaults; the paths of what was dropped.
pub fn fit(schema: &Value, object: &mut Value) -> Vec<String> {
    let mut unknown = Vec::new();
    if let Some(map) = object.as_object_mut() {
        let kept = ["apiVersion", "kind", "metadata"].map(|field| (field, map.remove(field)));
        prune(schema, object, "", &mut unknown);
        fill(schema, object);
        for (field, value) in kept {
            if let Some(value) = value {
                object[field] = value;
            }
        }
    }
    unknown
}

fn keeps_all(schema: &Value) -> bool {
    schema["x-kubernetes-preserve-unknown-fields"] == true
}

fn prune(schema: &Value, value: &mut Value, path: &str, unknown: &mut Vec<String>) {
    let inner = |name: &str| if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
    match value {
        Value::Object(map) => map.retain(|name, value| {
            let known = schema["properties"].get(name).or_else(|| schema.get("additionalProperties"));
            match known {
                Some(known) => prune(known, value, &inner(name), unknown),
                None if keeps_all(schema) => {}
                None => {
                    unknown.push(inner(name));
                    return false;
                }
            }
            true
        }),
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                prune(&schema["items"], item, &format!("{path}[{at}]"), unknown);
            }
        }
        _ => {}
    }
}

fn fill(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
                if let Some(default) = inner.get("default").filter(|_| !map.contains_key(name)) {
                    map.insert(name.clone(), default.clone());
                }
                if let Some(value) = map.get_mut(name) {
                    fill(inner, value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| fill(&schema["items"], item)),
        _ => {}
    }
}

/// Refuses what has the wrong type, is none of the allowed values, or lacks a field.
pub fn check(kind: &'static Kind, schema: &Value, object: &Value) -> Result<(), Refusal> {
    let causes = causes(schema, object);
    if causes.is_empty() {
        return Ok(());
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_string();
    Err(Refusal::Invalid { kind, name, causes })
}

fn causes(schema: &Value, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for part in ["spec", "status"] {
        if let (Some(schema), Some(value)) = (schema["properties"].get(part), object.get(part)) {
            walk(schema, value, part, &mut causes);
        }
    }
    for field in missing(schema, object) {
        causes.push(Cause::required(field, ""));
    }
    causes
}

/// What the definitions of the cluster's custom objects would refuse or drop of them, if they came by the API.
pub fn misfits(store: &Store) -> Vec<String> {
    let definitions = Resource::new("apiextensions.k8s.io", "customresourcedefinitions");
    let mut found = Vec::new();
    for (_, definition) in store.list(&definitions, None) {
        let text = |pointer: &str| definition.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let resource = Resource::new(text("/spec/group"), text("/spec/names/plural"));
        let Some(schema) = definition.pointer("/spec/versions/0/schema/openAPIV3Schema") else { continue };
        for (key, object) in store.list(&resource, None) {
            let mut object = object.clone();
            let unknown = fit(schema, &mut object);
            let mut said: Vec<String> = unknown.into_iter().map(|path| format!("unknown {path}")).collect();
            said.extend(causes(schema, &object).iter().map(ToString::to_string));
            found.extend(said.into_iter().map(|what| format!("{} {}: {what}", resource.plural, key.name)));
        }
    }
    found
}

fn missing<'a>(schema: &'a Value, value: &'a Value) -> impl Iterator<Item = &'a str> {
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    required.filter(|field| value.get(*field).is_none())
}

fn walk(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let either = schema["x-kubernetes-int-or-string"] == true && matches!(found, "integer" | "string");
    let wanted = schema["type"].as_str().unwrap_or(found);
    let empty = found == "null" && schema["nullable"] == true;
    let fits = wanted == found || either || empty || (wanted == "number" && found == "integer");
    if !fits {
        causes.push(Cause::mistyped(path, found, wanted));
        return;
    }
    if let Some(allowed) = schema["enum"].as_array().filter(|allowed| !allowed.contains(value)) {
        let supported: Vec<String> = allowed.iter().map(ToString::to_string).collect();
        causes.push(Cause::unsupported(path, &value.to_string(), &supported.join(", ")));
    }
    match value {
        Value::Object(map) => {
            for field in missing(schema, value) {
                causes.push(Cause::required(&format!("{path}.{field}"), ""));
            }
            for (name, inner) in map {
                let known = schema["properties"].get(name).or_else(|| schema.get("additionalProperties"));
                walk(known.unwrap_or(&json!({})), inner, &format!("{path}.{name}"), causes);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                walk(&schema["items"], item, &format!("{path}[{at}]"), causes);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::kinds::KINDS;
    use super::*;

    fn pool() -> Value {
        json!({"type": "object", "properties": {"spec": {"type": "object", "required": ["addresses"], "properties": {
            "addresses": {"type": "array", "items": {"type": "string"}},
            "autoAssign": {"type": "boolean", "default": true},
            "mode": {"type": "string", "enum": ["a", "b"]},
            "values": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}})
    }

    #[test]
    fn unknown_fields_go_and_defaults_come() {
        let mut object = json!({"metadata": {"name": "a"}, "spec": {"addresses": [], "foo": 1, "values": {"any": {}}}});
        assert_eq!(fit(&pool(), &mut object), ["spec.foo"]);
        assert_eq!(object["spec"], json!({"addresses": [], "autoAssign": true, "values": {"any": {}}}));
    }

    #[test]
    fn a_wrong_type_a_missing_field_and_a_foreign_value_are_refused() {
        let kind = KINDS.iter().find(|k| k.plural == "ipaddresspools").unwrap();
        let told = |spec: Value| {
            let object = json!({"metadata": {"name": "a"}, "spec": spec});
            check(kind, &pool(), &object).map_err(|refusal| refusal.to_string())
        };
        assert!(told(json!({"addresses": ["x"]})).is_ok());
        assert_eq!(
            told(json!({"addresses": "x"})).unwrap_err(),
            "IPAddressPool.metallb.io \"a\" is invalid: spec.addresses: Invalid value: \"string\": spec.addresses in \
             body must be of type array: \"string\""
        );
        assert!(told(json!({})).unwrap_err().ends_with("spec.addresses: Required value"));
        let value = told(json!({"addresses": [], "mode": "c"})).unwrap_err();
        assert!(value.ends_with("spec.mode: Unsupported value: \"c\": supported values: \"a\", \"b\""), "{value}");
    }
}
