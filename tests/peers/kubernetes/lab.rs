//! The lab's API server alone, on a socket of its own, for a cluster of one node that runs nothing.
use crate::kube_apiserver::authority;
use cozyup::base::clock::Clock;
use cozyup::lab::disturb::Line;
use cozyup::lab::kube::store::{HISTORY, Key};
use cozyup::lab::kube::{self as cluster, ControlPlaneFacts, NodeFacts, api};
use cozyup::lab::scenario::Scenario;
use cozyup::lab::world::{Lab, World};
use jiff::Timestamp;
use serde_json::json;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::SystemTime;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::{JoinHandle, JoinSet};

/// Fast, so that what the lab takes its time for (a namespace that goes) is over soon.
const SPEED: f64 = 240.0;
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 86, 0, 201);

pub struct LabApi {
    pub lab: Lab,
    at: SocketAddr,
    serving: Mutex<Option<JoinHandle<()>>>,
    timers: JoinHandle<()>,
}

impl LabApi {
    pub async fn start(machine_config: &str, at: SocketAddr) -> LabApi {
        let authority = authority(machine_config);
        let scenario: Scenario = serde_saphyr::from_str(include_str!("../../../assets/lab/standard.yaml")).unwrap();
        let start = Timestamp::now();
        let world = World::new(scenario, Ipv4Addr::new(127, 86, 0, 0), start);
        let lab = Lab::new(world, Clock::scaled(start, SystemTime::now(), SPEED));
        lab.with(|world| {
            let control_plane = ControlPlaneFacts {
                name: "cp1".into(),
                address: ADDRESS,
                vip: None,
                ca_crt_pem: authority.certificate,
                ca_key_pem: authority.key,
                pod_cidr: "10.244.0.0/16".into(),
                service_cidr: "10.96.0.0/16".into(),
                dns_domain: "cozy.local".into(),
                kubernetes_version: "v1.33.3".into(),
            };
            cluster::control_plane_up(world, control_plane);
            cluster::register_node(world, node());
        });
        let timers = tokio::spawn({
            let lab = lab.clone();
            async move { lab.run_timers().await }
        });
        let lab = LabApi { lab, at, serving: Mutex::new(None), timers };
        lab.resume().await;
        lab
    }

    /// So many changes that none from before is remembered.
    pub fn forget(&self) {
        self.lab.with(|world| {
            let now = world.now;
            let store = &mut world.cluster.as_mut().unwrap().store;
            for n in 0..=HISTORY {
                store.put(Key::new("coordination.k8s.io", "leases", "default", "busy"), json!({"spec": {"n": n}}), now);
            }
        });
    }

    /// Cuts every connection and takes no new ones.
    pub async fn stop(&self) {
        if let Some(serving) = self.serving.lock().await.take() {
            serving.abort();
            let _ = serving.await;
        }
    }

    pub async fn resume(&self) {
        let listener = TcpListener::bind(self.at).await.unwrap();
        let lab = self.lab.clone();
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(api::serve(stream, lab.clone(), Line::quiet()));
            }
        });
        assert!(self.serving.lock().await.replace(serving).is_none(), "it serves already");
    }
}

impl Drop for LabApi {
    fn drop(&mut self) {
        self.timers.abort();
        if let Some(serving) = self.serving.get_mut().take() {
            serving.abort();
        }
    }
}

fn node() -> NodeFacts {
    NodeFacts {
        name: "cp1".into(),
        address: ADDRESS,
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
    }
}
