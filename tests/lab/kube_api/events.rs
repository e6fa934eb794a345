//! Events, which two groups of the API serve.
use super::{MERGE, Site};
use hyper::{Method, StatusCode};
use serde_json::json;

/// issue 10 D: one event, served by two groups under other names of its fields.
#[tokio::test]
async fn events_of_both_groups_are_the_same_objects() {
    const OLD: &str = "/api/v1/namespaces/default/events";
    const NEW: &str = "/apis/events.k8s.io/v1/namespaces/default/events";
    let site = Site::new().await;
    let about = json!({"kind": "Pod", "namespace": "default", "name": "p"});
    let event = json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e"}, "regarding": about,
        "note": "it runs", "reason": "Started", "type": "Normal", "eventTime": "2026-01-01T00:00:00.000000Z",
        "action": "Start", "reportingController": "lab", "reportingInstance": "lab-1"});
    let (status, made) = site.call(Method::POST, NEW, &[], event).await;
    assert_eq!((status, &made["note"]), (StatusCode::CREATED, &json!("it runs")), "{made:#}");
    let (_, old) = site.get(&format!("{OLD}/e")).await;
    assert_eq!((&old["apiVersion"], &old["message"]), (&json!("v1"), &json!("it runs")), "{old:#}");
    assert_eq!((&old["involvedObject"]["name"], &old["reportingComponent"]), (&json!("p"), &json!("lab")));
    assert_eq!(old["metadata"]["uid"], made["metadata"]["uid"]);
    let (status, patched) = site.patch(&format!("{OLD}/e"), MERGE, json!({"message": "it ran", "count": 2})).await;
    assert_eq!(status, StatusCode::OK, "{patched:#}");
    let (_, new) = site.get(&format!("{NEW}/e")).await;
    assert_eq!((&new["note"], &new["deprecatedCount"]), (&json!("it ran"), &json!(2)), "{new:#}");
    assert!(new.get("message").is_none() && new["apiVersion"] == "events.k8s.io/v1");
    for (path, found) in [("regarding.name=p", 1), ("regarding.name=q", 0)] {
        let (_, list) = site.get(&format!("{NEW}?fieldSelector={path}")).await;
        assert_eq!(list["items"].as_array().unwrap().len(), found, "{path}");
    }
}
