//! Cluster API core and the in-cluster address provider: the programs themselves, with their own definitions and their own
//! admission webhooks, beside the real API server.
use super::Bridge;
use super::real::{No, Real};
use crate::definitions;
use crate::kube_apiserver::free_port;
use crate::peer;
use crate::pki::Pair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Of the wall, until a controller's webhooks answer.
const START: Duration = Duration::from_secs(60);

/// All end with the value.
pub struct Controllers {
    running: Vec<Child>,
    log_of_core: PathBuf,
}

impl Controllers {
    /// The definitions that the real server has from the lab are replaced by Cluster API's own; then the programs start, and
    /// from then on the server asks their webhooks.
    ///
    /// `with_kubeadm`: the bootstrap provider too, which a tenant's machines need.
    pub async fn start(bridge: &Bridge, with_kubeadm: bool) -> Controllers {
        let folder = bridge.folder.path().join("controllers");
        std::fs::create_dir(&folder).unwrap();
        let kubeconfig = folder.join("kubeconfig");
        let mut config = kube::config::Kubeconfig::read_from(bridge.secrets.join("kubeconfig")).unwrap();
        for cluster in config.clusters.iter_mut().filter_map(|c| c.cluster.as_mut()) {
            cluster.server = Some(format!("https://{}", bridge.server.address));
        }
        std::fs::write(&kubeconfig, serde_yaml::to_string(&config).unwrap()).unwrap();
        let at = bridge.server.address.ip();
        let serving = bridge.authority.server("webhooks", &[at]);
        std::fs::write(folder.join("tls.crt"), &serving.certificate).unwrap();
        std::fs::write(folder.join("tls.key"), &serving.key).unwrap();

        let mut all = Controllers { running: Vec::new(), log_of_core: folder.join("cluster-api.log") };
        for (peer, program, listens) in PROGRAMS.into_iter().filter(|(_, name, _)| with_kubeadm || *name != KUBEADM) {
            for definition in definitions::of(&peer::cache().join("from").join(peer).join("bases")) {
                define(&bridge.real, definition).await;
            }
            let webhooks = SocketAddr::from((at, free_port(at)));
            let mut arguments = vec![format!("--webhook-port={}", webhooks.port())];
            arguments.push(format!("--webhook-cert-dir={}", folder.display()));
            arguments.extend(listens.iter().map(|flag| format!("--{flag}={}", SocketAddr::from((at, free_port(at))))));
            arguments.push(format!("--kubeconfig={}", kubeconfig.display()));
            all.running.push(spawn(&folder, peer, program, &arguments));
            all.until_answering(webhooks, &folder.join(format!("{peer}.log"))).await;
            for configuration in definitions::of(&peer::cache().join("from").join(peer).join("webhook")) {
                register(&bridge.real, configuration, peer, webhooks, &bridge.authority).await;
            }
        }
        all
    }

    async fn until_answering(&mut self, at: SocketAddr, log: &Path) {
        let began = Instant::now();
        while TcpStream::connect(at).is_err() {
            let ended = self.running.last_mut().and_then(|c| c.try_wait().unwrap());
            assert!(ended.is_none() && began.elapsed() < START, "no webhooks: {ended:?}\n{}", end_of(log));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The names of the Machines that core's log speaks of.
    pub fn machines_seen(&self) -> BTreeSet<String> {
        let log = std::fs::read_to_string(&self.log_of_core).unwrap();
        let named = log.lines().filter(|l| l.contains("controller=\"machine\""));
        named.filter_map(|l| l.split("Machine=\"").nth(1)?.split('"').next().map(String::from)).collect()
    }
}

impl Drop for Controllers {
    fn drop(&mut self) {
        for child in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The program of the bootstrap provider.
const KUBEADM: &str = "kubeadm";

/// Name of the peer, its program, and the flags of addresses on which it listens beside its webhooks.
const PROGRAMS: [(&str, &str, &[&str]); 3] = [
    ("cluster-api", "cluster-api", &["health-addr", "diagnostics-address"]),
    ("cluster-api-kubeadm", KUBEADM, &["health-addr", "diagnostics-address"]),
    (
        "cluster-api-ipam",
        "cluster-api-ipam-provider-in-cluster",
        &["metrics-bind-address", "health-probe-bind-address"],
    ),
];

async fn define(real: &Real, mut definition: Value) {
    const AT: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let at = format!("{AT}/{}", definition["metadata"]["name"].as_str().unwrap());
    // As its kustomization labels it: the version of the contract that this kind keeps.
    let storage = definition["spec"]["versions"].as_array().unwrap().iter().find(|v| v["storage"] == true).unwrap();
    definition["metadata"]["labels"]["cluster.x-k8s.io/v1beta1"] = storage["name"].clone();
    match real.get(&at).await {
        Ok(there) => {
            definition["metadata"]["resourceVersion"] = there["metadata"]["resourceVersion"].clone();
            real.put(&at, &definition).await.unwrap();
        }
        Err(No { code: 404, .. }) => drop(real.post(AT, &definition).await.unwrap()),
        Err(no) => panic!("{at}: {no:?}"),
    }
}

/// The webhooks of a configuration, reached by an address in place of a Service.
async fn register(real: &Real, mut configuration: Value, peer: &str, at: SocketAddr, authority: &Pair) {
    let plural = format!("{}s", configuration["kind"].as_str().unwrap().to_lowercase());
    configuration["metadata"]["name"] =
        json!(format!("{peer}-{}", configuration["metadata"]["name"].as_str().unwrap()));
    for webhook in configuration["webhooks"].as_array_mut().unwrap() {
        let path = webhook["clientConfig"]["service"]["path"].as_str().unwrap().to_string();
        webhook["clientConfig"] =
            json!({"url": format!("https://{at}{path}"), "caBundle": STANDARD.encode(&authority.certificate)});
    }
    real.post(&format!("/apis/admissionregistration.k8s.io/v1/{plural}"), &configuration).await.unwrap();
}

fn spawn(folder: &Path, peer: &str, program: &str, arguments: &[String]) -> Child {
    let log = File::create(folder.join(format!("{peer}.log"))).unwrap();
    Command::new(peer::program(program))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

fn end_of(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
