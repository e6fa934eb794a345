//! The lab's Kubernetes API over real TLS sockets: with raw HTTP, and with the kube crate as any client uses it.
mod events;
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cozyup::base::clock::Clock;
use cozyup::base::tls::install_provider;
use cozyup::lab::disturb::Line;
use cozyup::lab::kube::store::{HISTORY, Key};
use cozyup::lab::kube::{self as cluster, ControlPlaneFacts, NodeFacts, api};
use cozyup::lab::scenario::Scenario;
use cozyup::lab::world::{Lab, World};
use futures::StreamExt;
use hyper::{Method, Request, Response, StatusCode, body::Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use jiff::Timestamp;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::net::{TcpListener, TcpStream};

const MERGE: &str = "application/merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
/// Wall time for anything that a test waits for.
const PATIENCE: Duration = Duration::from_secs(200);

/// A CA like the one that a machine config brings: EC, its key in SEC1 form.
struct Authority {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::OrganizationName, "kubernetes");
        let certificate = params.self_signed(&key).unwrap().pem();
        Authority { certificate, key: sec1(&key) }
    }

    /// A client certificate of this user in these groups, and its key.
    fn client(&self, name: &str, groups: &[&str]) -> (String, String) {
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let issuer = Issuer::from_ca_cert_pem(&self.certificate, KeyPair::try_from(&key).unwrap()).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        for group in groups {
            params.distinguished_name.push(DnType::OrganizationName, *group);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// The key as Talos writes it: label `EC PRIVATE KEY`, the SEC1 structure inside.
fn sec1(key: &KeyPair) -> String {
    use aws_lc_rs::encoding::{AsDer, EcPrivateKeyRfc5915Der};
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &key.serialize_der()).unwrap();
    let der: EcPrivateKeyRfc5915Der = pair.private_key().as_der().unwrap();
    let text = STANDARD.encode(der.as_ref());
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|c| std::str::from_utf8(c).unwrap()).collect();
    format!("-----BEGIN EC PRIVATE KEY-----\n{}\n-----END EC PRIVATE KEY-----\n", lines.join("\n"))
}

/// A cluster of one control plane behind a real socket.
struct Site {
    lab: Lab,
    at: SocketAddr,
    authority: Authority,
    admin: (String, String),
}

impl Site {
    async fn new() -> Site {
        Site::at_speed(1.0).await
    }

    async fn at_speed(speed: f64) -> Site {
        install_provider();
        let authority = Authority::new();
        let scenario: Scenario = serde_saphyr::from_str(include_str!("../../assets/lab/standard.yaml")).unwrap();
        let start = Timestamp::now();
        let world = World::new(scenario, Ipv4Addr::new(127, 86, 0, 0), start);
        let lab = Lab::new(world, Clock::scaled(start, SystemTime::now(), speed));
        let (ca_crt_pem, ca_key_pem) = (authority.certificate.clone(), authority.key.clone());
        lab.with(|world| {
            cluster::control_plane_up(
                world,
                ControlPlaneFacts {
                    name: "cp1".into(),
                    address: Ipv4Addr::new(127, 86, 0, 201),
                    vip: None,
                    ca_crt_pem,
                    ca_key_pem,
                    pod_cidr: "10.244.0.0/16".into(),
                    service_cidr: "10.96.0.0/16".into(),
                    dns_domain: "cozy.local".into(),
                    kubernetes_version: "v1.33.3".into(),
                },
            );
            let node = NodeFacts {
                name: "cp1".into(),
                address: Ipv4Addr::new(127, 86, 0, 201),
                role: "controlplane".into(),
                vmid: 1001,
                uuid: "4d1f7f4e-0000-4000-8000-000000001001".into(),
                cores: 8,
                memory_mib: 24576,
                mac: "BC:24:11:00:00:01".into(),
                labels: BTreeMap::new(),
                taints: Vec::new(),
                kubernetes_version: "v1.33.3".into(),
                talos_version: "v1.10.6".into(),
                data_disks: Vec::new(),
            };
            cluster::register_node(world, node);
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let at = listener.local_addr().unwrap();
        let served = lab.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(api::serve(stream, served.clone(), Line::quiet()));
            }
        });
        let admin = authority.client("admin", &["system:masters"]);
        Site { lab, at, authority, admin }
    }

    async fn connect(
        &self,
        who: Option<&(String, String)>,
        alpn: &[u8],
    ) -> TokioIo<tokio_rustls::client::TlsStream<TcpStream>> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.certificate.as_bytes()).unwrap()).unwrap();
        let builder = rustls::ClientConfig::builder().with_root_certificates(roots);
        let mut config = match who {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                    PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
                )
                .unwrap(),
        };
        config.alpn_protocols = vec![alpn.to_vec()];
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let stream = TcpStream::connect(self.at).await.unwrap();
        let name = ServerName::try_from("kubernetes.default.svc").unwrap();
        TokioIo::new(connector.connect(name, stream).await.unwrap())
    }

    async fn send(&self, who: Option<&(String, String)>, request: Request<Body>) -> Response<Incoming> {
        let io = self.connect(who, b"http/1.1").await;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        tokio::time::timeout(PATIENCE, sender.send_request(request)).await.expect("an answer in time").unwrap()
    }

    async fn call(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Value) -> (StatusCode, Value) {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let mut request = Request::builder().method(method).uri(path).header("host", "lab").body(body).unwrap();
        for (name, value) in headers {
            let name: hyper::header::HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        read(self.send(Some(&self.admin), request).await).await
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.call(Method::GET, path, &[], Value::Null).await
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.call(Method::POST, path, &[("content-type", "application/json")], body).await
    }

    async fn patch(&self, path: &str, content_type: &str, body: Value) -> (StatusCode, Value) {
        self.call(Method::PATCH, path, &[("content-type", content_type)], body).await
    }

    async fn map(&self, name: &str, data: Value) -> Value {
        let (status, map) = self.post(MAPS, map(name, data)).await;
        assert_eq!(status, StatusCode::CREATED, "{map}");
        map
    }

    /// Lines of a watch as they come.
    async fn watch(&self, path: &str, headers: &[(&str, &str)]) -> Lines {
        let mut request = Request::builder().uri(path).header("host", "lab").body(Body::empty()).unwrap();
        for (name, value) in headers {
            let name: hyper::header::HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let response = self.send(Some(&self.admin), request).await;
        assert_eq!(response.status(), StatusCode::OK);
        Lines { stream: Body::new(response.into_body()).into_data_stream(), kept: Vec::new() }
    }

    async fn client(&self) -> kube::Client {
        let encoded = |text: &str| STANDARD.encode(text);
        let kubeconfig: kube::config::Kubeconfig = serde_json::from_value(json!({
            "clusters": [{"name": "lab", "cluster": {
                "server": format!("https://{}", self.at), "certificate-authority-data": encoded(&self.authority.certificate)
            }}],
            "users": [{"name": "admin", "user": {
                "client-certificate-data": encoded(&self.admin.0), "client-key-data": encoded(&self.admin.1)
            }}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "admin"}}], "current-context": "lab",
        }))
        .unwrap();
        let options = kube::config::KubeConfigOptions::default();
        let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
        config.proxy_url = None;
        kube::Client::try_from(config).unwrap()
    }
}

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn map(name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

async fn read(response: Response<Incoming>) -> (StatusCode, Value) {
    let status = response.status();
    let bytes = axum::body::to_bytes(Body::new(response.into_body()), usize::MAX).await.unwrap();
    let value = serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes)));
    (status, value)
}

struct Lines {
    stream: axum::body::BodyDataStream,
    kept: Vec<u8>,
}

impl Lines {
    /// The next line; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.kept.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.kept.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let chunk: Bytes =
                tokio::time::timeout(PATIENCE, self.stream.next()).await.expect("a line in time")?.unwrap();
            self.kept.extend_from_slice(&chunk);
        }
    }

    async fn name(&mut self) -> (String, String) {
        let line = self.next().await.unwrap();
        let text = |v: &Value| v.as_str().unwrap_or_default().to_string();
        (text(&line["type"]), text(&line["object"]["metadata"]["name"]))
    }
}

fn is(seen: (String, String), kind: &str, name: &str) {
    assert_eq!((seen.0.as_str(), seen.1.as_str()), (kind, name));
}

#[tokio::test]
async fn without_a_certificate_nothing_is_answered() {
    let site = Site::new().await;
    let ask = |path: &'static str, token: bool| {
        let mut request = Request::builder().uri(path).header("host", "lab").body(Body::empty()).unwrap();
        if token {
            request.headers_mut().insert("authorization", "Bearer abc".parse().unwrap());
        }
        request
    };
    let all = ["/api/v1/nodes", "/apis", "/version", "/healthz", "/readyz"];
    for (path, token) in all.map(|path| (path, false)).into_iter().chain([("/api/v1/nodes", true)]) {
        let (status, body) = read(site.send(None, ask(path, token)).await).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(
            (&body["kind"], &body["reason"], &body["code"]),
            (&json!("Status"), &json!("Unauthorized"), &json!(401))
        );
    }
    assert_eq!(site.get("/version").await.1["gitVersion"], "v1.33.3");
    for path in ["/healthz", "/livez", "/readyz"] {
        assert_eq!(site.get(path).await, (StatusCode::OK, json!("ok")));
    }
}

#[tokio::test]
async fn a_user_outside_of_the_masters_is_known_and_may_nothing_but_discovery() {
    let site = Site::new().await;
    let guest = site.authority.client("guest", &["visitors"]);
    let ask = |path: &str| Request::builder().uri(path).header("host", "lab").body(Body::empty()).unwrap();
    let (status, body) = read(site.send(Some(&guest), ask("/api/v1/nodes")).await).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let expected =
        "nodes is forbidden: User \"guest\" cannot list resource \"nodes\" in API group \"\" at the cluster scope";
    assert_eq!(body["message"], expected);
    assert_eq!(read(site.send(Some(&guest), ask("/apis")).await).await.0, StatusCode::OK);
}

#[tokio::test]
async fn nobody_is_known_by_a_certificate_of_another_authority() {
    let site = Site::new().await;
    let stranger = Authority::new().client("admin", &["system:masters"]);
    let request = Request::builder().uri("/version").header("host", "lab").body(Body::empty()).unwrap();
    let (status, _) = read(site.send(Some(&stranger), request).await).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn http2_is_spoken_with_who_asks_for_it() {
    let site = Site::new().await;
    let io = site.connect(Some(&site.admin), b"h2").await;
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let request = Request::builder().uri("https://lab/api/v1/nodes").body(Body::empty()).unwrap();
    let (status, nodes) = read(sender.send_request(request).await.unwrap()).await;
    assert_eq!((status, &nodes["items"][0]["metadata"]["name"]), (StatusCode::OK, &json!("cp1")));
}

#[tokio::test]
async fn pages_of_a_list_hold_every_object_once() {
    let site = Site::new().await;
    for name in ["a", "b", "c", "d", "e"] {
        site.map(name, json!({})).await;
    }
    let mut names = Vec::new();
    let mut path = format!("{MAPS}?limit=2");
    loop {
        let (_, page) = site.get(&path).await;
        assert!(page["items"].as_array().unwrap().len() <= 2);
        assert_eq!(page["kind"], "ConfigMapList");
        names.extend(
            page["items"].as_array().unwrap().iter().map(|o| o["metadata"]["name"].as_str().unwrap().to_string()),
        );
        let Some(token) = page["metadata"]["continue"].as_str() else { break };
        assert_eq!(page["metadata"]["remainingItemCount"], 6 - names.len());
        path = format!("{MAPS}?limit=2&continue={token}");
    }
    assert_eq!(names, ["a", "b", "c", "d", "e", "kube-root-ca.crt"]);
    let (status, refusal) = site.get(&format!("{MAPS}?continue=nonsense")).await;
    assert_eq!((status, &refusal["reason"]), (StatusCode::BAD_REQUEST, &json!("BadRequest")));
}

#[tokio::test]
async fn a_continue_token_that_history_has_left_behind_is_gone() {
    let site = Site::new().await;
    site.map("a", json!({})).await;
    let (_, page) = site.get(&format!("{MAPS}?limit=1")).await;
    let token = page["metadata"]["continue"].as_str().unwrap().to_string();
    churn(&site, HISTORY + 1);
    let (status, refusal) = site.get(&format!("{MAPS}?limit=1&continue={token}")).await;
    assert_eq!((status, &refusal["reason"]), (StatusCode::GONE, &json!("Expired")));
}

/// So many events that nobody watches.
fn churn(site: &Site, events: usize) {
    site.lab.with(|world| {
        let now = world.now;
        let store = &mut world.cluster.as_mut().unwrap().store;
        for n in 0..events {
            store.put(Key::new("coordination.k8s.io", "leases", "default", "busy"), json!({"spec": {"n": n}}), now);
        }
    });
}

#[tokio::test]
async fn a_watch_goes_on_where_another_one_ended() {
    let site = Site::new().await;
    let (_, list) = site.get(MAPS).await;
    let version = list["metadata"]["resourceVersion"].as_str().unwrap();
    let mut first = site.watch(&format!("{MAPS}?watch=1&resourceVersion={version}"), &[]).await;
    site.map("a", json!({"k": "1"})).await;
    let line = first.next().await.unwrap();
    assert_eq!((&line["type"], &line["object"]["kind"]), (&json!("ADDED"), &json!("ConfigMap")));
    drop(first);
    site.patch(&format!("{MAPS}/a"), MERGE, json!({"data": {"k": "2"}})).await;
    site.call(Method::DELETE, &format!("{MAPS}/a"), &[], Value::Null).await;
    let seen = line["object"]["metadata"]["resourceVersion"].as_str().unwrap();
    let mut second = site.watch(&format!("{MAPS}?watch=1&resourceVersion={seen}"), &[]).await;
    is(second.name().await, "MODIFIED", "a");
    is(second.name().await, "DELETED", "a");
}

#[tokio::test]
async fn a_watch_from_before_the_history_is_told_that_it_is_gone_and_ends() {
    let site = Site::new().await;
    churn(&site, HISTORY + 1);
    let mut watch = site.watch(&format!("{MAPS}?watch=1&resourceVersion=2"), &[]).await;
    let line = watch.next().await.unwrap();
    assert_eq!(
        (&line["type"], &line["object"]["code"], &line["object"]["reason"]),
        (&json!("ERROR"), &json!(410), &json!("Expired"))
    );
    assert!(line["object"]["message"].as_str().unwrap().starts_with("too old resource version: 2 ("));
    assert!(watch.next().await.is_none());
}

#[tokio::test]
async fn a_watch_with_a_selector_sees_objects_come_and_go_from_its_view() {
    let site = Site::new().await;
    let mut watch = site.watch(&format!("{MAPS}?watch=1&labelSelector=app%3Dweb&resourceVersion=0"), &[]).await;
    site.map("a", json!({})).await;
    let label = |value: Value| json!({"metadata": {"labels": {"app": value}}});
    for value in [json!("web"), json!("web2"), json!("web")] {
        site.patch(&format!("{MAPS}/a"), MERGE, label(value)).await;
    }
    for kind in ["ADDED", "DELETED", "ADDED"] {
        is(watch.name().await, kind, "a");
    }
}

#[tokio::test]
async fn a_timeout_ends_the_watch_and_initial_events_are_behind_a_closed_gate() {
    let site = Site::new().await;
    let mut watch = site.watch(&format!("{MAPS}?watch=1&allowWatchBookmarks=true&timeoutSeconds=1"), &[]).await;
    is(watch.name().await, "ADDED", "kube-root-ca.crt");
    assert!(watch.next().await.is_none());
    let query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
    let (status, _) = site.get(&format!("{MAPS}?{query}")).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_quiet_watch_gets_a_bookmark_every_minute_of_lab_time() {
    let site = Site::at_speed(120.0).await;
    let (_, list) = site.get(MAPS).await;
    let version = list["metadata"]["resourceVersion"].as_str().unwrap();
    let query = format!("watch=1&resourceVersion={version}&allowWatchBookmarks=true");
    let bookmark = site.watch(&format!("{MAPS}?{query}"), &[]).await.next().await.unwrap();
    assert_eq!((&bookmark["type"], &bookmark["object"]["kind"]), (&json!("BOOKMARK"), &json!("ConfigMap")));
}

#[tokio::test]
async fn an_apply_that_contradicts_another_manager_is_a_conflict_unless_forced() {
    let site = Site::new().await;
    let path = |manager: &str, more: &str| format!("{MAPS}/shared?fieldManager={manager}{more}");
    let (status, _) = site.patch(&path("one", ""), APPLY, map("shared", json!({"a": "1", "b": "1"}))).await;
    assert_eq!(status, StatusCode::CREATED);
    let (status, refusal) = site.patch(&path("two", ""), APPLY, map("shared", json!({"a": "2"}))).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(refusal["message"], "Apply failed with 1 conflict: conflict with \"one\": .data.a");
    assert_eq!(
        refusal["details"]["causes"][0],
        json!({"reason": "FieldManagerConflict", "message": "conflict with \"one\"", "field": ".data.a"})
    );
    let (status, forced) = site.patch(&path("two", "&force=true"), APPLY, map("shared", json!({"a": "2"}))).await;
    assert_eq!((status, &forced["data"]), (StatusCode::OK, &json!({"a": "2", "b": "1"})));
    let (_, left) = site.patch(&path("one", ""), APPLY, map("shared", json!({}))).await;
    assert_eq!(left["data"], json!({"a": "2"}), "what the first applied alone went with it");
    let (status, _) = site.patch(&format!("{MAPS}/shared"), APPLY, map("shared", json!({}))).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "an apply must name its manager");
}

#[tokio::test]
async fn an_apply_that_repeats_itself_makes_no_new_version() {
    let site = Site::new().await;
    let body = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
        "replicas": 0, "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}
    }});
    let path = "/apis/apps/v1/namespaces/default/deployments/web?fieldManager=cozyup&force=true";
    site.patch(path, APPLY, body.clone()).await;
    let (_, first) = site.patch(path, APPLY, body.clone()).await;
    let (_, second) = site.patch(path, APPLY, body).await;
    assert_eq!(first["metadata"]["resourceVersion"], second["metadata"]["resourceVersion"]);
    assert_eq!(first["metadata"]["generation"], 1);
}

#[tokio::test]
async fn every_kind_of_patch_does_what_it_says() {
    let site = Site::new().await;
    site.map("p", json!({"a": "1", "b": "1"})).await;
    let path = format!("{MAPS}/p");
    let (_, merged) = site.patch(&path, MERGE, json!({"data": {"a": null, "c": "1"}})).await;
    assert_eq!(merged["data"], json!({"b": "1", "c": "1"}));
    let steps =
        json!([{"op": "test", "path": "/data/b", "value": "1"}, {"op": "replace", "path": "/data/b", "value": "2"}]);
    let (_, replaced) = site.patch(&path, "application/json-patch+json", steps.clone()).await;
    assert_eq!(replaced["data"]["b"], "2");
    let (status, refusal) = site.patch(&path, "application/json-patch+json", steps).await;
    assert_eq!((status, &refusal["reason"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("Invalid")));
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
        "spec": {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]}});
    site.post("/api/v1/namespaces/default/services", service).await;
    let ports = json!({"spec": {"ports": [{"port": 81, "targetPort": 8081}]}});
    let strategic = "application/strategic-merge-patch+json";
    let (_, service) = site.patch("/api/v1/namespaces/default/services/s", strategic, ports).await;
    assert_eq!(
        (&service["spec"]["ports"][0]["name"], &service["spec"]["ports"][1]["targetPort"]),
        (&json!("a"), &json!(8081))
    );
    let (status, _) = site.patch(&path, "text/plain", json!({})).await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let stale = json!({"metadata": {"resourceVersion": "1"}, "data": {"z": "1"}});
    assert_eq!(site.patch(&path, MERGE, stale).await.0, StatusCode::CONFLICT);
}

#[tokio::test]
async fn status_is_written_at_its_own_url_only() {
    let site = Site::new().await;
    let path = "/api/v1/nodes/cp1";
    let (_, node) = site.patch(path, MERGE, json!({"spec": {"unschedulable": true}, "status": {"phase": "odd"}})).await;
    assert_eq!((&node["spec"]["unschedulable"], &node["status"]["phase"]), (&json!(true), &Value::Null));
    let status = json!({"spec": {"unschedulable": null}, "status": {"phase": "odd"}});
    let (_, node) = site.patch(&format!("{path}/status"), MERGE, status).await;
    assert_eq!((&node["spec"]["unschedulable"], &node["status"]["phase"]), (&json!(true), &json!("odd")));
    let managed = node["metadata"]["managedFields"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (&managed["subresource"], &managed["fieldsV1"]),
        (&json!("status"), &json!({"f:status": {"f:phase": {}}}))
    );
}

#[tokio::test]
async fn a_deployment_is_scaled_through_its_scale() {
    let site = Site::new().await;
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
        "replicas": 0, "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}
        }
    }});
    let path = "/apis/apps/v1/namespaces/default/deployments";
    assert_eq!(site.post(path, deployment).await.0, StatusCode::CREATED);
    let (_, scale) = site.patch(&format!("{path}/web/scale"), MERGE, json!({"spec": {"replicas": 2}})).await;
    assert_eq!((&scale["kind"], &scale["spec"]["replicas"]), (&json!("Scale"), &json!(2)));
    assert_eq!(site.get(&format!("{path}/web")).await.1["spec"]["replicas"], 2);
}

#[tokio::test]
async fn a_secret_applied_twice_from_plain_text_is_one_version_without_the_plain_text() {
    let site = Site::new().await;
    let path = "/api/v1/namespaces/default/secrets/s?fieldManager=cozyup";
    let secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"token": "abc"}});
    let (_, first) = site.patch(path, APPLY, secret.clone()).await;
    let (_, second) = site.patch(path, APPLY, secret).await;
    assert_eq!((&first["data"]["token"], first.get("stringData")), (&json!("YWJj"), None));
    assert_eq!(first["metadata"]["resourceVersion"], second["metadata"]["resourceVersion"]);
}

#[tokio::test]
async fn a_user_can_ask_who_it_is_and_what_it_may() {
    let site = Site::new().await;
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let (_, me) = site.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", review).await;
    assert_eq!(me["status"]["userInfo"]["username"], "admin");
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": "create", "resource": "pods"}}});
    let (_, may) = site.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review).await;
    assert_eq!(may["status"]["allowed"], true);
}

#[tokio::test]
async fn an_update_of_an_older_version_and_a_second_create_are_conflicts() {
    let site = Site::new().await;
    let mut first = site.map("u", json!({"a": "1"})).await;
    site.patch(&format!("{MAPS}/u"), MERGE, json!({"data": {"a": "2"}})).await;
    first["data"]["a"] = json!("3");
    let json_type = [("content-type", "application/json")];
    let (status, refusal) = site.call(Method::PUT, &format!("{MAPS}/u"), &json_type, first.clone()).await;
    assert_eq!((status, &refusal["reason"]), (StatusCode::CONFLICT, &json!("Conflict")));
    first["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    assert_eq!(site.call(Method::PUT, &format!("{MAPS}/u"), &json_type, first).await.1["data"]["a"], "3");
    let (status, refusal) = site.post(MAPS, map("u", json!({}))).await;
    assert_eq!(
        (status, &refusal["reason"], &refusal["message"]),
        (StatusCode::CONFLICT, &json!("AlreadyExists"), &json!("configmaps \"u\" already exists"))
    );
}

#[tokio::test]
async fn a_delete_that_expects_another_object_is_refused() {
    let site = Site::new().await;
    let uid = site.map("d", json!({})).await["metadata"]["uid"].clone();
    let path = format!("{MAPS}/d");
    let json_type = [("content-type", "application/json")];
    let with = |uid: Value| json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": uid}});
    let (status, refusal) = site.call(Method::DELETE, &path, &json_type, with(json!("other"))).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(refusal["message"].as_str().unwrap().contains("the UID in the precondition (other) does not match"));
    let (_, dry) = site.call(Method::DELETE, &format!("{path}?dryRun=All"), &[], Value::Null).await;
    assert_eq!(dry["status"], "Success");
    let (_, done) = site.call(Method::DELETE, &path, &json_type, with(uid)).await;
    assert_eq!((&done["status"], &done["details"]["kind"]), (&json!("Success"), &json!("configmaps")));
    let (status, missing) = site.get(&path).await;
    assert_eq!((status, &missing["message"]), (StatusCode::NOT_FOUND, &json!("configmaps \"d\" not found")));
}

#[tokio::test]
async fn an_object_with_finalizers_stays_until_they_are_gone() {
    let site = Site::new().await;
    let mut held = map("f", json!({}));
    held["metadata"]["finalizers"] = json!(["lab.example.org/hold"]);
    site.post(MAPS, held).await;
    let path = format!("{MAPS}/f");
    let (status, marked) = site.call(Method::DELETE, &path, &[], Value::Null).await;
    assert_eq!(status, StatusCode::OK);
    assert!(marked["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(site.get(&path).await.0, StatusCode::OK);
    site.patch(&path, MERGE, json!({"metadata": {"finalizers": null}})).await;
    assert_eq!(site.get(&path).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn deletecollection_takes_what_the_selector_names() {
    let site = Site::new().await;
    for (name, app) in [("a", "web"), ("b", "db"), ("c", "web")] {
        let mut object = map(name, json!({}));
        object["metadata"]["labels"] = json!({"app": app});
        site.post(MAPS, object).await;
    }
    let (_, gone) = site.call(Method::DELETE, &format!("{MAPS}?labelSelector=app%3Dweb"), &[], Value::Null).await;
    assert_eq!(gone["items"].as_array().unwrap().len(), 2);
    assert_eq!(site.get(&format!("{MAPS}?labelSelector=app")).await.1["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn nothing_is_created_in_a_namespace_that_is_missing_or_terminating() {
    let site = Site::new().await;
    let (status, refusal) = site.post("/api/v1/namespaces/none/configmaps", map("a", json!({}))).await;
    assert_eq!((status, &refusal["message"]), (StatusCode::NOT_FOUND, &json!("namespaces \"none\" not found")));
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "going"}});
    let (_, namespace) = site.post("/api/v1/namespaces", namespace).await;
    assert_eq!(namespace["metadata"]["labels"]["kubernetes.io/metadata.name"], "going");
    let (_, namespace) = site.call(Method::DELETE, "/api/v1/namespaces/going", &[], Value::Null).await;
    assert_eq!(namespace["status"]["phase"], "Terminating");
    let (status, refusal) = site.post("/api/v1/namespaces/going/configmaps", map("a", json!({}))).await;
    assert_eq!(
        (status, &refusal["details"]["causes"][0]["reason"]),
        (StatusCode::FORBIDDEN, &json!("NamespaceTerminating"))
    );
}

#[tokio::test]
async fn a_dry_run_answers_and_stores_nothing() {
    let site = Site::new().await;
    let (status, dry) = site.post(&format!("{MAPS}?dryRun=All"), map("x", json!({}))).await;
    assert_eq!(status, StatusCode::CREATED);
    assert!(dry["metadata"]["uid"].is_string() && dry["metadata"].get("resourceVersion").is_none());
    assert_eq!(site.get(&format!("{MAPS}/x")).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn bodies_that_are_no_objects_of_the_kind_are_refused_and_break_nothing() {
    let site = Site::new().await;
    for body in [
        json!([]),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": "a"}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "labels": "b"}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "A_B"}}),
    ] {
        let (status, refusal) = site.post(MAPS, body.clone()).await;
        assert!(status.is_client_error() && refusal["kind"] == "Status", "{body}: {refusal}");
    }
    let service =
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": ["a", 1]}});
    assert_eq!(site.post("/api/v1/namespaces/default/services", service).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_group_appears_when_its_controllers_are_there() {
    let site = Site::new().await;
    let releases = "/apis/helm.toolkit.fluxcd.io/v2/helmreleases";
    assert_eq!(site.get(releases).await, (StatusCode::NOT_FOUND, json!("404 page not found\n")));
    let (status, refusal) = site.get("/apis/apps/v1/nonsense").await;
    assert_eq!(
        (status, &refusal["message"]),
        (StatusCode::NOT_FOUND, &json!("the server could not find the requested resource"))
    );
    let (_, groups) = site.get("/apis").await;
    assert!(groups["groups"].as_array().unwrap().iter().all(|g| g["name"] != "helm.toolkit.fluxcd.io"));
}

#[tokio::test]
async fn nodes_come_as_the_table_that_kubectl_prints() {
    let site = Site::new().await;
    let (_, table) = site.call(Method::GET, "/api/v1/nodes", &[("accept", TABLE)], Value::Null).await;
    assert_eq!((&table["kind"], &table["apiVersion"]), (&json!("Table"), &json!("meta.k8s.io/v1")));
    let shown: Vec<&str> = table["columnDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["priority"] == 0)
        .map(|c| c["name"].as_str().unwrap())
        .collect();
    assert_eq!(shown, ["Name", "Status", "Roles", "Age", "Version"]);
    let row = &table["rows"][0];
    assert_eq!(
        (&row["cells"][0], &row["cells"][1], &row["cells"][4]),
        (&json!("cp1"), &json!("NotReady"), &json!("v1.33.3"))
    );
    assert_eq!(
        (&row["object"]["kind"], &row["object"]["metadata"]["name"]),
        (&json!("PartialObjectMetadata"), &json!("cp1"))
    );
    let mut watch = site.watch("/api/v1/nodes?watch=1", &[("accept", TABLE)]).await;
    assert_eq!(watch.next().await.unwrap()["object"]["rows"][0]["cells"][0], "cp1");
}

#[tokio::test]
async fn the_kube_crate_lists_creates_applies_watches_and_deletes() {
    use k8s_openapi::api::core::v1::{ConfigMap, Node};
    let site = Site::new().await;
    let client = site.client().await;
    assert_eq!(client.apiserver_version().await.unwrap().git_version, "v1.33.3");
    let nodes = Api::<Node>::all(client.clone()).list(&ListParams::default()).await.unwrap();
    assert_eq!(nodes.items[0].metadata.name.as_deref(), Some("cp1"));

    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    let made: ConfigMap = serde_json::from_value(map("k", json!({"a": "1"}))).unwrap();
    let made = maps.create(&PostParams::default(), &made).await.unwrap();
    let mut watch =
        maps.watch(&WatchParams::default(), &made.metadata.resource_version.clone().unwrap()).await.unwrap().boxed();
    let applied =
        maps.patch("k", &PatchParams::apply("two"), &Patch::Apply(map("k", json!({"b": "2"})))).await.unwrap();
    assert_eq!(applied.data.unwrap().len(), 2);
    match watch.next().await.unwrap().unwrap() {
        WatchEvent::Modified(seen) => assert_eq!(seen.data.unwrap()["b"], "2"),
        other => panic!("{other:?}"),
    }
    let refusal =
        maps.patch("k", &PatchParams::apply("two"), &Patch::Apply(map("k", json!({"a": "3"})))).await.unwrap_err();
    let kube::Error::Api(status) = refusal else { panic!("{refusal}") };
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    maps.delete("k", &DeleteParams::default()).await.unwrap();
    assert!(maps.get_opt("k").await.unwrap().is_none());
}
