//! Keeps the lab's store and a real API server in step, so that the lab's controllers, nodes and storage work for a
//! cluster whose API is the real one.
//!
//! ```text
//! lab's world -> store -> push: create, merge patch, status, binding, finalize, delete -> kube-apiserver
//!                store <- pull: watches of every kind that the lab serves              <- kube-apiserver <- cozyup
//! ```
//! What the real server refuses is kept: it would be an object that no real controller can have written.
use super::merge::{REVISION, content, difference, lay_over, only_set, with_status, written_alone};
use super::real::{No, Real, path};
use cozyup::lab::kube::api::{Kind, served};
use cozyup::lab::kube::settle;
use cozyup::lab::kube::store::Key;
use cozyup::lab::world::Lab;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// How often a write is tried that only met a busy server or a broken connection.
const TRIES: u32 = 50;

pub const DEFINITIONS: (&str, &str) = ("apiextensions.k8s.io", "customresourcedefinitions");

/// An object that both sides have.
struct Shared {
    /// As the real server had it last.
    real: Value,
    /// Its uid in the store: another one means another object under the same name.
    local_uid: String,
}

#[derive(Default)]
pub struct Report {
    /// Store version up to which everything has been pushed.
    pub pushed: u64,
    pub writes: u64,
    /// What was refused, and why.
    pub refused: Vec<String>,
}

pub struct Mirror {
    pub(super) lab: Lab,
    pub(super) real: Real,
    shared: BTreeMap<Key, Shared>,
    cursor: u64,
    pub(super) watched: BTreeSet<(String, String)>,
    pub(super) watches: JoinSet<()>,
    pub(super) seen: mpsc::UnboundedSender<(Key, Option<Value>)>,
    report: Arc<Mutex<Report>>,
}

pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn version(object: &Value) -> u64 {
    text(object, "/metadata/resourceVersion").parse().unwrap_or_default()
}

/// Keeps them in step for as long as it is polled.
pub async fn run(lab: Lab, real: Real, report: Arc<Mutex<Report>>) {
    let (seen, mut arrivals) = mpsc::unbounded_channel();
    let mut mirror = Mirror {
        lab: lab.clone(),
        real,
        shared: BTreeMap::new(),
        cursor: 0,
        watched: BTreeSet::new(),
        watches: JoinSet::new(),
        seen,
        report,
    };
    let mut changed = lab.watch();
    loop {
        mirror.push().await;
        tokio::select! {
            _ = changed.changed() => {}
            Some((key, object)) = arrivals.recv() => mirror.arrived(&key, object),
        }
        while let Ok((key, object)) = arrivals.try_recv() {
            mirror.arrived(&key, object);
        }
    }
}

impl Mirror {
    /// Writes what changed in the store since the last time, each object once, in the order of the changes.
    async fn push(&mut self) {
        let cursor = self.cursor;
        let (changed, kinds, now) = self.lab.look(|w| {
            let Some(cluster) = &w.cluster else { return (Vec::new(), Vec::new(), 0) };
            let store = &cluster.store;
            let mut order: Vec<Key> = match store.since(cursor) {
                Some(events) => events.map(|e| e.key.clone()).collect(),
                // Everything: first what the rest stands on.
                None => {
                    let mut all: Vec<Key> = store.keys().cloned().collect();
                    let first = ["namespaces", "customresourcedefinitions", "serviceaccounts"];
                    all.sort_by_key(|k| first.iter().position(|f| *f == k.resource.plural).unwrap_or(first.len()));
                    all
                }
            };
            let mut met = BTreeSet::new();
            order.retain(|key| met.insert(key.clone()));
            let found = order.into_iter().map(|key| (key.clone(), store.get(&key).cloned())).collect();
            (found, served(w), store.version())
        });
        for kind in &kinds {
            self.stand_in(kind).await;
        }
        for (key, object) in &changed {
            let Some(kind) = kinds.iter().find(|k| k.group == key.resource.group && k.plural == key.resource.plural)
            else {
                continue;
            };
            let mut tries = 0;
            while let Err((doing, no)) = self.write(kind, key, object.as_ref()).await {
                tries += 1;
                // As client-go does: a busy server is asked again.
                if no.is_passing() && tries < TRIES {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
                self.refused(kind, key, doing, &no);
                break;
            }
        }
        for kind in kinds {
            self.watch(kind);
        }
        self.cursor = now;
        if let Ok(mut report) = self.report.lock() {
            report.pushed = now;
        }
    }

    pub(super) fn refused(&self, kind: &Kind, key: &Key, doing: &str, no: &No) {
        // What comes too late for a namespace or an object that goes is refused to real controllers too.
        let late = (no.code == 404 && doing != "create")
            || no.message.contains("because it is being terminated")
            || no.message.starts_with("namespaces ");
        if let (false, Ok(mut report)) = (late, self.report.lock()) {
            let why = no.message.lines().next().unwrap_or_default();
            let refusal = format!("{doing} {}: {} {} {why:.300}", path(kind, key), no.code, no.reason);
            eprintln!("the real server refuses: {refusal}");
            report.refused.push(refusal);
        }
    }

    fn count(&self) {
        if let Ok(mut report) = self.report.lock() {
            report.writes += 1;
        }
    }

    async fn write(&mut self, kind: &Kind, key: &Key, object: Option<&Value>) -> Result<(), (&'static str, No)> {
        match (kind.group, kind.plural) {
            ("apiregistration.k8s.io", "apiservices") => return self.api_service(object).await,
            // The lab's addresses are loopback ones, and a real server takes none of these.
            ("", "endpoints") | ("discovery.k8s.io", "endpointslices") => return Ok(()),
            // Once Cluster API's own definitions are there, the lab's shorter ones must not replace them.
            DEFINITIONS if self.lab.look(|w| w.cluster_api_elsewhere) => return Ok(()),
            _ => {}
        }
        let Some(object) = object else { return self.remove(kind, key).await };
        if self.shared.get(key).is_some_and(|s| s.local_uid != text(object, "/metadata/uid")) {
            self.remove(kind, key).await?;
        }
        let at = path(kind, key);
        if !self.shared.contains_key(key) {
            self.create(kind, key, object, &at).await.map_err(|no| ("create", no))?;
            if kind.is(DEFINITIONS.0, DEFINITIONS.1) {
                return self.until_served(object).await;
            }
        }
        self.change(kind, key, &at).await?;
        // It goes before it says that it goes.
        if kind.is("", "namespaces") {
            self.delete(key, &at).await.map_err(|no| ("delete", no))?;
        }
        if kind.status && !kind.is(DEFINITIONS.0, DEFINITIONS.1) {
            self.change_status(key, &at).await.map_err(|no| ("change status of", no))?;
        }
        self.delete(key, &at).await.map_err(|no| ("delete", no))
    }

    async fn create(&mut self, kind: &Kind, key: &Key, object: &Value, at: &str) -> Result<(), No> {
        self.count();
        let mut new = self.outward(&content(object));
        if let Some(fields) = new.as_object_mut() {
            fields.remove("status");
        }
        let made = match self.real.post(&path(kind, &Key { name: String::new(), ..key.clone() }), &new).await {
            Ok(made) => {
                self.accept(key, &made, &new);
                made
            }
            // The server makes some objects by itself.
            Err(no) => self.real.get(at).await.map_err(|_| no)?,
        };
        self.keep(key, made, object);
        Ok(())
    }

    /// A pod is bound, and what else the object itself says is laid over.
    async fn change(&mut self, kind: &Kind, key: &Key, at: &str) -> Result<(), (&'static str, No)> {
        let Some((was, is)) = self.both(key) else { return Ok(()) };
        let bound = |o: &Value| text(o, "/spec/nodeName").to_string();
        if kind.is("", "pods") && bound(&was).is_empty() && !bound(&is).is_empty() {
            self.count();
            let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": key.name},
                "target": {"apiVersion": "v1", "kind": "Node", "name": bound(&is)}});
            self.real.post(&format!("{at}/binding"), &binding).await.map_err(|no| ("bind", no))?;
        }
        if let Some(patch) = difference(&written_alone(&was), &written_alone(&is)).and_then(only_set) {
            self.count();
            let real = self.real.merge(at, &patch).await.map_err(|no| ("change", no))?;
            self.accept(key, &real, &with_status(&is, &was));
        }
        Ok(())
    }

    async fn change_status(&mut self, key: &Key, at: &str) -> Result<(), No> {
        if let Some((was, is)) = self.both(key)
            && let Some(status) = difference(&was["status"], &is["status"]).filter(|s| !s.is_null())
        {
            self.count();
            let mut patch = json!({"status": status});
            // As the real controller does: so it does not count as a change of the Deployment.
            if let Some(revision) = is.pointer("/metadata/annotations").and_then(|a| a.get(REVISION)) {
                patch["metadata"] = json!({"annotations": {REVISION: revision}});
            }
            let real = self.real.merge(&format!("{at}/status"), &patch).await?;
            self.accept(key, &real, &with_status(&was, &is));
        }
        Ok(())
    }

    /// A controller of the store has deleted it, and something holds it still: so it is in the real server from now on.
    async fn delete(&mut self, key: &Key, at: &str) -> Result<(), No> {
        let is_deleting = |o: &Value| o["metadata"]["deletionTimestamp"].is_string();
        let Some((was, is)) = self.both(key).filter(|(was, is)| is_deleting(is) && !is_deleting(was)) else {
            return Ok(());
        };
        self.count();
        self.real.ask_to_delete(at).await?;
        match self.real.get(at).await {
            Ok(real) => self.accept(key, &real, &with_status(&is, &was)),
            // Nothing held it there: the watch tells.
            Err(No { code: 404, .. }) => {}
            Err(no) => return Err(no),
        }
        Ok(())
    }

    /// The object as the real server had it last, and as it is in the store by now.
    fn both(&self, key: &Key) -> Option<(Value, Value)> {
        let local = self.lab.look(|w| w.cluster.as_ref().and_then(|c| c.store.get(key).cloned()))?;
        Some((content(&self.shared.get(key)?.real), self.outward(&content(&local))))
    }

    fn keep(&mut self, key: &Key, real: Value, local: &Value) {
        self.shared.insert(key.clone(), Shared { real, local_uid: text(local, "/metadata/uid").to_string() });
    }

    /// It is gone from the store: whatever held it has let go.
    async fn remove(&mut self, kind: &Kind, key: &Key) -> Result<(), (&'static str, No)> {
        let Some(shared) = self.shared.remove(key) else { return Ok(()) };
        let at = path(kind, key);
        self.count();
        let gone = |result: Result<Value, No>| match result {
            Err(no) if no.code != 404 => Err(("delete", no)),
            _ => Ok(()),
        };
        if shared.real["metadata"]["finalizers"].is_array() {
            gone(self.real.merge(&at, &json!({"metadata": {"finalizers": null}})).await)?;
        }
        gone(self.real.delete(&at).await)?;
        if kind.is("", "namespaces") {
            let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": key.name}, "spec": {"finalizers": []}});
            gone(self.real.put(&format!("{at}/finalize"), &body).await)?;
        }
        Ok(())
    }

    fn arrived(&mut self, key: &Key, object: Option<Value>) {
        let Some(object) = object else {
            // What the store itself let go is no longer shared.
            if self.shared.remove(key).is_some() {
                self.lab.with(|w| {
                    if let Some(cluster) = &mut w.cluster {
                        cluster.store.remove(key);
                    }
                    settle(w);
                });
            }
            return;
        };
        if self.shared.get(key).is_some_and(|s| version(&s.real) >= version(&object)) {
            return;
        }
        let ancestor = self.shared.get(key).map(|s| content(&s.real)).unwrap_or_default();
        self.accept(key, &object, &ancestor);
    }

    /// The real server's word goes into the store; what the store changed since `ancestor` stays on top of it and is
    /// pushed next.
    fn accept(&mut self, key: &Key, object: &Value, ancestor: &Value) {
        let shared = self.shared.contains_key(key) || !ancestor.is_null();
        let ancestor = self.inward(ancestor);
        let mut new = self.inward(&content(object));
        let taken = self.lab.with(|w| {
            let store = &mut w.cluster.as_mut()?.store;
            match store.get(key) {
                Some(local) => {
                    if let Some(pending) = difference(&ancestor, &content(local)).filter(|_| shared) {
                        lay_over(&mut new, &pending);
                    }
                }
                // Gone from the store, and soon from the real server.
                None if shared => return None,
                None => {}
            }
            for field in ["uid", "creationTimestamp"] {
                if let Some(value) = object["metadata"].get(field) {
                    new["metadata"][field] = value.clone();
                }
            }
            // The store may have counted changes that the real server has not seen yet. A count that went back would be one
            // for which the lab's controllers have acted already.
            let generation = |o: Option<&Value>| o.and_then(|o| o["metadata"]["generation"].as_u64());
            if let Some(count) = generation(store.get(key)).max(generation(Some(object))) {
                new["metadata"]["generation"] = json!(count);
            }
            store.adopt(key.clone(), new);
            let local = store.get(key).cloned();
            settle(w);
            local
        });
        if let Some(local) = taken {
            self.keep(key, object.clone(), &local);
        }
    }

    /// References by uid, as the real server knows the objects.
    fn outward(&self, object: &Value) -> Value {
        self.translated(object, |s| (s.local_uid.as_str(), text(&s.real, "/metadata/uid")))
    }

    /// References by uid, as the store knows the objects.
    fn inward(&self, object: &Value) -> Value {
        self.translated(object, |s| (text(&s.real, "/metadata/uid"), s.local_uid.as_str()))
    }

    fn translated<'a>(&'a self, object: &Value, pair: impl Fn(&'a Shared) -> (&'a str, &'a str)) -> Value {
        let mut object = object.clone();
        let mut references: Vec<&mut Value> = Vec::new();
        let (owners, involved) = match object.as_object_mut() {
            Some(map) => {
                let mut owners = None;
                let mut involved = None;
                for (field, value) in map.iter_mut() {
                    match field.as_str() {
                        "metadata" => owners = value.get_mut("ownerReferences").and_then(Value::as_array_mut),
                        "involvedObject" => involved = Some(value),
                        _ => {}
                    }
                }
                (owners, involved)
            }
            None => (None, None),
        };
        references.extend(owners.into_iter().flatten());
        references.extend(involved);
        for reference in references {
            let uid = text(reference, "/uid").to_string();
            let known = self.shared.values().map(&pair).find(|(from, _)| *from == uid);
            if let Some((_, to)) = known {
                reference["uid"] = json!(to);
            }
        }
        object
    }
}
