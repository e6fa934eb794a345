//! The controllers of the simulated cluster: the installer, Flux, the scheduler and kubelets, storage, MetalLB, Cluster API.
//!
//! They are driven by events alone: [`settle`] reads what changed in the store since it looked last and lets each
//! controller act, until nothing changes any more. What takes time is a timer of the world that acts and settles again.
//! No controller polls; what failed (a release, a crashing container, a volume) is tried again every `RETRY_S` seconds.
mod applications;
mod attach;
pub(super) mod balancer;
pub mod bundle;
mod capi;
mod charts;
pub(super) mod cilium;
pub mod cluster_api;
mod components;
mod containers;
pub mod curl;
mod definitions;
pub(super) mod evict;
mod expand;
mod failing;
mod inside;
mod installer;
mod linstor;
mod namespaces;
pub mod nodes;
pub mod objects;
pub mod pods;
mod postgres;
mod products;
pub mod proxmox;
mod psql;
pub mod quota;
mod releases;
pub mod shell;
mod snapshots;
mod spread;
mod storage;
mod tenant_chart;
mod tenants;
pub(super) mod workloads;

pub use attach::UNMOUNT_S;
pub use expand::GROW_S;
pub use snapshots::TAKEN_S;

use super::store::{Change, Key};
use crate::world::World;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// Lab seconds after which what failed is tried again.
const RETRY_S: f64 = 30.0;

/// The controllers' memory beside the objects.
#[derive(Default)]
pub struct State {
    /// Store version up to which the controllers have looked.
    cursor: u64,
    settling: bool,
    /// API groups that a release brought.
    pub(super) groups: BTreeSet<String>,
    /// Acts that a timer will finish, by a name with the object's uid in it.
    underway: BTreeSet<String>,
    /// Releases whose install is over but whose workloads are not available yet.
    waiting: BTreeSet<Key>,
    /// The servers' answers to a pod, by its uid.
    answers: BTreeMap<String, curl::Answers>,
    /// Requests of pods that nobody has made yet.
    errands: Vec<pods::Errand>,
    /// Databases of the Postgres clusters.
    servers: psql::Servers,
    /// Files on a volume, by PersistentVolume.
    volumes: BTreeMap<String, shell::Files>,
    /// Proxmox VE's name of the volume behind a PersistentVolume.
    volume_ids: BTreeMap<String, String>,
    /// Lines of a pod and when they were printed, by namespace and name.
    logs: BTreeMap<(String, String), Vec<(Timestamp, String)>>,
    /// Sockets open for a Service, by namespace and name.
    sockets: BTreeMap<(String, String), Vec<SocketAddr>>,
    /// LINSTOR pools by node.
    pools: BTreeMap<String, BTreeSet<String>>,
    /// Addresses of the control planes.
    control_planes: BTreeMap<String, String>,
    next_node: usize,
    next_pod_address: u32,
    platform_due: bool,
}

impl State {
    /// Of controllers that never act; the API serves these groups.
    pub(super) fn still(groups: &[&str]) -> State {
        let groups = groups.iter().map(ToString::to_string).collect();
        State { settling: true, groups, ..State::default() }
    }
}

/// Lets every controller act on what changed, until the cluster is quiet.
pub fn settle(world: &mut World) {
    if world.state().is_none_or(|s| std::mem::replace(&mut s.settling, true)) {
        return;
    }
    loop {
        let changed = changes(world);
        if changed.is_empty() {
            break;
        }
        for (key, gone) in changed {
            dispatch(world, &key, gone.as_ref());
        }
    }
    if let Some(state) = world.state() {
        state.settling = false;
    }
}

/// The objects that changed since the last look, each once, and every object that went.
fn changes(world: &mut World) -> Vec<(Key, Option<Value>)> {
    let Some(cluster) = &mut world.cluster else { return Vec::new() };
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    match cluster.store.since(cluster.state.cursor) {
        Some(events) => {
            for event in events {
                match event.change {
                    Change::Deleted => found.push((event.key.clone(), Some(Value::clone(&event.object)))),
                    Change::Added | Change::Modified => {
                        if seen.insert(event.key.clone()) {
                            found.push((event.key.clone(), None));
                        }
                    }
                }
            }
        }
        // More happened at once than history holds (and at the very start): look at everything.
        None => found.extend(cluster.store.keys().map(|key| (key.clone(), None))),
    }
    cluster.state.cursor = cluster.store.version();
    found
}

fn node_changed(world: &mut World, name: &str, is_gone: bool) {
    if is_gone {
        nodes::gone(world, name);
    } else {
        nodes::changed(world, name);
    }
    cluster_api::nodes_changed(world);
    workloads::nodes_changed(world);
    linstor::nodes_changed(world);
    storage::nodes_changed(world);
    evict::node_back(world, name);
    pods::node_changed(world, name);
    attach::review(world);
}

fn pod_changed(world: &mut World, key: &Key, gone: Option<&Value>) {
    pods::reconcile(world, key, gone);
    workloads::pod_changed(world, key, gone);
    balancer::pod_changed(world, key, gone);
    postgres::pod_changed(world, key, gone);
    quota::review(world, &key.namespace);
    attach::review(world);
    if gone.is_some() {
        storage::pod_gone(world, &key.namespace);
    } else {
        expand::pod_changed(world, key);
    }
}

fn namespace_changed(world: &mut World, key: &Key, gone: Option<&Value>) {
    namespaces::reconcile(world, key, gone);
    if gone.is_some() {
        applications::namespace_gone(world);
    }
}

fn claim_changed(world: &mut World, key: &Key, gone: Option<&Value>) {
    storage::reconcile(world, key, gone);
    quota::review(world, &key.namespace);
    pods::wake(world, Some(&key.namespace));
}

/// A HelmRelease, and what follows it: its chart, and the tenant that it stands for.
fn release_changed(world: &mut World, key: &Key, gone: Option<&Value>) {
    releases::reconcile(world, key, gone);
    charts::release_changed(world, key, gone);
    tenants::release_changed(world, key);
    applications::release_changed(world, key, gone);
}

fn service_changed(world: &mut World, key: &Key, gone: Option<&Value>) {
    balancer::reconcile(world, key, gone);
    releases::owned_changed(world, key, gone);
    cluster_api::part_changed(world, key);
}

fn dispatch(world: &mut World, key: &Key, gone: Option<&Value>) {
    if let Some(object) = gone {
        workloads::collect(world, key, object);
        namespaces::left(world, &key.namespace);
    } else if world.object(key).is_none() {
        return;
    }
    match (key.resource.group.as_str(), key.resource.plural.as_str()) {
        ("", "configmaps") => {
            installer::config_changed(world, key);
            capi::wake(world);
        }
        ("", "secrets") => {
            releases::secret_changed(world, key);
            capi::secret_changed(world, &key.namespace);
            pods::wake(world, Some(&key.namespace));
        }
        ("", "nodes") => node_changed(world, &key.name, gone.is_some()),
        ("", "pods") => pod_changed(world, key, gone),
        ("", "persistentvolumeclaims") => claim_changed(world, key, gone),
        ("snapshot.storage.k8s.io", "volumesnapshots") => snapshots::reconcile(world, key, gone),
        ("", "services") => service_changed(world, key, gone),
        ("", "serviceaccounts") => workloads::account_changed(world, key),
        ("", "namespaces") => namespace_changed(world, key, gone),
        ("apiextensions.k8s.io", "customresourcedefinitions") => {
            if let Some(definition) = gone {
                definitions::gone(world, definition);
            }
        }
        ("apps", "deployments" | "daemonsets" | "statefulsets") => {
            workloads::reconcile(world, key, gone);
            releases::owned_changed(world, key, gone);
            capi::deployment_changed(world, key);
            cluster_api::controller_changed(world, key);
            cluster_api::part_changed(world, key);
        }
        ("storage.k8s.io", "storageclasses") => storage::wake(world),
        ("helm.toolkit.fluxcd.io", "helmreleases") => release_changed(world, key, gone),
        ("source.toolkit.fluxcd.io", "helmrepositories") => releases::repository_changed(world, key, gone),
        ("apps.cozystack.io", _) => applications::reconcile(world, key, gone),
        ("postgresql.cnpg.io", _) => postgres::reconcile(world, key, gone),
        ("metallb.io", _) => balancer::wake(world),
        ("kamaji.clastix.io", _) => cluster_api::reconcile(world, key, gone),
        (group, _) if group.ends_with("cluster.x-k8s.io") => capi::reconcile(world, key, gone),
        ("piraeus.io", "linstorsatelliteconfigurations") => linstor::configuration_changed(world, key, gone),
        _ => {}
    }
}
