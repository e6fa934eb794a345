//! Pods, as far as an API server alone can judge them.
use super::cluster::{Cluster, MERGE, text};
use serde_json::{Value, json};

/// An account by which pods may run: somebody else makes the one called `default`.
async fn namespace(cluster: &Cluster, name: &str) -> String {
    cluster.namespace(name).await;
    let account = json!({"metadata": {"name": "runner"}});
    cluster.post(&format!("/api/v1/namespaces/{name}/serviceaccounts"), account).await.ok();
    format!("/api/v1/namespaces/{name}/pods")
}

fn pod(name: &str, spec: Value) -> Value {
    let mut spec = spec;
    if spec["serviceAccountName"].is_null() {
        spec["serviceAccountName"] = json!("runner");
    }
    // No node has this label, so nothing runs.
    spec["nodeSelector"] = json!({"nowhere": "true"});
    json!({"metadata": {"name": name}, "spec": spec})
}

pub async fn pods_need_their_account_and_keep_off_the_host(cluster: &Cluster) {
    let path = namespace(cluster, "pods-refused").await;
    let container = json!({"name": "c", "image": "busybox"});
    let stranger = pod("p", json!({"serviceAccountName": "nobody", "containers": [container]}));
    let message = "pods \"p\" is forbidden: error looking up service account pods-refused/nobody: serviceaccount \
                   \"nobody\" not found";
    assert_eq!(cluster.post(&path, stranger).await.refusal(), (403, "Forbidden", message));
    let greedy = json!({"hostNetwork": true, "volumes": [{"name": "h", "hostPath": {"path": "/"}}], "containers": [
        {"name": "c", "image": "busybox", "securityContext": {"privileged": true},
            "ports": [{"containerPort": 80, "hostPort": 80}]}]});
    let said = cluster.post(&path, pod("p", greedy.clone())).await;
    let message = "pods \"p\" is forbidden: violates PodSecurity \"baseline:latest\": host namespaces \
                   (hostNetwork=true), hostPath volumes (volume \"h\"), hostPort (container \"c\" uses hostPort 80), \
                   privileged (container \"c\" must not set securityContext.privileged=true)";
    assert_eq!(said.refusal(), (403, "Forbidden", message));
    assert_eq!(said.body["details"], json!({"name": "p", "kind": "pods"}));
    let allow = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}});
    cluster.patch("/api/v1/namespaces/pods-refused", MERGE, allow).await.ok();
    cluster
        .eventually("the label counts", async || cluster.post(&path, pod("p", greedy.clone())).await.code.is_success())
        .await;
    let said = cluster.post(&path, pod("empty", json!({"containers": []}))).await;
    let message = "Pod \"empty\" is invalid: spec.containers: Required value";
    assert_eq!(said.refusal(), (422, "Invalid", message));
}

pub async fn a_pod_stays_as_it_is(cluster: &Cluster) {
    let path = namespace(cluster, "pods-fixed").await;
    let made = cluster.post(&path, pod("p", json!({"containers": [{"name": "c", "image": "busybox"}]}))).await.ok();
    assert_eq!(made["metadata"]["generation"], 1);
    let (container, spec) = (&made["spec"]["containers"][0], &made["spec"]);
    assert_eq!(
        json!([container["imagePullPolicy"], container["resources"], container["terminationMessagePath"]]),
        json!(["Always", {}, "/dev/termination-log"])
    );
    assert_eq!(
        json!([
            spec["restartPolicy"],
            spec["dnsPolicy"],
            spec["schedulerName"],
            spec["securityContext"],
            spec["terminationGracePeriodSeconds"],
            spec["serviceAccountName"],
            spec["enableServiceLinks"]
        ]),
        json!(["Always", "ClusterFirst", "default-scheduler", {}, 30, "runner", true])
    );
    let lasting =
        |key: &str| json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300});
    let tolerations = [lasting("node.kubernetes.io/not-ready"), lasting("node.kubernetes.io/unreachable")];
    assert_eq!(
        json!([spec["tolerations"], spec["priority"], spec["preemptionPolicy"], spec["serviceAccount"]]),
        json!([tolerations, 0, "PreemptLowerPriority", "runner"])
    );
    assert_eq!(json!([made["status"]["phase"], made["status"]["qosClass"]]), json!(["Pending", "BestEffort"]));
    let path = format!("{path}/p");
    let said = cluster.patch(&path, MERGE, json!({"spec": {"dnsPolicy": "Default"}})).await;
    let (code, reason, message) = said.refusal();
    assert_eq!((code, reason), (422, "Invalid"));
    let start = "Pod \"p\" is invalid: spec: Forbidden: pod updates may not change fields other than \
                 `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations`";
    assert!(message.starts_with(start), "{message}");
    let image = json!({"spec": {"containers": [{"name": "c", "image": "busybox:2"}]}});
    let strategic = super::cluster::STRATEGIC;
    let changed = cluster.patch(&path, strategic, image).await.ok();
    assert_eq!(
        (&changed["metadata"]["generation"], text(&changed, "/spec/containers/0/image")),
        (&json!(2), "busybox:2")
    );
    let said = cluster.get(&format!("{path}/log")).await;
    assert_eq!((said.code.as_u16(), said.text("")), (204, ""), "a pod without a node has said nothing");
    let gone = cluster.delete(&path, Value::Null).await.ok();
    assert_eq!(gone["kind"], "Pod");
    assert_eq!(cluster.get(&path).await.refusal(), (404, "NotFound", "pods \"p\" not found"));
}
