//! A VM that runs Talos v1.10.6, in the lab: from power on over maintenance mode to a member of a cluster.
//!
//! `life` moves one machine through its boot, `cluster` what machines do together (etcd, VIP, joining), `resource`
//! shows the state as COSI resources, `api` serves it on a socket. All of it is a function of the [`World`].
pub mod api;
pub(crate) mod certificate;
mod cluster;
pub(crate) mod config;
mod event;
#[cfg(test)]
pub mod fixture;
mod known;
pub(crate) mod kubeconfig;
mod life;
pub mod nocloud;
pub mod outside;
mod resource;
mod ring;
mod seeded;
mod service;
mod spec;
mod status;
mod talosconfig;
#[cfg(test)]
mod tests;

use super::net::Endpoint;
use super::world::World;
use certificate::Identity;
pub use config::{ConfigError, MachineConfig, Role};
use cozyup_talos_wire::machine as wire;
use event::{Event, Kind};
use jiff::Timestamp;
pub(crate) use life::CRI_SHARE;
pub use life::hang;
use outside::Vm;
use ring::Ring;
pub use service::{Service, State};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

pub const TALOS_VERSION: &str = "v1.10.6";
/// Port of the Talos API.
pub const API_PORT: u16 = 50000;
/// Port of a control plane's own API server.
pub const KUBERNETES_PORT: u16 = 6443;
/// Lines of kernel log that are kept.
const DMESG: usize = 4000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Booting,
    Maintenance,
    Running,
    Rebooting,
    ShuttingDown,
    Resetting,
}

/// The API on port 50000.
#[derive(Debug, Clone)]
pub enum Api {
    Closed,
    Maintenance(Arc<Identity>),
    /// A worker that no control plane has signed a certificate for yet.
    AwaitingTrustd,
    Secure(Arc<Identity>),
}

/// The content of the etcd data directory; it outlives reboots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The cluster that one bootstrap made.
    pub cluster: u64,
    pub id: u64,
    pub learner: bool,
}

/// A line of etcd's member list whose data is gone: its machine was wiped without leaving the cluster first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    pub membership: Membership,
    pub hostname: String,
    pub address: Ipv4Addr,
}

/// Something that takes time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    No,
    Underway,
    Done,
}

pub struct Machine {
    pub vmid: u32,
    pub vm: Vm,
    /// Off, it keeps its disk: config and etcd data.
    pub on: bool,
    /// New with every boot; timers of an earlier boot do nothing.
    pub boot_id: String,
    pub stage: Stage,
    pub config: Option<Arc<MachineConfig>>,
    /// The config that takes effect at the next boot.
    pub staged: Option<Arc<MachineConfig>>,
    pub api: Api,
    pub services: BTreeMap<String, Service>,
    pub etcd: Option<Membership>,
    pub lost: Option<Lost>,
    /// True when etcd was started in this boot: by a bootstrap, a join, or with its data.
    etcd_started: bool,
    /// The bootstrap that is in work: taken, and etcd has no data yet. A later one takes its place.
    told: Option<u64>,
    /// When etcd has its image.
    images_at: Timestamp,
    /// The disk has no partition table any more: nothing boots from it.
    wiped: bool,
    /// It goes down and machined has stopped: apid still listens and has nobody to ask.
    machined_gone: bool,
    /// This etcd was bootstrapped while another of the same cluster already had data: the cluster is split.
    pub split: bool,
    pub api_server: Progress,
    /// The kubelet has registered its node since this boot.
    pub registered: Progress,
    pub vip_held: bool,
    pub boot_done: bool,
    pub events: Ring<Event>,
    pub dmesg: Ring<String>,
    status: Option<status::Status>,
    versions: Mutex<resource::Versions>,
}

impl Machine {
    fn new(vmid: u32, vm: Vm, boot_id: String) -> Self {
        Machine {
            vmid,
            vm,
            on: true,
            boot_id,
            stage: Stage::Booting,
            config: None,
            staged: None,
            api: Api::Closed,
            services: BTreeMap::new(),
            etcd: None,
            lost: None,
            etcd_started: false,
            told: None,
            wiped: false,
            machined_gone: false,
            images_at: Timestamp::UNIX_EPOCH,
            split: false,
            api_server: Progress::No,
            registered: Progress::No,
            vip_held: false,
            boot_done: false,
            events: Ring::new(event::RING),
            dmesg: Ring::new(DMESG),
            status: None,
            versions: Mutex::default(),
        }
    }

    /// Takes over what an earlier life of the same machine left on its disk.
    fn keep_disk_of(&mut self, old: Machine) {
        (self.config, self.etcd, self.split, self.lost) = (old.staged.or(old.config), old.etcd, old.split, old.lost);
        self.wiped = old.wiped;
    }

    /// The part of this machine that the cluster still knows once its disk is gone.
    fn as_lost(&self) -> Option<Lost> {
        let known = self.etcd.clone().map(|membership| Lost {
            membership,
            hostname: self.hostname(),
            address: self.address().0,
        });
        known.or_else(|| self.lost.clone())
    }

    /// The name that the config gives, else that of the platform's CD-ROM, else one made from the VM's UUID as
    /// `stableHostname` does.
    pub fn hostname(&self) -> String {
        let configured = self.config.as_ref().and_then(|c| c.hostname.clone());
        let given = configured.or_else(|| self.vm.hostname.clone());
        given.unwrap_or_else(|| {
            let hex: String = self.vm.uuid.chars().filter(char::is_ascii_hexdigit).collect();
            let part = |from: usize, to: usize| hex.get(from..to).unwrap_or("000").to_string();
            format!(
                "talos-{}-{}",
                part(hex.len().saturating_sub(8), hex.len().saturating_sub(5)),
                part(hex.len().saturating_sub(3), hex.len())
            )
        })
    }

    /// The static address of the config where an entry selects the VM's card, else the one of the cloud-init drive.
    pub fn address(&self) -> (Ipv4Addr, u8) {
        let configured = self.config.as_ref().and_then(|c| c.interface(&self.vm.mac)?.addresses.first().copied());
        configured.map_or(self.vm.address, |net| (net.addr(), net.prefix_len()))
    }

    /// Those of the config, else Talos' own default.
    pub fn time_servers(&self) -> Vec<String> {
        let given = self.config.as_ref().map(|c| c.time_servers.clone()).unwrap_or_default();
        if given.is_empty() { vec!["time.cloudflare.com".into()] } else { given }
    }

    /// The shared address that this machine would hold as leader.
    pub fn vip(&self) -> Option<Ipv4Addr> {
        self.config.as_ref()?.interface(&self.vm.mac)?.vip
    }

    pub fn control_plane(&self) -> bool {
        self.config.as_ref().is_some_and(|c| c.role == Role::ControlPlane)
    }

    /// True when a service runs and its check, if it has one, is content.
    pub fn healthy(&self, service: &str) -> bool {
        self.services.get(service).is_some_and(Service::healthy)
    }

    fn note(&mut self, now: Timestamp, kind: Kind, actor: &str, message: &impl prost::Message) {
        let count = self.events.end();
        self.events.push(event::event(now, self.vmid, count, actor, kind, message));
    }

    fn log(&mut self, now: Timestamp, message: &str) {
        self.dmesg.push(format!("user: warning: [{now}]: [talos] {message}\n"));
    }

    fn sequence(&mut self, now: Timestamp, actor: &str, name: &str, action: wire::sequence_event::Action) {
        self.note(
            now,
            Kind::Sequence,
            actor,
            &wire::SequenceEvent { sequence: name.into(), action: action.into(), error: None },
        );
    }

    fn phase(&mut self, now: Timestamp, actor: &str, name: &str, action: wire::phase_event::Action) {
        self.note(now, Kind::Phase, actor, &wire::PhaseEvent { phase: name.into(), action: action.into() });
    }

    fn task(&mut self, now: Timestamp, actor: &str, name: &str, action: wire::task_event::Action) {
        self.note(now, Kind::Task, actor, &wire::TaskEvent { task: name.into(), action: action.into() });
    }

    /// Moves a service to `state` and tells it in events and kernel log.
    fn service(&mut self, now: Timestamp, id: &str, state: State, message: &str) {
        match self.services.get_mut(id) {
            Some(service) => service.note(now, state, message),
            None => {
                self.services.insert(id.into(), Service::new(now, state, message));
            }
        }
        self.service_changed(now, id, state, message);
    }

    /// A service that begins by waiting for `conditions`.
    fn waits(&mut self, now: Timestamp, id: &str, conditions: &str) {
        self.service(now, id, State::Starting, "Starting service");
        self.service(now, id, State::Waiting, &format!("Waiting for {conditions}"));
    }

    /// The message of a service between its conditions and its start.
    fn prepares(&mut self, now: Timestamp, id: &str) {
        self.service(now, id, State::Preparing, "Running pre state");
        self.service(now, id, State::Preparing, "Creating service runner");
    }

    fn health(&mut self, now: Timestamp, id: &str, healthy: bool, message: &str) {
        let Some(service) = self.services.get_mut(id) else { return };
        let told = if healthy { "Health check successful".into() } else { format!("Health check failed: {message}") };
        let state = service.state;
        service.health = Some(service::Health { at: now, healthy, message: message.into() });
        service.note(now, state, &told);
        self.service_changed(now, id, state, &told);
    }

    fn service_changed(&mut self, now: Timestamp, id: &str, state: State, message: &str) {
        use wire::service_state_event::Action;
        let action = match state {
            State::Preparing => Action::Preparing,
            State::Waiting => Action::Waiting,
            State::Starting => Action::Starting,
            State::Running => Action::Running,
            State::Stopping => Action::Stopping,
            State::Finished => Action::Finished,
            State::Failed => Action::Failed,
        };
        let health = self.services.get(id).map(api::health);
        let told =
            wire::ServiceStateEvent { service: id.into(), action: action.into(), message: message.into(), health };
        self.note(now, Kind::ServiceState, "", &told);
        self.log(now, &format!("service[{id}]({}): {message}", state.as_str()));
    }
}

/// Called by Proxmox when the VM's start task ends well.
pub fn power_on(world: &mut World, vmid: u32) {
    life::power_on(world, vmid);
}

/// [`power_on`] for a VM that is described by the caller.
pub fn start(world: &mut World, vmid: u32, vm: Vm) {
    life::start(world, vmid, vm);
}

/// Called by Proxmox when the VM stops. The machine's disk stays for the next power on;
/// a VM with another UUID under the same id begins with an empty one.
pub fn power_off(world: &mut World, vmid: u32) {
    life::power_off(world, vmid);
}

/// Called by Proxmox when the VM is destroyed: what was on its disk is gone.
pub fn destroyed(world: &mut World, vmid: u32) {
    life::power_off(world, vmid);
    let carried = world.machines.remove(&vmid).is_some_and(|m| m.etcd.is_some());
    if carried && world.machines.values().all(|m| m.etcd.is_none()) {
        outside::cluster_gone(world);
    }
}

/// The API in maintenance shows another key from now on, as a machine that took over the address would. `false` when the
/// machine is not in maintenance.
pub fn show_another_key(world: &mut World, vmid: u32) -> bool {
    let now = world.now;
    let Some(machine) = world.machines.get_mut(&vmid) else { return false };
    let (Api::Maintenance(_), Ok(other)) = (&machine.api, certificate::maintenance(machine, now)) else { return false };
    machine.api = Api::Maintenance(Arc::new(other));
    true
}

/// The key that the machine shows in maintenance, as its console prints it.
pub fn maintenance_key(world: &World, vmid: u32) -> Option<String> {
    match &world.machines.get(&vmid)?.api {
        Api::Maintenance(identity) => Some(identity.spki_fingerprint.to_string()),
        Api::Closed | Api::AwaitingTrustd | Api::Secure(_) => None,
    }
}

/// Opens a socket of the lab; addresses outside the lab's /24 are ignored.
fn listen(world: &mut World, address: Ipv4Addr, port: u16, endpoint: Endpoint) {
    let [a, b, c, _] = world.base.octets();
    let [x, y, z, _] = address.octets();
    if (a, b, c) == (x, y, z) {
        world.listen(SocketAddr::from((address, port)), endpoint);
    }
}
