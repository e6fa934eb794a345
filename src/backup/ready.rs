//! An object as a person would apply it: without what a server adds. What is taken away is kept beside it.
use serde_json::{Map, Value};

/// An object in two parts.
#[derive(Debug, Clone, PartialEq)]
pub struct Ready {
    /// Ready to be applied, to this cluster or another.
    pub object: Value,
    /// What was taken away, by its name or its path; `managedFields` and the last applied configuration, which repeat the
    /// object, are gone.
    pub was: Map<String, Value>,
}

/// Fields of `metadata` that a server sets.
const METADATA: [&str; 9] = [
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "generateName",
    "ownerReferences",
];
/// Annotations that tie a claim to one volume and one node.
const OF_CLAIMS: [&str; 5] = [
    "pv.kubernetes.io/bind-completed",
    "pv.kubernetes.io/bound-by-controller",
    "volume.kubernetes.io/selected-node",
    "volume.kubernetes.io/storage-provisioner",
    "volume.beta.kubernetes.io/storage-provisioner",
];
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Labels by which a Job finds its pods.
const OF_JOBS: [&str; 4] =
    ["controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"];

/// `group` and `plural` are the kind's.
pub fn ready(group: &str, plural: &str, mut object: Value) -> Ready {
    let mut was = Map::new();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        METADATA.iter().for_each(|field| taken(metadata, field, field, &mut was));
        // Whoever set them sets them again; nobody may be there to take them off.
        taken(metadata, "finalizers", "finalizers", &mut was);
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove(LAST_APPLIED);
        }
    }
    if let Some(fields) = object.as_object_mut() {
        taken(fields, "status", "status", &mut was);
    }
    match (group, plural) {
        ("", "services") => service(&mut object, &mut was),
        ("", "persistentvolumes") => under(&mut object, "/spec/claimRef", &["uid", "resourceVersion"], &mut was),
        ("", "persistentvolumeclaims") => {
            under(&mut object, "/spec", &["volumeName"], &mut was);
            under(&mut object, "/metadata/annotations", &OF_CLAIMS, &mut was);
        }
        ("", "pods") => under(&mut object, "/spec", &["nodeName"], &mut was),
        ("", "namespaces") => under(&mut object, "/spec", &["finalizers"], &mut was),
        ("batch", "jobs") => job(&mut object, &mut was),
        _ => {}
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut)
        && metadata.get("annotations").and_then(Value::as_object).is_some_and(Map::is_empty)
    {
        metadata.remove("annotations");
    }
    Ready { object, was }
}

fn taken(from: &mut Map<String, Value>, field: &str, called: &str, was: &mut Map<String, Value>) {
    if let Some(value) = from.remove(field) {
        was.insert(called.to_string(), value);
    }
}

/// Takes `fields` of the object at `at` away.
fn under(object: &mut Value, at: &str, fields: &[&str], was: &mut Map<String, Value>) {
    if let Some(inside) = object.pointer_mut(at).and_then(Value::as_object_mut) {
        fields.iter().for_each(|field| taken(inside, field, &format!("{at}/{field}"), was));
    }
}

/// Addresses and ports that the server has chosen; `None` is a choice of whoever made it.
fn service(object: &mut Value, was: &mut Map<String, Value>) {
    if object.pointer("/spec/clusterIP").and_then(Value::as_str) != Some("None") {
        under(object, "/spec", &["clusterIP", "clusterIPs"], was);
    }
    under(object, "/spec", &["healthCheckNodePort"], was);
    if object.pointer("/spec/type").and_then(Value::as_str) == Some("LoadBalancer") {
        let ports = object.pointer("/spec/ports").and_then(Value::as_array).map_or(0, Vec::len);
        (0..ports).for_each(|n| under(object, &format!("/spec/ports/{n}"), &["nodePort"], was));
    }
}

/// A Job's selector is made by the server, and is refused where another one brings it.
fn job(object: &mut Value, was: &mut Map<String, Value>) {
    if object.pointer("/spec/manualSelector") == Some(&Value::Bool(true)) {
        return;
    }
    under(object, "/spec", &["selector"], was);
    under(object, "/spec/template/metadata/labels", &OF_JOBS, was);
    under(object, "/metadata/labels", &OF_JOBS, was);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn server_side(spec: Value) -> Value {
        json!({"apiVersion": "v1", "kind": "X", "metadata": {"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "7",
            "generation": 2, "creationTimestamp": "2026-01-01T00:00:00Z", "managedFields": [{"manager": "x"}], "finalizers": ["f"],
            "ownerReferences": [{"uid": "o"}], "selfLink": "/x", "labels": {"app": "a"},
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{\"password\":\"x\"}"}},
            "spec": spec, "status": {"phase": "Bound"}})
    }

    #[test]
    fn what_a_server_adds_is_taken_away_and_kept_beside() {
        let made = ready("", "configmaps", server_side(json!({"a": 1})));
        assert_eq!(
            made.object,
            json!({"apiVersion": "v1", "kind": "X", "metadata": {"name": "a", "namespace": "n", "labels": {"app": "a"}}, "spec": {"a": 1}})
        );
        assert_eq!((&made.was["uid"], &made.was["status"]["phase"]), (&json!("u"), &json!("Bound")));
        assert_eq!(made.was["ownerReferences"][0]["uid"], "o");
        assert!(!made.was.contains_key("managedFields") && !format!("{:?}", made.was).contains("password"));
    }

    #[test]
    fn a_service_keeps_none_of_the_addresses_and_ports_that_the_server_chose() {
        let made = |spec| ready("", "services", server_side(spec)).object["spec"].clone();
        let ports = json!([{"port": 80, "nodePort": 31000}]);
        let balanced = made(json!({"type": "LoadBalancer", "clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"],
            "healthCheckNodePort": 32000, "ports": ports}));
        assert_eq!(balanced, json!({"type": "LoadBalancer", "ports": [{"port": 80}]}));
        assert_eq!(made(json!({"type": "NodePort", "ports": ports}))["ports"][0]["nodePort"], 31000);
        assert_eq!(made(json!({"clusterIP": "None"}))["clusterIP"], "None");
    }

    #[test]
    fn claims_volumes_pods_and_jobs_are_tied_to_nothing_that_was() {
        let claim =
            ready("", "persistentvolumeclaims", server_side(json!({"volumeName": "pvc-1", "storageClassName": "r"})));
        assert_eq!(claim.object["spec"], json!({"storageClassName": "r"}));
        assert_eq!(claim.was["/spec/volumeName"], "pvc-1");
        let volume = ready(
            "",
            "persistentvolumes",
            server_side(json!({"claimRef": {"name": "c", "uid": "u", "resourceVersion": "1"}})),
        );
        assert_eq!(volume.object["spec"]["claimRef"], json!({"name": "c"}));
        assert!(ready("", "pods", server_side(json!({"nodeName": "n"}))).object["spec"].get("nodeName").is_none());
        let labels = json!({"controller-uid": "u", "app": "a"});
        let job = json!({"selector": {"matchLabels": {}}, "template": {"metadata": {"labels": labels}}});
        let made = ready("batch", "jobs", server_side(job)).object;
        assert_eq!(made["spec"], json!({"template": {"metadata": {"labels": {"app": "a"}}}}));
        let own = server_side(json!({"manualSelector": true, "selector": {"matchLabels": {"app": "a"}}}));
        assert!(ready("batch", "jobs", own).object["spec"]["selector"].is_object());
    }
}
