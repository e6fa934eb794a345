//! The lab's old cluster in a real API server: every object passes the real one's validation, and what cozyup says of the one
//! cluster it says of the other.
use super::cluster::{Cluster, MERGE, Said, text};
use crate::lab::Served;
use cozyup::assess::gather::{etcd, gather};
use cozyup::assess::{assess, target};
use cozyup::base::secret::Secret;
use cozyup::inventory;
use cozyup::kubernetes::{self, Bounds, Credentials, Reader};
use jiff::Timestamp;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// Kinds that the server makes itself, or of which it keeps no object.
const LEFT_OUT: [&str; 3] = ["apiservices", "componentstatuses", "secrets"];

/// An object of the lab, with the paths at which a server serves it.
struct Object {
    plural: String,
    collection: String,
    body: Value,
}

impl Object {
    fn name(&self) -> &str {
        text(&self.body, "/metadata/name")
    }

    fn path(&self) -> String {
        format!("{}/{}", self.collection, self.name())
    }

    fn is_of(&self, plural: &str) -> bool {
        self.plural == plural
    }
}

/// Everything that the lab's server lists; definitions and namespaces are first.
async fn everything(reader: &Reader) -> Vec<Object> {
    let mut all = Vec::new();
    for kind in reader.discover().await.unwrap().kinds {
        // Events are served in two groups, and are the same objects.
        if LEFT_OUT.contains(&kind.plural.as_str()) || kind.group == "events.k8s.io" {
            continue;
        }
        let root = if kind.group.is_empty() { "/api" } else { "/apis" };
        let mut pages = reader.pages(&kind, None, &Bounds::default()).await;
        while let Some(page) = pages.next::<Value>().await.unwrap() {
            all.extend(page.into_iter().map(|mut body| {
                body["apiVersion"] = kind.api_version().into();
                body["kind"] = kind.kind.as_str().into();
                let namespace = text(&body, "/metadata/namespace");
                let inside = if kind.namespaced { format!("namespaces/{namespace}/") } else { String::new() };
                let collection = format!("{root}/{}/{inside}{}", kind.api_version(), kind.plural);
                Object { plural: kind.plural.clone(), collection, body }
            }));
        }
    }
    let first = ["customresourcedefinitions", "namespaces"];
    all.sort_by_key(|object| first.iter().position(|plural| object.is_of(plural)).unwrap_or(first.len()));
    all
}

/// In a real cluster an aggregated API serves them; without CozyStack a definition without a shape has to do.
async fn define_apps(to: &Cluster, all: &[Object]) {
    let kinds = |o: &Object| Some((text(&o.body, "/kind").to_string(), o.plural.clone()));
    let of_apps = all.iter().filter(|o| text(&o.body, "/apiVersion") == "apps.cozystack.io/v1alpha1");
    for (kind, plural) in of_apps.filter_map(kinds).collect::<BTreeSet<_>>() {
        let shape = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
        let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.apps.cozystack.io")},
            "spec": {"group": "apps.cozystack.io", "scope": "Namespaced",
                "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase()},
                "versions": [{"name": "v1alpha1", "served": true, "storage": true, "schema": shape}]}});
        made(&to.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition).await).unwrap();
        let path = format!("/apis/apps.cozystack.io/v1alpha1/{plural}?limit=1");
        to.eventually("the kind is served", async || to.get(&path).await.code.is_success()).await;
    }
}

/// True when it is made now, false when it was there before.
///
/// # Errors
/// With the server's refusal.
fn made(said: &Said) -> Result<bool, String> {
    match said.code {
        StatusCode::CONFLICT => Ok(false),
        code if code.is_success() => Ok(true),
        code => Err(format!("{code}: {}", said.text("/message"))),
    }
}

/// Makes it as its owner would, then gives it its state as its controller would.
async fn load(to: &Cluster, object: &Object) -> Result<(), String> {
    let mut body = object.body.clone();
    for of_the_server in ["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"] {
        body["metadata"].as_object_mut().unwrap().remove(of_the_server);
    }
    let status = body.as_object_mut().unwrap().remove("status");
    if object.is_of("pods") {
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
        made(&to.post(&object.collection.replace("/pods", "/serviceaccounts"), account).await)?;
    }
    if !made(&to.post(&object.collection, body).await)? {
        let labels = object.body.pointer("/metadata/labels").cloned().unwrap_or_default();
        made(&to.patch(&object.path(), MERGE, json!({"metadata": {"labels": labels}})).await)?;
    }
    // The server has those itself.
    let has_own = object.is_of("namespaces") || object.is_of("customresourcedefinitions");
    let Some(status) = status.filter(|_| !has_own) else { return Ok(()) };
    let patch = json!({"status": status});
    let said = to.patch(&format!("{}/status", object.path()), MERGE, patch.clone()).await;
    // A kind without that part has its state in the object itself.
    let said = if said.code == StatusCode::NOT_FOUND { to.patch(&object.path(), MERGE, patch).await } else { said };
    made(&said).map(drop)
}

/// No client can say when an object was made, so the store is told.
async fn date_back(to: &Cluster, all: &[Object]) {
    let store = to.real_server();
    let keys = store.keys().await;
    for object in all.iter().filter(|o| o.body.pointer("/metadata/creationTimestamp").is_some()) {
        let namespace = text(&object.body, "/metadata/namespace");
        let end = [namespace, object.name()].into_iter().filter(|part| !part.is_empty());
        let end = end.map(|part| format!("/{part}")).collect::<String>();
        let folder = match object.plural.as_str() {
            "nodes" => "/minions/",
            "ingresses" => "/ingress/",
            "services" => "/services/specs/",
            "endpoints" => "/services/endpoints/",
            plural => &format!("/{plural}/"),
        };
        let group = text(&object.body, "/apiVersion").rsplit_once('/').map_or("", |(group, _)| group);
        let mut fitting: Vec<&String> = keys.iter().filter(|k| k.contains(folder) && k.ends_with(&end)).collect();
        if fitting.len() > 1 {
            fitting.retain(|key| key.contains(&format!("/{group}/")));
        }
        let [key] = fitting[..] else { panic!("{} has these keys: {fitting:?}", object.path()) };
        let mut kept = to.get(&object.path()).await.ok();
        kept["metadata"].as_object_mut().unwrap().remove("resourceVersion");
        kept["metadata"]["creationTimestamp"] = object.body["metadata"]["creationTimestamp"].clone();
        store.put(key, &kept).await;
    }
}

/// An assessment and an inventory, without what has to differ: versions, addresses, counts of requests.
async fn told(reader: &Reader, who: &Credentials, now: Timestamp) -> (Value, Value) {
    let etcd = etcd(None).await;
    let snapshot = gather(reader, who, Bounds::default(), now, etcd).await.unwrap();
    let mut assessed = serde_json::to_value(assess(&snapshot, target("v0.37.2").unwrap())).unwrap();
    assessed["cluster"]["kubernetes"].take();
    assessed["calls"].take();
    let found = inventory::gather(reader, &who.server, Bounds::default(), now).await.unwrap();
    let mut found = serde_json::to_value(found).unwrap();
    ["cluster", "kubernetes", "calls"].iter().for_each(|part| drop(found[*part].take()));
    (assessed, found)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs real peers: tests/peers/run"]
async fn what_is_said_of_the_labs_old_cluster_is_said_of_it_in_a_real_api_server() {
    let (lab, real) = (Served::start("old-cluster", 1.0), Cluster::real().await);
    let kubeconfig = std::fs::read_to_string(Path::new(lab.text("old_kubeconfig"))).unwrap();
    let kubeconfig = Secret::new(kubeconfig);
    let (reader, _) = kubernetes::connect(&kubeconfig, None).unwrap();
    let who = Credentials::of(&kubeconfig).unwrap();
    real.define().await;
    let all = everything(&reader).await;
    define_apps(&real, &all).await;
    let mut refused = Vec::new();
    for object in &all {
        if let Err(why) = load(&real, object).await {
            refused.push(format!("{}: {why}", object.path()));
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
    date_back(&real, &all).await;
    let now = Timestamp::now();
    let (expected, there) = (told(&reader, &who, now).await, told(&real.reader, &who, now).await);
    assert_eq!(expected.0["verdict"]["decision"], "fresh_install", "{:#}", expected.0);
    assert_alike(&expected.0, &there.0);
    assert_alike(&expected.1, &there.1);
    assert!(expected.1["items"].as_array().unwrap().len() > 10 && expected.1["gaps"] == json!([]), "{:#}", expected.1);
}

/// Names the lines that differ, since the whole is long.
fn assert_alike(expected: &Value, found: &Value) {
    let lines =
        |value: &Value| serde_json::to_string_pretty(value).unwrap().lines().map(str::to_string).collect::<Vec<_>>();
    let (a, b) = (lines(expected), lines(found));
    let differ: Vec<_> = a.iter().zip(&b).filter(|(a, b)| a != b).take(20).collect();
    assert!(
        a.len() == b.len() && differ.is_empty(),
        "{} and {} lines; lab and real: {differ:#?}\n{found:#}",
        a.len(),
        b.len()
    );
}
