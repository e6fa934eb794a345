//! delete: preconditions, finalizers, collections, namespaces.
use super::cluster::{Cluster, MERGE, text};
use super::list::{map, maps};
use serde_json::{Value, json};

pub async fn preconditions_hold_a_deletion_back(cluster: &Cluster) {
    let path = format!("{}/a", maps(cluster, "delete-preconditions", &["a"]).await);
    let made = cluster.get(&path).await.ok();
    let (uid, version) = (text(&made, "/metadata/uid"), text(&made, "/metadata/resourceVersion"));
    let said = cluster.delete(&path, json!({"preconditions": {"uid": "x"}})).await;
    let message = format!(
        "Operation cannot be fulfilled on ConfigMap \"a\": the UID in the precondition (x) does not match the UID in \
         record ({uid}). The object might have been deleted and then recreated"
    );
    assert_eq!(said.refusal(), (409, "Conflict", message.as_str()));
    assert_eq!(said.body["details"], json!({"name": "a", "kind": "ConfigMap"}));
    let said = cluster.delete(&path, json!({"preconditions": {"resourceVersion": "1"}})).await;
    let message = format!(
        "Operation cannot be fulfilled on ConfigMap \"a\": the ResourceVersion in the precondition (1) does not match \
         the ResourceVersion in record ({version}). The object might have been modified"
    );
    assert_eq!(said.refusal(), (409, "Conflict", message.as_str()));
    let dry = cluster.delete(&format!("{path}?dryRun=All"), Value::Null).await.ok();
    assert_eq!(dry["status"], "Success");
    let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background",
        "preconditions": {"uid": uid, "resourceVersion": version}});
    let done = cluster.delete(&path, options).await.ok();
    let details = json!({"name": "a", "kind": "configmaps", "uid": uid});
    assert_eq!(json!([done["kind"], done["status"], done["details"]]), json!(["Status", "Success", details]));
    assert_eq!(cluster.delete(&path, Value::Null).await.refusal(), (404, "NotFound", "configmaps \"a\" not found"));
}

pub async fn finalizers_hold_an_object(cluster: &Cluster) {
    let path = maps(cluster, "delete-finalizers", &[]).await;
    let mut object = map("held", json!({}));
    object["metadata"]["finalizers"] = json!(["cozyup.test/hold"]);
    cluster.post(&path, object).await.ok();
    let path = format!("{path}/held");
    let marked = cluster.delete(&path, Value::Null).await.ok();
    assert_eq!(text(&marked, "/metadata/deletionTimestamp").len(), 20);
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 0);
    let again = cluster.delete(&path, Value::Null).await.ok();
    assert_eq!(again["metadata"]["deletionTimestamp"], marked["metadata"]["deletionTimestamp"]);
    let said = cluster.patch(&path, MERGE, json!({"metadata": {"finalizers": ["cozyup.test/other"]}})).await;
    let message = "ConfigMap \"held\" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the \
                   object is being deleted, found new finalizers []string{\"cozyup.test/other\"}";
    assert_eq!(said.refusal(), (422, "Invalid", message));
    cluster.patch(&path, MERGE, json!({"metadata": {"finalizers": null}})).await.ok();
    assert_eq!(cluster.get(&path).await.code.as_u16(), 404);
}

pub async fn a_claim_is_protected(cluster: &Cluster) {
    let namespace = cluster.namespace("delete-claim").await;
    let path = format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims");
    let claim = json!({"metadata": {"name": "c"}, "spec": {
        "storageClassName": "none", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    let made = cluster.post(&path, claim).await.ok();
    assert_eq!(
        json!([made["metadata"]["finalizers"], made["spec"]["volumeMode"], made["status"]]),
        json!([["kubernetes.io/pvc-protection"], "Filesystem", {"phase": "Pending"}])
    );
    let patch = json!({"spec": {"accessModes": ["ReadWriteMany"]}});
    let said = cluster.patch(&format!("{path}/c"), MERGE, patch).await;
    let (code, reason, message) = said.refusal();
    assert_eq!((code, reason), (422, "Invalid"));
    let start = "PersistentVolumeClaim \"c\" is invalid: spec: Forbidden: spec is immutable after creation except \
                 resources.requests and volumeAttributesClassName for bound claims";
    assert!(message.starts_with(start), "{message}");
}

pub async fn a_collection_goes_by_selector(cluster: &Cluster) {
    let path = maps(cluster, "delete-collection", &["keep"]).await;
    for name in ["a", "b"] {
        let mut object = map(name, json!({}));
        object["metadata"]["labels"] = json!({"app": "x"});
        cluster.post(&path, object).await.ok();
    }
    let gone = cluster.delete(&format!("{path}?labelSelector=app%3Dx"), Value::Null).await.ok();
    assert_eq!((&gone["kind"], gone["items"].as_array().unwrap().len()), (&json!("ConfigMapList"), 2));
    let left = cluster.get(&format!("{path}?fieldSelector=metadata.name!%3Dkube-root-ca.crt")).await.ok();
    let names: Vec<&str> = left["items"].as_array().unwrap().iter().map(|i| text(i, "/metadata/name")).collect();
    assert_eq!(names, ["keep"]);
    let said = cluster.delete("/api/v1/configmaps", Value::Null).await;
    assert_eq!(said.refusal().0, 405);
}

pub async fn a_namespace_on_its_way_out_takes_nothing_in(cluster: &Cluster) {
    let path = maps(cluster, "delete-namespace", &["a"]).await;
    // A finalizer of our own holds it where nobody empties namespaces as well as where somebody does.
    let mut held = map("held", json!({}));
    held["metadata"]["finalizers"] = json!(["cozyup.test/hold"]);
    cluster.post(&path, held).await.ok();
    let gone = cluster.delete("/api/v1/namespaces/delete-namespace", Value::Null).await.ok();
    assert_eq!(json!([gone["status"], gone["spec"]["finalizers"]]), json!([{"phase": "Terminating"}, ["kubernetes"]]));
    assert_eq!(text(&gone, "/metadata/deletionTimestamp").len(), 20);
    let said = cluster.post(&path, map("late", json!({}))).await;
    let message = "configmaps \"late\" is forbidden: unable to create new content in namespace delete-namespace because \
                   it is being terminated";
    assert_eq!(said.refusal(), (403, "Forbidden", message));
    let cause = json!({"reason": "NamespaceTerminating", "message": "namespace delete-namespace is being terminated",
        "field": "metadata.namespace"});
    assert_eq!(said.body["details"]["causes"], json!([cause]));
    let said = cluster.get("/api/v1/namespaces/delete-namespace").await.ok();
    assert_eq!(said["status"]["phase"], "Terminating");
}

pub async fn a_propagation_that_is_none_is_refused(cluster: &Cluster) {
    let path = format!("{}/a", maps(cluster, "delete-propagation", &["a"]).await);
    let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Nonsense"});
    let message = "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: \"Nonsense\": \
                   supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\"";
    assert_eq!(cluster.delete(&path, options).await.refusal(), (422, "Invalid", message));
}

pub async fn the_first_namespaces_stay(cluster: &Cluster) {
    let said = cluster.delete("/api/v1/namespaces/default", Value::Null).await;
    let message = "namespaces \"default\" is forbidden: this namespace may not be deleted";
    assert_eq!(said.refusal(), (403, "Forbidden", message));
}
