//! The client against a real TLS server that answers by script.
use super::testing::{Reply, Server, status, status_object, strange_kubeconfig};
use super::*;
use crate::base::secret::Secret;
use futures::StreamExt;
use serde_json::{Value, json};
use std::time::Duration;

/// Far longer than any of these tests; a wait that reaches it has failed.
const LONG: Duration = Duration::from_secs(30);

async fn site(script: Vec<Reply>) -> (Server, Reader, Changer) {
    let server = Server::start(script).await;
    let (reader, changer) = connect(&server.kubeconfig, None).unwrap();
    (server, reader, changer)
}

fn named(name: &str, version: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "cozy", "resourceVersion": version, "managedFields": [{"x": 1}]}})
}

fn page(version: &str, next: Option<&str>, items: Vec<Value>) -> Reply {
    Reply::Json(200, json!({"metadata": {"resourceVersion": version, "continue": next}, "items": items}))
}

fn event(kind: &str, object: Value) -> Value {
    json!({"type": kind, "object": object})
}

fn release(name: &str, version: &str, ready: &str) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "cozy", "resourceVersion": version, "generation": 1},
        "status": {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": ready, "reason": "R"}]},
    })
}

#[tokio::test]
async fn a_list_is_read_page_by_page_and_its_evidence_has_no_bookkeeping() {
    let pages = vec![page("90", Some("t/1="), vec![named("a", "1")]), page("90", None, vec![named("b", "2")])];
    let (server, reader, _) = site(pages).await;
    let answer = reader.list(&Kind::CONFIG_MAP, Some("cozy"), Some("app=x")).await.unwrap();
    assert_eq!(answer.value.len(), 2);
    assert_eq!(
        server.lines(),
        [
            "GET /api/v1/namespaces/cozy/configmaps?labelSelector=app%3Dx&limit=250",
            "GET /api/v1/namespaces/cozy/configmaps?labelSelector=app%3Dx&limit=250&continue=t%2F1%3D",
        ]
    );
    assert_eq!(answer.asked, "GET /api/v1/namespaces/cozy/configmaps?labelSelector=app%3Dx");
    assert_eq!(answer.by_hand, "kubectl get configmaps -n cozy -l 'app=x' -o yaml");
    assert!(answer.raw.contains("\"name\":\"b\"") && !answer.raw.contains("managedFields"), "{}", answer.raw);
}

#[tokio::test]
async fn a_page_token_that_grew_old_starts_the_list_over() {
    let script = vec![
        page("90", Some("old"), vec![named("a", "1")]),
        status(410, "Expired", "The provided continue parameter is too old"),
        page("95", None, vec![named("a", "1"), named("b", "2")]),
    ];
    let (_server, reader, _) = site(script).await;
    let listed = reader.list_versioned(&Kind::NODE, None, None).await.unwrap().value;
    assert_eq!((listed.items.len(), listed.resource_version.as_str()), (2, "95"));
}

#[tokio::test]
async fn a_list_whose_pages_never_end_is_given_up() {
    let items = || (0..500).map(|n| named("a", &n.to_string())).collect();
    let script = (0..60).map(|n| page("90", Some(&format!("page {n}")), items())).collect();
    let (_server, reader, _) = site(script).await;
    let error = reader.list_versioned(&Kind::NODE, None, None).await.unwrap_err();
    assert!(matches!(&error, Error::Answer { text } if text.contains("more than 20000 objects")), "{error:?}");
}

/// The endless answers that a server may send in the place of a list, a page, an object, an error and a watch.
const ENDLESS: [(u16, &str, &str); 5] = [
    (200, "{\"metadata\":{},\"items\":[0", ",{\"a\":0}"),
    (200, "{\"metadata\":{\"continue\":\"", "x"),
    (200, "", " "),
    (200, "", "["),
    (500, "{\"kind\":\"Status\",\"message\":\"", "x"),
];

/// harm.md S8, of Kubernetes: whatever has no end is given up while it comes, with a sentence.
#[tokio::test]
async fn an_answer_that_never_ends_is_given_up_while_it_comes() {
    for (code, first, again) in ENDLESS {
        let endless = || Reply::Endless(code, first, again);
        let (_server, reader, _) = site(vec![endless(), endless(), endless()]).await;
        let asked = [
            reader.list(&Kind::NODE, None, None).await.map(|_| ()),
            reader.releases().await.map(|_| ()),
            reader.get(&Kind::NODE, None, "a").await.map(|_| ()),
        ];
        for answer in asked {
            let Err(Error::Answer { text }) = answer else { panic!("{first}{again}: {answer:?}") };
            assert!(text.contains("the answer is longer than 8 MiB") && text.starts_with("GET /"), "{text}");
        }
    }
    let watch = || vec![page("90", None, vec![]), Reply::Endless(200, "{\"type\":\"ADDED\",\"object\":\"", "x")];
    let (_server, reader, _) = site(watch()).await;
    let waited = reader.wait_for_change(&Kind::NODE, None, None, None, LONG).await;
    assert!(matches!(&waited, Err(Error::Answer { text }) if text.contains("a line of the answer")), "{waited:?}");
    let (_server, reader, _) = site(watch()).await;
    let mut snapshots = reader.watch_nodes();
    assert_eq!(snapshots.next().await.unwrap(), Ok(vec![]));
    let told = snapshots.next().await.unwrap();
    assert!(matches!(&told, Err(Error::Answer { text }) if text.contains("a line of the answer")), "{told:?}");
}

#[tokio::test]
async fn pages_that_are_each_short_enough_and_never_end_are_given_up() {
    let long = "x".repeat(7 << 20);
    let big = |n: usize| page("90", Some(&format!("page {n}")), vec![json!({"metadata": {"name": long}})]);
    let (_server, reader, _) = site((0..12).map(big).collect()).await;
    let pods = reader.pods(None, None).await.unwrap_err();
    assert!(matches!(&pods, Error::Answer { text } if text.contains("more than 64 MiB")), "{pods:?}");
    // Objects that are kept whole are counted by the room that they take.
    let dear = |n: usize| page("90", Some(&format!("page {n}")), vec![json!({"a": vec![0; 300]}); 1000]);
    let (_server, reader, _) = site((0..12).map(dear).collect()).await;
    let nodes = reader.list(&Kind::NODE, None, None).await.unwrap_err();
    assert!(matches!(&nodes, Error::Answer { text } if text.contains("far more values")), "{nodes:?}");
}

/// harm.md S8, of Kubernetes. In a process of its own, since memory is a process's.
#[test]
fn a_server_without_an_end_costs_less_than_200_mib() {
    const ALONE: &str = "COZYUP_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
        let name = std::thread::current().name().unwrap().to_string();
        let output = alone.args(["--exact", &name, "--nocapture"]).env(ALONE, "1").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("peak "), "{said}{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        for (code, first, again) in ENDLESS {
            let (_server, reader, _) = site((0..4).map(|_| Reply::Endless(code, first, again)).collect()).await;
            let (a, b) = tokio::join!(reader.list(&Kind::NODE, None, None), reader.list(&Kind::POD, None, None));
            assert!(a.is_err() && b.is_err());
        }
    });
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    println!("peak {kib} KiB");
    assert!(kib < 200 << 10, "{kib} KiB");
}

#[tokio::test]
async fn what_does_not_exist_is_none_and_a_secret_stays_out_of_the_evidence() {
    let secret = json!({"kind": "Secret", "metadata": {"name": "s"}, "data": {"token": "aHVudGVyMg=="}});
    let (_server, reader, _) = site(vec![status(404, "NotFound", "not found"), Reply::Json(200, secret)]).await;
    assert!(reader.get(&Kind::TENANT, Some("tenant-root"), "root").await.unwrap().is_none());
    let answer = reader.get(&Kind::SECRET, Some("cozy"), "s").await.unwrap().unwrap();
    assert!(!answer.raw.contains("aHVudGVyMg"), "{}", answer.raw);
    assert_eq!(answer.value.pointer("/data/token").unwrap(), "aHVudGVyMg==");
    assert_eq!(answer.by_hand, "kubectl get -n cozy secrets s -o yaml");
}

#[tokio::test]
async fn a_field_that_another_manager_owns_is_a_conflict_that_names_it() {
    let message = "Apply failed with 1 conflict: conflict with \"kubectl\" using v1: .data.root-host";
    let (server, _, changer) = site(vec![status(409, "Conflict", message)]).await;
    let error = changer
        .apply(&Kind::CONFIG_MAP, Some("cozy-system"), "cozystack", json!({"data": {"root-host": "x"}}))
        .await
        .unwrap_err();
    assert!(matches!(&error, Error::Conflict { text } if text.contains("kubectl")), "{error}");
    let asked = server.asked().remove(0);
    assert_eq!(asked.line, "PATCH /api/v1/namespaces/cozy-system/configmaps/cozystack?fieldManager=cozyup&force=false");
    assert_eq!(asked.content_type, "application/apply-patch+yaml");
    let body: Value = serde_json::from_str(&asked.body).unwrap();
    assert_eq!((&body["apiVersion"], &body["kind"]), (&json!("v1"), &json!("ConfigMap")));
    assert_eq!(body["metadata"], json!({"name": "cozystack", "namespace": "cozy-system"}));
}

#[tokio::test]
async fn a_missing_right_is_told_in_the_servers_words() {
    let message = "nodes \"cp1\" is forbidden: User \"x\" cannot patch resource \"nodes\"";
    let (server, _, changer) = site(vec![status(403, "Forbidden", message)]).await;
    let error = changer.label_node("cp1", &[("topology.kubernetes.io/zone", "pve")]).await.unwrap_err();
    assert_eq!(error, Error::Forbidden { text: message.to_string() });
    assert!(!error.is_transient());
    let asked = server.asked().remove(0);
    assert_eq!(asked.content_type, "application/merge-patch+json");
    assert_eq!(asked.body, r#"{"metadata":{"labels":{"topology.kubernetes.io/zone":"pve"}}}"#);
}

#[tokio::test]
async fn a_deletion_means_one_object_and_one_that_is_gone_is_fine() {
    let gone = status(404, "NotFound", "not found");
    let (server, _, changer) = site(vec![Reply::Json(200, json!({"kind": "Status"})), gone]).await;
    changer.delete(&Kind::POD, Some("cozy"), "probe", "uid-1").await.unwrap();
    changer.delete(&Kind::POD, Some("cozy"), "probe", "uid-1").await.unwrap();
    let body: Value = serde_json::from_str(&server.asked().remove(0).body).unwrap();
    assert_eq!(body["preconditions"]["uid"], "uid-1");
}

#[tokio::test]
async fn an_answer_that_is_no_status_keeps_its_code() {
    let (_server, reader, _) = site(vec![Reply::Text(503, "upstream gone")]).await;
    let error = reader.version().await.unwrap_err();
    assert_eq!(error, Error::Server { code: 503, text: "upstream gone".to_string() });
    assert!(error.is_transient());
}

#[tokio::test]
async fn a_log_is_cleaned() {
    let (server, reader, _) = site(vec![Reply::Text(200, "one\n\u{1b}[31mtwo\n")]).await;
    let answer = reader.logs("cozy-system", "cozystack-1", "cozystack", 50).await.unwrap();
    assert_eq!(answer.value, "one\n[31mtwo");
    assert_eq!(
        server.lines(),
        ["GET /api/v1/namespaces/cozy-system/pods/cozystack-1/log?container=cozystack&tailLines=50"]
    );
}

#[tokio::test]
async fn waiting_begins_where_the_caller_looked_and_ends_at_the_objects_own_event() {
    let events = vec![event("MODIFIED", named("other", "6")), event("MODIFIED", named("mine", "7"))];
    let (server, reader, _) = site(vec![Reply::OpenEvents(events)]).await;
    reader.wait_for_change(&Kind::CONFIG_MAP, Some("cozy"), Some("mine"), Some("5"), LONG).await.unwrap();
    assert_eq!(
        server.lines(),
        ["GET /api/v1/namespaces/cozy/configmaps?watch=true&allowWatchBookmarks=true\
          &fieldSelector=metadata.name%3Dmine&resourceVersion=5&timeoutSeconds=60"]
    );
}

#[tokio::test]
async fn waiting_without_a_version_lists_first() {
    let script = vec![page("40", None, vec![]), Reply::OpenEvents(vec![event("ADDED", named("a", "41"))])];
    let (server, reader, _) = site(script).await;
    reader.wait_for_change(&Kind::NODE, None, None, None, LONG).await.unwrap();
    assert!(server.lines()[1].contains("resourceVersion=40"), "{:?}", server.lines());
}

#[tokio::test]
async fn waiting_ends_at_the_deadline() {
    let (_server, reader, _) = site(vec![Reply::OpenEvents(vec![])]).await;
    reader.wait_for_change(&Kind::NODE, None, None, Some("5"), Duration::from_millis(10)).await.unwrap();
}

#[tokio::test]
async fn an_old_object_that_did_not_change_is_waited_for_beyond_the_gap() {
    let gone = event("ERROR", status_object(410, "Expired", "too old resource version"));
    let script = vec![
        Reply::Events(vec![gone]),
        page("900", None, vec![named("mine", "5")]),
        Reply::OpenEvents(vec![event("DELETED", named("mine", "901"))]),
    ];
    let (server, reader, _) = site(script).await;
    reader.wait_for_change(&Kind::CONFIG_MAP, Some("cozy"), Some("mine"), Some("5"), LONG).await.unwrap();
    assert!(server.lines()[2].contains("resourceVersion=900"), "{:?}", server.lines());
}

#[tokio::test]
async fn a_gap_in_which_the_object_changed_ends_the_wait() {
    let script = vec![status(410, "Expired", "too old"), page("900", None, vec![named("mine", "6")])];
    let (server, reader, _) = site(script).await;
    reader.wait_for_change(&Kind::CONFIG_MAP, Some("cozy"), Some("mine"), Some("5"), LONG).await.unwrap();
    assert_eq!(server.lines().len(), 2);
}

#[tokio::test]
async fn snapshots_follow_the_events_and_a_gap_is_closed_by_a_new_list() {
    let gone = event("ERROR", status_object(410, "Expired", "too old resource version"));
    let script = vec![
        page("10", None, vec![release("a", "3", "False"), release("b", "4", "False")]),
        Reply::Events(vec![
            event("MODIFIED", release("a", "11", "True")),
            event("DELETED", release("b", "12", "False")),
        ]),
        // The watch ended: the next one goes on from the last event.
        Reply::Events(vec![event("ADDED", release("c", "13", "False")), gone]),
        page("50", None, vec![release("a", "11", "True"), release("c", "49", "True")]),
        Reply::OpenEvents(vec![]),
    ];
    let (server, reader, _) = site(script).await;
    let mut snapshots = reader.watch_releases();
    let mut seen: Vec<String> = Vec::new();
    loop {
        let list = snapshots.next().await.unwrap().unwrap();
        let shown: Vec<String> =
            list.iter().map(|r| format!("{}{}", r.name, if r.ready == Some(true) { "+" } else { "-" })).collect();
        seen.push(shown.join(" "));
        if shown == ["a+", "c+"] {
            break;
        }
    }
    assert_eq!(seen.first().unwrap(), "a- b-");
    assert!(seen.iter().any(|s| s == "a+"), "{seen:?}");
    assert!(seen.iter().any(|s| s == "a+ c-"), "{seen:?}");
    let lines = server.lines();
    assert!(lines[1].contains("resourceVersion=10") && lines[2].contains("resourceVersion=12"), "{lines:?}");
    assert!(lines[3].ends_with("helmreleases?limit=250"), "{lines:?}");
}

#[tokio::test]
async fn slim_rows_keep_their_evidence() {
    let node = json!({"metadata": {"name": "cp1"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    let (_server, reader, _) = site(vec![page("1", None, vec![node])]).await;
    let answer = reader.nodes().await.unwrap();
    assert!(answer.value[0].ready);
    assert!(answer.raw.contains("\"name\":\"cp1\""), "{}", answer.raw);
    assert_eq!(answer.by_hand, "kubectl get nodes -o yaml");
}

#[tokio::test]
async fn another_clusters_server_is_not_trusted_and_not_tried_again() {
    let server = Server::start(vec![]).await;
    let (reader, _) = connect(&strange_kubeconfig(&server.url), None).unwrap();
    let error = reader.version().await.unwrap_err();
    assert!(matches!(error, Error::Untrusted { .. }), "{error}");
    assert!(!error.is_transient());
    assert!(server.lines().is_empty(), "nothing was sent");
}

#[tokio::test]
async fn the_override_replaces_the_address_only() {
    let server = Server::start(vec![Reply::Json(200, json!({"gitVersion": "v1.33.3"}))]).await;
    let elsewhere = server.kubeconfig.expose().replace(&server.url, "https://10.255.255.1:6443");
    let (reader, _) = connect(&Secret::new(elsewhere), Some(server.url.clone())).unwrap();
    assert_eq!(reader.version().await.unwrap().value.git_version, "v1.33.3");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable_for_now() {
    let server = Server::start(vec![]).await;
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("https://{}", listener.local_addr().unwrap())
    };
    let (reader, _) = connect(&server.kubeconfig, Some(closed)).unwrap();
    let error = reader.version().await.unwrap_err();
    assert!(matches!(&error, Error::Unreachable { text } if text.contains("refused")), "{error}");
    assert!(error.is_transient());
}

#[tokio::test]
async fn a_kubeconfig_that_can_not_be_used_is_refused_without_showing_it() {
    let refused = |yaml: &str| connect(&Secret::new(yaml.to_string()), None).map(|_| ()).unwrap_err().to_string();
    assert!(!refused("users: [{hunter2").contains("hunter2"));
    assert!(refused("apiVersion: v1\nkind: Config\n").contains("current-context"));
    let unverified = "current-context: c\ncontexts: [{name: c, context: {cluster: k}}]\n\
                      clusters: [{name: k, cluster: {server: 'https://x', insecure-skip-tls-verify: true}}]\n";
    assert!(refused(unverified).contains("insecure-skip-tls-verify"));
    let program = "current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n\
                   clusters: [{name: k, cluster: {server: 'https://x'}}]\n\
                   users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: touch}}}]\n";
    assert!(refused(program).contains("from a program"));
    let named = |cluster: &str, user: &str| {
        refused(&format!(
            "current-context: c\ncontexts: [{{name: c, context: {{cluster: k, user: u}}}}]\n\
             clusters: [{{name: k, cluster: {{server: 'https://x'{cluster}}}}}]\nusers: [{{name: u, user: {{{user}}}}}]\n"
        ))
    };
    // Whatever is there would be read to its end, and a device has none.
    assert!(named(", certificate-authority: /nowhere/ca", "").contains("`certificate-authority` names a file"));
    for key in ["tokenFile", "client-certificate", "client-key"] {
        assert!(named("", &format!("{key}: /nowhere/key")).contains(&format!("`{key}` names a file")));
    }
    let aliases: String = (1..40).map(|n| format!("a{n}: &a{n} [*a{0}, *a{0}, *a{0}, *a{0}]\n", n - 1)).collect();
    assert!(refused(&format!("a0: &a0 [x, x, x, x]\n{aliases}")).contains("not a kubeconfig"));
    assert!(refused(&"#\n".repeat(1 << 20)).contains("larger than 1 MiB"));
}
