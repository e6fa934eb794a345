//! What is typed, and what a person expects to read then.
use super::hand::Hand;
use crate::kube_apiserver;
use crate::pki::Pair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cozyup::base::tls::install_provider;
use serde_json::Value;

fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
}

/// The words of the line that begins with this one.
fn row<'a>(table: &'a str, name: &str) -> Vec<&'a str> {
    let mut rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.find(|row| row.contains(&name)).unwrap_or_else(|| panic!("no {name} in\n{table}"))
}

pub fn get(hand: &Hand) {
    let nodes = hand.ok("get nodes -o wide");
    has(nodes.lines().next().unwrap(), &["NAME", "STATUS", "ROLES", "AGE", "VERSION", "INTERNAL-IP", "OS-IMAGE"]);
    let cp1 = row(&nodes, "cozy-new-cp1");
    assert_eq!(cp1[1..3], ["Ready", "control-plane"]);
    has(&nodes, &["v1.33.3", "Talos (v1.10.6)", "containerd://"]);
    let releases = hand.ok("get hr -A");
    let cilium = row(&releases, "cilium");
    assert_eq!((cilium[0], cilium[3]), ("cozy-cilium", "True"), "{cilium:?}");
    let names = hand.ok("get pods -n cozy-system -l app=cozystack -o name");
    assert!(names.starts_with("pod/cozystack-") && names.lines().count() == 1, "{names}");
    let names = hand.ok("get nodes -o 'jsonpath={.items[*].metadata.name}'");
    assert_eq!(names, "cozy-new-cp1 cozy-new-cp2 cozy-new-cp3 cozy-new-worker1");
    let columns = "custom-columns=NAME:.metadata.name,V:.status.nodeInfo.kubeletVersion";
    assert_eq!(row(&hand.ok(&format!("get nodes -o {columns}")), "cozy-new-cp2")[1], "v1.33.3");
    let pod: Value = serde_json::from_str(&hand.ok("get pods -n cozy-system -l app=cozystack -o json")).unwrap();
    assert_eq!((&pod["kind"], &pod["items"][0]["kind"]), (&"List".into(), &"Pod".into()));
    let yaml = hand.ok("get cm -n cozy-system cozystack -o yaml");
    has(&yaml, &["apiVersion: v1\n", "bundle-name: paas-full", "kind: ConfigMap\n"]);
    assert!(!yaml.contains("managedFields"), "kubectl hides them");
    has(&hand.ok("get cm -n cozy-system cozystack -o yaml --show-managed-fields"), &["manager: cozyup"]);
    let on_node = hand.ok("get pods -A --field-selector spec.nodeName=cozy-new-worker1 -o wide");
    assert!(on_node.lines().skip(1).all(|line| line.contains("cozy-new-worker1")) && on_node.lines().count() > 3);
    has(&hand.ok("get all -n cozy-system"), &["pod/cozystack-", "service/cozystack", "deployment.apps/cozystack"]);
    has(&hand.ok("get pv,sc,crd"), &["storageclass.storage.k8s.io/", "customresourcedefinition.apiextensions.k8s.io/"]);
    has(&hand.ok("get --raw /readyz"), &["ok"]);
}

pub fn missing(hand: &Hand) {
    assert_eq!(hand.fails("get pod nope"), "Error from server (NotFound): pods \"nope\" not found\n");
    let said = hand.say("get pods -n nope");
    assert_eq!((said.code, said.err.as_str()), (Some(0), "No resources found in nope namespace.\n"));
    assert_eq!(hand.fails("get nope"), "error: the server doesn't have a resource type \"nope\"\n");
    let said = hand.fails("get pods -A --field-selector spec.image=x");
    has(&said, &["Error from server (BadRequest): ", "field label not supported: spec.image"]);
}

pub fn watch(hand: &Hand) {
    hand.ok("create ns watch");
    hand.ok("create cm -n watch a --from-literal=k=1");
    let follow = hand.follow("get cm -n watch --watch --field-selector metadata.name=a");
    has(&follow.line(), &["NAME", "DATA", "AGE"]);
    assert_eq!(follow.line().split_whitespace().take(2).collect::<Vec<_>>(), ["a", "1"]);
    hand.ok("patch cm -n watch a -p '{\"data\":{\"l\":\"2\"}}'");
    assert_eq!(follow.line().split_whitespace().take(2).collect::<Vec<_>>(), ["a", "2"]);
}

pub fn describe(hand: &Hand) {
    let node = hand.ok("describe node cozy-new-cp1");
    has(&node, &["Roles:              control-plane", "InternalIP:", "KubeletReady", "Non-terminated Pods:"]);
    has(&node, &["System Info:", "kube-apiserver-cozy-new-cp1", "Capacity:", "Unschedulable:      false"]);
    let pod = hand.ok("describe pod -n cozy-system -l app=cozystack");
    has(&pod, &["Controlled By:  ReplicaSet/cozystack-", "cozystack:\n", "assets:\n", "State:          Running"]);
    has(&pod, &["Conditions:", "Scheduled", "Successfully assigned cozy-system/cozystack-"]);
    assert_eq!(row(&pod, "PodScheduled"), ["PodScheduled", "True"]);
    let release = hand.ok("describe hr -n cozy-cilium cilium");
    has(&release, &["API Version:  helm.toolkit.fluxcd.io/v2", "Reason:                InstallSucceeded"]);
    hand.ok("create ns describe");
    let claim = hand.file(
        "claim.yaml",
        "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: claim}\nspec: {accessModes: [ReadWriteOnce], \
         resources: {requests: {storage: 1Gi}}}\n",
    );
    hand.ok(&format!("apply -n describe -f {claim}"));
    let claim = hand.ok("describe pvc -n describe claim");
    has(&claim, &["Status:        Pending", "Finalizers:    [kubernetes.io/pvc-protection]", "WaitForFirstConsumer"]);
    let deployment = hand.ok("describe deploy -n cozy-system cozystack");
    has(&deployment, &["1 desired | 1 updated | 1 total | 1 available", "Available      True", "NewReplicaSet:"]);
}

/// A ConfigMap and a Deployment of no pods.
fn manifest(value: &str, image: &str, replicas: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings}}\ndata: {{a: \"{value}\"}}\n---\n\
         apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  {replicas}: 2\n  \
         selector: {{matchLabels: {{app: web}}}}\n  template:\n    metadata: {{labels: {{app: web}}}}\n    \
         spec: {{containers: [{{name: web, image: \"{image}\", args: [netexec]}}]}}\n"
    )
}

const AGNHOST: &str = "registry.k8s.io/e2e-test-images/agnhost:2.53";

pub fn apply(hand: &Hand) {
    hand.ok("create ns apply");
    let first = hand.file("apply-1.yaml", &manifest("1", AGNHOST, "replicas"));
    let second = hand.file("apply-2.yaml", &manifest("2", "busybox:1", "replicas"));
    let typo = hand.file("apply-3.yaml", &manifest("2", AGNHOST, "replicaz"));
    let apply = |rest: &str, file: &str| hand.ok(&format!("apply -n apply {rest} -f {file}"));
    assert_eq!(apply("--dry-run=server", &first).lines().next(), Some("configmap/settings created (server dry run)"));
    assert_eq!(apply("", &first), "configmap/settings created\ndeployment.apps/web created\n");
    assert_eq!(apply("", &first), "configmap/settings unchanged\ndeployment.apps/web unchanged\n");
    let said = hand.say(&format!("diff -n apply -f {second}"));
    assert_eq!(said.code, Some(1), "{}", said.err);
    has(&said.out, &["-  a: \"1\"", "+  a: \"2\"", "+        image: busybox:1"]);
    assert_eq!(apply("", &second), "configmap/settings configured\ndeployment.apps/web configured\n");
    let said = hand.say(&format!("diff -n apply -f {second}"));
    assert_eq!((said.code, said.out.as_str()), (Some(0), ""));
    has(&hand.fails(&format!("apply -n apply -f {typo}")), &["(BadRequest)", "unknown field \"spec.replicaz\""]);
    let immutable =
        hand.file("apply-4.yaml", &manifest("2", "busybox:1", "replicas").replace("app: web", "app: other"));
    has(&hand.fails(&format!("apply -n apply -f {immutable}")), &["spec.selector", "field is immutable"]);
    let deleted = hand.ok(&format!("delete -n apply -f {second}"));
    assert_eq!(deleted, "configmap \"settings\" deleted\ndeployment.apps \"web\" deleted\n");
}

pub fn server_side(hand: &Hand) {
    hand.ok("create ns server-side");
    let first = hand.file("server-1.yaml", &manifest("1", AGNHOST, "replicas"));
    let second = hand.file("server-2.yaml", &manifest("2", AGNHOST, "replicas"));
    let apply =
        |manager: &str, file: &str| format!("apply -n server-side --server-side --field-manager={manager} -f {file}");
    let done = "configmap/settings serverside-applied\ndeployment.apps/web serverside-applied\n";
    assert_eq!(hand.ok(&apply("one", &first)), done);
    let refused = hand.fails(&apply("two", &second));
    has(&refused, &["Apply failed with 1 conflict: conflict with \"one\": .data.a", "--force-conflicts"]);
    assert_eq!(hand.ok(&format!("{} --force-conflicts", apply("two", &second))), done);
    let typo = hand.file("server-3.yaml", &manifest("2", AGNHOST, "replicaz"));
    has(&hand.fails(&apply("two", &typo)), &[".spec.replicaz: field not declared in schema"]);
}

pub fn by_hand(hand: &Hand) {
    let ok = |line: &str, said: &str| assert_eq!(hand.ok(line).trim_end(), said, "kubectl {line}");
    ok("create ns by-hand", "namespace/by-hand created");
    ok("create cm -n by-hand settings --from-literal=a=1", "configmap/settings created");
    ok("create secret generic -n by-hand token --from-literal=a=hunter2", "secret/token created");
    ok("get secret -n by-hand token -o 'jsonpath={.data.a}'", "aHVudGVyMg==");
    ok("create sa -n by-hand robot", "serviceaccount/robot created");
    ok("create role -n by-hand reader --verb=get --resource=pods", "role.rbac.authorization.k8s.io/reader created");
    ok(
        "create rolebinding -n by-hand reader --role=reader --serviceaccount=by-hand:robot",
        "rolebinding.rbac.authorization.k8s.io/reader created",
    );
    ok("create deployment -n by-hand web --image=busybox:1 --replicas=0", "deployment.apps/web created");
    ok("scale -n by-hand deploy/web --replicas=2", "deployment.apps/web scaled");
    ok("set image -n by-hand deploy/web busybox=busybox:2", "deployment.apps/web image updated");
    ok(
        "get deploy -n by-hand web -o 'jsonpath={.spec.replicas} {.spec.template.spec.containers[0].image}'",
        "2 busybox:2",
    );
    ok("label -n by-hand cm/settings x=y", "configmap/settings labeled");
    ok("annotate -n by-hand cm/settings note=hi", "configmap/settings annotated");
    ok("patch -n by-hand cm settings --type merge -p '{\"data\":{\"b\":\"2\"}}'", "configmap/settings patched");
    ok(
        "patch -n by-hand cm settings --type json -p '[{\"op\":\"remove\",\"path\":\"/data/b\"}]'",
        "configmap/settings patched",
    );
    ok("get cm -n by-hand settings -o 'jsonpath={.data} {.metadata.labels}'", "{\"a\":\"1\"} {\"x\":\"y\"}");
    let said = hand.fails("create cm -n by-hand settings");
    assert_eq!(said, "error: failed to create configmap: configmaps \"settings\" already exists\n");
    has(&hand.fails("create cm -n by-hand Wrong_Name"), &["metadata.name: Invalid value: \"Wrong_Name\""]);
    ok("run -n by-hand probe --image=busybox --restart=Never -- echo hello", "pod/probe created");
    ok("wait -n by-hand pod/probe '--for=jsonpath={.status.phase}=Succeeded' --timeout=30s", "pod/probe condition met");
    ok("logs -n by-hand probe", "hello");
    ok("delete ns by-hand --timeout=30s", "namespace \"by-hand\" deleted");
    assert_eq!(hand.fails("get ns by-hand"), "Error from server (NotFound): namespaces \"by-hand\" not found\n");
}

pub fn rollout(hand: &Hand) {
    hand.ok("create ns rollout");
    let file = hand.file("rollout.yaml", &manifest("1", AGNHOST, "replicas"));
    hand.ok(&format!("apply -n rollout -f {file}"));
    let done = "deployment \"web\" successfully rolled out";
    assert_eq!(hand.ok("rollout status -n rollout deploy/web --timeout=30s").lines().last(), Some(done));
    assert_eq!(hand.ok("rollout restart -n rollout deploy/web").trim_end(), "deployment.apps/web restarted");
    assert_eq!(hand.ok("rollout status -n rollout deploy/web --timeout=30s").lines().last(), Some(done));
    let history = hand.ok("rollout history -n rollout deploy/web");
    assert_eq!(row(&history, "2"), ["2", "<none>"], "{history}");
}

pub fn logs(hand: &Hand) {
    let said = hand.ok("logs -n cozy-system deploy/cozystack");
    has(&said, &["configmap/cozystack-version created"]);
    assert_eq!(hand.ok("logs -n cozy-system deploy/cozystack -c assets"), "");
    let said = hand.fails("logs -n cozy-system deploy/cozystack -c nope");
    has(&said, &["error: container nope is not valid for pod cozystack-"]);
    let said = hand.fails("logs -n cozy-system deploy/cozystack --previous");
    has(&said, &["previous terminated container \"cozystack\" in pod \"cozystack-", "not found"]);
    hand.ok("create ns logs");
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: talker}\nspec:\n  restartPolicy: Never\n  containers:\n  \
               - {name: c, image: busybox, command: [sh, -c, 'echo one; sleep 600; echo two; echo three']}\n";
    let file = hand.file("talker.yaml", pod);
    hand.ok(&format!("apply -n logs -f {file}"));
    hand.ok("wait -n logs pod/talker --for=condition=Ready --timeout=30s");
    let follow = hand.follow("logs -n logs talker -f");
    assert_eq!([follow.line(), follow.line(), follow.line()], ["one", "two", "three"]);
    assert!(follow.ends(), "the pod is done");
    assert_eq!(hand.ok("logs -n logs talker --tail=2"), "two\nthree\n");
    assert_eq!(hand.ok("logs -n logs talker --all-containers"), "one\ntwo\nthree\n");
}

pub fn wait(hand: &Hand) {
    let said = hand.ok("wait -n cozy-cilium hr/cilium --for=condition=Ready --timeout=10s");
    assert_eq!(said, "helmrelease.helm.toolkit.fluxcd.io/cilium condition met\n");
    let said = hand.ok("wait node --all --for=condition=Ready --timeout=10s");
    assert_eq!(said.lines().count(), 4);
    let said = hand.fails("wait -n cozy-cilium hr/cilium --for=condition=Nope --timeout=1s");
    assert_eq!(said, "error: timed out waiting for the condition on helmreleases/cilium\n");
    hand.ok("wait -n cozy-cilium hr/cilium '--for=jsonpath={.status.observedGeneration}=1' --timeout=10s");
    hand.ok("create ns wait");
    hand.ok("create cm -n wait gone");
    let waiting = hand.follow("wait -n wait cm/gone --for=delete --timeout=30s");
    hand.ok("delete cm -n wait gone");
    assert!(waiting.ends());
    has(&hand.fails("wait -n wait cm/never --for=condition=Ready --timeout=1s"), &["configmaps \"never\" not found"]);
}

pub fn explain(hand: &Hand) {
    let release = hand.ok("explain hr.spec");
    has(&release, &["GROUP:      helm.toolkit.fluxcd.io", "KIND:       HelmRelease", "VERSION:    v2"]);
    has(&release, &["FIELD: spec <Object>", "dependsOn\t<[]Object>", "interval\t<string> -required-"]);
    has(&hand.ok("explain ipaddresspool.spec.addresses"), &["FIELD: addresses <[]string>"]);
    has(
        &hand.ok("explain deployment"),
        &["GROUP:      apps", "KIND:       Deployment", "does not describe its fields"],
    );
    let resources = hand.ok("api-resources --namespaced -o wide");
    assert_eq!(row(&resources, "helmreleases")[1..3], ["hr", "helm.toolkit.fluxcd.io/v2"]);
    has(&hand.ok("api-versions"), &["apps/v1\n", "helm.toolkit.fluxcd.io/v2\n", "metallb.io/v1beta1\n", "v1\n"]);
    let at = format!("control plane is running at https://{}:6443", hand.vip);
    has(&hand.ok("cluster-info"), &[&at]);
    has(&hand.ok("version"), &["Client Version: v1.33.3", "Server Version: v1.33.3"]);
}

pub fn auth(hand: &Hand) {
    assert_eq!(hand.ok("auth can-i create pods"), "yes\n");
    has(&hand.ok("auth can-i --list"), &["*.*", "[*]", "selfsubjectrulesreviews.authorization.k8s.io"]);
    let who = hand.ok("auth whoami");
    assert_eq!(row(&who, "Username"), ["Username", "admin"]);
    has(&who, &["[system:masters system:authenticated]"]);
    // Whoever has the secrets can make others users.
    let secrets: serde_yaml::Value = serde_yaml::from_str(&hand.secrets()).unwrap();
    let part = |name: &str| {
        let text = secrets["certs"]["k8s"][name].as_str().unwrap();
        String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
    };
    let authority = Pair { certificate: part("crt"), key: part("key") };
    let guest = authority.client("guest", &["visitors"]);
    let (certificate, key) = (hand.file("guest.crt", &guest.certificate), hand.file("guest.key", &guest.key));
    let kubeconfig = hand.ok("config view --raw --minify -o json");
    let mut config: Value = serde_json::from_str(&kubeconfig).unwrap();
    config["users"][0]["user"] = serde_json::json!({"client-certificate": certificate, "client-key": key});
    let as_guest = format!("--kubeconfig {}", hand.file("guest.kubeconfig", &config.to_string()));
    let said = hand.fails(&format!("{as_guest} get nodes"));
    let expected = "Error from server (Forbidden): nodes is forbidden: User \"guest\" cannot list resource \"nodes\" in API \
                    group \"\" at the cluster scope\n";
    assert_eq!(said, expected);
    assert_eq!(hand.say(&format!("{as_guest} auth can-i list nodes")).out, "no\n");
    hand.ok("create clusterrole auth-nodes --verb=get,list --resource=nodes");
    hand.ok("create clusterrolebinding auth-nodes --clusterrole=auth-nodes --group=visitors");
    has(&hand.ok(&format!("{as_guest} get nodes")), &["cozy-new-cp1"]);
    let strange = kube_apiserver::strange_pair();
    let (certificate, key) = (hand.file("strange.crt", &strange.certificate), hand.file("strange.key", &strange.key));
    config["users"][0]["user"] = serde_json::json!({"client-certificate": certificate, "client-key": key});
    let said = hand.fails(&format!("--kubeconfig {} get nodes", hand.file("strange.kubeconfig", &config.to_string())));
    has(&said, &["You must be logged in to the server"]);
}

pub fn events(hand: &Hand) {
    let events = hand.ok("get events -n cozy-system --sort-by=.lastTimestamp");
    has(events.lines().next().unwrap(), &["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]);
    has(&events, &["Scheduled", "pod/cozystack-", "Successfully assigned cozy-system/cozystack-"]);
    has(&hand.ok("events -n cozy-system --for deployment/cozystack"), &["ScalingReplicaSet", "Deployment/cozystack"]);
}

pub fn nodes(hand: &Hand) {
    let node = "cozy-new-worker1";
    assert_eq!(hand.ok(&format!("label node {node} try=yes")).trim_end(), format!("node/{node} labeled"));
    assert!(hand.ok("get nodes -l try=yes -o name").contains(node));
    assert_eq!(hand.ok(&format!("taint node {node} try=yes:NoSchedule")).trim_end(), format!("node/{node} tainted"));
    assert_eq!(hand.ok(&format!("taint node {node} try-")).trim_end(), format!("node/{node} untainted"));
    assert_eq!(hand.ok(&format!("cordon {node}")).trim_end(), format!("node/{node} cordoned"));
    assert_eq!(row(&hand.ok("get nodes"), node)[1], "Ready,SchedulingDisabled");
    assert_eq!(hand.ok(&format!("uncordon {node}")).trim_end(), format!("node/{node} uncordoned"));
}

/// Each object as it would be written back: nothing in it is unknown or of a wrong type, whoever wrote it.
pub fn shapes(hand: &Hand) {
    let config: Value = serde_json::from_str(&hand.ok("config view --raw --minify -o json")).unwrap();
    let part = |pointer: &str| {
        let text = config.pointer(pointer).and_then(Value::as_str).unwrap();
        String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
    };
    let authority = Pair { certificate: part("/clusters/0/cluster/certificate-authority-data"), key: String::new() };
    let admin =
        Pair { certificate: part("/users/0/user/client-certificate-data"), key: part("/users/0/user/client-key-data") };
    let url = config.pointer("/clusters/0/cluster/server").and_then(Value::as_str).unwrap();
    install_provider();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let client = kube_apiserver::client(&authority, &admin);
        let get = async |path: &str| -> Value {
            let answer = client.get(format!("{url}{path}")).send().await.unwrap();
            serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
        };
        let mut roots = vec!["/api/v1".to_string()];
        for group in get("/apis").await["groups"].as_array().unwrap() {
            roots.push(format!("/apis/{}", group["preferredVersion"]["groupVersion"].as_str().unwrap()));
        }
        let (mut seen, mut misfits) = (0, Vec::new());
        for root in roots {
            for resource in get(&root).await["resources"].as_array().unwrap() {
                let name = resource["name"].as_str().unwrap();
                if name.contains('/') {
                    continue;
                }
                for object in get(&format!("{root}/{name}")).await["items"].as_array().unwrap() {
                    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
                    let place = match text("namespace") {
                        "" => String::new(),
                        namespace => format!("namespaces/{namespace}/"),
                    };
                    let path = format!("{root}/{place}{name}/{}", text("name"));
                    let request = client.patch(format!("{url}{path}?dryRun=All&fieldValidation=Strict"));
                    let request = request.header("content-type", "application/merge-patch+json").body("{}");
                    let answer = request.send().await.unwrap();
                    // 404: another scene has removed it meanwhile.
                    if !answer.status().is_success() && answer.status().as_u16() != 404 {
                        misfits.push(format!("{path}: {}", answer.text().await.unwrap()));
                    }
                    seen += 1;
                }
            }
        }
        assert!(misfits.is_empty(), "{} of {seen}: {misfits:#?}", misfits.len());
        assert!(seen > 500, "{seen}");
    });
}

pub fn not_simulated(hand: &Hand) {
    for line in ["top nodes", "top pods -A"] {
        assert_eq!(hand.fails(line), "error: Metrics API not available\n");
    }
    let inside = "the lab's pods have no inside";
    for line in [
        "exec -n cozy-system deploy/cozystack -c cozystack -- ls",
        "port-forward -n cozy-system deploy/cozystack 18123:8123",
        "attach -n cozy-system deploy/cozystack -c cozystack",
    ] {
        has(&hand.fails(line), &[inside]);
    }
}
