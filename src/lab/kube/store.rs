//! Objects, versions and the history that watches read. No HTTP and no controllers in here.
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The number of events that a watch can look back on; an older resourceVersion gets 410 Gone.
pub const HISTORY: usize = 5000;

/// A resource as the API names it: `("helm.toolkit.fluxcd.io", "helmreleases")`; the core group is `""`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource {
    pub group: String,
    pub plural: String,
}

impl Resource {
    pub fn new(group: &str, plural: &str) -> Self {
        Resource { group: group.into(), plural: plural.into() }
    }
}

/// The groups whose objects have no generation, but for pods.
const WITHOUT_GENERATION: [&str; 7] = [
    "",
    "apiregistration.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
];

impl Resource {
    fn counts_generations(&self) -> bool {
        !WITHOUT_GENERATION.contains(&self.group.as_str()) || (self.group.is_empty() && self.plural == "pods")
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub resource: Resource,
    /// Empty for cluster-scoped objects.
    pub namespace: String,
    pub name: String,
}

impl Key {
    pub fn new(group: &str, plural: &str, namespace: &str, name: &str) -> Self {
        Key { resource: Resource::new(group, plural), namespace: namespace.into(), name: name.into() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Added,
    Modified,
    Deleted,
}

#[derive(Debug, Clone)]
pub struct Event {
    pub version: u64,
    pub change: Change,
    pub key: Key,
    /// As it is after the change; of a deletion, as it was last, under the version of the deletion.
    pub object: Arc<Value>,
    /// As it was before, so that a watch with a selector can tell what came into view and what left it.
    pub previous: Option<Arc<Value>>,
}

/// Every object of the cluster. `put` and `remove` are the only ways to change it; both count up the version.
pub struct Store {
    version: u64,
    /// Shared with the history, which so costs nothing for an object that did not change since.
    objects: BTreeMap<Key, Arc<Value>>,
    history: VecDeque<Event>,
    /// The source of uids.
    uid: fastrand::Rng,
}

impl Store {
    pub fn new(seed: u64) -> Self {
        Store { version: 1, objects: BTreeMap::new(), history: VecDeque::new(), uid: fastrand::Rng::with_seed(seed) }
    }

    /// Of every object, in order of resource, namespace and name.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.objects.keys()
    }

    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn get(&self, key: &Key) -> Option<&Value> {
        self.objects.get(key).map(Arc::as_ref)
    }

    /// In order of namespace and name.
    pub fn list<'a, 'b>(
        &'a self,
        resource: &'b Resource,
        namespace: Option<&'b str>,
    ) -> impl Iterator<Item = (&'a Key, &'a Value)> + use<'a, 'b> {
        let from =
            Key { resource: resource.clone(), namespace: namespace.unwrap_or_default().into(), name: String::new() };
        self.objects
            .range(from..)
            .take_while(move |(k, _)| k.resource == *resource && namespace.is_none_or(|n| k.namespace == n))
            .map(|(k, v)| (k, v.as_ref()))
    }

    /// Creates or replaces. Sets uid (of a new object unless it brings one), creationTimestamp, resourceVersion, name
    /// and namespace; bumps `generation` (of resources that have one) when `spec` (or anything but status and metadata)
    /// changed. An unchanged object makes no event.
    pub fn put(&mut self, key: Key, object: Value, now: Timestamp) -> &Value {
        let object = self.preview(&key, object, now);
        self.store(key.clone(), object);
        self.objects.get(&key).map_or(&Value::Null, Arc::as_ref)
    }

    /// Under a new version, unless it is what is there already.
    fn store(&mut self, key: Key, mut object: Value) {
        if self.objects.get(&key).is_some_and(|o| **o == object) {
            return;
        }
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let object = Arc::new(object);
        let previous = self.objects.insert(key.clone(), object.clone());
        let change = if previous.is_some() { Change::Modified } else { Change::Added };
        self.note(change, &key, object, previous);
    }

    /// Takes an object as another server has it: uid (of one that is new here), generation and times are its own; only
    /// the version is this store's. An unchanged object makes no event.
    pub fn adopt(&mut self, key: Key, object: Value) {
        let mut object = object;
        let old = self.objects.get(&key);
        for field in ["uid", "resourceVersion"] {
            if let Some(was) = old.and_then(|o| o["metadata"].get(field)) {
                object["metadata"][field] = was.clone();
            }
        }
        self.store(key, object);
    }

    /// Returns what [`Store::put`] would store, under the version that is stored now (none for a new object). Stores
    /// nothing.
    pub fn preview(&mut self, key: &Key, mut object: Value, now: Timestamp) -> Value {
        let old = self.objects.get(key);
        let was = |field: &str| old.and_then(|o| o["metadata"].get(field)).cloned();
        let generation = match old {
            None => 1,
            Some(old) => {
                let was = was("generation").and_then(|g| g.as_u64()).unwrap_or(1);
                if content(key, old) == content(key, &object) { was } else { was + 1 }
            }
        };
        let (uid, created, version) = (was("uid"), was("creationTimestamp"), was("resourceVersion"));
        if !object["metadata"].is_object() {
            object["metadata"] = json!({});
        }
        let meta = &mut object["metadata"];
        meta["name"] = json!(key.name);
        if !key.namespace.is_empty() {
            meta["namespace"] = json!(key.namespace);
        }
        if let Some(uid) = uid {
            meta["uid"] = uid;
        } else if !meta["uid"].is_string() {
            meta["uid"] = json!(uuid(&mut self.uid));
        }
        meta["creationTimestamp"] = created.unwrap_or_else(|| json!(seconds(now)));
        if key.resource.counts_generations() {
            meta["generation"] = json!(generation);
        }
        match (version, meta.as_object_mut()) {
            (Some(version), _) => meta["resourceVersion"] = version,
            (None, Some(meta)) => drop(meta.remove("resourceVersion")),
            (None, None) => {}
        }
        object
    }

    /// Changes an object that is there; `false` when it is not.
    pub fn update(&mut self, key: &Key, now: Timestamp, f: impl FnOnce(&mut Value)) -> bool {
        let Some(object) = self.get(key) else { return false };
        let mut object = object.clone();
        f(&mut object);
        self.put(key.clone(), object, now);
        true
    }

    pub fn remove(&mut self, key: &Key) -> Option<Value> {
        let previous = self.objects.remove(key)?;
        let mut object = Value::clone(&previous);
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.note(Change::Deleted, key, Arc::new(object.clone()), Some(previous));
        Some(object)
    }

    /// The events after `version`, oldest first; `None` when history no longer reaches back so far.
    pub fn since(&self, version: u64) -> Option<impl Iterator<Item = &Event>> {
        let oldest = self.history.front().map_or(self.version + 1, |e| e.version);
        (version + 1 >= oldest || version >= self.version)
            .then(|| self.history.range(self.history.partition_point(|e| e.version <= version)..))
    }

    fn note(&mut self, change: Change, key: &Key, object: Arc<Value>, previous: Option<Arc<Value>>) {
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(Event { version: self.version, change, key: key.clone(), object, previous });
    }
}

/// The members that count up the generation when they change: all of an object but metadata and status, and of a
/// Deployment the annotations, since its ReplicaSets get copies of them; but not its revision, which the controller
/// writes along with the status.
fn content<'a>(key: &Key, object: &'a Value) -> (Vec<Member<'a>>, Vec<Member<'a>>) {
    let members = object.as_object().into_iter().flatten();
    let members = members.filter(|(name, _)| !matches!(name.as_str(), "metadata" | "status" | "kind" | "apiVersion"));
    let copied = (key.resource.group == "apps" && key.resource.plural == "deployments")
        .then(|| object["metadata"]["annotations"].as_object())
        .flatten();
    let copied = copied.into_iter().flatten().filter(|(name, _)| *name != "deployment.kubernetes.io/revision");
    (members.collect(), copied.collect())
}

type Member<'a> = (&'a String, &'a Value);

/// RFC 3339 with whole seconds, as Kubernetes writes times.
pub fn seconds(at: Timestamp) -> String {
    jiff::fmt::temporal::DateTimePrinter::new().precision(Some(0)).timestamp_to_string(&at)
}

/// A version 4 UUID from the lab's seeded randomness.
pub fn uuid(random: &mut fastrand::Rng) -> String {
    let n = (random.u128(..) & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let h = format!("{n:032x}");
    let part = |a, b| h.get(a..b).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::new("", "configmaps", "default", name)
    }

    #[test]
    fn an_unchanged_object_makes_no_event() {
        let mut store = Store::new(1);
        let first = store.put(key("a"), json!({"data": {"k": "v"}}), Timestamp::UNIX_EPOCH).clone();
        let version = store.version();
        store.put(key("a"), first, Timestamp::UNIX_EPOCH);
        assert_eq!(store.version(), version);
    }

    #[test]
    fn only_a_change_of_the_spec_counts_up_the_generation() {
        let mut store = Store::new(1);
        let key = Key::new("apps", "deployments", "default", "a");
        store.put(key.clone(), json!({"spec": {"x": 1}}), Timestamp::UNIX_EPOCH);
        store.update(&key, Timestamp::UNIX_EPOCH, |o| o["status"] = json!({"ok": true}));
        assert_eq!(store.get(&key).unwrap()["metadata"]["generation"], 1);
        store.update(&key, Timestamp::UNIX_EPOCH, |o| o["spec"]["x"] = json!(2));
        assert_eq!(store.get(&key).unwrap()["metadata"]["generation"], 2);
        let changes: Vec<Change> = store.since(1).unwrap().map(|e| e.change).collect();
        assert_eq!(changes, [Change::Added, Change::Modified, Change::Modified]);
    }

    #[test]
    fn a_list_is_of_one_resource_and_one_namespace() {
        let mut store = Store::new(1);
        store.put(key("a"), json!({}), Timestamp::UNIX_EPOCH);
        store.put(Key::new("", "configmaps", "other", "b"), json!({}), Timestamp::UNIX_EPOCH);
        store.put(Key::new("", "pods", "default", "c"), json!({}), Timestamp::UNIX_EPOCH);
        let maps = Resource::new("", "configmaps");
        assert_eq!(store.list(&maps, Some("default")).count(), 1);
        assert_eq!(store.list(&maps, None).count(), 2);
    }

    #[test]
    fn a_uuid_has_its_version_and_variant() {
        let id = uuid(&mut fastrand::Rng::with_seed(7));
        assert_eq!(id.len(), 36);
        assert_eq!(&id[14..15], "4");
        assert!(matches!(&id[19..20], "8" | "9" | "a" | "b"), "{id}");
    }
}
