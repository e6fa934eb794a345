//! get and list: pages, versions, selectors, forms.
use super::cluster::{Cluster, Said, text};
use reqwest::Method;
use serde_json::{Value, json};

pub fn map(name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

/// A namespace with these ConfigMaps in it; the path of all of them.
pub async fn maps(cluster: &Cluster, namespace: &str, names: &[&str]) -> String {
    cluster.namespace(namespace).await;
    let path = format!("/api/v1/namespaces/{namespace}/configmaps");
    for name in names {
        cluster.post(&path, map(name, json!({"k": "v"}))).await.ok();
    }
    path
}

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| text(item, "/metadata/name")).collect()
}

pub async fn pages_hold_every_object_once(cluster: &Cluster) {
    let path = maps(cluster, "list-pages", &["a", "b", "c", "d", "e"]).await;
    let query = "fieldSelector=metadata.name!%3Dkube-root-ca.crt";
    let first = cluster.get(&format!("{path}?limit=2")).await.ok();
    assert_eq!(names(&first), ["a", "b"]);
    assert!(first["metadata"]["remainingItemCount"].as_u64().unwrap() >= 3);
    assert!(first["items"][0].get("kind").is_none(), "items of a built-in list carry no types");
    let (mut seen, mut next, mut versions) = (Vec::new(), String::new(), Vec::new());
    loop {
        let page = cluster.get(&format!("{path}?limit=2&{query}&continue={next}")).await.ok();
        assert_eq!((&page["kind"], &page["apiVersion"]), (&json!("ConfigMapList"), &json!("v1")));
        assert!(page["metadata"].get("remainingItemCount").is_none(), "unknown while a selector narrows it down");
        versions.push(text(&page, "/metadata/resourceVersion").to_string());
        seen.extend(names(&page).into_iter().map(str::to_string));
        next = text(&page, "/metadata/continue").to_string();
        if next.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ["a", "b", "c", "d", "e"]);
    versions.dedup();
    assert_eq!(versions.len(), 1, "all pages are of one version: {versions:?}");
}

pub async fn a_page_token_that_is_none_is_refused(cluster: &Cluster) {
    let path = "/api/v1/namespaces/default/configmaps";
    let said = cluster.get(&format!("{path}?continue=nonsense")).await;
    let (code, reason, message) = said.refusal();
    assert_eq!((code, reason), (400, "BadRequest"));
    assert!(message.starts_with("invalid continue token: continue key is not valid: "), "{message}");
    let said = cluster.get(&format!("{path}?limit=x")).await;
    assert_eq!(said.refusal(), (400, "BadRequest", "strconv.ParseInt: parsing \"x\": invalid syntax"));
}

pub async fn versions_that_can_not_be_are_refused(cluster: &Cluster) {
    let ask = async |query: &str| cluster.get(&format!("/api/v1/namespaces/default/configmaps?{query}")).await;
    let said = ask("resourceVersion=abc").await;
    let message = "invalid resource version: resourceVersion: Invalid value: \"abc\": strconv.ParseUint: parsing \
                   \"abc\": invalid syntax";
    assert_eq!(said.refusal(), (400, "BadRequest", message));
    let said = ask("resourceVersion=99999999&resourceVersionMatch=Exact").await;
    assert_eq!(said.refusal(), (500, "", "etcdserver: mvcc: required revision is a future revision"));
    let said = ask("resourceVersionMatch=Exact").await;
    let message = "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is \
                   forbidden unless resourceVersion is provided";
    assert_eq!(said.refusal(), (422, "Invalid", message));
    let said = ask("resourceVersion=99999999").await;
    let (code, reason, message) = said.refusal();
    assert_eq!((code, reason), (504, "Timeout"));
    assert!(message.starts_with("Timeout: Too large resource version: 99999999, current: "), "{message}");
    assert_eq!(said.body["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
    let list = ask("resourceVersion=0").await.ok();
    assert!(!text(&list, "/metadata/resourceVersion").is_empty());
}

pub async fn labels_and_fields_select(cluster: &Cluster) {
    let path = maps(cluster, "list-selectors", &["plain"]).await;
    for (name, labels) in [("one", json!({"app": "x", "tier": "a"})), ("two", json!({"app": "y"}))] {
        let mut object = map(name, json!({}));
        object["metadata"]["labels"] = labels;
        cluster.post(&path, object).await.ok();
    }
    for (query, expected) in [
        ("labelSelector=app%3Dx", &["one"][..]),
        ("labelSelector=app", &["one", "two"]),
        ("labelSelector=app%20in%20(x,y),tier", &["one"]),
        ("labelSelector=app!%3Dx,app", &["two"]),
        ("labelSelector=app%20notin%20(x)%2Capp", &["two"]),
        ("fieldSelector=metadata.name%3Dplain", &["plain"]),
        ("fieldSelector=metadata.namespace%3Dother", &[]),
    ] {
        let list = cluster.get(&format!("{path}?{query}")).await.ok();
        assert_eq!(names(&list), expected, "{query}");
        let everywhere = cluster.get(&format!("/api/v1/configmaps?{query}")).await.ok();
        assert!(names(&everywhere).len() >= expected.len(), "{query}");
    }
}

pub async fn selectors_that_can_not_be_read_are_refused(cluster: &Cluster) {
    for (query, message) in [
        ("labelSelector=a%20in%20b", "unable to parse requirement: found 'b' expected: '('"),
        ("labelSelector=a%20b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("fieldSelector=nonsense", "invalid selector: 'nonsense'; can't understand 'nonsense'"),
        (
            "fieldSelector=data.x%3D1",
            "\"data.x\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
        ),
    ] {
        let said = cluster.get(&format!("/api/v1/namespaces/default/configmaps?{query}")).await;
        assert_eq!(said.refusal(), (400, "BadRequest", message), "{query}");
    }
    let said = cluster.get("/api/v1/pods?fieldSelector=spec.image%3Dx").await;
    assert_eq!(said.refusal(), (400, "BadRequest", "field label not supported: spec.image"));
}

async fn accepted(cluster: &Cluster, path: &str, accept: &str) -> Said {
    cluster.send(Method::GET, path, &[("accept", accept)], Value::Null).await
}

pub async fn a_list_can_be_of_metadata_alone(cluster: &Cluster) {
    let path = maps(cluster, "list-metadata", &["a"]).await;
    let accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
    let list = accepted(cluster, &format!("{path}?fieldSelector=metadata.name%3Da"), accept).await.ok();
    assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("PartialObjectMetadataList"), &json!("meta.k8s.io/v1")));
    assert_eq!(names(&list), ["a"]);
    assert!(list["items"][0].get("data").is_none());
    let accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
    let one = accepted(cluster, &format!("{path}/a"), accept).await.ok();
    assert_eq!((&one["kind"], one.get("data")), (&json!("PartialObjectMetadata"), None));
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let table = accepted(cluster, &format!("{path}/a"), table).await.ok();
    let cells = table["rows"][0]["cells"].as_array().unwrap();
    assert_eq!((&table["kind"], &cells[..2]), (&json!("Table"), &[json!("a"), json!(1)][..]));
    let columns: Vec<&str> = table["columnDefinitions"].as_array().unwrap().iter().map(|c| text(c, "/name")).collect();
    assert_eq!(columns, ["Name", "Data", "Age"]);
}

pub async fn a_form_that_nobody_has_is_not_acceptable(cluster: &Cluster) {
    let said = accepted(cluster, "/api/v1/namespaces/default", "text/html").await;
    let message = "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, \
                   application/vnd.kubernetes.protobuf";
    assert_eq!(said.refusal(), (406, "NotAcceptable", message));
}
