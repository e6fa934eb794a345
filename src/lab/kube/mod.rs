//! The Kubernetes cluster of the lab: its objects, and what happens inside it (`control`).
pub mod api;
pub mod control;
mod fake_certificate;
pub mod service;
pub mod store;
pub mod tenant;

pub use super::machine::outside::{ControlPlaneFacts, NodeFacts};
use super::world::World;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

pub use control::bundle::{image as installer_image, longest_chain};
pub use control::cluster_api::{DRAIN_RETRY_S, REQUEUE_S};
pub use control::{GROW_S, TAKEN_S as SNAPSHOT_S, UNMOUNT_S, settle};

/// The cluster as the world keeps it.
pub struct Cluster {
    pub store: store::Store,
    /// The CA of the cluster, as it came with the machine config.
    pub ca_crt_pem: String,
    pub ca_key_pem: String,
    pub pod_cidr: String,
    pub service_cidr: String,
    pub dns_domain: String,
    pub kubernetes_version: String,
    /// Registered nodes, by name.
    pub(in crate::kube) nodes: BTreeMap<String, NodeFacts>,
    pub(in crate::kube) state: control::State,
}

/// API groups that every Kubernetes serves.
const BUILT_IN: [&str; 20] = [
    "",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "apps",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
];

/// Makes the requests of pods, for as long as it is polled.
pub async fn errands(lab: super::world::Lab) {
    let mut changed = lab.watch();
    let mut under_way = tokio::task::JoinSet::new();
    loop {
        if lab.look(control::pods::has_errands) {
            for errand in lab.with(control::pods::take_errands) {
                let lab = lab.clone();
                under_way.spawn(async move {
                    let between = lab.with(|world| control::proxmox::in_between(world, &errand.request.url));
                    let answer = match between {
                        Some(answer) => answer,
                        None => control::curl::ask(&errand.request).await,
                    };
                    lab.with(|world| control::pods::answered(world, errand, answer));
                });
            }
        }
        tokio::select! {
            change = changed.changed() => if change.is_err() { return },
            Some(_) = under_way.join_next() => {}
        }
    }
}

impl Cluster {
    /// A cluster in which nothing happens: no controller acts on what its store holds.
    pub fn still<const N: usize>(
        ca_crt_pem: String,
        ca_key_pem: String,
        kubernetes: String,
        groups: [&str; N],
    ) -> Cluster {
        Cluster {
            store: store::Store::new(1),
            ca_crt_pem,
            ca_key_pem,
            pod_cidr: "10.244.0.0/16".into(),
            service_cidr: "10.96.0.0/16".into(),
            dns_domain: "cozy.local".into(),
            kubernetes_version: kubernetes,
            nodes: BTreeMap::new(),
            state: control::State::still(&groups),
        }
    }

    /// True when the API serves this group now: the built-in ones always, the others once their release brought them.
    pub fn serves(&self, group: &str) -> bool {
        BUILT_IN.contains(&group) || self.state.groups.contains(group)
    }
}

/// A control plane's API server is up. The first one makes the cluster, later ones add their static pods.
pub fn control_plane_up(world: &mut World, facts: ControlPlaneFacts) {
    control::nodes::control_plane_up(world, &facts);
    settle(world);
}

/// A kubelet registers, or comes back. The node stays NotReady until the cluster has a CNI.
pub fn register_node(world: &mut World, facts: NodeFacts) {
    control::nodes::register(world, facts);
    control::balancer::wake(world);
    settle(world);
}

/// The kubelet went silent.
pub fn node_down(world: &mut World, name: &str) {
    control::nodes::down(world, name);
    control::balancer::wake(world);
    settle(world);
}

/// The API of a tenant's cluster, while its pods answer.
pub fn tenant_api(world: &World, namespace: &str, name: &str) -> Option<super::world::Lab> {
    control::cluster_api::tenant_api(world, namespace, name)
}

/// A VM started whose disk carries no Talos.
pub fn guest_up(world: &mut World, vmid: u32) {
    control::cluster_api::guest_up(world, vmid);
}

/// The last disk with the cluster's etcd is gone, and everything with it.
pub fn forget(world: &mut World) {
    control::balancer::close_all(world);
    world.tenants.clear();
    world.cluster = None;
}

/// Name and address of every registered node.
pub fn nodes(world: &World) -> Vec<(String, Ipv4Addr)> {
    let nodes = world.cluster.iter().flat_map(|c| c.nodes.values());
    nodes.map(|facts| (facts.name.clone(), facts.address)).collect()
}

pub fn node_is_ready(world: &World, name: &str) -> bool {
    control::nodes::is_ready(world, name)
}

/// The output of the pod's containers up to now; `None` when there is no such pod.
pub fn pod_log(world: &World, namespace: &str, pod: &str) -> Option<String> {
    control::pods::log(world, namespace, pod)
}
