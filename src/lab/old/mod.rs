//! A cluster that was there before: one API server beside the site, with the objects of a CozyStack that is old and broken.
//! Nothing in it ever changes, since no controller acts on it. `cozyup assess` is tried on it.
mod crowd;
mod manifests;
mod objects;

use super::kube::Cluster;
use super::kube::store::uuid;
use super::machine::certificate::{self, Client};
use super::machine::kubeconfig;
use super::net::Endpoint;
use super::world::World;
use cozyup_base::file::write_private;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

/// The file with its administrator's access, in the lab's folder.
pub const KUBECONFIG: &str = "old-kubeconfig";
/// The file with the access of somebody who may read nodes and pods alone.
pub const VIEWER: &str = "old-kubeconfig-viewer";
const PORT: u16 = 6443;

/// What a scenario says of it. Ages are in whole days before the lab began.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OldCluster {
    /// Last octet of its API server.
    pub address: u8,
    /// `v1.32.1`
    pub kubernetes: String,
    /// Image of the installer.
    pub installer: String,
    pub bundle: String,
    /// Number in the ConfigMap `cozystack-version`.
    pub migration: u32,
    pub age_days: i64,
    pub nodes: Vec<OldNode>,
    #[serde(default)]
    pub releases: Vec<OldRelease>,
    #[serde(default)]
    pub repositories: Vec<OldRepository>,
    #[serde(default)]
    pub pods: Vec<OldPod>,
    /// Warnings of kubelets that do not find Kube-OVN's socket.
    #[serde(default)]
    pub socket_warnings: usize,
    #[serde(default)]
    pub volumes: Vec<OldVolume>,
    /// Any other objects, as manifests. Kinds that the lab does not know by itself come from definitions among them.
    #[serde(default)]
    pub objects: Vec<Value>,
    /// Pods and releases that are well, for a cluster of any size.
    #[serde(default)]
    pub crowd: Crowd,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OldNode {
    pub name: String,
    #[serde(default)]
    pub control_plane: bool,
    pub cores: u32,
    pub memory_gib: u32,
    /// `Talos (v1.9.3)`
    pub os: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OldRelease {
    pub namespace: String,
    pub name: String,
    /// Flux's reason when it is not Ready.
    #[serde(default)]
    pub fails: Option<String>,
    #[serde(default)]
    pub days: i64,
    /// Its values have the form of `resources` before v0.33.
    #[serde(default)]
    pub old_resources: bool,
    /// More of its values.
    #[serde(default)]
    pub values: serde_json::Map<String, Value>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OldRepository {
    pub name: String,
    #[serde(default)]
    pub fails: bool,
    #[serde(default)]
    pub days: i64,
}

/// One pod, or one for each node.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OldPod {
    pub namespace: String,
    pub name: String,
    /// A node's name; without one there is such a pod on each node.
    #[serde(default)]
    pub node: Option<String>,
    #[serde(default)]
    pub state: PodState,
    /// Days for which it has been like that.
    #[serde(default)]
    pub days: i64,
    #[serde(default)]
    pub image: Option<String>,
    /// Thousandths of a core.
    #[serde(default)]
    pub cpu: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PodState {
    #[default]
    Running,
    ImagePullBackOff,
    CrashLoopBackOff,
    OutOfCpu,
    Init,
    Unknown,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OldVolume {
    pub namespace: String,
    pub claim: String,
    pub class: String,
    pub gib: u32,
    /// Its claim was deleted.
    #[serde(default)]
    pub orphaned: bool,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crowd {
    #[serde(default)]
    pub pods: usize,
    #[serde(default)]
    pub releases: usize,
}

/// The world of the old cluster when the scenario has one; writes the files with the access to it.
///
/// # Errors
/// When the folder can't be written, or the certificate library fails.
pub fn found(site: &World, dir: &Path) -> io::Result<Option<World>> {
    let Some(old) = &site.scenario.old_cluster else { return Ok(None) };
    let (ca_crt_pem, ca_key_pem) = certificate::authority().map_err(io::Error::other)?;
    let mut scenario = site.scenario.clone();
    // Those of the site are in front of its own APIs.
    scenario.disturbances.clear();
    let mut world = World::new(scenario, site.base, site.now);
    let mut cluster =
        Cluster::still(ca_crt_pem.clone(), ca_key_pem.expose().to_string(), old.kubernetes.clone(), GROUPS);
    let more = manifests::all(old, site.now).map_err(io::Error::other)?;
    let all = objects::all(old, site.now).into_iter().chain(more).chain(crowd::all(old, site.now));
    for (key, mut object) in all {
        object["metadata"]["uid"] = uuid(&mut world.random).into();
        object["metadata"]["name"] = key.name.as_str().into();
        if !key.namespace.is_empty() {
            object["metadata"]["namespace"] = key.namespace.as_str().into();
        }
        cluster.store.adopt(key, object);
    }
    world.cluster = Some(cluster);
    let at = SocketAddr::from((site.address(old.address), PORT));
    world.listen(at, Endpoint::Kubernetes { node: "old".into() });
    for (file, user, groups) in [(KUBECONFIG, "admin", "system:masters"), (VIEWER, "viewer", "viewers")] {
        let client =
            Client { name: Some(user), organizations: &[groups.to_string()], lasts: time::Duration::days(365) };
        let (crt, key) = certificate::client(&ca_crt_pem, &ca_key_pem, &client, site.now).map_err(io::Error::other)?;
        write_private(
            &dir.join(file),
            kubeconfig::of("old", user, &format!("https://{at}"), &ca_crt_pem, (&crt, &key)).as_bytes(),
        )?;
    }
    Ok(Some(world))
}

/// The groups that its platform brought.
const GROUPS: [&str; 8] = [
    "helm.toolkit.fluxcd.io",
    "source.toolkit.fluxcd.io",
    "cert-manager.io",
    "piraeus.io",
    "apps.cozystack.io",
    "cluster.x-k8s.io",
    "infrastructure.cluster.x-k8s.io",
    "metallb.io",
];
