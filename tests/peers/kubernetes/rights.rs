//! Who may do what, and who is nobody.
use super::cluster::Cluster;
use crate::kube_apiserver::strange_pair;
use reqwest::{Client, Method};
use serde_json::{Value, json};

async fn ask(cluster: &Cluster, who: &Client, method: Method, path: &str) -> super::cluster::Said {
    cluster.send_as(who, method, path, &[], Value::Null).await
}

fn user(cluster: &Cluster, name: &str, groups: &[&str]) -> Client {
    cluster.client_of(&cluster.authority.client(name, groups))
}

pub async fn nothing_is_answered_to_nobody(cluster: &Cluster) {
    let authority = reqwest::Certificate::from_pem(cluster.authority.certificate.as_bytes()).unwrap();
    let nobody = Client::builder().no_proxy().tls_certs_only([authority]).build().unwrap();
    // Talos switches anonymous requests off, for health and version as well.
    for path in ["/version", "/readyz", "/api", "/api/v1/nodes"] {
        let said = ask(cluster, &nobody, Method::GET, path).await;
        assert_eq!(said.refusal(), (401, "Unauthorized", "Unauthorized"), "{path}");
    }
    let token = [("authorization", "Bearer abc")];
    let said = cluster.send_as(&nobody, Method::GET, "/api/v1/nodes", &token, Value::Null).await;
    assert_eq!(said.refusal(), (401, "Unauthorized", "Unauthorized"));
}

pub async fn a_user_without_rights_is_told_what_is_missing(cluster: &Cluster) {
    let guest = user(cluster, "guest", &["visitors"]);
    for (method, path, message, details) in [
        (
            Method::GET,
            "/api/v1/nodes",
            "nodes is forbidden: User \"guest\" cannot list resource \"nodes\" in API group \"\" at the cluster scope",
            json!({"kind": "nodes"}),
        ),
        (
            Method::GET,
            "/api/v1/namespaces/default/pods/x",
            "pods \"x\" is forbidden: User \"guest\" cannot get resource \"pods\" in API group \"\" in the namespace \
             \"default\"",
            json!({"name": "x", "kind": "pods"}),
        ),
        (
            Method::GET,
            "/apis/apps/v1/namespaces/default/deployments?watch=1",
            "deployments.apps is forbidden: User \"guest\" cannot watch resource \"deployments\" in API group \"apps\" \
             in the namespace \"default\"",
            json!({"group": "apps", "kind": "deployments"}),
        ),
        (
            Method::PATCH,
            "/api/v1/namespaces/default/pods/x/status",
            "pods \"x\" is forbidden: User \"guest\" cannot patch resource \"pods/status\" in API group \"\" in the \
             namespace \"default\"",
            json!({"name": "x", "kind": "pods"}),
        ),
        (
            Method::GET,
            "/api/v1/namespaces/default",
            "namespaces \"default\" is forbidden: User \"guest\" cannot get resource \"namespaces\" in API group \"\" in \
             the namespace \"default\"",
            json!({"name": "default", "kind": "namespaces"}),
        ),
        (
            Method::DELETE,
            "/api/v1/namespaces/default/configmaps",
            "configmaps is forbidden: User \"guest\" cannot deletecollection resource \"configmaps\" in API group \"\" \
             in the namespace \"default\"",
            json!({"kind": "configmaps"}),
        ),
        (Method::GET, "/metrics", "forbidden: User \"guest\" cannot get path \"/metrics\"", json!({})),
    ] {
        let said = ask(cluster, &guest, method, path).await;
        assert_eq!(said.refusal(), (403, "Forbidden", message), "{path}");
        assert_eq!(said.body["details"], details, "{path}");
    }
    for path in ["/version", "/healthz", "/api", "/apis", "/apis/apps/v1", "/openapi/v3"] {
        assert!(ask(cluster, &guest, Method::GET, path).await.code.is_success(), "{path}");
    }
}

pub async fn what_may_not_be_seen_is_forbidden_also_when_it_is_not_there(cluster: &Cluster) {
    let guest = user(cluster, "guest", &[]);
    let said = ask(cluster, &guest, Method::GET, "/apis/nope.example/v1/things").await;
    let message = "things.nope.example is forbidden: User \"guest\" cannot list resource \"things\" in API group \
                   \"nope.example\" at the cluster scope";
    assert_eq!(said.refusal(), (403, "Forbidden", message));
}

pub async fn a_role_gives_rights_in_its_namespace_alone(cluster: &Cluster) {
    let namespace = cluster.namespace("rights-role").await;
    let rbac = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}");
    let role = json!({"metadata": {"name": "readers"}, "rules": [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["mine"], "verbs": ["get"]}]});
    cluster.post(&format!("{rbac}/roles"), role).await.ok();
    let binding = json!({"metadata": {"name": "readers"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "readers"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "readers"}]});
    cluster.post(&format!("{rbac}/rolebindings"), binding).await.ok();
    let reader = user(cluster, "rita", &["readers"]);
    let inside = format!("/api/v1/namespaces/{namespace}");
    cluster
        .eventually("the role counts", async || {
            ask(cluster, &reader, Method::GET, &format!("{inside}/configmaps")).await.code.is_success()
        })
        .await;
    for (method, path, code) in [
        (Method::GET, format!("{inside}/configmaps/none"), 404),
        (Method::DELETE, format!("{inside}/configmaps/none"), 403),
        (Method::GET, format!("{inside}/secrets/mine"), 404),
        (Method::GET, format!("{inside}/secrets/other"), 403),
        (Method::GET, format!("{inside}/secrets"), 403),
        (Method::GET, "/api/v1/namespaces/default/configmaps".to_string(), 403),
    ] {
        assert_eq!(ask(cluster, &reader, method, &path).await.code.as_u16(), code, "{path}");
    }
}

pub async fn a_user_can_ask_what_it_may(cluster: &Cluster) {
    let guest = user(cluster, "guest", &["visitors"]);
    let may = async |who: &Client, verb: &str, resource: &str| {
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"verb": verb, "resource": resource, "namespace": "default"}}});
        cluster.send_as(who, Method::POST, path, &[], review).await.ok()["status"]["allowed"].as_bool().unwrap()
    };
    let admin = user(cluster, "admin", &["system:masters"]);
    assert!(may(&admin, "delete", "nodes").await);
    assert!(!may(&guest, "get", "pods").await);
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let said = cluster.send_as(&guest, Method::POST, path, &[], review).await.ok();
    let info = &said["status"]["userInfo"];
    assert_eq!(json!([info["username"], info["groups"]]), json!(["guest", ["visitors", "system:authenticated"]]));
    let path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": "default"}});
    let said = cluster.send_as(&guest, Method::POST, path, &[], review).await.ok();
    let rules = said["status"]["resourceRules"].as_array().unwrap();
    assert!(rules.iter().any(|r| r["resources"].as_array().unwrap().contains(&json!("selfsubjectreviews"))), "{said}");
}

pub async fn a_certificate_of_another_authority_gets_nowhere(cluster: &Cluster) {
    let answer = cluster.client_of(&strange_pair()).get(format!("{}/version", cluster.url)).send().await;
    // Go asks for a certificate without judging it in the handshake, and then knows nobody by it.
    assert_eq!(answer.unwrap().status().as_u16(), 401);
}

pub async fn a_certificate_whose_time_is_over_gets_nowhere(cluster: &Cluster) {
    let over = cluster.client_of(&cluster.authority.expired_client("admin", &["system:masters"]));
    let said = ask(cluster, &over, Method::GET, "/api/v1/nodes").await;
    assert_eq!(said.refusal(), (401, "Unauthorized", "Unauthorized"));
}
