//! The two clusters that the cases run against.
use crate::kube_apiserver::{KubeApiserver, free_port};
use cozyup::base::tls::install_provider;
use cozyup::talos::config::{self, NodeConfig, Role};
use cozyup::talos::secrets::Bundle;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub struct Cluster {
    pub server: KubeApiserver,
    _folder: tempfile::TempDir,
}

impl Cluster {
    pub async fn real() -> Cluster {
        install_provider();
        let folder = tempfile::tempdir().unwrap();
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let at = SocketAddr::new(ip, free_port(ip));
        let bundle = Bundle::generate(Timestamp::now()).unwrap();
        let machine_config = config::render(&node(at), &bundle).unwrap();
        let server = KubeApiserver::start(folder.path(), machine_config.expose(), at).await;
        Cluster { server, _folder: folder }
    }
}

fn node(at: SocketAddr) -> NodeConfig {
    NodeConfig {
        cluster_name: "cozy".into(),
        endpoint: format!("https://{at}"),
        role: Role::ControlPlane,
        hostname: "cp1".into(),
        address: "10.0.0.201".parse().unwrap(),
        subnet: "10.0.0.0/24".parse().unwrap(),
        gateway: "10.0.0.1".parse().unwrap(),
        dns: vec!["10.0.0.1".parse().unwrap()],
        ntp: vec![],
        vip: Some("10.0.0.200".parse().unwrap()),
        mac: "bc:24:11:00:00:01".into(),
        install_disk: "/dev/sda".into(),
        installer_image: "ghcr.io/cozystack/cozystack/talos:v1.10.6".into(),
        kubernetes_version: "v1.33.3".into(),
        pod_cidr: "10.244.0.0/16".parse().unwrap(),
        service_cidr: "10.96.0.0/16".parse().unwrap(),
        dns_domain: "cozy.local".into(),
        node_labels: BTreeMap::new(),
        cert_sans: vec![],
    }
}
