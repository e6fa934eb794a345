//! Days 3 to 5 with a real kube-apiserver as the cluster. The lab's world plays everything behind it: nodes, kubelets,
//! Flux, storage, MetalLB, Cluster API. It writes what they would write with a client of its own (`mirror`), so the real
//! server judges both cozyup's requests and the objects that the lab makes.
mod kubelet;
mod merge;
mod mirror;
mod real;

use crate::kube_apiserver::{KubeApiserver, authority};
use crate::lab::run_until;
use cozyup::base::tls::install_provider;
use cozyup::lab::scenario::Scenario;
use cozyup::lab::site::{self, Options, Running};
use mirror::Report;
use real::Real;
use serde_json::Value;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Lab seconds per second: the real server's own time must stay small beside the lab's latencies.
const SPEED: f64 = 30.0;
/// Where in the lab's /24 the real server listens.
const SERVER: u8 = 4;
/// Of the wall, until everything that is in the store is in the real server.
const IN_STEP: Duration = Duration::from_secs(60);

async fn lab(folder: &Path) -> Running {
    let options = Options {
        scenario: Scenario::load("standard").unwrap(),
        scenario_file: "standard".into(),
        speed: SPEED,
        net: None,
        dir: folder.to_path_buf(),
    };
    site::start(options).await.unwrap()
}

/// A client of the real server itself, with the kubeconfig that the run left.
async fn client(kubeconfig: &Path, server: SocketAddr) -> kube::Client {
    let mut config = kube::config::Kubeconfig::read_from(kubeconfig).unwrap();
    for cluster in config.clusters.iter_mut().filter_map(|c| c.cluster.as_mut()) {
        cluster.server = Some(format!("https://{server}"));
    }
    let mut config = kube::Config::from_custom_kubeconfig(config, &Default::default()).await.unwrap();
    config.proxy_url = None;
    kube::Client::try_from(config).unwrap()
}

async fn in_step(running: &Running, report: &Mutex<Report>) {
    let began = Instant::now();
    let wanted = running.lab.look(|w| w.cluster.as_ref().map_or(0, |c| c.store.version()));
    loop {
        if report.lock().unwrap().pushed >= wanted {
            return;
        }
        assert!(began.elapsed() < IN_STEP, "the real server does not get what the store has");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real peers: tests/peers/run"]
async fn days_three_to_five_are_proven_on_a_real_kube_apiserver() {
    install_provider();
    let folder = tempfile::tempdir().unwrap();
    let mut running = lab(&folder.path().join("lab")).await;
    let site = running.site.clone();
    let run = {
        let site = serde_json::to_value(&site).unwrap();
        let dir = folder.path().to_path_buf();
        move |day| {
            let (site, dir) = (site.clone(), dir.clone());
            tokio::task::spawn_blocking(move || run_until(&site, &dir, day))
        }
    };
    let run_folder = run(2).await.unwrap();
    let secrets = run_folder.join("secrets");
    let machine_config = std::fs::read_to_string(secrets.join("machine-cozy-new-cp1.yaml")).unwrap();

    // An address of its own: no connection of another program can take its ports.
    let address = IpAddr::from(running.lab.look(|w| w.address(SERVER)));
    let peer_folder = folder.path().join("peers");
    std::fs::create_dir(&peer_folder).unwrap();
    let server = KubeApiserver::start(&peer_folder, &machine_config, SocketAddr::from((address, 6443))).await;
    let real = Real { client: client(&secrets.join("kubeconfig"), server.address).await };

    let nodes: Vec<IpAddr> =
        running.lab.look(|w| w.scenario.nodes.iter().map(|n| w.address(n.address).into()).collect());
    let _kubelets = kubelet::serve(&running.lab, &authority(&machine_config), &nodes).await;
    let report = Arc::new(Mutex::new(Report::default()));
    let mut mirror = JoinSet::new();
    mirror.spawn(mirror::run(running.lab.clone(), real.clone(), report.clone()));
    in_step(&running, &report).await;
    running.lab.with(|w| w.kubernetes_elsewhere = Some(server.address));

    let began = Instant::now();
    run(5).await.unwrap();
    let wall = began.elapsed();
    in_step(&running, &report).await;
    let report = std::mem::take(&mut *report.lock().unwrap());
    println!("days 3 to 5 in {:.1} s, {} writes by the lab", wall.as_secs_f64(), report.writes);
    assert_eq!(running.problems.try_recv().ok(), None);
    assert_eq!(report.refused, Vec::<String>::new(), "the real server refuses what the lab's world writes");

    // The server itself says who wrote the settings, and how.
    let settings = real.get("/api/v1/namespaces/cozy-system/configmaps/cozystack").await.unwrap();
    let by_cozyup = |m: &Value| m["manager"] == "cozyup" && m["operation"] == "Apply";
    assert!(settings["metadata"]["managedFields"].as_array().unwrap().iter().any(by_cozyup), "{settings}");
    let releases = real.get("/apis/helm.toolkit.fluxcd.io/v2/helmreleases").await.unwrap();
    let releases = releases["items"].as_array().unwrap();
    let ready = |r: &&Value| {
        r["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|c| c["type"] == "Ready" && c["status"] == "True")
    };
    assert!(releases.len() > 40, "{}", releases.len());
    assert_eq!(releases.iter().filter(ready).count(), releases.len());
}
