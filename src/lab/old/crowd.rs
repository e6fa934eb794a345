//! Pods and releases that are well, as many as a scenario asks for, in the size that real ones have.
use super::objects::{Object, days_ago, release};
use super::{OldCluster, OldRelease};
use crate::kube::store::Key;
use jiff::Timestamp;
use serde_json::{Value, json};

pub fn all(old: &OldCluster, now: Timestamp) -> impl Iterator<Item = Object> {
    let pods = (0..old.crowd.pods).map(move |n| pod(n, old, now));
    let releases = (0..old.crowd.releases).map(move |n| {
        let (namespace, name) = (format!("tenant-{:03}", n % 100), format!("postgres-{n:05}"));
        let values = serde_json::Map::new();
        release(&OldRelease { namespace, name, fails: None, days: 7, old_resources: false, values }, old, now)
    });
    pods.chain(releases)
}

/// What a server keeps of who wrote which field: most of a pod's length.
fn managed(at: &str) -> Value {
    let fields: serde_json::Map<String, Value> = (0..24).map(|n| (format!("f:field-{n:02}"), json!({}))).collect();
    json!([{"manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1", "time": at, "fieldsType": "FieldsV1",
        "fieldsV1": {"f:metadata": fields, "f:spec": {"f:containers": {"k:{\"name\":\"main\"}": {".": {}, "f:image": {}}}}}}])
}

fn pod(n: usize, old: &OldCluster, now: Timestamp) -> Object {
    let at = days_ago(now, 20);
    let node = old.nodes.get(n % old.nodes.len().max(1)).map_or("", |n| n.name.as_str());
    let image =
        "ghcr.io/cozystack/cozystack/app@sha256:6d5f0a1b2c3d4e5f60718293a4b5c6d7e8f9a0b1c2d3e4f5061728394a5b6c7d";
    let environment: Vec<Value> = (0..16)
        .map(|n| json!({"name": format!("SETTING_{n}"), "value": format!("a value of a setting {n}")}))
        .collect();
    let conditions = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];
    let conditions: Vec<Value> = conditions
        .iter()
        .map(|c| json!({"type": c, "status": "True", "lastProbeTime": null, "lastTransitionTime": at}))
        .collect();
    let object = json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"creationTimestamp": at, "generateName": "app-7d9c5b6f4-", "labels": {"app": "app", "pod-template-hash": "7d9c5b6f4"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "app-7d9c5b6f4", "controller": true,
                "blockOwnerDeletion": true, "uid": "8f6c0f5e-0f8b-4c26-9d5a-6d2f8f1f7a11"}],
            "managedFields": managed(&at)},
        "spec": {"nodeName": node, "serviceAccountName": "default", "schedulerName": "default-scheduler",
            "containers": [{"name": "main", "image": image, "env": environment, "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}},
                "volumeMounts": [{"name": "token", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": true}]}],
            "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}],
            "volumes": [{"name": "token", "projected": {"defaultMode": 420, "sources": [{"serviceAccountToken": {"path": "token"}}]}}]},
        "status": {"phase": "Running", "podIP": "10.244.9.9", "podIPs": [{"ip": "10.244.9.9"}], "startTime": at, "conditions": conditions,
            "containerStatuses": [{"name": "main", "image": image, "imageID": image, "ready": true, "restartCount": 0, "started": true,
                "state": {"running": {"startedAt": at}}, "lastState": {}}]}});
    (Key::new("", "pods", &format!("tenant-{:03}", n % 100), &format!("app-7d9c5b6f4-{n:05}")), object)
}
