//! A scenario: a site, its latencies and its faults, as YAML that a person can read (`assets/lab/*.yaml`).
mod bridge;
mod guest;
mod storage;

pub use bridge::Bridge;
pub use guest::{Guest, GuestTemplate};
pub use storage::Storage;

use super::built_in;
use super::disturb::Disturbance;
use super::old::OldCluster;
use super::others::Other;
use cozyup_base::{file, text};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub name: String,
    /// One sentence for `lab list`.
    pub about: String,
    pub seed: u64,
    pub proxmox: ProxmoxSite,
    /// Nodes that the lab's plan asks for; address = number in the lab's /24.
    pub nodes: Vec<LabNode>,
    pub latency: Latency,
    /// `template.copies` of the lab's plan: the templates of further hosts.
    #[serde(default)]
    pub copies: Vec<Copy>,
    /// `image.storage` of the lab's plan.
    #[serde(default = "local")]
    pub image_storage: String,
    /// `cozystack.version` of the lab's plan, and what its installer manifest installs.
    #[serde(default = "cozystack")]
    pub cozystack: String,
    /// `tests.drills` of the lab's plan: names of `nodes`.
    #[serde(default)]
    pub drills: Vec<String>,
    /// `tests.worker_template` of the lab's plan: VMID of one of the guests.
    #[serde(default)]
    pub worker_template: Option<u32>,
    /// `talos.delivery` of the lab's plan: `apply` or `cdrom`.
    #[serde(default = "apply")]
    pub delivery: String,
    /// The nodes reach no registry but a mirror of all, which the lab's plan names.
    #[serde(default)]
    pub mirror: bool,
    /// Nobody on the site reaches the world but by a proxy, which the lab's plan names.
    #[serde(default)]
    pub proxy: bool,
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// What other people do to the site meanwhile.
    #[serde(default)]
    pub others: Vec<Other>,
    /// The faults of the network in front of the APIs.
    #[serde(default)]
    pub disturbances: Vec<Disturbance>,
    #[serde(default)]
    pub old_cluster: Option<OldCluster>,
}

fn allocate_s() -> f64 {
    1.0
}

fn kernel() -> String {
    "6.17.2-1-pve".into()
}

fn local() -> String {
    "local".into()
}

fn cozystack() -> String {
    "v0.37.2".into()
}

fn apply() -> String {
    "apply".into()
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxmoxSite {
    /// `9.1.2`; decides among others whether error bodies carry `message` (8.4 and later).
    pub version: String,
    pub nodes: Vec<ProxmoxNode>,
    pub storages: Vec<Storage>,
    /// A name, or a bridge with what it is: the first one has the node's address.
    pub bridges: Vec<Bridge>,
    /// The behaviour of the time server at the gateway.
    #[serde(default)]
    pub time: TimeServer,
    /// The token has privileges in `pool` alone, beside those on storages and bridges, as a company gives it that shares its
    /// site; the lab's plan then leaves out the add-ons, whose users it may not make.
    #[serde(default)]
    pub pool_token: bool,
    /// Guests that are there already, not ours.
    #[serde(default)]
    pub guests: Vec<Guest>,
    /// The kernels of the VMs find the first two disks in another order: `/dev/sda` is the one at scsi1.
    #[serde(default)]
    pub disks_swapped: bool,
    /// A resource pool, which the lab's plan then names; the guests that are there already are in none.
    #[serde(default)]
    pub pool: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeServer {
    #[default]
    Answers,
    /// It answers that it has no time itself.
    Unsynchronised,
    Silent,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxmoxNode {
    pub name: String,
    /// The node's own version, when it differs from the site's, as within an upgrade.
    #[serde(default)]
    pub version: Option<String>,
    /// Release of its kernel.
    #[serde(default = "kernel")]
    pub kernel: String,
    pub cores: u32,
    pub memory_gib: u64,
    /// It has been without power for long.
    #[serde(default)]
    pub no_power: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabNode {
    pub name: String,
    /// `controlplane` or `worker`
    pub role: String,
    pub vmid: u32,
    /// Last octet.
    pub address: u8,
    pub host: String,
    pub cores: u32,
    pub memory_mib: u64,
    pub system_disk_gib: u64,
    pub data_disk_gib: u64,
}

/// The template of a further host, as the plan has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copy {
    pub host: String,
    pub vmid: u32,
    #[serde(default)]
    pub storage: Option<String>,
    #[serde(default)]
    pub image_storage: Option<String>,
}

/// Lab seconds. Sources: `facts/*.md`; each key says what it lasts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// Fetching the Talos image from the release server to the jump host.
    pub image_fetch_s: f64,
    /// The `imgcopy` task after an upload.
    pub upload_task_s: f64,
    /// `qmcreate` with `import-from` of the Talos image.
    pub import_s: f64,
    pub template_s: f64,
    /// Allocating the disk of a clone, which holds the storage's lock.
    #[serde(default = "allocate_s")]
    pub allocate_s: f64,
    /// Copying the disk of a full clone, alone on its storage.
    pub clone_s: f64,
    pub config_s: f64,
    pub resize_s: f64,
    pub start_s: f64,
    pub stop_s: f64,
    pub destroy_s: f64,
    /// Start of the VM to the maintenance API on port 50000.
    pub boot_to_maintenance_s: f64,
    /// Apply of a machine config to the secure API (nocloud image: no reboot).
    pub apply_to_secure_api_s: f64,
    /// Secure API to kubelet healthy and etcd waiting for bootstrap (image pulls).
    pub services_s: f64,
    pub bootstrap_to_etcd_s: f64,
    /// etcd healthy to static pods serving on port 6443 of that node.
    pub apiserver_s: f64,
    /// etcd healthy to the VIP held.
    pub vip_s: f64,
    /// VIP held to another control plane's etcd being a full member.
    pub join_s: f64,
    /// API server reachable to a node registered.
    pub register_s: f64,
    /// Installer manifest applied to its Deployment being Available.
    pub installer_s: f64,
    /// Installer available to the first HelmReleases (namespaces, Flux).
    pub flux_s: f64,
    /// Install time of a HelmRelease that `releases` does not name.
    pub release_default_s: f64,
    pub releases: BTreeMap<String, f64>,
    /// Cilium and Kube-OVN ready to a node being Ready.
    pub node_ready_s: f64,
    pub pod_start_s: f64,
    pub satellite_pool_s: f64,
    pub volume_bind_s: f64,
    pub volume_delete_s: f64,
    pub load_balancer_s: f64,
    pub namespace_delete_s: f64,
    /// A Cluster API provider from applied to Ready.
    pub capi_provider_s: f64,
}

/// Something that goes wrong. It bites when the matching act or look happens, and heals by itself
/// `heal_s` lab seconds after it bit first; without `heal_s` it stays.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fault {
    #[serde(flatten)]
    pub kind: FaultKind,
    #[serde(default)]
    pub heal_s: Option<f64>,
    /// Lab time at which it bit first; set by the world.
    #[serde(skip)]
    pub bit_at: Option<jiff::Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum FaultKind {
    /// The installer's token lacks this privilege everywhere.
    MissingPrivilege { privilege: String },
    /// The storage has no room: available is 0, allocations fail.
    StorageFull { storage: String },
    /// Somebody else's VM has this id.
    VmidTaken { vmid: u32 },
    /// Something already answers on this address (last octet), on TCP port 8006: one that needs no root here.
    AddressTaken { address: u8 },
    /// Clones fail with the storage's lock timeout.
    CloneLock,
    /// The worker of a clone is killed while it copies: lock and volumes stay, and the configuration names no disk.
    CloneKilled,
    /// The site's clocks are this many seconds ahead, below 0 behind.
    ClockOff { seconds: i64 },
    /// This HelmRelease fails to install, with this message.
    ReleaseStuck { release: String, message: String },
    /// Pods of this namespace whose names begin so do not come up; `says` is the reason in the words of whoever refuses it: of
    /// the registry, of the program (lines of its log), of the scheduler.
    PodsFail { namespace: String, pod: String, how: PodFailure, says: String },
    /// Whatever pods ask Proxmox VE is answered with this status by something in between, with 0 not at all.
    PodsMeet { status: u16 },
}

/// The way in which a pod does not come up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PodFailure {
    /// Its image can't be pulled.
    ImagePullBackOff,
    /// Its program ends with an error, again and again.
    CrashLoopBackOff,
    /// No node takes it.
    Pending,
}

impl super::world::World {
    /// True when a fault of this kind takes effect now. Notes the first time, from which healing counts.
    pub fn bites(&mut self, matches: impl Fn(&FaultKind) -> bool) -> Option<FaultKind> {
        let now = self.now;
        self.scenario.faults.iter_mut().filter(|f| matches(&f.kind)).find_map(|fault| {
            let bit_at = *fault.bit_at.get_or_insert(now);
            let lasted = cozyup_base::clock::between(bit_at, now).as_secs_f64();
            let healed = fault.heal_s.is_some_and(|heal| lasted >= heal);
            (!healed).then(|| fault.kind.clone())
        })
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    #[error("there is no scenario `{0}`: `cozyup lab list` shows those that there are")]
    Unknown(String),
    #[error("the scenario `{name}` can't be used: {why}")]
    Wrong { name: String, why: String },
}

impl Scenario {
    pub fn names() -> impl Iterator<Item = &'static str> {
        built_in::ALL.iter().map(|(name, _)| *name)
    }

    /// A built-in scenario, or one in a file when `name` ends in `.yaml`. `extends: NAME` takes everything that the
    /// scenario does not say itself from another built-in one.
    ///
    /// # Errors
    /// When there is none of that name, or when it says something that a scenario can't say.
    pub fn load(name: &str) -> Result<Scenario, ScenarioError> {
        let value = document(name)?;
        serde_yaml::from_value(value).map_err(|e| wrong(name, e))
    }
}

fn wrong(name: &str, why: impl ToString) -> ScenarioError {
    ScenarioError::Wrong { name: name.to_string(), why: why.to_string() }
}

fn document(name: &str) -> Result<serde_yaml::Value, ScenarioError> {
    let text = match built_in::ALL.iter().find(|(n, _)| *n == name) {
        Some((_, text)) => (*text).to_string(),
        None if name.ends_with(".yaml") => {
            file::read_text(Path::new(name)).map_err(|e| wrong(name, text::with_cause(&e)))?
        }
        None => return Err(ScenarioError::Unknown(name.to_string())),
    };
    let mut value: serde_yaml::Value = serde_saphyr::from_str(&text).map_err(|e| wrong(name, e))?;
    let parent = value.as_mapping_mut().and_then(|m| m.remove("extends"));
    match parent {
        None => Ok(value),
        Some(parent) => {
            let parent = parent.as_str().ok_or_else(|| wrong(name, "`extends` is not a name"))?.to_string();
            if !built_in::ALL.iter().any(|(n, _)| *n == parent) || parent == name {
                return Err(ScenarioError::Unknown(parent));
            }
            let mut base = document(&parent)?;
            merge(&mut base, value);
            Ok(base)
        }
    }
}

/// Mappings are merged key by key, everything else is replaced.
fn merge(base: &mut serde_yaml::Value, over: serde_yaml::Value) {
    match (base, over) {
        (serde_yaml::Value::Mapping(base), serde_yaml::Value::Mapping(over)) => {
            for (key, value) in over {
                match base.get_mut(&key) {
                    Some(slot) => merge(slot, value),
                    None => {
                        base.insert(key, value);
                    }
                }
            }
        }
        (base, over) => *base = over,
    }
}

/// Opens the socket of every address that a stranger holds; it closes when the fault has healed.
pub fn occupy(world: &mut super::world::World) {
    let taken: Vec<u8> = world
        .scenario
        .faults
        .iter()
        .filter_map(|f| match f.kind {
            FaultKind::AddressTaken { address } => Some(address),
            FaultKind::MissingPrivilege { .. }
            | FaultKind::StorageFull { .. }
            | FaultKind::VmidTaken { .. }
            | FaultKind::CloneLock
            | FaultKind::CloneKilled
            | FaultKind::ClockOff { .. }
            | FaultKind::ReleaseStuck { .. }
            | FaultKind::PodsFail { .. }
            | FaultKind::PodsMeet { .. } => None,
        })
        .collect();
    for host in taken {
        let at = std::net::SocketAddr::from((world.address(host), 8006));
        world.listen(at, super::net::Endpoint::Stranger);
    }
}

/// Somebody has met the stranger at this address: from now on its healing counts.
pub fn met_stranger(world: &mut super::world::World, at: std::net::SocketAddr) {
    let std::net::IpAddr::V4(ip) = at.ip() else { return };
    let [_, _, _, host] = ip.octets();
    let kind = FaultKind::AddressTaken { address: host };
    let fault = world.scenario.faults.iter().find(|f| f.kind == kind);
    let first = fault.is_some_and(|f| f.bit_at.is_none());
    let heal_s = fault.and_then(|f| f.heal_s);
    if world.bites(|k| *k == kind).is_some()
        && first
        && let Some(seconds) = heal_s
    {
        world.after(seconds, move |w| w.close(at));
    }
}

#[cfg(test)]
mod tests;
