//! One machine's life: power, maintenance mode, applying a config, the boot of a configured machine; `down` is its end,
//! `kubelet` a service that hangs in between.
mod down;
mod kubelet;

use super::super::net::Endpoint;
use super::super::world::World;
use super::super::{mirror, proxy};
use super::config::{ConfigError, MachineConfig};
use super::event::Kind;
use super::{
    API_PORT, Api, Machine, Stage, State, certificate, cluster, listen, outside, seeded, service, status, wire,
};
use cozyup_base::clock::add;
use down::go_dark;
pub use down::{Wipe, reboot, reset, shutdown};
pub use kubelet::hang;
use std::sync::Arc;
use std::time::Duration;
use wire::{phase_event, sequence_event, task_event};

/// Talos reboots a machine whose services are not all up by then (`constants.BootTimeout`).
const BOOT_TIMEOUT_S: f64 = 70.0 * 60.0;
/// `image.PullTimeout`.
const PULL_TIMEOUT_S: f64 = 1200.0;
/// The nag of a control plane that nobody has bootstrapped (`etcd.go`).
const NAG_S: f64 = 30.0;
const NAG: &str = "etcd is waiting to join the cluster, if this node is the first node in the cluster, please run \
                   `talosctl bootstrap` against one of the following IPs:";
/// The share of `services_s` after which the CRI runs and images are pulled.
pub const CRI_SHARE: f64 = 0.3;

/// Runs `action` after `seconds`, unless the machine was switched off or rebooted meanwhile.
pub fn later(world: &mut World, vmid: u32, seconds: f64, action: impl FnOnce(&mut World) + Send + 'static) {
    let Some(boot) = world.machines.get(&vmid).map(|m| m.boot_id.clone()) else { return };
    world.after(seconds, move |world| {
        if world.machines.get(&vmid).is_some_and(|m| m.on && m.boot_id == boot) {
            action(world);
        }
    });
}

pub fn power_on(world: &mut World, vmid: u32) {
    match outside::vm(world, vmid) {
        Some(vm) => start(world, vmid, vm),
        None => outside::other_guest_up(world, vmid),
    }
}

/// [`power_on`] with the VM's hardware given.
pub fn start(world: &mut World, vmid: u32, vm: super::outside::Vm) {
    if world.machines.get(&vmid).is_some_and(|m| m.on && m.vm.uuid == vm.uuid) {
        return;
    }
    let old = world.machines.remove(&vmid);
    let mut machine = Machine::new(vmid, vm, boot_id(world));
    match old {
        Some(old) if old.vm.uuid == machine.vm.uuid => machine.keep_disk_of(old),
        Some(old) => machine.lost = old.as_lost(),
        None => {}
    }
    world.machines.insert(vmid, machine);
    boot(world, vmid);
}

pub fn power_off(world: &mut World, vmid: u32) {
    go_dark(world, vmid);
    if let Some(machine) = world.machines.get_mut(&vmid) {
        machine.on = false;
    }
    cluster::settle(world);
}

/// From the kernel's first line to an API: maintenance without a config, else straight to the configured machine.
fn boot(world: &mut World, vmid: u32) {
    let now = world.now;
    if let Some(machine) = world.machines.get_mut(&vmid) {
        if machine.wiped {
            // The firmware finds nothing to boot from: on for Proxmox VE, and silent.
            return;
        }
        machine.sequence(now, "", "initialize", sequence_event::Action::Start);
        machine.log(now, "initialize sequence: 8 phase(s)");
        machine.phase(now, "", "earlyServices", phase_event::Action::Start);
        for id in ["auditd", "containerd", "dashboard", "machined", "syslogd", "udevd"] {
            machine.service(now, id, State::Starting, "Starting service");
            machine.prepares(now, id);
            let runs = if id == "containerd" { service::CONTAINERD_RUNS } else { "Service started as goroutine" };
            machine.service(now, id, State::Running, runs);
            if id != "dashboard" {
                machine.health(now, id, true, "");
            }
        }
        machine.phase(now, "", "earlyServices", phase_event::Action::Stop);
    }
    status::publish(world, vmid);
    later(world, vmid, world.scenario.latency.boot_to_maintenance_s, move |world| {
        if world.machines.get(&vmid).is_some_and(|m| m.config.is_some()) {
            open_secure(world, vmid);
        } else if !seeded::boot(world, vmid) {
            enter_maintenance(world, vmid);
        }
    });
}

fn enter_maintenance(world: &mut World, vmid: u32) {
    let now = world.now;
    let Some(machine) = world.machines.get_mut(&vmid) else { return };
    let (address, _) = machine.address();
    // Without a certificate nothing can listen; the machine then looks as dark as one that hangs.
    let Ok(identity) = certificate::maintenance(machine, now) else { return };
    machine.task(now, "", "runningMaintenance", task_event::Action::Start);
    machine.log(now, "this machine is reachable at:");
    machine.log(now, &format!("\t{address}"));
    machine.log(now, &format!("server certificate issued {{\"fingerprint\": \"{}\"}}", identity.spki_fingerprint));
    machine.api = Api::Maintenance(Arc::new(identity));
    machine.stage = Stage::Maintenance;
    listen(world, address, API_PORT, Endpoint::TalosMaintenance { vmid });
    status::publish(world, vmid);
}

/// The reason why a changing call was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("{}", .0.why())]
    Config(ConfigError),
    #[error("this config would move the node from {0} to {1}; the lab's nodes keep their address")]
    Moves(String, String),
    #[error("bootstrap is not available yet")]
    TooEarly,
    #[error("bootstrap can only be performed on a control plane node")]
    NoControlPlane,
    #[error("etcd data directory is not empty")]
    HasData,
    #[error("the machine is not there")]
    Gone,
}

/// Reads a config for this machine without applying it.
///
/// # Errors
/// [`Refused::Config`], and [`Refused::Moves`] when a configured machine would change its address.
pub fn check(world: &World, vmid: u32, data: &[u8]) -> Result<MachineConfig, Refused> {
    let machine = world.machines.get(&vmid).ok_or(Refused::Gone)?;
    let config = MachineConfig::read(data).map_err(Refused::Config)?;
    if machine.config.is_some() {
        let new = config.interface(&machine.vm.mac).and_then(|i| i.addresses.first());
        let (old, _) = machine.address();
        if let Some(new) = new.filter(|n| n.addr() != old) {
            return Err(Refused::Moves(old.to_string(), new.addr().to_string()));
        }
    }
    Ok(config)
}

/// When a configured machine begins to live by another config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Now,
    WithReboot,
    NextBoot,
}

/// Takes a config: in maintenance the machine goes on to boot with it, a configured machine changes it `when`.
pub fn apply(world: &mut World, vmid: u32, config: MachineConfig, when: When) {
    let now = world.now;
    let Some(machine) = world.machines.get_mut(&vmid).filter(|m| m.on) else { return };
    let first = machine.config.is_none();
    if !first && when != When::Now {
        machine.staged = Some(Arc::new(config));
        if when == When::WithReboot {
            reboot(world, vmid, "");
        }
        return;
    }
    let lldpd = config.lldpd;
    let (address, _) = machine.address();
    machine.config = Some(Arc::new(config));
    if !first {
        if lldpd && machine.services.get("ext-lldpd").is_some_and(|s| s.state == State::Waiting) {
            machine.service(
                now,
                "ext-lldpd",
                State::Running,
                "Started task ext-lldpd (PID 2210) for container ext-lldpd",
            );
        }
        finish_boot(world, vmid);
        return cluster::settle(world);
    }
    machine.task(now, "", "runningMaintenance", task_event::Action::Stop);
    machine.log(now, "maintenance service stopped, the configuration is complete");
    machine.api = Api::Closed;
    machine.stage = Stage::Booting;
    world.close((address, API_PORT).into());
    status::publish(world, vmid);
    later(world, vmid, world.scenario.latency.apply_to_secure_api_s, move |world| open_secure(world, vmid));
}

/// Starts the services of a configured machine; its API opens as soon as it has a certificate.
pub fn open_secure(world: &mut World, vmid: u32) {
    let now = world.now;
    let Some(machine) = world.machines.get_mut(&vmid) else { return };
    machine.stage = Stage::Booting;
    machine.sequence(now, "", "initialize", sequence_event::Action::Stop);
    machine.sequence(now, "", "boot", sequence_event::Action::Start);
    machine.log(now, "boot sequence: 10 phase(s)");
    machine.phase(now, "", "startEverything", phase_event::Action::Start);
    machine.task(now, "", "startAllServices", task_event::Action::Start);
    machine.waits(now, "apid", service::APID_WAITS);
    machine.waits(now, "cri", service::CRI_WAITS);
    machine.waits(now, "ext-lldpd", "service \"cri\" to be \"up\", extension service config");
    machine.waits(now, "kubelet", service::KUBELET_WAITS);
    if machine.control_plane() {
        machine.waits(now, "etcd", service::ETCD_WAITS);
        machine.waits(now, "trustd", service::TRUSTD_WAITS);
    }
    machine.api = Api::AwaitingTrustd;
    let addresses = vec![machine.address().0.to_string()];
    let hostname = machine.hostname();
    machine.note(now, Kind::Address, "", &wire::AddressEvent { hostname, addresses });
    let services = world.scenario.latency.services_s;
    machine.images_at = add(now, Duration::from_secs_f64(services.max(0.0)));
    later(world, vmid, services * CRI_SHARE, move |world| images_wanted(world, vmid));
    later(world, vmid, services, move |world| services_up(world, vmid));
    later(world, vmid, BOOT_TIMEOUT_S, move |world| {
        if world.machines.get(&vmid).is_some_and(|m| !m.boot_done) {
            reboot(world, vmid, "");
        }
    });
    cluster::settle(world);
}

/// The image of a service that Talos starts from one, on a node that can't pull it: why.
fn not_pulled(world: &World, vmid: u32, service: &str) -> Option<String> {
    let config = world.machines.get(&vmid)?.config.as_ref()?;
    let image = match service {
        "etcd" => "gcr.io/etcd-development/etcd:v3.5.21".to_string(),
        _ => format!("ghcr.io/siderolabs/{service}:{}", config.kubernetes_version),
    };
    mirror::refusal(world, config, &image).or_else(|| proxy::refusal(world, config, &image))
}

/// Talos pulls again and again for 20 minutes (`image.PullTimeout`, v1.10.6), then gives the service up.
fn pulls_in_vain(world: &mut World, vmid: u32) {
    for id in ["etcd", "kubelet"] {
        let Some(why) = not_pulled(world, vmid, id) else { continue };
        let now = world.now;
        if let Some(machine) = world.machines.get_mut(&vmid).filter(|m| m.services.contains_key(id)) {
            machine.log(now, &format!("retrying error: {why}"));
        }
        later(world, vmid, PULL_TIMEOUT_S, move |world| {
            let now = world.now;
            if let Some(machine) = world.machines.get_mut(&vmid).filter(|m| m.services.contains_key(id)) {
                machine.service(now, id, State::Failed, &format!("failed to run pre stage: {why}"));
            }
            status::publish(world, vmid);
        });
    }
}

/// The CRI runs; kubelet and etcd pull their images.
fn images_wanted(world: &mut World, vmid: u32) {
    let now = world.now;
    pulls_in_vain(world, vmid);
    let Some(machine) = world.machines.get_mut(&vmid) else { return };
    let Some(config) = machine.config.clone() else { return };
    let address = machine.address().0;
    machine.prepares(now, "cri");
    machine.service(now, "cri", State::Running, service::CRI_RUNS);
    machine.health(now, "cri", true, "");
    if config.kubelet_subnets.is_empty() || config.kubelet_subnets.iter().any(|n| n.contains(&address)) {
        machine.service(now, "kubelet", State::Preparing, "Running pre state");
    }
    if machine.control_plane() {
        machine.prepares(now, "trustd");
        machine.service(now, "trustd", State::Running, "Started task trustd (PID 1789) for container trustd");
        machine.health(now, "trustd", true, "");
        if config.etcd_subnets.is_empty() || config.etcd_subnets.iter().any(|n| n.contains(&address)) {
            machine.service(now, "etcd", State::Preparing, "Running pre state");
        } else {
            machine.service(now, "etcd", State::Waiting, "Waiting for etcd spec");
        }
    }
    if config.lldpd {
        machine.service(now, "ext-lldpd", State::Running, "Started task ext-lldpd (PID 2210) for container ext-lldpd");
    } else {
        machine.service(now, "ext-lldpd", State::Waiting, "Waiting for extension service config");
    }
    status::publish(world, vmid);
}

/// The kubelet is healthy; etcd goes on with its data, or waits for bootstrap.
fn services_up(world: &mut World, vmid: u32) {
    let now = world.now;
    if ["etcd", "kubelet"].iter().any(|id| not_pulled(world, vmid, id).is_some()) {
        return;
    }
    let Some(machine) = world.machines.get_mut(&vmid) else { return };
    if machine.services.get("kubelet").is_some_and(|s| s.state == State::Preparing) {
        machine.service(now, "kubelet", State::Preparing, "Creating service runner");
        machine.service(now, "kubelet", State::Running, "Started task kubelet (PID 1901) for container kubelet");
        let early = "Get \"http://127.0.0.1:10248/healthz\": dial tcp 127.0.0.1:10248: connect: connection refused";
        machine.health(now, "kubelet", false, early);
        machine.health(now, "kubelet", true, "");
    }
    match &machine.etcd {
        Some(_) if machine.etcd_started => {}
        Some(_) => cluster::etcd_with_data(world, vmid),
        None => nag(world, vmid),
    }
    finish_boot(world, vmid);
    cluster::settle(world);
}

fn nag(world: &mut World, vmid: u32) {
    let now = world.now;
    let Some(machine) = world.machines.get_mut(&vmid) else { return };
    if !cluster::waits_for_bootstrap(machine) {
        return;
    }
    let address = machine.address().0;
    machine.log(now, NAG);
    machine.log(now, &format!("[{address}]"));
    later(world, vmid, NAG_S, move |world| nag(world, vmid));
}

/// Ends the boot sequence when every service is up.
pub fn finish_boot(world: &mut World, vmid: u32) {
    let now = world.now;
    let Some(machine) = world.machines.get_mut(&vmid).filter(|m| !m.boot_done && m.stage == Stage::Booting) else {
        return;
    };
    // A bootstrap lets the boot sequence go on before etcd is healthy.
    let member = machine.etcd.as_ref().is_some_and(|e| !e.learner);
    let etcd = !machine.control_plane() || member || machine.told.is_some();
    let apid = matches!(machine.api, Api::Secure(_));
    if machine.healthy("kubelet") && machine.healthy("ext-lldpd") && etcd && apid {
        machine.boot_done = true;
        machine.stage = Stage::Running;
        machine.task(now, "", "startAllServices", task_event::Action::Stop);
        machine.phase(now, "", "startEverything", phase_event::Action::Stop);
        machine.sequence(now, "", "boot", sequence_event::Action::Stop);
        machine.log(now, "boot sequence: done");
    }
    status::publish(world, vmid);
}

fn boot_id(world: &mut World) -> String {
    super::super::kube::store::uuid(&mut world.random)
}
