//! A real etcd and kube-apiserver, started from a control plane's machine config as Talos v1.10.6 starts them
//! (`control_plane_static_pod.go`, `render_secrets_static_pod.go`): every secret, and the admission and audit
//! settings, are the ones that cozyup wrote.
use crate::peer;
use crate::pki::Pair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cozyup::talos::secrets::Bundle;
use jiff::Timestamp;
use serde_yaml::Value;
use std::fs::File;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Of the wall. The first start fills etcd with roles and priorities.
const START: Duration = Duration::from_secs(90);
/// A `kubernetes` service can't have a loopback endpoint, so the server is told to advertise this one, where nobody is.
const ADVERTISED: &str = "192.0.2.1";
const CIPHERS: &str = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,\
                       TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,\
                       TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305,TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,\
                       TLS_RSA_WITH_AES_256_GCM_SHA384,TLS_RSA_WITH_AES_128_GCM_SHA256";
const AUTHORIZATION: &str = r#"{"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthorizationConfiguration",
    "authorizers": [{"type": "Node", "name": "node"}, {"type": "RBAC", "name": "rbac"}]}"#;

/// Both end with the value.
pub struct KubeApiserver {
    pub address: SocketAddr,
    folder: PathBuf,
    arguments: Vec<String>,
    server: Mutex<Option<Child>>,
    etcd: Child,
    /// Its URL, and who may ask it.
    store: (String, reqwest::Client),
    admin: reqwest::Client,
}

/// A port of this address that nobody has.
pub fn free_port(ip: IpAddr) -> u16 {
    TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap().port()
}

impl KubeApiserver {
    /// Starts both and waits until the server is ready. `machine_config`: of a control plane, as Talos would be given
    /// it. Files, data and logs go to `folder`.
    pub async fn start(folder: &Path, machine_config: &str, address: SocketAddr) -> KubeApiserver {
        let cluster = Cluster::read(machine_config);
        let authority = cluster.authority(&["ca"]);
        let etcd_authority = cluster.authority(&["etcd", "ca"]);
        let (etcd, etcd_url) = start_etcd(folder, &etcd_authority, address.ip());
        let arguments = arguments(folder, &cluster, address, &etcd_url);
        let admin = client(&authority, &authority.client("admin", &["system:masters"]));
        let store = (etcd_url, client(&etcd_authority, &etcd_authority.client("suite", &["etcd"])));
        let server = Mutex::new(None);
        let peer = KubeApiserver { address, folder: folder.to_path_buf(), arguments, server, etcd, store, admin };
        peer.resume().await;
        peer
    }

    /// Ends the server as a crash would; etcd keeps what it has.
    pub fn stop(&self) {
        if let Some(mut child) = self.server.lock().unwrap().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts the server that was stopped and waits until it is ready.
    pub async fn resume(&self) {
        let child = spawn(&self.folder, "kube-apiserver", &self.arguments);
        assert!(self.server.lock().unwrap().replace(child).is_none(), "it runs already");
        let url = format!("https://{}/readyz", self.address);
        let began = Instant::now();
        loop {
            let answer = self.admin.get(&url).timeout(Duration::from_secs(5)).send().await;
            if matches!(answer, Ok(a) if a.status().is_success()) {
                return;
            }
            let ended = self.server.lock().unwrap().as_mut().and_then(|c| c.try_wait().unwrap());
            assert!(ended.is_none(), "kube-apiserver ended: {ended:?}\n{}", self.log());
            assert!(began.elapsed() < START, "kube-apiserver does not get ready\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Has etcd forget everything that is not of now, as the server itself does every five minutes.
    pub async fn compact(&self) {
        let nothing = serde_json::json!({"key": STANDARD.encode("none")});
        let revision = self.ask_store("range", nothing).await["header"]["revision"].clone();
        self.ask_store("compaction", serde_json::json!({"revision": revision, "physical": true})).await;
    }

    /// Every key under which etcd keeps an object.
    pub async fn keys(&self) -> Vec<String> {
        let (from, to) = (STANDARD.encode("/registry/"), STANDARD.encode("/registry0"));
        let range = serde_json::json!({"key": from, "range_end": to, "keys_only": true});
        let answer = self.ask_store("range", range).await;
        let keys =
            answer["kvs"].as_array().unwrap().iter().map(|kv| STANDARD.decode(kv["key"].as_str().unwrap()).unwrap());
        keys.map(|key| String::from_utf8(key).unwrap()).collect()
    }

    /// Puts an object into etcd past the server, which reads JSON as well as its own form.
    pub async fn put(&self, key: &str, object: &serde_json::Value) {
        let (key, value) = (STANDARD.encode(key), STANDARD.encode(object.to_string()));
        self.ask_store("put", serde_json::json!({"key": key, "value": value})).await;
    }

    async fn ask_store(&self, path: &str, body: serde_json::Value) -> serde_json::Value {
        let (url, client) = &self.store;
        let request = client.post(format!("{url}/v3/kv/{path}")).body(body.to_string());
        let answer = request.send().await.unwrap().error_for_status().unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    /// The last lines that the server has written.
    pub fn log(&self) -> String {
        let text = std::fs::read_to_string(self.folder.join("kube-apiserver.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for KubeApiserver {
    fn drop(&mut self) {
        self.stop();
        let _ = self.etcd.kill();
        let _ = self.etcd.wait();
    }
}

/// The cluster's authority as a machine config has it.
pub fn authority(machine_config: &str) -> Pair {
    Cluster::read(machine_config).authority(&["ca"])
}

/// A client certificate of an authority that no cluster knows.
pub fn strange_pair() -> Pair {
    let secrets = Bundle::generate(Timestamp::now()).unwrap();
    let admin = secrets.kubernetes_admin(Timestamp::now()).unwrap();
    Pair { certificate: admin.crt_pem.clone(), key: admin.key_pem.expose().clone() }
}

/// A client that trusts this authority and shows this certificate.
pub fn client(authority: &Pair, who: &Pair) -> reqwest::Client {
    let identity = format!("{}{}", who.certificate, who.key);
    reqwest::Client::builder()
        .no_proxy()
        // A connection kept from before a restart would be reset under the next request.
        .pool_max_idle_per_host(0)
        .tls_certs_only([reqwest::Certificate::from_pem(authority.certificate.as_bytes()).unwrap()])
        .identity(reqwest::Identity::from_pem(identity.as_bytes()).unwrap())
        .build()
        .unwrap()
}

/// `cluster` of the machine config.
struct Cluster(Value);

impl Cluster {
    fn read(machine_config: &str) -> Cluster {
        use serde::Deserialize;
        let mut documents = serde_yaml::Deserializer::from_str(machine_config);
        let first = Value::deserialize(documents.next().expect("a document")).expect("YAML");
        Cluster(first["cluster"].clone())
    }

    fn at(&self, path: &[&str]) -> &Value {
        path.iter().fold(&self.0, |value, key| &value[*key])
    }

    fn text(&self, path: &[&str]) -> &str {
        self.at(path).as_str().unwrap_or_else(|| panic!("no cluster.{} in the machine config", path.join(".")))
    }

    fn decoded(&self, path: &[&str]) -> String {
        String::from_utf8(STANDARD.decode(self.text(path)).unwrap()).unwrap()
    }

    fn authority(&self, path: &[&str]) -> Pair {
        let part = |name| self.decoded(&[path, &[name]].concat());
        Pair { certificate: part("crt"), key: part("key") }
    }
}

fn start_etcd(folder: &Path, authority: &Pair, ip: IpAddr) -> (Child, String) {
    let server = authority.peer("etcd", &[ip]);
    let [ca, certificate, key] = written(folder, "etcd", &authority.certificate, &server);
    let (client, peer) = (format!("https://{ip}:{}", free_port(ip)), format!("http://{ip}:{}", free_port(ip)));
    let arguments = [
        format!("--data-dir={}", folder.join("etcd").display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        format!("--trusted-ca-file={ca}"),
        format!("--cert-file={certificate}"),
        format!("--key-file={key}"),
        "--client-cert-auth".into(),
        "--unsafe-no-fsync".into(),
        "--log-level=warn".into(),
    ];
    (spawn(folder, "etcd", &arguments), client)
}

/// As Talos has them, but for what a test has no use for: cloud provider, extra arguments, encryption of tokens.
fn arguments(folder: &Path, cluster: &Cluster, address: SocketAddr, etcd_url: &str) -> Vec<String> {
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let document = |name: &str, value: &Value| file(name, &serde_yaml::to_string(value).unwrap());
    let (authority, aggregator) = (cluster.authority(&["ca"]), cluster.authority(&["aggregatorCA"]));
    let serving = authority.server("kube-apiserver", &addresses(cluster, address.ip()));
    let [ca, serving, serving_key] = written(folder, "apiserver", &authority.certificate, &serving);
    let kubelet = authority.client("apiserver-kubelet-client", &["system:masters"]);
    let [_, kubelet, kubelet_key] = written(folder, "apiserver-kubelet-client", "", &kubelet);
    let proxy = aggregator.client("front-proxy-client", &[]);
    let [aggregator, proxy, proxy_key] = written(folder, "front-proxy-client", &aggregator.certificate, &proxy);
    let etcd = cluster.authority(&["etcd", "ca"]);
    let etcd_client = etcd.client("kube-apiserver", &["etcd"]);
    let [etcd, etcd_client, etcd_key] = written(folder, "etcd-client", &etcd.certificate, &etcd_client);
    let accounts = file("service-account.key", &cluster.decoded(&["serviceAccount", "key"]));
    let encryption = format!(
        r#"{{"apiVersion": "v1", "kind": "EncryptionConfig", "resources": [{{"resources": ["secrets"], "providers": [
            {{"secretbox": {{"keys": [{{"name": "key2", "secret": "{}"}}]}}}}, {{"identity": {{}}}}]}}]}}"#,
        cluster.text(&["secretboxEncryptionSecret"])
    );
    let mut admission = serde_yaml::Mapping::new();
    admission.insert("apiVersion".into(), "apiserver.config.k8s.io/v1".into());
    admission.insert("kind".into(), "AdmissionConfiguration".into());
    admission.insert("plugins".into(), cluster.at(&["apiServer", "admissionControl"]).clone());
    let endpoint = cluster.text(&["controlPlane", "endpoint"]);
    [
        ("admission-control-config-file", document("admission-control-config.yaml", &Value::Mapping(admission))),
        ("advertise-address", ADVERTISED.into()),
        ("allow-privileged", "true".into()),
        ("anonymous-auth", "false".into()),
        ("api-audiences", endpoint.into()),
        ("audit-log-path", folder.join("audit.log").display().to_string()),
        ("audit-policy-file", document("auditpolicy.yaml", cluster.at(&["apiServer", "auditPolicy"]))),
        ("authorization-config", file("authorization-config.yaml", AUTHORIZATION)),
        ("bind-address", address.ip().to_string()),
        ("client-ca-file", ca),
        ("enable-admission-plugins", "NodeRestriction".into()),
        ("enable-bootstrap-token-auth", "true".into()),
        ("encryption-provider-config", file("encryptionconfig.yaml", &encryption)),
        ("etcd-cafile", etcd),
        ("etcd-certfile", etcd_client),
        ("etcd-keyfile", etcd_key),
        ("etcd-servers", etcd_url.into()),
        ("kubelet-client-certificate", kubelet),
        ("kubelet-client-key", kubelet_key),
        ("kubelet-preferred-address-types", "InternalIP,ExternalIP,Hostname".into()),
        ("profiling", "false".into()),
        ("proxy-client-cert-file", proxy),
        ("proxy-client-key-file", proxy_key),
        ("requestheader-allowed-names", "front-proxy-client".into()),
        ("requestheader-client-ca-file", aggregator),
        ("requestheader-extra-headers-prefix", "X-Remote-Extra-".into()),
        ("requestheader-group-headers", "X-Remote-Group".into()),
        ("requestheader-username-headers", "X-Remote-User".into()),
        ("secure-port", address.port().to_string()),
        ("service-account-issuer", endpoint.into()),
        ("service-account-key-file", accounts.clone()),
        ("service-account-signing-key-file", accounts),
        ("service-cluster-ip-range", service_network(cluster)),
        ("tls-cert-file", serving),
        ("tls-cipher-suites", CIPHERS.into()),
        ("tls-min-version", "VersionTLS12".into()),
        ("tls-private-key-file", serving_key),
    ]
    .map(|(name, value)| format!("--{name}={value}"))
    .to_vec()
}

/// Of the serving certificate: the one it listens on, the endpoint and what the machine config asks for.
fn addresses(cluster: &Cluster, own: IpAddr) -> Vec<IpAddr> {
    let endpoint = cluster.text(&["controlPlane", "endpoint"]).trim_start_matches("https://");
    let host = endpoint.rsplit_once(':').map_or(endpoint, |(host, _)| host);
    let asked = cluster.at(&["apiServer", "certSANs"]).as_sequence().into_iter().flatten().filter_map(Value::as_str);
    [own].into_iter().chain(asked.chain([host]).filter_map(|name| name.parse().ok())).collect()
}

fn service_network(cluster: &Cluster) -> String {
    let networks = cluster.at(&["network", "serviceSubnets"]).as_sequence().expect("service networks");
    networks.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
}

/// The files of an authority's certificate, of a certificate that it signed, and of that one's key.
fn written(folder: &Path, name: &str, authority: &str, pair: &Pair) -> [String; 3] {
    let texts = [("ca.crt", authority), ("crt", pair.certificate.as_str()), ("key", pair.key.as_str())];
    texts.map(|(ending, text)| {
        let path = folder.join(format!("{name}.{ending}"));
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    })
}

fn spawn(folder: &Path, name: &str, arguments: &[String]) -> Child {
    let log = File::options().create(true).append(true).open(folder.join(format!("{name}.log"))).unwrap();
    Command::new(peer::program(name))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}
