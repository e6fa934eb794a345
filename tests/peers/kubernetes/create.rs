//! create: what the server adds, and what it refuses.
use super::cluster::{Cluster, text};
use super::list::map;
use serde_json::{Value, json};

pub async fn a_new_object_gets_what_the_server_sets(cluster: &Cluster) {
    let namespace = cluster.namespace("create-new").await;
    let path = format!("/api/v1/namespaces/{namespace}/configmaps");
    let mut object = map("a", json!({"k": "v"}));
    object["metadata"]["labels"] = json!({"x": "y"});
    let said = cluster.post(&path, object.clone()).await;
    assert_eq!(said.code.as_u16(), 201);
    let meta = &said.body["metadata"];
    for (field, length) in [("uid", 36), ("creationTimestamp", 20)] {
        assert_eq!(text(meta, &format!("/{field}")).len(), length, "{field}");
    }
    assert!(text(meta, "/resourceVersion").parse::<u64>().is_ok());
    assert_eq!(meta["namespace"], namespace.as_str());
    assert!(meta.get("generation").is_none(), "a ConfigMap has no generations");
    let managed = &meta["managedFields"][0];
    assert_eq!(
        json!([managed["manager"], managed["operation"], managed["apiVersion"], managed["fieldsType"]]),
        json!(["suite", "Update", "v1", "FieldsV1"])
    );
    let fields = json!({"f:data": {".": {}, "f:k": {}}, "f:metadata": {"f:labels": {".": {}, "f:x": {}}}});
    assert_eq!(managed["fieldsV1"], fields);
    let again = cluster.post(&path, object).await;
    assert_eq!(again.refusal(), (409, "AlreadyExists", "configmaps \"a\" already exists"));
    assert_eq!(again.body["details"], json!({"name": "a", "kind": "configmaps"}));
    let said = cluster.post("/api/v1/namespaces/nope/configmaps", map("a", json!({}))).await;
    assert_eq!(said.refusal(), (404, "NotFound", "namespaces \"nope\" not found"));
}

pub async fn names_are_judged_by_the_rule_of_their_kind(cluster: &Cluster) {
    let subdomain = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
                     and must start and end with an alphanumeric character (e.g. 'example.com', regex used for \
                     validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
    let old_label = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
                     alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', \
                     regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
    let named = |kind: &str, name: &str, spec: Value| json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    let maps = "/api/v1/namespaces/default/configmaps";
    let services = "/api/v1/namespaces/default/services";
    for (path, object, message) in [
        (
            maps,
            map("A_b", json!({})),
            format!("ConfigMap \"A_b\" is invalid: metadata.name: Invalid value: \"A_b\": {subdomain}"),
        ),
        (
            "/api/v1/namespaces",
            named("Namespace", "a.b", json!({})),
            "Namespace \"a.b\" is invalid: metadata.name: Invalid value: \"a.b\": must not contain dots".to_string(),
        ),
        (
            services,
            named("Service", "1a", json!({"ports": [{"port": 80}]})),
            format!("Service \"1a\" is invalid: metadata.name: Invalid value: \"1a\": {old_label}"),
        ),
        (
            maps,
            json!({"metadata": {}}),
            "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required".to_string(),
        ),
    ] {
        assert_eq!(cluster.post(path, object).await.refusal(), (422, "Invalid", message.as_str()));
    }
    let mut object = map("labelled", json!({}));
    object["metadata"]["labels"] = json!({"a b": "c"});
    let said = cluster.post(maps, object).await;
    let (_, _, message) = said.refusal();
    let start = "ConfigMap \"labelled\" is invalid: metadata.labels: Invalid value: \"a b\": name part must consist of";
    assert!(message.starts_with(start), "{message}");
    let mut object = map("held", json!({}));
    object["metadata"]["finalizers"] = json!(["nodomain"]);
    let why = "ConfigMap \"held\" is invalid: metadata.finalizers[0]: Invalid value: \"nodomain\": name is neither a \
               standard finalizer name nor is it fully qualified";
    assert_eq!(cluster.post(maps, object).await.refusal(), (422, "Invalid", why));
}

pub async fn names_are_generated(cluster: &Cluster) {
    let namespace = cluster.namespace("create-generated").await;
    let path = format!("/api/v1/namespaces/{namespace}/configmaps");
    let object = json!({"metadata": {"generateName": "probe-"}});
    let (one, two) = (cluster.post(&path, object.clone()).await.ok(), cluster.post(&path, object).await.ok());
    let (one, two) = (text(&one, "/metadata/name").to_string(), text(&two, "/metadata/name").to_string());
    assert_ne!(one, two);
    for name in [one, two] {
        let tail = name.strip_prefix("probe-").unwrap();
        assert!(tail.len() == 5 && tail.chars().all(|c| "bcdfghjklmnpqrstvwxz2456789".contains(c)), "{tail}");
    }
}

pub async fn a_body_of_another_kind_is_refused(cluster: &Cluster) {
    let path = "/api/v1/namespaces/default/configmaps";
    let said = cluster.post(path, json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}})).await;
    let message = "Secret in version \"v1\" cannot be handled as a ConfigMap: converting (v1.Secret) to \
                   (core.ConfigMap): unknown conversion";
    assert_eq!(said.refusal(), (400, "BadRequest", message));
    let said =
        cluster.post(path, json!({"apiVersion": "apps/v1", "kind": "ConfigMap", "metadata": {"name": "x"}})).await;
    let (code, reason, message) = said.refusal();
    assert_eq!((code, reason), (400, "BadRequest"));
    let start = "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: no kind \"ConfigMap\" is registered for \
                 version \"apps/v1\"";
    assert!(message.starts_with(start), "{message}");
    let mut elsewhere = map("x", json!({}));
    elsewhere["metadata"]["namespace"] = json!("other");
    let message = "the namespace of the provided object does not match the namespace sent on the request";
    assert_eq!(cluster.post(path, elsewhere).await.refusal(), (400, "BadRequest", message));
    let said = cluster.post(path, json!([])).await;
    let (_, _, message) = said.refusal();
    let start = "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json \
                 parse error: ";
    assert!(message.starts_with(start), "{message}");
    // Kubernetes' own kinds are known by their path alone.
    let namespace = cluster.namespace("create-untyped").await;
    let path = format!("/api/v1/namespaces/{namespace}/configmaps");
    assert_eq!(cluster.post(&path, json!({"metadata": {"name": "x"}})).await.ok()["kind"], "ConfigMap");
}

pub async fn fields_that_nobody_knows_warn_or_are_refused(cluster: &Cluster) {
    let namespace = cluster.namespace("create-unknown").await;
    let path = format!("/api/v1/namespaces/{namespace}/configmaps");
    let mut object = map("a", json!({}));
    object["dota"] = json!({});
    let said = cluster.post(&format!("{path}?fieldValidation=Strict"), object.clone()).await;
    let message = "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: unknown field \
                   \"dota\"";
    assert_eq!(said.refusal(), (400, "BadRequest", message));
    let said = cluster.post(&path, object.clone()).await;
    assert_eq!(said.headers["warning"], "299 - \"unknown field \\\"dota\\\"\"");
    assert!(said.ok().get("dota").is_none(), "it is dropped");
    object["metadata"]["name"] = json!("b");
    let said = cluster.post(&format!("{path}?fieldValidation=Ignore"), object).await;
    assert!(!said.headers.contains_key("warning") && said.ok().get("dota").is_none());
}

pub async fn a_wrong_type_is_refused(cluster: &Cluster) {
    let path = "/api/v1/namespaces/default/configmaps";
    let mut labelled = map("x", json!({}));
    labelled["metadata"]["labels"] = json!({"a": 5});
    let mut secret = json!({"metadata": {"name": "x"}, "data": {"a": "!!"}});
    secret["kind"] = json!("Secret");
    secret["apiVersion"] = json!("v1");
    for (path, object, kind) in [
        (path, map("x", json!("no")), "ConfigMap"),
        (path, map("x", json!({"k": 5})), "ConfigMap"),
        (path, labelled, "ConfigMap"),
        ("/api/v1/namespaces/default/secrets", secret, "Secret"),
    ] {
        let said = cluster.post(path, object).await;
        let (code, reason, message) = said.refusal();
        assert_eq!((code, reason), (400, "BadRequest"));
        let start = format!("{kind} in version \"v1\" cannot be handled as a {kind}: ");
        assert!(message.starts_with(&start), "{message}");
    }
    let mut versioned = map("x", json!({}));
    versioned["metadata"]["resourceVersion"] = json!("5");
    let message = "resourceVersion should not be set on objects to be created";
    assert_eq!(cluster.post(path, versioned).await.refusal(), (500, "", message));
}

pub async fn options_that_can_not_be_are_refused(cluster: &Cluster) {
    let path = "/api/v1/namespaces/default/configmaps?dryRun=Some";
    let said = cluster.post(path, map("x", json!({}))).await;
    let message = "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: []string{\"Some\"}: supported \
                   values: \"All\"";
    assert_eq!(said.refusal(), (422, "Invalid", message));
    assert_eq!(
        json!([said.body["details"]["group"], said.body["details"]["kind"]]),
        json!(["meta.k8s.io", "CreateOptions"])
    );
    let said = cluster
        .send(
            reqwest::Method::POST,
            "/api/v1/namespaces/default/configmaps",
            &[("content-type", "text/plain")],
            json!({}),
        )
        .await;
    let message = "the body of the request was in an unknown format - accepted media types include: application/json, \
                   application/yaml, application/vnd.kubernetes.protobuf";
    assert_eq!(said.refusal(), (415, "UnsupportedMediaType", message));
}

pub async fn a_dry_run_leaves_nothing(cluster: &Cluster) {
    let namespace = cluster.namespace("create-dry").await;
    let path = format!("/api/v1/namespaces/{namespace}/configmaps");
    let said = cluster.post(&format!("{path}?dryRun=All"), map("a", json!({"k": "v"}))).await;
    assert_eq!((said.code.as_u16(), said.text("/metadata/uid").len()), (201, 36));
    assert!(said.body["metadata"].get("resourceVersion").is_none());
    assert_eq!(cluster.get(&format!("{path}/a")).await.code.as_u16(), 404);
}

pub async fn defaults_are_filled_in_and_owned(cluster: &Cluster) {
    let namespace = cluster.namespace("create-defaults").await;
    let labels = json!({"a": "b"});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "busybox:1"}]}}}});
    let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
    let made = cluster.post(&path, deployment.clone()).await.ok();
    assert_eq!(made["metadata"]["generation"], 1);
    let spec = &made["spec"];
    let rolling = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}});
    assert_eq!(
        json!([spec["replicas"], spec["progressDeadlineSeconds"], spec["revisionHistoryLimit"], spec["strategy"]]),
        json!([1, 600, 10, rolling])
    );
    let container = json!({"name": "c", "image": "busybox:1", "imagePullPolicy": "IfNotPresent", "resources": {},
        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"});
    let pod = &spec["template"]["spec"];
    assert_eq!(pod["containers"][0], container);
    assert_eq!(
        json!([pod["dnsPolicy"], pod["restartPolicy"], pod["schedulerName"], pod["terminationGracePeriodSeconds"]]),
        json!(["ClusterFirst", "Always", "default-scheduler", 30])
    );
    let fields = &made["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"];
    assert_eq!(
        json!([fields["f:selector"], fields["f:strategy"], fields["f:replicas"]]),
        json!([{}, {"f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}}, "f:type": {}}, {}])
    );
    let mut wrong = deployment;
    wrong["metadata"]["name"] = json!("wrong");
    wrong["spec"]["template"]["metadata"]["labels"] = json!({"a": "c"});
    let message = "Deployment.apps \"wrong\" is invalid: spec.template.metadata.labels: Invalid value: \
                   map[string]string{\"a\":\"c\"}: `selector` does not match template `labels`";
    assert_eq!(cluster.post(&path, wrong).await.refusal(), (422, "Invalid", message));

    let service = json!({"metadata": {"name": "svc"}, "spec": {
        "type": "LoadBalancer", "selector": {"a": "b"}, "ports": [{"port": 80}]}});
    let made = cluster.post(&format!("/api/v1/namespaces/{namespace}/services"), service).await.ok();
    let spec = &made["spec"];
    assert_eq!(
        json!([
            spec["sessionAffinity"],
            spec["internalTrafficPolicy"],
            spec["externalTrafficPolicy"],
            spec["allocateLoadBalancerNodePorts"],
            spec["ipFamilies"],
            spec["ipFamilyPolicy"]
        ]),
        json!(["None", "Cluster", "Cluster", true, ["IPv4"], "SingleStack"])
    );
    assert!(text(spec, "/clusterIP").starts_with("10.96."));
    let port = &spec["ports"][0];
    assert!((30000..32768).contains(&port["nodePort"].as_u64().unwrap()));
    assert_eq!(json!([port["protocol"], port["targetPort"], made["status"]]), json!(["TCP", 80, {"loadBalancer": {}}]));
    let owned = json!({"f:allocateLoadBalancerNodePorts": {}, "f:externalTrafficPolicy": {},
        "f:internalTrafficPolicy": {}, "f:sessionAffinity": {}, "f:selector": {}, "f:type": {},
        "f:ports": {".": {}, "k:{\"port\":80,\"protocol\":\"TCP\"}": {
            ".": {}, "f:port": {}, "f:protocol": {}, "f:targetPort": {}}}});
    assert_eq!(made["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"], owned, "what the server allots is nobody's");
}

pub async fn a_secret_in_plain_text_is_stored_encoded(cluster: &Cluster) {
    let namespace = cluster.namespace("create-secret").await;
    let path = format!("/api/v1/namespaces/{namespace}/secrets");
    let said = cluster.post(&path, json!({"metadata": {"name": "s"}, "stringData": {"a": "b"}})).await.ok();
    assert_eq!(json!([said["data"], said["type"], said.get("stringData")]), json!([{"a": "Yg=="}, "Opaque", null]));
    let fields = json!({"f:data": {".": {}, "f:a": {}}, "f:type": {}});
    assert_eq!(said["metadata"]["managedFields"][0]["fieldsV1"], fields);
}
