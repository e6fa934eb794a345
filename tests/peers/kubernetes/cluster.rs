//! The two clusters that the cases run against: the lab's API and a real one, with the same secrets and users.
use super::lab::LabApi;
use crate::kube_apiserver::{KubeApiserver, client, free_port};
use crate::pki::Pair;
use cozyup::base::tls::install_provider;
use cozyup::kubernetes::{Changer, Reader, connect};
use cozyup::talos::config::{self, NodeConfig, Place, Role};
use cozyup::talos::secrets::Bundle;
use jiff::Timestamp;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

/// Wall time for anything that a case waits for.
pub const PATIENCE: Duration = Duration::from_secs(30);
pub const MERGE: &str = "application/merge-patch+json";
pub const JSON: &str = "application/json-patch+json";
pub const STRATEGIC: &str = "application/strategic-merge-patch+json";
pub const APPLY: &str = "application/apply-patch+yaml";

enum Server {
    Lab(LabApi),
    Real(KubeApiserver),
}

pub struct Cluster {
    pub url: String,
    pub authority: Pair,
    pub reader: Reader,
    pub changer: Changer,
    admin: reqwest::Client,
    server: Server,
    _folder: tempfile::TempDir,
}

/// An answer as it came.
#[derive(Debug)]
pub struct Said {
    pub code: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Said {
    /// Code, reason and message of a refusal.
    pub fn refusal(&self) -> (u16, &str, &str) {
        let text = |field: &str| self.body[field].as_str().unwrap_or_default();
        assert_eq!((text("kind"), text("status")), ("Status", "Failure"), "{self:?}");
        assert_eq!(self.body["code"], self.code.as_u16(), "{self:?}");
        (self.code.as_u16(), text("reason"), text("message"))
    }

    pub fn ok(self) -> Value {
        assert!(self.code.is_success(), "{self:?}");
        self.body
    }

    pub fn text(&self, pointer: &str) -> &str {
        text(&self.body, pointer)
    }
}

/// Empty where there is no text.
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

impl Cluster {
    pub async fn lab() -> Cluster {
        Cluster::of(|_, machine_config, at| async move { Server::Lab(LabApi::start(&machine_config, at).await) }).await
    }

    pub async fn real() -> Cluster {
        Cluster::of(|folder, machine_config, at| async move {
            Server::Real(KubeApiserver::start(&folder, &machine_config, at).await)
        })
        .await
    }

    async fn of<F: Future<Output = Server>>(
        start: impl FnOnce(std::path::PathBuf, String, SocketAddr) -> F,
    ) -> Cluster {
        install_provider();
        let folder = tempfile::tempdir().unwrap();
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let at = SocketAddr::new(ip, free_port(ip));
        let url = format!("https://{at}");
        let bundle = Bundle::generate(Timestamp::now()).unwrap();
        let machine_config = config::render(&node(at), &bundle).unwrap();
        let authority = crate::kube_apiserver::authority(machine_config.expose());
        let server = start(folder.path().to_path_buf(), machine_config.expose().clone(), at).await;
        let kubeconfig = bundle.kubeconfig("cozy", &url, Timestamp::now()).unwrap();
        let (reader, changer) = connect(&kubeconfig, None).unwrap();
        let admin = client(&authority, &authority.client("admin", &["system:masters"]));
        let cluster = Cluster { url, authority, reader, changer, admin, server, _folder: folder };
        cluster
            .eventually("the namespace `default`", async || {
                cluster.get("/api/v1/namespaces/default").await.code == StatusCode::OK
            })
            .await;
        cluster
    }

    /// Installs the definitions of every custom resource that cozyup or the lab touches, and waits until they count.
    pub async fn define(&self) {
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        let all = crate::definitions::all();
        let made = all.iter().map(|definition| self.post(path, definition.clone()));
        futures::future::join_all(made).await.into_iter().for_each(|said| drop(said.ok()));
        self.eventually("every definition is established", async || {
            let list = self.get(path).await.ok();
            let established = |definition: &&Value| {
                let conditions = definition["status"]["conditions"].as_array();
                conditions.into_iter().flatten().any(|c| c["type"] == "Established" && c["status"] == "True")
            };
            list["items"].as_array().unwrap().iter().filter(established).count() >= all.len()
        })
        .await;
        // A definition is established a moment before its kind is served everywhere.
        self.eventually("every kind is served", async || {
            let answers = all.iter().map(|d| {
                let (group, version) = (text(d, "/spec/group"), text(d, "/spec/versions/0/name"));
                let path = format!("/apis/{group}/{version}/{}?limit=1", text(d, "/spec/names/plural"));
                async move { self.get(&path).await.code.is_success() }
            });
            futures::future::join_all(answers).await.into_iter().all(|served| served)
        })
        .await;
    }

    /// The real server, for what no client may do.
    pub fn real_server(&self) -> &KubeApiserver {
        match &self.server {
            Server::Real(peer) => peer,
            Server::Lab(_) => panic!("it is the lab's"),
        }
    }

    /// A client that shows this certificate.
    pub fn client_of(&self, who: &Pair) -> reqwest::Client {
        client(&self.authority, who)
    }

    /// Ends the server as a crash would; what is stored stays.
    pub async fn stop(&self) {
        match &self.server {
            Server::Lab(lab) => lab.stop().await,
            Server::Real(peer) => peer.stop(),
        }
    }

    pub async fn resume(&self) {
        match &self.server {
            Server::Lab(lab) => lab.resume().await,
            Server::Real(peer) => peer.resume().await,
        }
    }

    /// Has the cluster forget how it came to be what it is.
    pub async fn forget(&self) {
        match &self.server {
            Server::Lab(lab) => lab.forget(),
            Server::Real(peer) => peer.compact().await,
        }
    }

    pub async fn get(&self, path: &str) -> Said {
        self.send(Method::GET, path, &[], Value::Null).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Said {
        self.send(Method::POST, path, &[], body).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Said {
        self.send(Method::PUT, path, &[], body).await
    }

    pub async fn delete(&self, path: &str, body: Value) -> Said {
        self.send(Method::DELETE, path, &[], body).await
    }

    pub async fn patch(&self, path: &str, content_type: &str, body: Value) -> Said {
        self.send(Method::PATCH, path, &[("content-type", content_type)], body).await
    }

    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Value) -> Said {
        self.send_as(&self.admin, method, path, headers, body).await
    }

    pub async fn send_as(
        &self,
        who: &reqwest::Client,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Said {
        let mut request =
            who.request(method, format!("{}{path}", self.url)).timeout(PATIENCE).header("user-agent", "suite/1.0");
        if !body.is_null() {
            if headers.iter().all(|(name, _)| *name != "content-type") {
                request = request.header("content-type", "application/json");
            }
            request = request.body(body.to_string());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        let (code, headers) = (answer.status(), answer.headers().clone());
        let bytes = answer.bytes().await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes)));
        Said { code, headers, body }
    }

    /// The lines of a watch as they come.
    pub async fn watch(&self, path: &str, headers: &[(&str, &str)]) -> Lines {
        let mut request = self.admin.get(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        Lines { answer, kept: Vec::new() }
    }

    /// A namespace of the case's own, ready for use.
    pub async fn namespace(&self, name: &str) -> String {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        self.post("/api/v1/namespaces", object).await.ok();
        name.to_string()
    }

    /// Waits until it is so.
    pub async fn eventually(&self, what: &str, mut so: impl AsyncFnMut() -> bool) {
        let began = Instant::now();
        while !so().await {
            assert!(began.elapsed() < PATIENCE, "not in time: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

pub struct Lines {
    answer: reqwest::Response,
    kept: Vec<u8>,
}

impl Lines {
    /// The next line; `None` at the end of the stream, also when the connection is cut.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.kept.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.kept.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let chunk = tokio::time::timeout(PATIENCE, self.answer.chunk()).await.expect("a line in time");
            self.kept.extend_from_slice(&chunk.ok()??);
        }
    }

    /// Type and name of the next event that is no bookmark.
    pub async fn event(&mut self) -> (String, String) {
        loop {
            let line = self.next().await.expect("an event");
            if line["type"] != "BOOKMARK" {
                return (text(&line, "/type").into(), text(&line, "/object/metadata/name").into());
            }
        }
    }
}

fn node(at: SocketAddr) -> NodeConfig {
    NodeConfig {
        cluster_name: "cozy".into(),
        endpoint: format!("https://{at}"),
        role: Role::ControlPlane,
        place: Some(Place {
            hostname: "cp1".into(),
            address: "10.0.0.201".parse().unwrap(),
            mac: "bc:24:11:00:00:01".into(),
            mtu: None,
        }),
        subnet: "10.0.0.0/24".parse().unwrap(),
        gateway: "10.0.0.1".parse().unwrap(),
        dns: vec!["10.0.0.1".parse().unwrap()],
        ntp: vec![],
        vip: Some("10.0.0.200".parse().unwrap()),
        install_disk: "/dev/sda".into(),
        installer_image: "ghcr.io/cozystack/cozystack/talos:v1.10.6".into(),
        kubernetes_version: "v1.33.3".into(),
        pod_cidr: "10.244.0.0/16".parse().unwrap(),
        service_cidr: "10.96.0.0/16".parse().unwrap(),
        dns_domain: "cozy.local".into(),
        node_labels: BTreeMap::new(),
        taints: Vec::new(),
        registries: Default::default(),
        cert_sans: vec![],
    }
}
