//! Namespaces: what a new one holds, and how one goes with everything in it.
use super::evict;
use super::objects::{condition, is_deleting, items, set_condition, uid};
use crate::kube::settle;
use crate::kube::store::{Key, seconds};
use crate::world::World;
use serde_json::{Value, json};

pub fn is_terminating(world: &World, namespace: &str) -> bool {
    world.object(&Key::new("", "namespaces", "", namespace)).is_some_and(is_deleting)
}

pub fn reconcile(world: &mut World, key: &Key, gone: Option<&Value>) {
    if gone.is_some() {
        return empty(world, &key.name, true);
    }
    let Some(namespace) = world.object(key) else { return };
    if is_deleting(namespace) {
        let uid = uid(namespace);
        return terminate(world, key, uid);
    }
    let account_key = Key::new("", "serviceaccounts", &key.name, "default");
    if world.object(&account_key).is_none() {
        let name = key.name.clone();
        world.change_object(key, |n| {
            n["status"] = json!({"phase": "Active"});
            // The API adds this to a namespace that a client creates.
            n["spec"]["finalizers"] = json!(["kubernetes"]);
            n["metadata"]["labels"]["kubernetes.io/metadata.name"] = json!(name);
        });
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {}});
        world.put_object(account_key, account);
        let ca = world.cluster.as_ref().map(|c| c.ca_crt_pem.clone()).unwrap_or_default();
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}, "data": {"ca.crt": ca}});
        world.put_object(Key::new("", "configmaps", &key.name, "kube-root-ca.crt"), map);
    }
}

fn terminate(world: &mut World, key: &Key, uid: String) {
    if !world.begin(format!("namespace {uid}")) {
        return;
    }
    world.change_object(key, |n| n["status"] = json!({"phase": "Terminating"}));
    // Releases first, or they would bring their workloads back; pods before the claims that they use.
    empty(world, &key.name, false);
    let key = key.clone();
    let after = world.scenario.latency.namespace_delete_s;
    world.after(after, move |world| {
        if world.is_still(&key, &uid) {
            empty(world, &key.name, true);
            finish(world, &key);
            settle(world);
        }
    });
}

/// The namespace goes when nothing in it is held back any more; until then it says what holds it.
fn finish(world: &mut World, key: &Key) {
    let held: Vec<Key> = inside(world, &key.name);
    if held.is_empty() {
        world.remove_object(key);
        return;
    }
    let at = seconds(world.now);
    let why = format!("Some content in the namespace has finalizers remaining: {} objects", held.len());
    world.change_object(key, |namespace| {
        set_condition(namespace, &at, HELD, "True", "SomeFinalizersRemain", &why);
    });
}

const HELD: &str = "NamespaceFinalizersRemaining";

/// Something left a namespace: perhaps it was the last that held it.
pub fn left(world: &mut World, namespace: &str) {
    let key = Key::new("", "namespaces", "", namespace);
    let waits = world.object(&key).is_some_and(|n| is_deleting(n) && condition(n, HELD).is_some());
    if waits {
        // What waited for a pod to end goes with it.
        empty(world, namespace, true);
        finish(world, &key);
    }
}

fn inside(world: &World, namespace: &str) -> Vec<Key> {
    world.cluster.iter().flat_map(|c| c.store.keys()).filter(|k| k.namespace == namespace).cloned().collect()
}

/// Finalizers that only somebody outside of the lab will take away.
fn is_held(object: &Value) -> bool {
    const OURS: [&str; 3] = ["kubernetes.io/pvc-protection", "finalizers.fluxcd.io", "foregroundDeletion"];
    items(object, "/metadata/finalizers").filter_map(Value::as_str).any(|f| !OURS.contains(&f))
}

fn remove(world: &mut World, key: &Key) {
    let is_pod = key.resource.group.is_empty() && key.resource.plural == "pods";
    if is_pod && world.object(key).is_some_and(|pod| evict::lingers(world, pod)) {
        evict::mark(world, key);
    } else if world.object(key).is_some_and(is_held) {
        let at = seconds(world.now);
        world.change_object(key, |object| {
            if !object["metadata"]["deletionTimestamp"].is_string() {
                object["metadata"]["deletionTimestamp"] = json!(at);
                object["metadata"]["deletionGracePeriodSeconds"] = json!(0);
            }
        });
    } else {
        world.remove_object(key);
    }
}

/// Removes what runs and what holds volumes or sockets; with `all`, the rest too.
fn empty(world: &mut World, namespace: &str, all: bool) {
    const FIRST: [(&str, &str); 8] = [
        ("helm.toolkit.fluxcd.io", "helmreleases"),
        ("apps", "deployments"),
        ("apps", "statefulsets"),
        ("apps", "daemonsets"),
        ("", "services"),
        ("", "pods"),
        ("", "persistentvolumeclaims"),
        ("snapshot.storage.k8s.io", "volumesnapshots"),
    ];
    for (group, plural) in FIRST {
        for (key, _) in world.objects(group, plural, Some(namespace)) {
            remove(world, &key);
        }
    }
    if all {
        for key in inside(world, namespace) {
            remove(world, &key);
        }
    }
}
