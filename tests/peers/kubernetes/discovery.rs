//! What the API says about itself.
use super::cluster::{Cluster, text};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn names(list: &Value, field: &str) -> BTreeSet<String> {
    list.as_array().unwrap().iter().map(|one| one[field].as_str().unwrap().to_string()).collect()
}

pub async fn groups_and_resources_are_told(cluster: &Cluster) {
    let core = cluster.get("/api").await.ok();
    assert_eq!((&core["kind"], &core["versions"]), (&json!("APIVersions"), &json!(["v1"])));
    let groups = cluster.get("/apis").await.ok();
    assert_eq!(groups["kind"], "APIGroupList");
    let found = names(&groups["groups"], "name");
    for group in ["apps", "batch", "storage.k8s.io", "rbac.authorization.k8s.io", "helm.toolkit.fluxcd.io"] {
        assert!(found.contains(group), "{group}");
    }
    let apps = cluster.get("/apis/apps").await.ok();
    let version = json!({"groupVersion": "apps/v1", "version": "v1"});
    let expected = json!({"kind": "APIGroup", "apiVersion": "v1", "name": "apps", "versions": [version],
        "preferredVersion": version});
    assert_eq!(apps, expected);
    for (path, wanted) in [
        ("/api/v1", &["configmaps", "namespaces/finalize", "nodes/status", "pods/log", "secrets"][..]),
        ("/apis/apps/v1", &["daemonsets", "deployments", "deployments/scale", "deployments/status", "statefulsets"]),
        ("/apis/helm.toolkit.fluxcd.io/v2", &["helmreleases", "helmreleases/status"]),
    ] {
        let list = cluster.get(path).await.ok();
        assert_eq!(list["kind"], "APIResourceList");
        let found = names(&list["resources"], "name");
        for resource in wanted {
            assert!(found.contains(*resource), "{resource} of {path}");
        }
    }
}

/// Kind, scope, short names and verbs of the resources that both clusters have.
pub async fn both_forms_of_discovery_agree(cluster: &Cluster) {
    let accept = [("accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")];
    let said = cluster.send(reqwest::Method::GET, "/apis", &accept, Value::Null).await;
    let content_type = said.headers["content-type"].to_str().unwrap().to_string();
    assert_eq!(content_type, "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
    let all = said.ok();
    let group = all["items"].as_array().unwrap().iter().find(|g| text(g, "/metadata/name") == "apps").unwrap();
    let resources = group["versions"][0]["resources"].as_array().unwrap();
    let find = |name: &str| resources.iter().find(|r| r["resource"] == name).unwrap();
    let plain = cluster.get("/apis/apps/v1").await.ok();
    for name in ["deployments", "daemonsets", "replicasets", "statefulsets"] {
        let aggregated = find(name);
        let plain = plain["resources"].as_array().unwrap().iter().find(|r| r["name"] == name).unwrap();
        assert_eq!(aggregated["shortNames"], plain["shortNames"], "{name}");
        assert_eq!(aggregated["responseKind"]["kind"], plain["kind"], "{name}");
        assert_eq!(aggregated["scope"], "Namespaced");
        let verbs = json!(["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]);
        assert_eq!((&aggregated["verbs"], &plain["verbs"]), (&verbs, &verbs), "{name}");
        let parts = names(&aggregated["subresources"], "subresource");
        assert_eq!(parts.contains("scale"), name != "daemonsets");
    }
}

pub async fn what_is_not_there_is_a_plain_404_or_a_status(cluster: &Cluster) {
    for path in ["/nothing", "/apis/nope.example/v1", "/apis/nope.example/v1/things"] {
        let said = cluster.get(path).await;
        assert_eq!((said.code.as_u16(), &said.body), (404, &json!("404 page not found\n")), "{path}");
        assert_eq!(said.headers["content-type"], "text/plain; charset=utf-8", "{path}");
    }
    let said = cluster.get("/api/v1/nothings").await;
    assert_eq!(said.refusal(), (404, "NotFound", "the server could not find the requested resource"));
    assert_eq!(said.body["details"], json!({}));
    let said = cluster.get("/apis/apps/v1/namespaces/default/deployments/none").await;
    assert_eq!(said.refusal(), (404, "NotFound", "deployments.apps \"none\" not found"));
    assert_eq!(said.body["details"], json!({"name": "none", "group": "apps", "kind": "deployments"}));
    for (method, path) in [
        (reqwest::Method::PUT, "/api/v1/namespaces/default/configmaps"),
        (reqwest::Method::POST, "/api/v1/namespaces/default/configmaps/a"),
    ] {
        let said = cluster.send(method, path, &[], json!({})).await;
        let message = "the server does not allow this method on the requested resource";
        assert_eq!(said.refusal(), (405, "MethodNotAllowed", message), "{path}");
    }
}

pub async fn the_version_is_that_of_talos(cluster: &Cluster) {
    let version = cluster.get("/version").await.ok();
    let known = ["gitVersion", "major", "minor", "platform", "compiler"].map(|field| version[field].clone());
    assert_eq!(json!(known), json!(["v1.33.3", "1", "33", "linux/amd64", "gc"]));
    for path in ["/healthz", "/livez", "/readyz"] {
        assert_eq!(cluster.get(path).await.body, "ok", "{path}");
    }
}
