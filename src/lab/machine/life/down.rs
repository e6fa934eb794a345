//! The ways in which a machine goes down: reboot, shutdown, reset.
use super::super::super::net::Endpoint;
use super::super::super::world::World;
use super::super::{API_PORT, Api, Progress, Stage, outside, status};
use super::super::{Machine, cluster};
use super::{boot, boot_id, later, phase_event, power_off, sequence_event, task_event};

/// The share of `stop_s` after which machined has stopped, a while before apid does.
const MACHINED_SHARE: f64 = 0.5;

/// Goes down and boots again with a new boot id.
pub fn reboot(world: &mut World, vmid: u32, actor: &str) {
    leave(world, vmid, actor, "reboot", Stage::Rebooting);
    later(world, vmid, world.scenario.latency.stop_s, move |world| restart(world, vmid));
}

/// Goes down and stays off, in Proxmox too.
pub fn shutdown(world: &mut World, vmid: u32, actor: &str) {
    leave(world, vmid, actor, "shutdown", Stage::ShuttingDown);
    later(world, vmid, world.scenario.latency.stop_s, move |world| {
        power_off(world, vmid);
        outside::switched_off(world, vmid);
    });
}

/// The part of the system disk that a reset wipes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wipe {
    /// All of it, the boot loader and Talos too: what `talosctl reset` does when it is told no labels.
    Disk,
    /// The config with STATE, etcd's data and the images with EPHEMERAL; what boots the machine stays.
    Partitions { state: bool, ephemeral: bool },
    /// Only other disks.
    Nothing,
}

/// Wipes, then boots or stays off. Only a `graceful` reset leaves etcd first.
pub fn reset(world: &mut World, vmid: u32, actor: &str, graceful: bool, reboot: bool, wipe: Wipe) {
    leave(world, vmid, actor, "reset", Stage::Resetting);
    later(world, vmid, world.scenario.latency.stop_s, move |world| {
        let address = world.machines.get(&vmid).map(|m| m.address().0);
        go_dark(world, vmid);
        if let (Some(machine), Some(address)) = (world.machines.get_mut(&vmid), address) {
            let (config, data) = match wipe {
                Wipe::Disk => (true, true),
                Wipe::Partitions { state, ephemeral } => (state, ephemeral),
                Wipe::Nothing => (false, false),
            };
            machine.wiped = wipe == Wipe::Disk;
            if graceful {
                // A member that has left etcd has no data of it either, whatever is wiped.
                (machine.lost, machine.etcd, machine.split) = (None, None, false);
            } else if data {
                machine.lost = machine.as_lost();
                (machine.etcd, machine.split) = (None, false);
            }
            if config {
                (machine.config, machine.staged) = (None, None);
            }
            world.close((address, API_PORT).into());
        }
        if reboot {
            restart(world, vmid);
        } else {
            power_off(world, vmid);
            outside::switched_off(world, vmid);
        }
    });
}

fn leave(world: &mut World, vmid: u32, actor: &str, sequence: &str, stage: Stage) {
    let now = world.now;
    let Some(machine) = world.machines.get_mut(&vmid) else { return };
    machine.stage = stage;
    machine.sequence(now, actor, sequence, sequence_event::Action::Start);
    machine.log(now, &format!("{sequence} sequence: 10 phase(s)"));
    status::publish(world, vmid);
    let Some(machine) = world.machines.get_mut(&vmid) else { return };
    // The last that anybody hears of it: `talosctl reset` waits for this very task.
    machine.phase(now, actor, "stopEverything", phase_event::Action::Start);
    machine.task(now, actor, "stopAllServices", task_event::Action::Start);
    later(world, vmid, world.scenario.latency.stop_s * MACHINED_SHARE, move |world| {
        if let Some(machine) = world.machines.get_mut(&vmid) {
            machine.machined_gone = true;
        }
    });
}

fn restart(world: &mut World, vmid: u32) {
    go_dark(world, vmid);
    let boot_id = boot_id(world);
    let Some(old) = world.machines.remove(&vmid) else { return };
    let mut machine = Machine::new(vmid, old.vm.clone(), boot_id);
    machine.keep_disk_of(old);
    world.machines.insert(vmid, machine);
    boot(world, vmid);
    cluster::settle(world);
}

/// Closes every socket of the machine and stops what runs on it.
pub fn go_dark(world: &mut World, vmid: u32) {
    let Some(machine) = world.machines.get(&vmid) else { return };
    let name = machine.hostname();
    let address = machine.address().0;
    let vip = machine.vip().filter(|_| machine.vip_held);
    let had_node = machine.registered == Progress::Done;
    world.listeners.retain(|at, endpoint| {
        let ours = at.ip() == address || vip.is_some_and(|vip| at.ip() == vip);
        match endpoint {
            Endpoint::TalosMaintenance { vmid: of } | Endpoint::TalosSecure { vmid: of } => *of != vmid,
            Endpoint::Kubernetes { node } => !(ours && *node == name),
            Endpoint::Proxmox
            | Endpoint::TenantKubernetes { .. }
            | Endpoint::Service { .. }
            | Endpoint::Releases
            | Endpoint::Mirror
            | Endpoint::Proxy
            | Endpoint::Stranger => true,
        }
    });
    let Some(machine) = world.machines.get_mut(&vmid) else { return };
    machine.api = Api::Closed;
    machine.services.clear();
    machine.vip_held = false;
    machine.api_server = Progress::No;
    machine.registered = Progress::No;
    if had_node {
        outside::node_down(world, &name);
    }
}
