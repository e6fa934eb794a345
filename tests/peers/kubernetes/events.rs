//! Events, which `describe` and the diagnosis of steps read.
use super::cluster::{Cluster, text};
use serde_json::json;

pub async fn events_are_selected_by_what_they_are_about(cluster: &Cluster) {
    let namespace = cluster.namespace("events-about").await;
    let path = format!("/api/v1/namespaces/{namespace}/events");
    for (name, about, reason) in [("e.1", "one", "Pulled"), ("e.2", "one", "Failed"), ("e.3", "two", "Failed")] {
        let event = json!({"metadata": {"name": name}, "reason": reason, "message": "m", "type": "Warning", "count": 1,
            "involvedObject": {"kind": "Pod", "namespace": namespace, "name": about},
            "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z",
            "source": {"component": "suite"}});
        let made = cluster.post(&path, event).await.ok();
        let fields = &made["metadata"]["managedFields"][0]["fieldsV1"];
        assert_eq!(json!([fields["f:involvedObject"], fields["f:source"]]), json!([{}, {"f:component": {}}]));
    }
    for (selector, expected) in [
        ("involvedObject.name%3Done", &["e.1", "e.2"][..]),
        ("involvedObject.name%3Done,reason%3DFailed", &["e.2"]),
        ("involvedObject.kind%3DNode", &[]),
        ("type!%3DNormal,reason%3DFailed", &["e.2", "e.3"]),
    ] {
        let list = cluster.get(&format!("{path}?fieldSelector={selector}")).await.ok();
        let names: Vec<&str> = list["items"].as_array().unwrap().iter().map(|i| text(i, "/metadata/name")).collect();
        assert_eq!(names, expected, "{selector}");
    }
    let elsewhere =
        json!({"metadata": {"name": "e.4"}, "involvedObject": {"kind": "Pod", "namespace": "other", "name": "p"}});
    let said = cluster.post(&path, elsewhere).await;
    let message = "Event \"e.4\" is invalid: involvedObject.namespace: Invalid value: \"other\": does not match \
                   event.namespace";
    assert_eq!(said.refusal(), (422, "Invalid", message));
}
