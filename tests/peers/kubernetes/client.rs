//! cozyup's own client, whose answers the steps act on.
use super::cluster::{Cluster, text};
use cozyup::base::secret::Secret;
use cozyup::cozystack::Health;
use cozyup::kubernetes::{Error, Kind, connect};
use futures::StreamExt;
use serde_json::{Value, json};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(30);

pub async fn the_reader_reads(cluster: &Cluster) {
    let namespace = cluster.namespace("client-reads").await;
    let reader = &cluster.reader;
    assert_eq!(reader.version().await.unwrap().value.git_version, "v1.33.3");
    assert!(reader.get(&Kind::CONFIG_MAP, Some(&namespace), "none").await.unwrap().is_none());
    assert!(reader.get(&Kind::TENANT, Some(&namespace), "none").await.unwrap().is_none());
    let path = format!("/api/v1/namespaces/{namespace}/secrets");
    for n in 0..3 {
        let labels = json!({"app": if n == 0 { "x" } else { "y" }});
        let secret = json!({"metadata": {"name": format!("s{n}"), "labels": labels}, "stringData": {"k": "hunter2"}});
        cluster.post(&path, secret).await.ok();
    }
    let listed = reader.list_versioned(&Kind::SECRET, Some(&namespace), Some("app=y")).await.unwrap();
    assert_eq!(listed.value.items.len(), 2);
    assert!(listed.value.resource_version.parse::<u64>().is_ok());
    assert!(!listed.raw.contains("aHVudGVyMg") && listed.raw.contains("[redacted]"), "{}", listed.raw);
    let one = reader.get(&Kind::SECRET, Some(&namespace), "s0").await.unwrap().unwrap();
    assert!(!one.raw.contains("aHVudGVyMg"), "{}", one.raw);
    assert_eq!(text(&one.value, "/data/k"), "aHVudGVyMg==");
    let error = reader.logs(&namespace, "none", "c", 5).await.unwrap_err();
    assert_eq!(error, Error::NotFound);
}

pub async fn the_changer_changes_and_names_conflicts(cluster: &Cluster) {
    let namespace = cluster.namespace("client-changes").await;
    let (reader, changer) = (&cluster.reader, &cluster.changer);
    let place = Some(namespace.as_str());
    let data = |v: &str| json!({"data": {"root-host": v}});
    let made = changer.apply(&Kind::CONFIG_MAP, place, "cozystack", data("a")).await.unwrap();
    let again = changer.apply(&Kind::CONFIG_MAP, place, "cozystack", data("a")).await.unwrap();
    assert_eq!(made.value["metadata"]["resourceVersion"], again.value["metadata"]["resourceVersion"]);
    let path = format!("/api/v1/namespaces/{namespace}/configmaps/cozystack");
    cluster.patch(&path, super::cluster::MERGE, data("by hand")).await.ok();
    let error = changer.apply(&Kind::CONFIG_MAP, place, "cozystack", data("b")).await.unwrap_err();
    let expected = "Apply failed with 1 conflict: conflict with \"suite\" using v1: .data.root-host";
    assert_eq!(error, Error::Conflict { text: expected.into() });
    let error = changer.create(&Kind::CONFIG_MAP, place, "cozystack", data("b")).await.unwrap_err();
    assert_eq!(error, Error::Conflict { text: "configmaps \"cozystack\" already exists".into() });
    changer.merge_patch(&Kind::CONFIG_MAP, place, "cozystack", &json!({"data": {"root-host": null}})).await.unwrap();
    let live = reader.get(&Kind::CONFIG_MAP, place, "cozystack").await.unwrap().unwrap().value;
    assert_eq!(live.pointer("/data/root-host"), None);
    let error = changer.delete(&Kind::CONFIG_MAP, place, "cozystack", "another").await.unwrap_err();
    assert!(matches!(&error, Error::Conflict { text } if text.contains("UID in the precondition")), "{error}");
    changer.delete(&Kind::CONFIG_MAP, place, "cozystack", text(&live, "/metadata/uid")).await.unwrap();
    changer.delete(&Kind::CONFIG_MAP, place, "cozystack", text(&live, "/metadata/uid")).await.unwrap();
    assert!(reader.get(&Kind::CONFIG_MAP, place, "cozystack").await.unwrap().is_none());
    let error = changer.apply(&Kind::CONFIG_MAP, place, "Wrong_Name", data("a")).await.unwrap_err();
    assert!(matches!(&error, Error::Invalid { text } if text.contains("RFC 1123 subdomain")), "{error}");
    let error = changer.apply(&Kind::CONFIG_MAP, Some("client-nowhere"), "a", data("a")).await.unwrap_err();
    assert_eq!(error, Error::NotFound);
}

pub async fn waiting_ends_at_the_change(cluster: &Cluster) {
    let namespace = cluster.namespace("client-waits").await;
    let place = Some(namespace.as_str());
    let made = cluster.changer.create(&Kind::CONFIG_MAP, place, "a", json!({"data": {"k": "1"}})).await.unwrap();
    let since = text(&made.value, "/metadata/resourceVersion").to_string();
    let waiting = tokio::spawn({
        let (reader, namespace) = (cluster.reader.clone(), namespace.clone());
        async move { reader.wait_for_change(&Kind::CONFIG_MAP, Some(&namespace), Some("a"), Some(&since), LONG).await }
    });
    // Another object's change is none of this one's.
    cluster.changer.create(&Kind::CONFIG_MAP, place, "b", json!({})).await.unwrap();
    let soon = Duration::from_millis(200);
    tokio::time::sleep(soon).await;
    assert!(!waiting.is_finished());
    cluster.changer.merge_patch(&Kind::CONFIG_MAP, place, "a", &json!({"data": {"k": "2"}})).await.unwrap();
    tokio::time::timeout(LONG, waiting).await.expect("it heard of the change").unwrap().unwrap();
    let error =
        cluster.reader.wait_for_change(&Kind::CONFIG_MAP, place, Some("a"), Some("abc"), Duration::from_secs(5));
    assert!(error.await.is_err(), "a version that is none can't be waited from");
}

pub async fn snapshots_follow_the_cluster(cluster: &Cluster) {
    let namespace = cluster.namespace("client-snapshots").await;
    let place = Some(namespace.as_str());
    let mut snapshots = cluster.reader.watch_releases();
    let mine =
        |list: Vec<cozyup::kubernetes::ReleaseStatus>| list.into_iter().find(|r| r.namespace == "client-snapshots");
    snapshots.next().await.unwrap().unwrap();
    let chart = json!({"spec": {"chart": "x", "sourceRef": {"kind": "HelmRepository", "name": "none"}}});
    let body = json!({"spec": {"interval": "5m", "suspend": true, "chart": chart}});
    cluster.changer.apply(&Kind::HELM_RELEASE, place, "r", body).await.unwrap();
    let until = async |snapshots: &mut cozyup::kubernetes::Snapshots<_>, so: &dyn Fn(&Option<_>) -> bool| {
        loop {
            let list = tokio::time::timeout(LONG, snapshots.next()).await.expect("a snapshot").unwrap().unwrap();
            let found = mine(list);
            if so(&found) {
                return found;
            }
        }
    };
    let found = until(&mut snapshots, &|r: &Option<cozyup::kubernetes::ReleaseStatus>| r.is_some()).await.unwrap();
    assert!(!Health::of(&found).is_ready() && found.generation == 1, "{found:?}");
    let status = json!({"status": {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True",
        "reason": "InstallSucceeded", "message": "done", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
    let path = format!("/apis/helm.toolkit.fluxcd.io/v2/namespaces/{namespace}/helmreleases/r");
    cluster.patch(&format!("{path}/status"), super::cluster::MERGE, status).await.ok();
    // It is suspended, so that no controller acts on it: what it says counts here, not its health.
    let says = |r: &cozyup::kubernetes::ReleaseStatus| r.ready == Some(true) && r.observed_generation >= r.generation;
    let ready = |r: &Option<cozyup::kubernetes::ReleaseStatus>| r.as_ref().is_some_and(says);
    assert_eq!(until(&mut snapshots, &ready).await.unwrap().reason, "InstallSucceeded");
    cluster.delete(&path, Value::Null).await.ok();
    until(&mut snapshots, &|r: &Option<cozyup::kubernetes::ReleaseStatus>| r.is_none()).await;
}

/// A kubeconfig of a user with few rights.
pub async fn a_right_that_is_missing_is_told(cluster: &Cluster) {
    use base64::Engine;
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let who = cluster.authority.client("guest", &[]);
    let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {
            "server": cluster.url, "certificate-authority-data": encode(&cluster.authority.certificate)}}],
        "users": [{"name": "u", "user": {
            "client-certificate-data": encode(&who.certificate), "client-key-data": encode(&who.key)}}]});
    let (reader, changer) = connect(&Secret::new(config.to_string()), None).unwrap();
    let error = reader.list(&Kind::NODE, None, None).await.unwrap_err();
    let expected = "nodes is forbidden: User \"guest\" cannot list resource \"nodes\" in API group \"\" at the cluster \
                    scope";
    assert_eq!(error, Error::Forbidden { text: expected.into() });
    let error = changer.label_node("cp1", &[("a", "b")]).await.unwrap_err();
    assert!(matches!(&error, Error::Forbidden { text } if text.contains("cannot patch resource \"nodes\"")), "{error}");
    let strange = cozyup::talos::secrets::Bundle::generate(jiff::Timestamp::now()).unwrap();
    let strange = strange.kubeconfig("cozy", &cluster.url, jiff::Timestamp::now()).unwrap();
    let (reader, _) = connect(&strange, None).unwrap();
    let error = reader.version().await.unwrap_err();
    assert!(matches!(error, Error::Untrusted { .. }), "{error}");
}
