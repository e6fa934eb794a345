//! Deployments, DaemonSets and StatefulSets: their pods and their status, and what goes when an owner goes.
use super::namespaces::is_terminating;
use super::objects::{hash, is_deleting, is_true, owned_by, selects, set_condition, suffix, text, uid};
use super::quota;
use crate::kube::store::{Key, seconds};
use crate::world::World;
use serde_json::{Value, json};

/// Removes what the object owned.
pub fn collect(world: &mut World, key: &Key, object: &Value) {
    let owner = uid(object);
    let owned = match (key.resource.group.as_str(), key.resource.plural.as_str()) {
        ("apps", "deployments") => [("apps", "replicasets"), ("", "pods")].as_slice(),
        ("apps", "daemonsets" | "statefulsets" | "replicasets") => &[("", "pods")],
        ("operator.cluster.x-k8s.io", _) => &[("apps", "deployments")],
        _ => return,
    };
    for (group, plural) in owned {
        let of_owner = |o: &Value| text(o, "/metadata/ownerReferences/0/uid") == owner;
        for (key, _) in world.select(group, plural, Some(&key.namespace), of_owner) {
            world.remove_object(&key);
        }
    }
}

pub fn reconcile(world: &mut World, key: &Key, gone: Option<&Value>) {
    let Some(object) = world.object(key).cloned() else { return };
    if gone.is_some() || is_terminating(world, &key.namespace) {
        return;
    }
    if is_deleting(&object) {
        world.remove_object(key);
        return;
    }
    match key.resource.plural.as_str() {
        "deployments" => deployment(world, key, &object),
        "daemonsets" => daemon_set(world, key, &object),
        _ => stateful_set(world, key, &object),
    }
}

/// The ServiceAccount that the pods need and that is not there.
fn missing_account(world: &World, key: &Key, object: &Value) -> Option<String> {
    let name = text(object, "/spec/template/spec/serviceAccountName");
    let there = world.object(&Key::new("", "serviceaccounts", &key.namespace, name)).is_some();
    (!name.is_empty() && !there).then(|| name.to_string())
}

fn pod_from(template: &Value, owner: &Value) -> Value {
    let mut metadata = json!({"labels": template["metadata"]["labels"], "ownerReferences": owned_by(owner)});
    if template["metadata"]["annotations"].is_object() {
        metadata["annotations"] = template["metadata"]["annotations"].clone();
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
}

fn pods_of(world: &World, namespace: &str, owner: &str) -> Vec<(Key, Value)> {
    world.select("", "pods", Some(namespace), |p| text(p, "/metadata/ownerReferences/0/uid") == owner)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// Counts the templates that a Deployment has had.
const REVISION: &str = "deployment.kubernetes.io/revision";

fn deployment(world: &mut World, key: &Key, object: &Value) {
    let at = seconds(world.now);
    if let Some(account) = missing_account(world, key, object) {
        let message = format!(
            "pods \"{}-\" is forbidden: error looking up service account {}/{account}: serviceaccount \"{account}\" not found",
            key.name, key.namespace
        );
        world.change_object(key, |d| {
            set_condition(d, &at, "ReplicaFailure", "True", "FailedCreate", &message);
            set_condition(d, &at, "Available", "False", "MinimumReplicasUnavailable", NOT_AVAILABLE);
        });
        return;
    }
    let template = &object["spec"]["template"];
    let revision = suffix(&(uid(object), template.to_string()), 10);
    let set_key = Key::new("apps", "replicasets", &key.namespace, &format!("{}-{revision}", key.name));
    let wanted = object["spec"]["replicas"].as_u64().unwrap_or(1);
    let owner = uid(object);
    if world.object(&set_key).is_none() {
        let older = world.select("apps", "replicasets", Some(&key.namespace), |r| {
            text(r, "/metadata/ownerReferences/0/uid") == owner
        });
        for (old, set) in older {
            collect(world, &old, &set);
            world.remove_object(&old);
        }
        let labels = template["metadata"]["labels"].clone();
        let set = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {"labels": labels, "ownerReferences": owned_by(object)},
            "spec": {"replicas": wanted, "selector": object["spec"]["selector"], "template": template}});
        world.put_object(set_key.clone(), set);
        let number = object["metadata"]["annotations"][REVISION].as_str().and_then(|r| r.parse::<u64>().ok());
        let number = (number.unwrap_or(0) + 1).to_string();
        for of in [key, &set_key] {
            world.change_object(of, |o| o["metadata"]["annotations"][REVISION] = json!(number));
        }
        world.emit(key, "Normal", "ScalingReplicaSet", &format!("Scaled up replica set {} to {wanted}", set_key.name));
    }
    let Some(set) = world.object(&set_key).cloned() else { return };
    let (pods, refusal) = scaled(world, &set_key, &set, (template, &revision), wanted);
    let ready = count(pods.iter().filter(|(_, p)| is_true(p, "Ready")).count());
    world.change_object(&set_key, |s| {
        s["spec"]["replicas"] = json!(wanted);
        s["status"] = json!({"replicas": wanted, "readyReplicas": ready, "availableReplicas": ready,
            "fullyLabeledReplicas": wanted, "observedGeneration": s["metadata"]["generation"]});
        omit_zeros(s, &["readyReplicas", "availableReplicas", "fullyLabeledReplicas"]);
    });
    let available = ready + may_be_missing(object, wanted) >= wanted;
    world.change_object(key, |d| {
        let conditions = d["status"]["conditions"].clone();
        d["status"] = json!({"observedGeneration": d["metadata"]["generation"], "replicas": wanted,
            "updatedReplicas": wanted, "conditions": conditions});
        if d["status"]["conditions"].is_null() {
            d["status"]["conditions"] = json!([]);
        }
        for (field, value) in [
            ("readyReplicas", ready),
            ("availableReplicas", ready),
            ("unavailableReplicas", wanted.saturating_sub(ready)),
        ] {
            if value > 0 {
                d["status"][field] = json!(value);
            }
        }
        match &refusal {
            Some(why) => set_condition(d, &at, "ReplicaFailure", "True", "FailedCreate", why),
            None => super::objects::drop_condition(d, "ReplicaFailure"),
        }
        let (status, reason, message) = if available {
            ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
        } else {
            ("False", "MinimumReplicasUnavailable", NOT_AVAILABLE)
        };
        set_condition(d, &at, "Available", status, reason, message);
        let (reason, message) = if available {
            ("NewReplicaSetAvailable", "has successfully progressed.")
        } else {
            ("ReplicaSetUpdated", "is progressing.")
        };
        set_condition(d, &at, "Progressing", "True", reason, &format!("ReplicaSet \"{}\" {message}", set_key.name));
    });
}

/// Makes the pods of a ReplicaSet as many as its Deployment wants, as far as the namespace's quota lets it: the pods, and the
/// refusal.
fn scaled(
    world: &mut World,
    set_key: &Key,
    set: &Value,
    (template, revision): (&Value, &str),
    wanted: u64,
) -> (Vec<(Key, Value)>, Option<String>) {
    let mut pods = pods_of(world, &set_key.namespace, &uid(set));
    // A ReplicaSet does not wait until a pod that goes is gone.
    pods.retain(|(_, pod)| !is_deleting(pod));
    let mut number = world.state().map(|s| s.next_node).unwrap_or_default();
    while count(pods.len()) < wanted {
        number += 1;
        let name = format!("{}-{}", set_key.name, suffix(&(uid(set), number, pods.len()), 5));
        let pod_key = Key::new("", "pods", &set_key.namespace, &name);
        if world.object(&pod_key).is_some() {
            continue;
        }
        let mut pod = pod_from(template, set);
        pod["metadata"]["labels"]["pod-template-hash"] = json!(revision);
        if let Err(why) = quota::admit_to(world, &pod_key, &mut pod) {
            return (pods, Some(why));
        }
        world.put_object(pod_key.clone(), pod.clone());
        pods.push((pod_key, pod));
    }
    while count(pods.len()) > wanted {
        if let Some((extra, _)) = pods.pop() {
            world.remove_object(&extra);
        }
    }
    (pods, None)
}

/// `maxUnavailable` of the rolling update, by default a quarter rounded down. With 1 of 1 a Deployment counts as
/// available without any pod; CozyStack's installer is one.
fn may_be_missing(deployment: &Value, wanted: u64) -> u64 {
    let stated = &deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"];
    let percent = stated.as_str().unwrap_or("25%").trim_end_matches('%').parse::<u64>().unwrap_or(25);
    stated.as_u64().unwrap_or(wanted * percent / 100)
}

const NOT_AVAILABLE: &str = "Deployment does not have minimum availability.";

fn daemon_set(world: &mut World, key: &Key, object: &Value) {
    let template = &object["spec"]["template"];
    let owner = uid(object);
    let pods = pods_of(world, &key.namespace, &owner);
    let selector = &template["spec"]["nodeSelector"];
    let nodes = world.select("", "nodes", None, |n| selector.is_null() || selects(selector, &n["metadata"]["labels"]));
    for (node, _) in &nodes {
        if pods.iter().any(|(_, p)| text(p, "/spec/nodeName") == node.name) {
            continue;
        }
        let mut pod = pod_from(template, object);
        pod["spec"]["nodeName"] = json!(node.name);
        pod["spec"]["tolerations"] = json!([{"operator": "Exists"}]);
        let name = format!("{}-{}", key.name, suffix(&(&owner, &node.name), 5));
        world.put_object(Key::new("", "pods", &key.namespace, &name), pod);
    }
    let ready = count(pods.iter().filter(|(_, p)| is_true(p, "Ready")).count());
    let desired = count(nodes.len());
    world.change_object(key, |d| {
        d["status"] = json!({"observedGeneration": d["metadata"]["generation"], "desiredNumberScheduled": desired,
            "currentNumberScheduled": desired, "updatedNumberScheduled": desired, "numberMisscheduled": 0,
            "numberReady": ready, "numberAvailable": ready, "numberUnavailable": desired.saturating_sub(ready)});
        omit_zeros(d, &["updatedNumberScheduled", "numberAvailable", "numberUnavailable"]);
    });
}

/// The API leaves these counts out when they are 0 (`omitempty` of its types).
fn omit_zeros(object: &mut Value, fields: &[&str]) {
    if let Some(status) = object["status"].as_object_mut() {
        status.retain(|name, value| *value != 0 || !fields.contains(&name.as_str()));
    }
}

/// Makes the claims of a pod that are not there; the pod's volumes of them.
fn claims(world: &mut World, key: &Key, object: &Value, pod: &str) -> Vec<Value> {
    let mut volumes = Vec::new();
    for claim in super::objects::items(object, "/spec/volumeClaimTemplates") {
        let name = format!("{}-{pod}", text(claim, "/metadata/name"));
        let claim_key = Key::new("", "persistentvolumeclaims", &key.namespace, &name);
        if world.object(&claim_key).is_none() {
            let labels = object["spec"]["selector"]["matchLabels"].clone();
            let new = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"labels": labels},
                "spec": claim["spec"]});
            world.put_object(claim_key, new);
        }
        volumes.push(json!({"name": text(claim, "/metadata/name"), "persistentVolumeClaim": {"claimName": name}}));
    }
    volumes
}

/// A StatefulSet whose pod waits for this claim makes it anew.
pub fn claim_gone(world: &mut World, namespace: &str) {
    for (key, _) in world.objects("apps", "statefulsets", Some(namespace)) {
        reconcile(world, &key, None);
    }
}

fn stateful_set(world: &mut World, key: &Key, object: &Value) {
    let wanted = object["spec"]["replicas"].as_u64().unwrap_or(1);
    let owner = uid(object);
    let revision = format!("{}-{:010x}", key.name, hash(&object["spec"]["template"].to_string()) >> 24);
    let mut ready = 0;
    for ordinal in 0..wanted {
        let name = format!("{}-{ordinal}", key.name);
        let pod_key = Key::new("", "pods", &key.namespace, &name);
        if let Some(pod) = world.object(&pod_key) {
            ready += u64::from(is_true(pod, "Ready"));
            // As long as it is on no node, a claim of it that went is made anew (`stateful_set_control.go`, `processReplica`).
            if text(pod, "/spec/nodeName").is_empty() && !is_deleting(pod) {
                claims(world, key, object, &name);
            }
            continue;
        }
        let mut pod = pod_from(&object["spec"]["template"], object);
        pod["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] = json!(name);
        let mut volumes = pod["spec"]["volumes"].as_array().cloned().unwrap_or_default();
        volumes.extend(claims(world, key, object, &name));
        pod["spec"]["volumes"] = json!(volumes);
        world.put_object(pod_key, pod);
    }
    for (extra, _) in pods_of(world, &key.namespace, &owner) {
        let ordinal = extra.name.rsplit('-').next().and_then(|n| n.parse::<u64>().ok());
        if ordinal.is_some_and(|n| n >= wanted) {
            world.remove_object(&extra);
        }
    }
    world.change_object(key, |s| {
        s["status"] = json!({"observedGeneration": s["metadata"]["generation"], "replicas": wanted,
            "readyReplicas": ready, "availableReplicas": ready, "currentReplicas": wanted, "updatedReplicas": wanted,
            "currentRevision": revision, "updateRevision": revision, "collisionCount": 0});
        omit_zeros(s, &["readyReplicas", "currentReplicas", "updatedReplicas"]);
    });
}

/// True when everything that the workload asks for is ready.
pub fn is_available(key: &Key, object: &Value) -> bool {
    let seen = object["status"]["observedGeneration"] == object["metadata"]["generation"];
    let status = |field: &str| object["status"][field].as_u64().unwrap_or_default();
    seen && match key.resource.plural.as_str() {
        "deployments" => is_true(object, "Available"),
        "daemonsets" => status("numberAvailable") == status("desiredNumberScheduled"),
        _ => status("availableReplicas") == object["spec"]["replicas"].as_u64().unwrap_or(1),
    }
}

/// Looks again at the workload that the pod belongs to.
pub fn pod_changed(world: &mut World, key: &Key, gone: Option<&Value>) {
    let Some(pod) = gone.or_else(|| world.object(key)) else { return };
    let owner = &pod["metadata"]["ownerReferences"][0];
    let name = text(owner, "/name");
    let plural = match text(owner, "/kind") {
        "ReplicaSet" => "deployments",
        "DaemonSet" => "daemonsets",
        "StatefulSet" => "statefulsets",
        _ => return,
    };
    // A ReplicaSet's name is its Deployment's and one more part.
    let name = if plural == "deployments" { name.rsplit_once('-').map_or(name, |(d, _)| d) } else { name };
    let owner = Key::new("apps", plural, &key.namespace, name);
    reconcile(world, &owner, None);
}

/// A DaemonSet has a pod on every node.
pub fn nodes_changed(world: &mut World) {
    for (key, _) in world.objects("apps", "daemonsets", None) {
        reconcile(world, &key, None);
    }
}

pub fn account_changed(world: &mut World, key: &Key) {
    let waits = |d: &Value| text(d, "/spec/template/spec/serviceAccountName") == key.name;
    for (deployment, _) in world.select("apps", "deployments", Some(&key.namespace), waits) {
        reconcile(world, &deployment, None);
    }
}
