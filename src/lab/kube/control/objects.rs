//! Reading and changing objects of the cluster from inside the world.
use super::State;
use crate::kube::store::{Key, Resource, seconds};
use crate::world::World;
use serde_json::{Value, json};
use std::hash::{DefaultHasher, Hash, Hasher};

impl World {
    /// The controllers' memory. Only called while there is a cluster.
    pub(in crate::kube) fn state(&mut self) -> Option<&mut State> {
        self.cluster.as_mut().map(|c| &mut c.state)
    }

    pub(in crate::kube) fn object(&self, key: &Key) -> Option<&Value> {
        self.cluster.as_ref()?.store.get(key)
    }

    /// Copies of what is there, in order of namespace and name.
    pub(in crate::kube) fn objects(&self, group: &str, plural: &str, namespace: Option<&str>) -> Vec<(Key, Value)> {
        self.select(group, plural, namespace, |_| true)
    }

    /// Like [`World::objects`], only those that `wanted` accepts.
    pub(in crate::kube) fn select(
        &self,
        group: &str,
        plural: &str,
        namespace: Option<&str>,
        wanted: impl Fn(&Value) -> bool,
    ) -> Vec<(Key, Value)> {
        let Some(cluster) = &self.cluster else { return Vec::new() };
        let resource = Resource::new(group, plural);
        let found =
            cluster.store.list(&resource, namespace).filter(|(_, o)| wanted(o)).map(|(k, o)| (k.clone(), o.clone()));
        found.collect()
    }

    pub(in crate::kube) fn put_object(&mut self, key: Key, object: Value) {
        let now = self.now;
        if let Some(cluster) = &mut self.cluster {
            cluster.store.put(key, object, now);
        }
    }

    /// `false` when the object is not there.
    pub(in crate::kube) fn change_object(&mut self, key: &Key, f: impl FnOnce(&mut Value)) -> bool {
        let now = self.now;
        self.cluster.as_mut().is_some_and(|c| c.store.update(key, now, f))
    }

    pub(in crate::kube) fn remove_object(&mut self, key: &Key) -> Option<Value> {
        self.cluster.as_mut()?.store.remove(key)
    }

    /// Creates, or lays labels, annotations and everything but status over what is there.
    pub(in crate::kube) fn apply_object(&mut self, key: Key, desired: Value) {
        let mut object = match self.object(&key) {
            None => return self.put_object(key, desired),
            Some(object) => object.clone(),
        };
        if let Some(fields) = desired.as_object() {
            for (field, value) in fields {
                match field.as_str() {
                    "status" => {}
                    "metadata" => {
                        for part in ["labels", "annotations"] {
                            for (name, value) in value[part].as_object().into_iter().flatten() {
                                object["metadata"][part][name] = value.clone();
                            }
                        }
                    }
                    other => object[other] = value.clone(),
                }
            }
        }
        self.put_object(key, object);
    }

    /// Notes that something is under way; `false` when it was already.
    pub(in crate::kube) fn begin(&mut self, what: String) -> bool {
        self.state().is_some_and(|s| s.underway.insert(what))
    }

    pub(in crate::kube) fn is_begun(&mut self, what: &str) -> bool {
        self.state().is_some_and(|s| s.underway.contains(what))
    }

    pub(in crate::kube) fn done(&mut self, what: &str) {
        if let Some(state) = self.state() {
            state.underway.remove(what);
        }
    }

    /// True when the object exists and still has this uid.
    pub(in crate::kube) fn is_still(&self, key: &Key, uid: &str) -> bool {
        self.object(key).is_some_and(|o| text(o, "/metadata/uid") == uid)
    }

    /// An Event about an object; the same again counts up.
    pub(in crate::kube) fn emit(&mut self, about: &Key, kind: &str, reason: &str, message: &str) {
        let now = seconds(self.now);
        let Some(object) = self.object(about) else { return };
        let (api_version, uid) = (object["apiVersion"].clone(), object["metadata"]["uid"].clone());
        let object_kind = object["kind"].clone();
        let namespace = if about.namespace.is_empty() { "default" } else { &about.namespace };
        let name = format!("{}.{:016x}", about.name, hash(&(uid.as_str(), reason, message)));
        let key = Key::new("", "events", namespace, &name);
        let before = self.object(&key);
        let count = before.and_then(|e| e["count"].as_u64()).unwrap_or(0) + 1;
        let first = before.map_or(json!(now), |e| e["firstTimestamp"].clone());
        let event = json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {},
            "involvedObject": {"apiVersion": api_version, "kind": object_kind, "name": about.name,
                "namespace": about.namespace, "uid": uid},
            "type": kind, "reason": reason, "message": message, "count": count,
            "firstTimestamp": first, "lastTimestamp": now, "source": {"component": "lab"},
        });
        self.put_object(key, event);
    }
}

/// The string at a JSON pointer, empty when there is none.
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub fn uid(object: &Value) -> String {
    text(object, "/metadata/uid").to_string()
}

pub fn is_deleting(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// The entries of an array, none when it is not there.
pub fn items<'a>(object: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    object.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    items(object, "/status/conditions").find(|c| c["type"] == kind)
}

pub fn is_true(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|c| c["status"] == "True")
}

/// Ready=True for the present generation.
pub fn is_ready_now(object: &Value) -> bool {
    condition(object, "Ready").is_some_and(|c| {
        c["status"] == "True"
            && (c["observedGeneration"].is_null() || c["observedGeneration"] == object["metadata"]["generation"])
    })
}

/// Sets a condition; the transition time moves only when its status does.
pub fn set_condition(object: &mut Value, at: &str, kind: &str, status: &str, reason: &str, message: &str) {
    let group = text(object, "/apiVersion").split_once('/').map_or("", |(group, _)| group);
    // Conditions of Kubernetes' own kinds and of Cluster API v1beta1 do not say which generation they speak of.
    let own = crate::kube::BUILT_IN.contains(&group) || group.ends_with("cluster.x-k8s.io");
    let generation = object["metadata"]["generation"].clone();
    let since = condition(object, kind)
        .filter(|c| c["status"] == status)
        .map_or(json!(at), |c| c["lastTransitionTime"].clone());
    let mut new = json!({"type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": since});
    if group.ends_with("cluster.x-k8s.io")
        && let Some(fields) = new.as_object_mut()
    {
        // They leave out what is empty.
        fields.retain(|_, value| value != "");
    }
    if !own && !generation.is_null() {
        new["observedGeneration"] = generation;
    }
    if !object["status"].is_object() {
        object["status"] = json!({});
    }
    let Some(status) = object["status"].as_object_mut() else { return };
    let conditions = status.entry("conditions").or_insert_with(|| json!([]));
    if let Some(list) = conditions.as_array_mut() {
        match list.iter_mut().find(|c| c["type"] == kind) {
            Some(old) => *old = new,
            None => list.push(new),
        }
    }
}

pub fn drop_condition(object: &mut Value, kind: &str) {
    if let Some(list) = object.pointer_mut("/status/conditions").and_then(Value::as_array_mut) {
        list.retain(|c| c["type"] != kind);
    }
}

/// True when every label of `selector` is on the object; an empty selector selects nothing.
pub fn selects(selector: &Value, labels: &Value) -> bool {
    selector.as_object().is_some_and(|s| !s.is_empty() && s.iter().all(|(k, v)| labels.get(k) == Some(v)))
}

/// An owner reference to a controller.
pub fn owned_by(owner: &Value) -> Value {
    json!([{"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true}])
}

/// The same for the same value in every run: lab names must repeat.
pub fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// `length` characters as Kubernetes puts behind generated names.
pub fn suffix(value: &impl Hash, length: usize) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut rest = hash(value);
    let mut out = String::new();
    for _ in 0..length {
        let at = usize::try_from(rest % LETTERS.len() as u64).unwrap_or_default();
        out.push(LETTERS.get(at).map_or('b', |b| char::from(*b)));
        rest /= LETTERS.len() as u64;
    }
    out
}
