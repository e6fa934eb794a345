//! Server-side apply: field managers, conflicts, force.
use super::cluster::{APPLY, Cluster, MERGE, Said, text};
use super::list::maps;
use super::patch::deployment;
use serde_json::{Value, json};

async fn apply(cluster: &Cluster, path: &str, query: &str, data: Value) -> Said {
    let name = path.rsplit('/').next().unwrap();
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data});
    cluster.patch(&format!("{path}?{query}"), APPLY, object).await
}

/// The fields of one manager.
fn owned<'a>(object: &'a Value, manager: &str) -> &'a Value {
    let all = object["metadata"]["managedFields"].as_array().unwrap();
    all.iter().find(|m| m["manager"] == manager).map_or(&Value::Null, |m| &m["fieldsV1"])
}

pub async fn an_apply_owns_what_it_says_and_drops_what_it_says_no_more(cluster: &Cluster) {
    let path = format!("{}/a", maps(cluster, "apply-owns", &[]).await);
    let said = apply(cluster, &path, "fieldManager=one", json!({"x": "1", "y": "2"})).await;
    assert_eq!(said.code.as_u16(), 201);
    let entry = &said.body["metadata"]["managedFields"][0];
    assert_eq!(json!([entry["manager"], entry["operation"]]), json!(["one", "Apply"]));
    assert_eq!(entry["fieldsV1"], json!({"f:data": {"f:x": {}, "f:y": {}}}));
    apply(cluster, &path, "fieldManager=two", json!({"y": "2", "z": "3"})).await.ok();
    let left = apply(cluster, &path, "fieldManager=one", json!({})).await.ok();
    assert_eq!(left["data"], json!({"y": "2", "z": "3"}), "y is of two as well");
    assert_eq!(owned(&left, "two"), &json!({"f:data": {"f:y": {}, "f:z": {}}}));
}

pub async fn a_field_of_another_is_a_conflict_that_names_it(cluster: &Cluster) {
    let path = format!("{}/a", maps(cluster, "apply-conflict", &["a"]).await);
    let said = apply(cluster, &path, "fieldManager=one", json!({"k": "w"})).await;
    let message = "Apply failed with 1 conflict: conflict with \"suite\" using v1: .data.k";
    assert_eq!(said.refusal(), (409, "Conflict", message));
    let cause =
        json!({"reason": "FieldManagerConflict", "message": "conflict with \"suite\" using v1", "field": ".data.k"});
    assert_eq!(said.body["details"], json!({"causes": [cause]}));
    let same = apply(cluster, &path, "fieldManager=one", json!({"k": "v"})).await.ok();
    assert_eq!(same["metadata"]["managedFields"].as_array().unwrap().len(), 2, "an equal value is shared");
    let said = apply(cluster, &path, "fieldManager=two", json!({"k": "w"})).await;
    let (_, _, message) = said.refusal();
    let expected = "Apply failed with 2 conflicts: conflicts with \"one\":\n- .data.k\nconflicts with \"suite\" using \
                    v1:\n- .data.k";
    assert_eq!(message, expected);
}

pub async fn several_conflicts_are_listed_by_manager(cluster: &Cluster) {
    let namespace = cluster.namespace("apply-several").await;
    let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
    cluster.post(&path, deployment("d")).await.ok();
    let wanted = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {
        "replicas": 3, "template": {"spec": {"containers": [{"name": "c", "image": "busybox:2"}]}}}});
    let said = cluster.patch(&format!("{path}/d?fieldManager=q"), APPLY, wanted.clone()).await;
    let message = "Apply failed with 2 conflicts: conflicts with \"suite\" using apps/v1:\n- .spec.replicas\n- \
                   .spec.template.spec.containers[name=\"c\"].image";
    assert_eq!(said.refusal(), (409, "Conflict", message));
    let forced = cluster.patch(&format!("{path}/d?fieldManager=q&force=true"), APPLY, wanted).await.ok();
    let managers: Vec<&str> =
        forced["metadata"]["managedFields"].as_array().unwrap().iter().map(|m| text(m, "/manager")).collect();
    assert_eq!(managers, ["q", "suite"], "applies come first");
    let container = "k:{\"name\":\"c\"}";
    let fields = owned(&forced, "q")["f:spec"]["f:template"]["f:spec"]["f:containers"][container].clone();
    assert_eq!(fields, json!({".": {}, "f:image": {}, "f:name": {}}));
}

pub async fn force_takes_the_field_over(cluster: &Cluster) {
    let path = format!("{}/a", maps(cluster, "apply-force", &["a"]).await);
    let forced = apply(cluster, &path, "fieldManager=one&force=true", json!({"k": "w"})).await.ok();
    assert_eq!(forced["data"], json!({"k": "w"}));
    assert_eq!(owned(&forced, "one"), &json!({"f:data": {"f:k": {}}}));
    assert_eq!(owned(&forced, "suite"), &json!({"f:data": {}}), "the map itself stays with who made it");
    let patched = cluster.patch(&path, MERGE, json!({"data": {"k": "x"}})).await.ok();
    assert_eq!(owned(&patched, "one"), &Value::Null, "an update takes without asking");
}

pub async fn an_apply_that_repeats_itself_makes_no_version(cluster: &Cluster) {
    let path = format!("{}/a", maps(cluster, "apply-repeat", &[]).await);
    let first = apply(cluster, &path, "fieldManager=one", json!({"k": "v"})).await.ok();
    let second = apply(cluster, &path, "fieldManager=one", json!({"k": "v"})).await.ok();
    assert_eq!(first, second);
}

pub async fn an_apply_without_a_manager_is_refused(cluster: &Cluster) {
    let path = format!("{}/a", maps(cluster, "apply-refused", &[]).await);
    let said = apply(cluster, &path, "", json!({})).await;
    let message = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch";
    assert_eq!(said.refusal(), (422, "Invalid", message));
    let refused = async |object: Value| {
        let said = cluster.patch(&format!("{path}?fieldManager=one"), APPLY, object).await;
        let (code, reason, message) = said.refusal();
        (code, reason.to_string(), message.to_string())
    };
    let expect = |code, reason: &str, message: &str| (code, reason.to_string(), message.to_string());
    let head = json!({"apiVersion": "v1", "kind": "ConfigMap"});
    let with = |field: &str, value: Value| {
        let mut object = head.clone();
        object["metadata"] = json!({"name": "a"});
        object[field] = value;
        object
    };
    let message = "metadata.managedFields must be nil";
    let object = with("metadata", json!({"name": "a", "managedFields": [{}]}));
    assert_eq!(refused(object).await, expect(400, "BadRequest", message));
    let message = "the name of the object (b) does not match the name on the URL (a)";
    assert_eq!(refused(with("metadata", json!({"name": "b"}))).await, expect(400, "BadRequest", message));
    let message = "Operation cannot be fulfilled on configmaps \"a\": uid mismatch: the provided object specified uid x, \
                   and no existing object was found";
    let object = with("metadata", json!({"name": "a", "uid": "x"}));
    assert_eq!(refused(object).await, expect(409, "Conflict", message));
    let message = "failed to create typed patch object (/a; /v1, Kind=ConfigMap): .dota: field not declared in schema";
    assert_eq!(refused(with("dota", json!({"c": "d"}))).await, expect(500, "", message));
    let mut untyped = with("data", json!({}));
    untyped.as_object_mut().unwrap().remove("apiVersion");
    assert_eq!(refused(untyped).await, expect(400, "BadRequest", "invalid object type: /, Kind=ConfigMap"));
}

/// The manifest of the lab's release server has the shape of the real one, and a real server takes it strictly.
pub async fn the_installer_manifest_and_our_settings_are_taken(cluster: &Cluster) {
    use serde::Deserialize;
    let text = include_str!("../../../assets/lab/cozystack-installer.yaml");
    for document in serde_yaml::Deserializer::from_str(text) {
        let object = Value::deserialize(document).unwrap();
        let plural = match object["kind"].as_str().unwrap() {
            "Namespace" => "/api/v1/namespaces",
            "ServiceAccount" => "/api/v1/namespaces/cozy-system/serviceaccounts",
            "ClusterRoleBinding" => "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            "Service" => "/api/v1/namespaces/cozy-system/services",
            "Deployment" => "/apis/apps/v1/namespaces/cozy-system/deployments",
            other => panic!("{other}"),
        };
        let name = object["metadata"]["name"].as_str().unwrap();
        let path = format!("{plural}/{name}?fieldManager=cozyup&force=false&fieldValidation=Strict");
        let said = cluster.patch(&path, APPLY, object.clone()).await;
        assert!(said.code.is_success(), "{name}: {said:?}");
    }
    let settings = "/api/v1/namespaces/cozy-system/configmaps/cozystack?fieldManager=cozyup&force=false";
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cozystack"},
        "data": {"bundle-name": "paas-full", "telemetry-enabled": "false"}});
    assert_eq!(cluster.patch(settings, APPLY, object).await.code.as_u16(), 201);
}
