//! Days 3 to 6, and 9, with a real kube-apiserver as the cluster. The lab's world plays everything behind it: nodes, kubelets,
//! Flux, storage, MetalLB, and until day 5 Cluster API (`controllers`: days 6 and 9 have the real ones). It writes what they would write with a client of its own (`mirror`), so the real
//! server judges both cozyup's requests and the objects that the lab makes.
mod controllers;
mod kinds;
mod kubelet;
mod merge;
mod mirror;
mod real;

use crate::kube_apiserver::{KubeApiserver, authority};
use crate::lab::run_until;
use crate::pki::Pair;
use controllers::Controllers;
use cozyup::base::tls::install_provider;
use cozyup::lab::scenario::Scenario;
use cozyup::lab::site::{self, Options, Running};
use mirror::Report;
use real::Real;
use serde_json::Value;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Lab seconds per second: the real server's own time must stay small beside the lab's latencies.
const SPEED: f64 = 30.0;
/// Where in the lab's /24 the real server listens.
const SERVER: u8 = 4;
/// The machines of Cluster API, in that /24 (`tests.machine_addresses` of the lab's plan).
const OF_CLUSTER_API: std::ops::RangeInclusive<u8> = 180..=185;
/// Of the wall, until everything that is in the store is in the real server.
const IN_STEP: Duration = Duration::from_secs(60);

async fn lab(folder: &Path, scenario: &str) -> Running {
    let options = Options {
        scenario: Scenario::load(scenario).unwrap(),
        scenario_file: scenario.into(),
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

/// A site whose cluster is served by a real API server from the end of day 2 on.
struct Bridge {
    folder: tempfile::TempDir,
    running: Running,
    /// `secrets` of the run.
    secrets: PathBuf,
    server: KubeApiserver,
    authority: Pair,
    real: Real,
    report: Arc<Mutex<Report>>,
    _kubelets: JoinSet<()>,
    _mirror: JoinSet<()>,
}

impl Bridge {
    async fn at_the_end_of_day_2() -> Bridge {
        Bridge::of("standard", |plan| plan.to_string()).await
    }

    /// At the end of day 2 of the run of a scenario's plan as `edited`.
    async fn of(scenario: &str, edited: impl FnOnce(&str) -> String) -> Bridge {
        install_provider();
        let folder = tempfile::tempdir().unwrap();
        let running = lab(&folder.path().join("lab"), scenario).await;
        let plan = &running.site.plan;
        std::fs::write(plan, edited(&std::fs::read_to_string(plan).unwrap())).unwrap();
        let secrets = run(&running, folder.path(), 2).await.join("secrets");
        let machine_config = std::fs::read_to_string(secrets.join("machine-cozy-new-cp1.yaml")).unwrap();

        // An address of its own: no connection of another program can take its ports.
        let address = IpAddr::from(running.lab.look(|w| w.address(SERVER)));
        let peer_folder = folder.path().join("peers");
        std::fs::create_dir(&peer_folder).unwrap();
        let server = KubeApiserver::start(&peer_folder, &machine_config, SocketAddr::from((address, 6443))).await;
        let real = Real { client: client(&secrets.join("kubeconfig"), server.address).await };

        let authority = authority(&machine_config);
        let nodes: Vec<IpAddr> = running.lab.look(|w| {
            let planned = w.scenario.nodes.iter().map(|n| n.address);
            planned.chain(OF_CLUSTER_API).map(|host| w.address(host).into()).collect()
        });
        let kubelets = kubelet::serve(&running.lab, &authority, &nodes).await;
        let report = Arc::new(Mutex::new(Report::default()));
        let mut mirror = JoinSet::new();
        mirror.spawn(mirror::run(running.lab.clone(), real.clone(), report.clone()));
        in_step(&running, &report).await;
        running.lab.with(|w| w.kubernetes_elsewhere = Some(server.address));
        Bridge { folder, running, secrets, server, authority, real, report, _kubelets: kubelets, _mirror: mirror }
    }

    /// The run goes on to the end of this day, and all of it is proven; how long it took, of the wall.
    async fn run_to(&self, day: u8) -> Duration {
        let began = Instant::now();
        run(&self.running, self.folder.path(), day).await;
        let wall = began.elapsed();
        in_step(&self.running, &self.report).await;
        wall
    }

    /// The real server has no object of the kind at this path.
    async fn holds_none(&self, path: &str) {
        let left = self.real.get(path).await.unwrap();
        assert_eq!(left["items"].as_array().map(Vec::len), Some(0), "{left}");
    }

    /// Nothing went wrong in the lab, and the real server took all that its world wrote; how many writes.
    fn is_clean(&mut self) -> u64 {
        let report = self.report.lock().unwrap();
        assert_eq!(self.running.problems.try_recv().ok(), None);
        assert_eq!(report.refused, Vec::<String>::new(), "the real server refuses what the lab's world writes");
        report.writes
    }
}

async fn run(running: &Running, folder: &Path, day: u8) -> PathBuf {
    let (site, dir) = (serde_json::to_value(&running.site).unwrap(), folder.to_path_buf());
    tokio::task::spawn_blocking(move || run_until(&site, &dir, day)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real peers: tests/peers/run"]
async fn days_three_to_five_are_proven_on_a_real_kube_apiserver() {
    let mut bridge = Bridge::at_the_end_of_day_2().await;
    let wall = bridge.run_to(5).await;
    let writes = bridge.is_clean();
    println!("days 3 to 5 in {:.1} s, {writes} writes by the lab", wall.as_secs_f64());

    // The server itself says who wrote the settings, and how.
    let real = &bridge.real;
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

/// Cluster API core and the address provider are the real ones; of Cluster API only capmox is the lab's.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real peers: tests/peers/run"]
async fn day_six_is_proven_with_the_real_controllers_of_cluster_api() {
    let mut bridge = Bridge::at_the_end_of_day_2().await;
    bridge.run_to(5).await;
    bridge.running.lab.with(|w| w.cluster_api_elsewhere = true);
    let controllers = Controllers::start(&bridge, false).await;
    let wall = bridge.run_to(6).await;
    let writes = bridge.is_clean();
    println!("day 6 in {:.1} s, {writes} writes by the lab since day 3", wall.as_secs_f64());

    // Each machine was made by core, and nothing of them is left.
    let seen = controllers.machines_seen();
    assert!(seen.len() >= 3, "one machine, then two workers: {seen:?}");
    for kind in ["clusters", "machines", "machinesets", "machinedeployments"] {
        bridge.holds_none(&format!("/apis/cluster.x-k8s.io/v1beta1/{kind}")).await;
    }
    bridge.holds_none("/apis/ipam.cluster.x-k8s.io/v1beta1/ipaddresses").await;
}

/// Cluster API core, kubeadm's bootstrap provider and the address provider are the real ones. Kamaji and its provider, capmox and the
/// machines are the lab's, and so is the tenant's API, in which the real ones ask for a token and find the nodes.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real peers: tests/peers/run"]
async fn day_nine_is_proven_with_the_real_controllers_of_cluster_api_and_kubeadm() {
    let without_the_rest = |plan: &str| {
        let plan = plan.replace("workers: 2", "workers: 0\n  storage: false\n  tenant: false\n  tenant_workers: 2");
        plan.replace("volumes: [local, replicated, proxmox]", "volumes: []")
    };
    let mut bridge = Bridge::of("tenant-kubernetes", without_the_rest).await;
    bridge.run_to(5).await;
    bridge.running.lab.with(|w| w.cluster_api_elsewhere = true);
    let controllers = Controllers::start(&bridge, true).await;
    let wall = bridge.run_to(9).await;
    let writes = bridge.is_clean();
    println!("days 6 and 9 in {:.1} s, {writes} writes by the lab since day 3", wall.as_secs_f64());
    let seen = controllers.machines_seen();
    assert!(seen.iter().filter(|name| name.contains("/cluster-")).count() >= 2, "two of the tenant's: {seen:?}");
    for kind in ["clusters", "machines", "machinesets", "machinedeployments"] {
        bridge.holds_none(&format!("/apis/cluster.x-k8s.io/v1beta1/{kind}")).await;
    }
    bridge.holds_none("/apis/bootstrap.cluster.x-k8s.io/v1beta1/kubeadmconfigs").await;
}
