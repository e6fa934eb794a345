//! update and patch.
use super::cluster::{Cluster, JSON, MERGE, STRATEGIC, text};
use super::list::{map, maps};
use serde_json::{Value, json};

pub async fn merge_and_json_patches_do_what_they_say(cluster: &Cluster) {
    let path = format!("{}/a", maps(cluster, "patch-kinds", &["a"]).await);
    let merged = cluster.patch(&path, MERGE, json!({"data": {"k": null, "l": "1", "m": "2"}})).await.ok();
    assert_eq!(merged["data"], json!({"l": "1", "m": "2"}));
    let steps = json!([{"op": "test", "path": "/data/l", "value": "1"}, {"op": "replace", "path": "/data/l", "value": "9"},
        {"op": "add", "path": "/metadata/labels", "value": {"x": "y"}}, {"op": "remove", "path": "/data/m"}]);
    let patched = cluster.patch(&path, JSON, steps).await.ok();
    assert_eq!(json!([patched["data"], patched["metadata"]["labels"]]), json!([{"l": "9"}, {"x": "y"}]));
    let same = cluster.patch(&path, MERGE, json!({"data": {"l": "9"}})).await.ok();
    assert_eq!(same["metadata"]["resourceVersion"], patched["metadata"]["resourceVersion"], "nothing changed");
}

pub async fn a_strategic_patch_merges_by_key(cluster: &Cluster) {
    let namespace = cluster.namespace("patch-strategic").await;
    let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
    cluster.post(&path, deployment("d")).await.ok();
    let patch =
        json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "env": [{"name": "X", "value": "1"}]}]}}}});
    let patched = cluster.patch(&format!("{path}/d"), STRATEGIC, patch).await.ok();
    let container = &patched["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(
        json!([container["image"], container["env"], patched["metadata"]["generation"]]),
        json!(["busybox:1", [{"name": "X", "value": "1"}], 2])
    );
}

pub fn deployment(name: &str) -> Value {
    let labels = json!({"app": name});
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {
        "replicas": 0, "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "busybox:1"}]}}}})
}

pub async fn a_patch_that_does_not_fit_is_refused(cluster: &Cluster) {
    let path = format!("{}/a", maps(cluster, "patch-refused", &["a"]).await);
    let rejected = "the server rejected our request due to an error in our request";
    for steps in [
        json!([{"op": "test", "path": "/data/k", "value": "x"}]),
        json!([{"op": "remove", "path": "/data/none"}]),
        json!([{"op": "bogus", "path": "/data/k"}]),
    ] {
        assert_eq!(cluster.patch(&path, JSON, steps.clone()).await.refusal(), (422, "Invalid", rejected), "{steps}");
    }
    let named = "the name of the object (z) does not match the name on the URL (a)";
    let placed = "the namespace of the provided object does not match the namespace sent on the request";
    let list = "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}";
    let step = "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp";
    for (content_type, patch, code, reason, message) in [
        (MERGE, json!({"metadata": {"name": "z"}}), 400, "BadRequest", named),
        (MERGE, json!({"metadata": {"namespace": "z"}}), 400, "BadRequest", placed),
        (MERGE, json!([]), 400, "BadRequest", list),
        (JSON, json!({"op": "remove"}), 400, "BadRequest", step),
        ("text/plain", json!({}), 415, "UnsupportedMediaType", "415: Unsupported Media Type"),
    ] {
        let said = cluster.patch(&path, content_type, patch.clone()).await;
        assert_eq!(said.refusal(), (code, reason, message), "{patch}");
    }
    let said = cluster.patch(&path, MERGE, json!({"data": {"k": 5}})).await;
    let (code, reason, message) = said.refusal();
    assert_eq!((code, reason), (422, "Invalid"));
    assert!(message.starts_with(" \"\" is invalid: patch: Invalid value: "), "{message}");
    let said = cluster.patch(&format!("{path}?force=true"), MERGE, json!({})).await;
    let message =
        "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch";
    assert_eq!(said.refusal(), (422, "Invalid", message));
}

pub async fn an_update_needs_the_latest_version(cluster: &Cluster) {
    let path = format!("{}/a", maps(cluster, "update-version", &["a"]).await);
    let with = |meta: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"k": "w"}});
    let uid = text(&cluster.get(&path).await.ok(), "/metadata/uid").to_string();
    let modified = "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your \
                    changes to the latest version and try again";
    let stranger = format!(
        "Operation cannot be fulfilled on configmaps \"a\": StorageError: invalid object, Code: 4, Key: \
         /registry/configmaps/update-version/a, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in \
         precondition: xx, UID in object meta: {uid}"
    );
    let nameless = "the name of the object (a based on URL) was undeterminable: name must be provided";
    for (meta, code, reason, message) in [
        (json!({"name": "a", "resourceVersion": "1"}), 409, "Conflict", modified),
        (json!({"name": "a", "uid": "xx"}), 409, "Conflict", stranger.as_str()),
        (json!({"name": "b"}), 400, "BadRequest", "the name of the object (b) does not match the name on the URL (a)"),
        (json!({}), 400, "BadRequest", nameless),
    ] {
        assert_eq!(cluster.put(&path, with(meta.clone())).await.refusal(), (code, reason, message), "{meta}");
    }
    let said = cluster.patch(&path, MERGE, json!({"metadata": {"resourceVersion": "1"}})).await;
    assert_eq!(said.refusal(), (409, "Conflict", modified));
    let done = cluster.put(&path, with(json!({"name": "a"}))).await.ok();
    assert_eq!((&done["data"]["k"], text(&done, "/metadata/uid")), (&json!("w"), uid.as_str()));
}

pub async fn what_can_not_change_is_refused(cluster: &Cluster) {
    let classes = "/apis/storage.k8s.io/v1/storageclasses";
    let class = json!({"metadata": {"name": "patch-fixed"}, "provisioner": "linstor.csi.linbit.com",
        "parameters": {"a": "b"}, "volumeBindingMode": "WaitForFirstConsumer"});
    cluster.post(classes, class).await.ok();
    let said = cluster.patch(&format!("{classes}/patch-fixed"), MERGE, json!({"parameters": {"a": "c"}})).await;
    let message = "StorageClass.storage.k8s.io \"patch-fixed\" is invalid: parameters: Forbidden: updates to parameters \
                   are forbidden.";
    assert_eq!(said.refusal(), (422, "Invalid", message));
    let bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    let binding = json!({"metadata": {"name": "patch-fixed"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "x", "namespace": "default"}]});
    cluster.post(bindings, binding).await.ok();
    let said = cluster.patch(&format!("{bindings}/patch-fixed"), MERGE, json!({"roleRef": {"name": "view"}})).await;
    let message = "ClusterRoleBinding.rbac.authorization.k8s.io \"patch-fixed\" is invalid: roleRef: Invalid value: \
                   rbac.RoleRef{APIGroup:\"rbac.authorization.k8s.io\", Kind:\"ClusterRole\", Name:\"view\"}: cannot \
                   change roleRef";
    assert_eq!(said.refusal(), (422, "Invalid", message));
    let namespace = cluster.namespace("patch-fixed").await;
    let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
    cluster.post(&path, deployment("d")).await.ok();
    let labels = json!({"app": "e"});
    let patch = json!({"spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}}});
    let said = cluster.patch(&format!("{path}/d"), MERGE, patch).await;
    let (code, reason, message) = said.refusal();
    assert_eq!((code, reason), (422, "Invalid"));
    assert!(message.starts_with("Deployment.apps \"d\" is invalid: spec.selector: Invalid value: "), "{message}");
    assert!(message.ends_with(": field is immutable"), "{message}");
}

pub async fn status_is_written_by_its_own_path(cluster: &Cluster) {
    let namespace = cluster.namespace("patch-status").await;
    let path = format!("/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets");
    let budget = json!({"metadata": {"name": "p"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}},
        "status": {"currentHealthy": 7, "desiredHealthy": 7, "disruptionsAllowed": 7, "expectedPods": 7}});
    let made = cluster.post(&path, budget).await.ok();
    assert!(made["status"]["currentHealthy"].as_u64().unwrap_or_default() == 0, "{made}");
    let patch = json!({"spec": {"minAvailable": 2},
        "status": {"currentHealthy": 3, "desiredHealthy": 1, "disruptionsAllowed": 2, "expectedPods": 3}});
    let by_status = cluster.patch(&format!("{path}/p/status"), MERGE, patch.clone()).await.ok();
    assert_eq!(json!([by_status["spec"]["minAvailable"], by_status["status"]["expectedPods"]]), json!([1, 3]));
    let entry = by_status["metadata"]["managedFields"].as_array().unwrap().last().unwrap();
    assert_eq!(json!([entry["manager"], entry["subresource"]]), json!(["suite", "status"]));
    let by_whole = cluster.patch(&format!("{path}/p"), MERGE, json!({"status": {"expectedPods": 9}})).await.ok();
    assert_eq!(by_whole["status"]["expectedPods"], 3);
    assert_eq!(cluster.get(&format!("{path}/p/status")).await.ok()["kind"], "PodDisruptionBudget");
    let said = cluster.get(&format!("/api/v1/namespaces/{namespace}/configmaps/none/status")).await;
    assert_eq!(said.refusal(), (404, "NotFound", "the server could not find the requested resource"));
    cluster.post(&format!("/api/v1/namespaces/{namespace}/configmaps"), map("after", json!({}))).await.ok();
}

pub async fn a_scale_is_owned_apart(cluster: &Cluster) {
    let namespace = cluster.namespace("patch-scale").await;
    let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
    cluster.post(&path, deployment("d")).await.ok();
    let scale = cluster.get(&format!("{path}/d/scale")).await.ok();
    assert_eq!(
        json!([scale["kind"], scale["apiVersion"], scale["spec"], scale["status"]]),
        json!(["Scale", "autoscaling/v1", {}, {"replicas": 0, "selector": "app=d"}])
    );
    let scaled = cluster.patch(&format!("{path}/d/scale"), MERGE, json!({"spec": {"replicas": 2}})).await.ok();
    assert_eq!(scaled["spec"]["replicas"], 2);
    let object = cluster.get(&format!("{path}/d")).await.ok();
    let managed = object["metadata"]["managedFields"].as_array().unwrap();
    let entry = managed.iter().find(|m| m["subresource"] == "scale").expect("an entry of the scale");
    assert_eq!(json!([entry["fieldsV1"], entry.get("time")]), json!([{"f:spec": {"f:replicas": {}}}, null]));
}
