//! `cozyup inventory` against the lab's old cluster, and against servers from which nothing or not all can be read.
use crate::api_server::{Server, ok, status};
use crate::common::{Served, ToItsEnd, cozyup, text};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Output;

fn inventory(arguments: &[&str]) -> Output {
    let state = tempfile::tempdir().unwrap();
    cozyup(state.path(), &[&["inventory"][..], arguments].concat()).ended()
}

fn read(kubeconfig: &Path, more: &[&str]) -> Output {
    inventory(&[&["--kubeconfig", kubeconfig.to_str().unwrap()][..], more].concat())
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(output)))
}

fn item<'a>(found: &'a Value, resource: &str, name: &str) -> &'a Value {
    let all = found["items"].as_array().unwrap();
    all.iter().find(|i| i["resource"] == resource && i["name"] == name).unwrap_or_else(|| panic!("{name}: {found:#}"))
}

#[test]
fn the_old_clusters_things_are_named_with_their_owner_their_way_their_data_and_what_stands_against_it() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start("old-cluster", "1", dir.path());
    let kubeconfig = served.site.old_kubeconfig.clone().unwrap();
    let output = read(&kubeconfig, &["--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let found = json_of(&output);
    let postgres = item(&found, "postgreses.apps.cozystack.io", "app");
    assert_eq!(
        (&postgres["owner"], &postgres["way"]["engine"]),
        (&json!("HelmRelease postgres-app"), &json!("postgres"))
    );
    assert_eq!((&postgres["copy"], &postgres["serves"]), (&json!(20_u64 << 30), &json!(false)));
    let blockers: Vec<&Value> = postgres["blockers"].as_array().unwrap().iter().map(|b| &b["blocker"]).collect();
    assert_eq!(blockers, ["release_not_ready", "not_running"], "{postgres:#}");
    let volume = item(&found, "persistentvolumeclaims", "postgres-app-1");
    assert_eq!(
        (&volume["owner"], &volume["way"]["by"]),
        (&json!("postgreses.apps.cozystack.io app"), &json!("with_owner"))
    );
    let machine = item(&found, "vminstances.apps.cozystack.io", "legacy");
    assert_eq!((&machine["traits"]["cores"], &machine["serves"]), (&json!(2), &json!(true)), "{machine:#}");
    let resources: Vec<&str> =
        found["items"].as_array().unwrap().iter().map(|i| i["resource"].as_str().unwrap()).collect();
    assert!(!resources.contains(&"clusters.postgresql.cnpg.io") && !resources.contains(&"virtualmachines.kubevirt.io"));
    assert_eq!(item(&found, "persistentvolumes", "pvc-0003")["blockers"][0]["blocker"], "orphaned");
    assert_eq!(item(&found, "services", "web")["traits"]["addresses"], json!(["203.0.113.20"]));
    assert_eq!(item(&found, "ingresses.networking.k8s.io", "web")["traits"]["hosts"], json!(["shop.example.org"]));
    assert!(
        found["readiness"]["left"] == "serves" && resources.is_sorted_by_key(|r| *r == "ingresses.networking.k8s.io")
    );
    assert_eq!(read(&kubeconfig, &["--retired"]).status.code(), Some(1));
    let shown = text(&read(&kubeconfig, &[]));
    assert!(
        shown.contains("NOT READY to be taken down") && shown.contains("make it there, fill it by pg_dumpall"),
        "{shown}"
    );
    let table = String::from_utf8(read(&kubeconfig, &["--csv"]).stdout).unwrap();
    assert_eq!(table.lines().count(), found["items"].as_array().unwrap().len() + 1);
    assert!(String::from_utf8(read(&kubeconfig, &["--markdown"]).stdout).unwrap().contains("## 2 Databases"));
}

/// Of a kind's plural, its objects; `null` when they may not be read.
type Items = Box<dyn Fn(&str) -> Option<Value> + Send + Sync>;

/// A server that serves every kind that is asked for, and of each what `items` says. `uid` tells it from other clusters.
fn cluster(uid: &'static str, items: impl Fn(&str) -> Option<Value> + Send + Sync + 'static) -> Server {
    let kind = |name: &str, kind: &str| json!({"name": name, "kind": kind, "namespaced": true, "verbs": ["list"]});
    Server::start(move |path| {
        let path = path.split('?').next().unwrap();
        let version = |v: &str| json!({"versions": [{"version": v}], "preferredVersion": {"version": v}});
        match path {
            "/version" => ok(json!({"gitVersion": "v1.33.3"})),
            "/api" => ok(json!({"versions": ["v1"]})),
            "/api/v1" => ok(json!({"resources": [kind("pods", "Pod")]})),
            "/apis" => {
                let mut group = version("v1alpha1");
                group["name"] = json!("apps.cozystack.io");
                ok(json!({"groups": [group]}))
            }
            "/apis/apps.cozystack.io/v1alpha1" if items("silent").is_some() => status(503, "nobody answers"),
            "/apis/apps.cozystack.io/v1alpha1" => ok(json!({"resources": [kind("redises", "Redis")]})),
            "/api/v1/namespaces/kube-system" => ok(json!({"metadata": {"name": "kube-system", "uid": uid}})),
            "/api/v1/namespaces" if items("namespaces").is_none() => {
                let system = json!({"name": "cozy-system", "labels": {"cozystack.io/system": "true"}});
                ok(json!({"metadata": {}, "items": [{"metadata": system}, {"metadata": {"name": "cozy-shop"}}]}))
            }
            path => match items(path.rsplit('/').next().unwrap()) {
                Some(Value::Null) => status(403, "services is forbidden"),
                Some(items) => ok(json!({"metadata": {}, "items": items})),
                None => ok(json!({"metadata": {}, "items": []})),
            },
        }
    })
}

fn pod(namespace: &str) -> Value {
    let status = json!({"phase": "Running", "containerStatuses": [{"state": {"running": {}}}]});
    json!([{"metadata": {"namespace": namespace, "name": "app"}, "status": status}])
}

fn service(kind: &str) -> Value {
    json!([{"metadata": {"namespace": "default", "name": "app"}, "spec": {"type": kind, "ports": [{"port": 80, "nodePort": 30080}]}}])
}

#[test]
fn who_may_not_read_all_gets_what_could_be_read_and_the_names_of_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start("old-cluster", "1", dir.path());
    let viewer = served.site.old_kubeconfig.clone().unwrap().with_file_name("old-kubeconfig-viewer");
    let output = read(&viewer, &["--csv"]);
    let table = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(table.contains("\"grafana\"") && table.contains(",\"not known\",\"services\",,,,,,,"), "{table}");
    let retired = read(&viewer, &["--retired"]);
    assert!(retired.status.code() != Some(0) && text(&retired).contains("Not known"), "{}", text(&retired));
    let config = fs::read_to_string(&viewer).unwrap().replace(":6443", ":1");
    let nobody = dir.path().join("nobody");
    fs::write(&nobody, config).unwrap();
    let output = read(&nobody, &[]);
    assert!(
        output.status.code() == Some(2) && text(&output).contains("next: check that this machine"),
        "{}",
        text(&output)
    );
}

/// A gap never reads as nothing left.
#[test]
fn nothing_is_left_only_where_everything_was_read_and_nothing_serves() {
    let cases: [(&str, i32, Items); 10] = [
        ("nothing is left that serves", 0, Box::new(|_| None)),
        ("nothing is left that serves", 0, Box::new(|k| (k == "pods").then(|| pod("cozy-system")))),
        ("nothing is left that serves", 0, Box::new(|k| (k == "services").then(|| service("ClusterIP")))),
        ("NOT READY to be taken down: 1 thing", 1, Box::new(|k| (k == "pods").then(|| pod("tenant-a")))),
        // It only has a name like those of the platform.
        ("NOT READY to be taken down: 1 thing", 1, Box::new(|k| (k == "pods").then(|| pod("cozy-shop")))),
        ("NOT READY to be taken down: 1 thing", 1, Box::new(|k| (k == "services").then(|| service("NodePort")))),
        (
            "NOT READY to be taken down: 1 thing",
            1,
            Box::new(|k| (k == "ingresses").then(|| json!([{"metadata": {"namespace": "a", "name": "b"}}]))),
        ),
        ("UNKNOWN whether it can be taken down", 2, Box::new(|k| (k == "namespaces").then_some(Value::Null))),
        ("UNKNOWN whether it can be taken down", 2, Box::new(|k| (k == "services").then_some(Value::Null))),
        ("UNKNOWN whether it can be taken down", 2, Box::new(|k| (k == "silent").then_some(Value::Null))),
    ];
    for (says, code, items) in cases {
        let server = cluster("u", items);
        let output = read(&server.kubeconfig(), &["--retired"]);
        assert!(output.status.code() == Some(code) && text(&output).contains(says), "{says}: {}", text(&output));
    }
}

#[test]
fn two_inventories_show_what_has_arrived_what_is_missing_and_what_nobody_can_tell() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, server: &Server| {
        let file = dir.path().join(name);
        fs::write(&file, read(&server.kubeconfig(), &["--json"]).stdout).unwrap();
        file.to_str().unwrap().to_string()
    };
    let redis =
        |name: &str, size: &str| json!({"metadata": {"namespace": "tenant-a", "name": name}, "spec": {"size": size}});
    let of = |uid, all: Vec<Value>| cluster(uid, move |kind| (kind == "redises").then(|| json!(all)));
    let old = write("old", &of("old", vec![redis("one", "2Gi"), redis("two\u{1b}[2J", "1Gi")]));
    let same = write("same", &of("new", vec![redis("one", "2Gi"), redis("two\u{1b}[2J", "1Gi"), redis("more", "1Gi")]));
    let less = write("less", &of("new", vec![redis("one", "1Gi")]));
    let unread = write("unread", &cluster("new", |kind| (kind == "redises").then_some(Value::Null)));
    for (new, code, says) in [
        (&same, 0, &["2 of 2 have arrived", "1 things are only in the new one"][..]),
        (&less, 4, &["SMALLER: 1.0 GiB, and it was 2.0 GiB", "MISSING database tenant-a/two"]),
        (&old, 1, &["BOTH ARE OF ONE CLUSTER", "2 of 2 have arrived"]),
        (&unread, 1, &["2 can't be told", "UNKNOWN database tenant-a/one"]),
    ] {
        let output = inventory(&["compare", &old, new]);
        let shown = text(&output);
        assert_eq!(output.status.code(), Some(code), "{shown}");
        assert!(says.iter().all(|s| shown.contains(s)) && !shown.contains('\u{1b}'), "{shown}");
    }
    // A file that somebody has changed says nothing to the terminal either.
    let edited = fs::read_to_string(&old).unwrap().replace("\"one\"", "\"o\\u001b[2Jne\"");
    fs::write(dir.path().join("edited"), edited).unwrap();
    let shown = text(&inventory(&["compare", dir.path().join("edited").to_str().unwrap(), &same]));
    assert!(shown.contains("MISSING database tenant-a/o") && !shown.contains('\u{1b}'), "{shown}");
    let refused = inventory(&["compare", &old, dir.path().join("none").to_str().unwrap()]);
    assert!(refused.status.code() == Some(2) && text(&refused).contains("next: "), "{}", text(&refused));
    fs::write(dir.path().join("other"), "{\"kind\": \"assessment\"}").unwrap();
    let refused = inventory(&["compare", &old, dir.path().join("other").to_str().unwrap()]);
    assert!(text(&refused).contains("is no inventory"), "{}", text(&refused));
}
