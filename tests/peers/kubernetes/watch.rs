//! watch: order, selections, bookmarks, versions.
use super::cluster::{Cluster, MERGE, text};
use super::list::{map, maps};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

fn is(event: (String, String), kind: &str, name: &str) {
    assert_eq!((event.0.as_str(), event.1.as_str()), (kind, name));
}

async fn version(cluster: &Cluster, path: &str) -> String {
    text(&cluster.get(path).await.ok(), "/metadata/resourceVersion").to_string()
}

pub async fn events_come_in_order_and_go_on_where_a_watch_ended(cluster: &Cluster) {
    let path = maps(cluster, "watch-order", &[]).await;
    let only = "fieldSelector=metadata.name!%3Dkube-root-ca.crt";
    let from = version(cluster, &path).await;
    let mut watch = cluster.watch(&format!("{path}?watch=1&{only}&resourceVersion={from}"), &[]).await;
    cluster.post(&path, map("a", json!({"k": "1"}))).await.ok();
    let line = watch.next().await.unwrap();
    assert_eq!((&line["type"], &line["object"]["kind"]), (&json!("ADDED"), &json!("ConfigMap")));
    assert_eq!(line["object"]["apiVersion"], "v1");
    let seen = text(&line, "/object/metadata/resourceVersion").to_string();
    drop(watch);
    let changed = cluster.patch(&format!("{path}/a"), MERGE, json!({"data": {"k": "2"}})).await.ok();
    cluster.delete(&format!("{path}/a"), Value::Null).await.ok();
    let mut watch = cluster.watch(&format!("{path}?watch=1&{only}&resourceVersion={seen}"), &[]).await;
    let line = watch.next().await.unwrap();
    assert_eq!(line["type"], "MODIFIED");
    assert_eq!(text(&line, "/object/metadata/resourceVersion"), text(&changed, "/metadata/resourceVersion"));
    let gone = watch.next().await.unwrap();
    assert_eq!((&gone["type"], &gone["object"]["data"]), (&json!("DELETED"), &json!({"k": "2"})));
    let (was, is): (u64, u64) = (
        text(&line, "/object/metadata/resourceVersion").parse().unwrap(),
        text(&gone, "/object/metadata/resourceVersion").parse().unwrap(),
    );
    assert!(is > was, "a deletion has a version of its own");
}

pub async fn a_selection_sees_objects_come_into_view_and_leave_it(cluster: &Cluster) {
    let path = maps(cluster, "watch-selection", &["a"]).await;
    let from = version(cluster, &path).await;
    let query = format!("watch=1&labelSelector=app%3Dweb&resourceVersion={from}");
    let mut watch = cluster.watch(&format!("{path}?{query}"), &[]).await;
    let label = async |value: Value| {
        let patch = json!({"metadata": {"labels": {"app": value}}});
        cluster.patch(&format!("{path}/a"), MERGE, patch).await.ok();
    };
    label(json!("web")).await;
    is(watch.event().await, "ADDED", "a");
    cluster.patch(&format!("{path}/a"), MERGE, json!({"data": {"k": "2"}})).await.ok();
    is(watch.event().await, "MODIFIED", "a");
    label(json!("other")).await;
    is(watch.event().await, "DELETED", "a");
    label(json!("web")).await;
    is(watch.event().await, "ADDED", "a");
    // Without a version, what is there comes first.
    let mut watch = cluster.watch(&format!("{path}?watch=1&labelSelector=app%3Dweb&timeoutSeconds=1"), &[]).await;
    is(watch.event().await, "ADDED", "a");
    assert!(watch.next().await.is_none(), "the watch ends when its time is over");
}

pub async fn bookmarks_move_the_version_on(cluster: &Cluster) {
    let path = maps(cluster, "watch-bookmarks", &["a"]).await;
    let from = version(cluster, &path).await;
    // A server sends one about every minute, and one just before the watch ends.
    let query = format!("watch=1&allowWatchBookmarks=true&resourceVersion={from}&timeoutSeconds=4");
    let mut watch = cluster.watch(&format!("{path}?{query}"), &[]).await;
    cluster.post("/api/v1/namespaces/watch-bookmarks/secrets", json!({"metadata": {"name": "moves-on"}})).await.ok();
    let line = watch.next().await.unwrap();
    assert_eq!((&line["type"], &line["object"]["kind"]), (&json!("BOOKMARK"), &json!("ConfigMap")));
    assert_eq!(line["object"]["metadata"]["creationTimestamp"], Value::Null);
    let marked: u64 = text(&line, "/object/metadata/resourceVersion").parse().unwrap();
    assert!(marked >= from.parse().unwrap());
}

pub async fn a_version_that_is_none_ends_the_watch_at_once(cluster: &Cluster) {
    let said = cluster.get("/api/v1/namespaces/default/configmaps?watch=1&resourceVersion=abc").await;
    let message = "resourceVersion: Invalid value: \"abc\": strconv.ParseUint: parsing \"abc\": invalid syntax";
    assert_eq!(said.refusal(), (500, "", message));
}

pub async fn initial_events_are_behind_a_closed_gate(cluster: &Cluster) {
    let ask = async |query: &str| cluster.get(&format!("/api/v1/namespaces/default/configmaps?watch=1&{query}")).await;
    let gate = "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature \
                gate is enabled";
    let said = ask("sendInitialEvents=true&resourceVersionMatch=NotOlderThan").await;
    assert_eq!(said.refusal(), (422, "Invalid", format!("ListOptions.meta.k8s.io \"\" is invalid: {gate}").as_str()));
    let said = ask("sendInitialEvents=true").await;
    let message = format!(
        "ListOptions.meta.k8s.io \"\" is invalid: [resourceVersionMatch: Forbidden: sendInitialEvents requires \
         setting resourceVersionMatch to NotOlderThan, {gate}]"
    );
    assert_eq!(said.refusal(), (422, "Invalid", message.as_str()));
}

pub async fn a_table_is_watched_row_by_row(cluster: &Cluster) {
    let path = maps(cluster, "watch-table", &["a"]).await;
    let accept = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let query = "watch=1&fieldSelector=metadata.name%3Da";
    let mut watch = cluster.watch(&format!("{path}?{query}"), &accept).await;
    let first = watch.next().await.unwrap();
    assert_eq!((&first["object"]["kind"], &first["object"]["rows"][0]["cells"][0]), (&json!("Table"), &json!("a")));
    assert!(first["object"]["columnDefinitions"].as_array().is_some_and(|c| !c.is_empty()));
    cluster.patch(&format!("{path}/a"), MERGE, json!({"data": {"k": "2"}})).await.ok();
    let second = watch.next().await.unwrap();
    assert_eq!(second["type"], "MODIFIED");
    assert_eq!(second["object"]["columnDefinitions"], Value::Null, "the columns are told once");
    let said = cluster.send(Method::GET, &format!("{path}/a?watch=1"), &[], Value::Null).await;
    assert_eq!((said.code, said.text("/kind")), (StatusCode::OK, "ConfigMap"), "one object by its path is not watched");
}
