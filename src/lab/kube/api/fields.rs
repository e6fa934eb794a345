//! Sets of fields, as `managedFields` keeps them (`FieldsV1`), and how lists are merged.
//!
//! The real server reads from its schema which lists are maps in disguise; here a table of field names does.
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The way in which the elements of a list are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListType {
    /// The list is one value.
    Atomic,
    /// Every element is a value of its own.
    Set,
    /// Elements are objects, known by these fields.
    Map(&'static [&'static str]),
}

/// `built_in`: of a resource with a schema of Kubernetes' own; lists of custom resources are atomic by default.
pub fn list_type(field: &str, items: &[Value], built_in: bool) -> ListType {
    let has = |name: &str| items.iter().any(|i| i.get(name).is_some());
    let keys: &'static [&'static str] = match field {
        "finalizers" => return ListType::Set,
        "ownerReferences" => &["uid"],
        "conditions" => &["type"],
        _ if !built_in => return ListType::Atomic,
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "env"
        | "imagePullSecrets"
        | "secrets"
        | "webhooks" => &["name"],
        "volumeMounts" => &["mountPath"],
        "volumeDevices" => &["devicePath"],
        "ports" if has("containerPort") => &["containerPort", "protocol"],
        "ports" if has("targetPort") || has("nodePort") || has("port") => &["port", "protocol"],
        "hostAliases" | "podIPs" | "hostIPs" => &["ip"],
        "addresses" if has("type") => &["type"],
        "topologySpreadConstraints" => &["topologyKey", "whenUnsatisfiable"],
        _ => return ListType::Atomic,
    };
    let known = |item: &Value| item.is_object() && keys.iter().all(|k| *k == "protocol" || item.get(k).is_some());
    if !items.is_empty() && items.iter().all(known) { ListType::Map(keys) } else { ListType::Atomic }
}

/// Structures of Kubernetes' own that have one owner as a whole, by the fields that hold them.
const ATOMIC: [&str; 18] = [
    "claimRef",
    "configMapKeyRef",
    "configMapRef",
    "dataSource",
    "dataSourceRef",
    "fieldRef",
    "involvedObject",
    "labelSelector",
    "namespaceSelector",
    "nodeSelector",
    "objectSelector",
    "podSelector",
    "regarding",
    "resourceFieldRef",
    "roleRef",
    "secretKeyRef",
    "secretRef",
    "selector",
];

/// Members that are written even when they are empty (Go structures, not pointers): whoever creates the object does
/// not own them themselves.
const ALWAYS: [&str; 10] = [
    "acceptedNames",
    "containers",
    "metadata",
    "names",
    "resources",
    "source",
    "spec",
    "status",
    "strategy",
    "template",
];

fn is_always(field: &str, built_in: bool) -> bool {
    field.is_empty() || field == "metadata" || (built_in && ALWAYS.contains(&field))
}

/// The fields by which an element of a list is known.
pub fn identity(item: &Value, keys: &[&str]) -> Map<String, Value> {
    let value = |key: &str| match item.get(key) {
        Some(value) => value.clone(),
        None => json!("TCP"),
    };
    keys.iter().map(|key| ((*key).to_string(), value(key))).collect()
}

/// A set of fields: what stands under `fieldsV1`. `f:name` is a field, `k:{…}` an element of a list of objects,
/// `v:…` one of a list of values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    /// The thing itself belongs to the set (`.`, when it also has members).
    pub whole: bool,
    pub members: BTreeMap<String, Fields>,
}

impl Fields {
    fn leaf() -> Self {
        Fields { whole: true, members: BTreeMap::new() }
    }

    pub fn is_empty(&self) -> bool {
        !self.whole && self.members.is_empty()
    }

    pub fn read(value: &Value) -> Self {
        let Some(map) = value.as_object() else { return Fields::default() };
        let members: BTreeMap<String, Fields> = map
            .iter()
            .filter(|(name, _)| *name != ".")
            .map(|(name, inner)| (name.clone(), Fields::read(inner)))
            .collect();
        Fields { whole: map.contains_key(".") || map.is_empty(), members }
    }

    pub fn write(&self) -> Value {
        let mut map: Map<String, Value> = self.members.iter().map(|(name, f)| (name.clone(), f.write())).collect();
        if self.whole && !self.members.is_empty() {
            map.insert(".".into(), json!({}));
        }
        Value::Object(map)
    }

    /// The fields of an object that somebody can own: not its types, its name and what the server sets.
    pub fn of_object(object: &Value, built_in: bool) -> Self {
        match ownable(object) {
            Value::Object(map) if map.is_empty() => Fields::default(),
            object => changed("", None, &object, built_in, false),
        }
    }

    /// The fields of `new` that `old` has not, or has otherwise; a map or list that is new belongs to the set itself.
    /// Both are [`ownable`] parts of objects.
    pub fn changed(old: Option<&Value>, new: &Value, built_in: bool) -> Self {
        if new.as_object().is_some_and(Map::is_empty) {
            return Fields::default();
        }
        changed("", old, new, built_in, true)
    }

    pub fn add(&mut self, other: &Fields) {
        self.whole |= other.whole;
        for (name, inner) in &other.members {
            self.members.entry(name.clone()).or_default().add(inner);
        }
    }

    /// Removes what `other` holds; with `below`, also everything inside of what `other` holds whole.
    pub fn remove(&mut self, other: &Fields) {
        if other.whole {
            self.whole = false;
            if other.members.is_empty() {
                self.members.clear();
            }
        }
        for (name, inner) in &other.members {
            if let Some(mine) = self.members.get_mut(name) {
                mine.remove(inner);
                if mine.is_empty() {
                    self.members.remove(name);
                }
            }
        }
    }

    /// The paths that are in both sets and of which `new` says otherwise than `old`, as errors write them.
    pub fn disputed(&self, applied: &Fields, old: &Value, new: &Value, built_in: bool) -> (Fields, Vec<String>) {
        let mut paths = Vec::new();
        let fields = disputed(self, applied, Some(old), new, built_in, "", "", &mut paths);
        (fields, paths)
    }
}

/// An object without what nobody owns.
pub fn ownable(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(map) = object.as_object_mut() {
        map.remove("apiVersion");
        map.remove("kind");
        if let Some(meta) = map.get_mut("metadata").and_then(Value::as_object_mut) {
            const OWNED: [&str; 5] = ["annotations", "finalizers", "generateName", "labels", "ownerReferences"];
            meta.retain(|name, _| OWNED.contains(&name.as_str()));
            if meta.is_empty() {
                map.remove("metadata");
            }
        }
    }
    object
}

/// The members of a value by the names that `FieldsV1` gives them; `None` for what is one value.
fn members<'a>(field: &str, value: &'a Value, built_in: bool) -> Option<Vec<(String, &'a str, &'a Value)>> {
    match value {
        Value::Object(_) if built_in && ATOMIC.contains(&field) => None,
        Value::Object(map) => Some(map.iter().map(|(name, v)| (format!("f:{name}"), name.as_str(), v)).collect()),
        Value::Array(items) => match list_type(field, items, built_in) {
            ListType::Atomic => None,
            ListType::Set => Some(items.iter().map(|v| (format!("v:{v}"), "", v)).collect()),
            ListType::Map(keys) => {
                let name = |item: &Value| format!("k:{}", Value::Object(identity(item, keys)));
                Some(items.iter().map(|v| (name(v), "", v)).collect())
            }
        },
        _ => None,
    }
}

/// The member of `value` with this name.
pub fn member<'a>(field: &str, value: &'a Value, name: &str, built_in: bool) -> Option<&'a Value> {
    if let (Some(plain), Value::Object(map)) = (name.strip_prefix("f:"), value) {
        return map.get(plain);
    }
    members(field, value, built_in)?.into_iter().find(|(n, _, _)| n == name).map(|(_, _, v)| v)
}

fn changed(field: &str, old: Option<&Value>, new: &Value, built_in: bool, parents: bool) -> Fields {
    let Some(inner) = members(field, new, built_in).filter(|m| !m.is_empty()) else {
        return if old == Some(new) { Fields::default() } else { Fields::leaf() };
    };
    let mut fields = Fields { whole: parents && old.is_none() && !is_always(field, built_in), ..Fields::default() };
    for (name, inner_field, value) in inner {
        let was = old.and_then(|old| member(field, old, &name, built_in));
        let mut found = changed(inner_field, was, value, built_in, parents);
        // An element of a list is owned itself, besides what is in it.
        if name.starts_with("k:") && was.is_none() {
            found.whole = true;
        }
        if !found.is_empty() {
            fields.members.insert(name, found);
        }
    }
    fields
}

#[allow(clippy::too_many_arguments, reason = "a walk over four trees at once")]
fn disputed(
    mine: &Fields,
    applied: &Fields,
    old: Option<&Value>,
    new: &Value,
    built_in: bool,
    field: &str,
    path: &str,
    paths: &mut Vec<String>,
) -> Fields {
    let mut found = Fields::default();
    if applied.is_empty() {
        return found;
    }
    if applied.members.is_empty() {
        // An empty map says nothing about what others have in it.
        let silent = new.as_object().is_some_and(Map::is_empty);
        if old.is_some() && old != Some(new) && !silent {
            paths.push(path.to_string());
            return mine.clone();
        }
        return found;
    }
    for (name, wanted) in &applied.members {
        let (Some(owned), Some(new)) = (mine.members.get(name), member(field, new, name, built_in)) else { continue };
        let was = old.and_then(|old| member(field, old, name, built_in));
        let inner_field = name.strip_prefix("f:").unwrap_or_default();
        let inner_path = format!("{path}{}", shown(name));
        let inner = disputed(owned, wanted, was, new, built_in, inner_field, &inner_path, paths);
        if !inner.is_empty() {
            found.members.insert(name.clone(), inner);
        }
    }
    found
}

/// `.field`, `[name="x"]`, `[="value"]`: one step of a path as the real server prints it.
fn shown(name: &str) -> String {
    if let Some(field) = name.strip_prefix("f:") {
        return format!(".{field}");
    }
    if let Some(value) = name.strip_prefix("v:") {
        return format!("[={value}]");
    }
    let keys: Map<String, Value> =
        name.strip_prefix("k:").and_then(|k| serde_json::from_str(k).ok()).unwrap_or_default();
    let mut text = String::from("[");
    for (at, (key, value)) in keys.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        // Writing into a String cannot fail.
        let _ = write!(text, "{comma}{key}={value}");
    }
    text.push(']');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_a_deployment_are_named_as_the_real_server_names_them() {
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {"app": "web"}},
            "spec": {"template": {"spec": {
                "containers": [{"name": "web", "args": ["a", "b"], "ports": [{"containerPort": 80}]}]
            }}}
        });
        let expected = json!({
            "f:metadata": {"f:labels": {"f:app": {}}},
            "f:spec": {"f:template": {"f:spec": {"f:containers": {
                "k:{\"name\":\"web\"}": {
                    ".": {}, "f:name": {}, "f:args": {},
                    "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}}
                }
            }}}}
        });
        let fields = Fields::of_object(&object, true);
        assert_eq!(fields.write(), expected);
        assert_eq!(Fields::read(&expected), fields);
    }

    #[test]
    fn lists_of_custom_resources_are_one_value() {
        let fields = Fields::of_object(&json!({"spec": {"containers": [{"name": "x"}]}}), false);
        assert_eq!(fields.write(), json!({"f:spec": {"f:containers": {}}}));
    }

    #[test]
    fn only_what_changed_counts_as_changed() {
        let old = json!({"data": {"a": "1", "b": "2"}});
        let new = json!({"data": {"a": "1", "b": "3", "c": "4"}});
        assert_eq!(Fields::changed(Some(&old), &new, true).write(), json!({"f:data": {"f:b": {}, "f:c": {}}}));
    }

    #[test]
    fn who_writes_a_map_first_owns_the_map_too_but_no_structure_that_is_always_there() {
        let new = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"selector": {"matchLabels": {"a": "b"}}}});
        let expected = json!({"f:metadata": {"f:labels": {".": {}, "f:a": {}}}, "f:spec": {"f:selector": {}}});
        assert_eq!(Fields::changed(None, &new, true).write(), expected);
        let custom = json!({"f:metadata": {"f:labels": {".": {}, "f:a": {}}},
            "f:spec": {".": {}, "f:selector": {".": {}, "f:matchLabels": {".": {}, "f:a": {}}}}});
        assert_eq!(Fields::changed(None, &new, false).write(), custom);
    }
}
