//! MachineStatus: the stage and the conditions that are not met, computed from the machine.
use super::super::world::World;
use super::event::Kind;
use super::{Machine, Progress, Stage, outside};
use crate::talos::wire::machine::machine_status_event as wire;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub stage: Stage,
    pub ready: bool,
    /// Name and reason.
    pub unmet: Vec<(&'static str, String)>,
}

impl Stage {
    pub fn wire(self) -> wire::MachineStage {
        match self {
            Stage::Booting => wire::MachineStage::Booting,
            Stage::Maintenance => wire::MachineStage::Maintenance,
            Stage::Running => wire::MachineStage::Running,
            Stage::Rebooting => wire::MachineStage::Rebooting,
            Stage::ShuttingDown => wire::MachineStage::ShuttingDown,
            Stage::Resetting => wire::MachineStage::Resetting,
        }
    }

    /// As YAML shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Booting => "booting",
            Stage::Maintenance => "maintenance",
            Stage::Running => "running",
            Stage::Rebooting => "rebooting",
            Stage::ShuttingDown => "shutting down",
            Stage::Resetting => "resetting",
        }
    }
}

pub fn of(world: &World, machine: &Machine) -> Status {
    let unmet = match machine.stage {
        Stage::Booting | Stage::Running => unmet(world, machine),
        Stage::Maintenance | Stage::Rebooting | Stage::ShuttingDown | Stage::Resetting => Vec::new(),
    };
    let can_be_ready = matches!(machine.stage, Stage::Booting | Stage::Running | Stage::Maintenance);
    Status { stage: machine.stage, ready: can_be_ready && unmet.is_empty(), unmet }
}

fn unmet(world: &World, machine: &Machine) -> Vec<(&'static str, String)> {
    let mut unmet = Vec::new();
    let needed: &[&str] = if machine.control_plane() {
        &["apid", "etcd", "kubelet", "machined", "trustd"]
    } else {
        &["apid", "kubelet", "machined"]
    };
    let troubles: Vec<String> = needed
        .iter()
        .filter_map(|id| match machine.services.get(*id) {
            Some(service) if service.healthy() => None,
            Some(service) if service.running() => Some(format!("{id} not healthy")),
            Some(_) | None => Some(format!("{id} not running")),
        })
        .collect();
    if !troubles.is_empty() {
        unmet.push(("services", troubles.join(", ")));
    }
    let name = machine.hostname();
    match machine.api_server {
        Progress::Underway => unmet.push(("staticPods", format!("kube-system/kube-apiserver-{name} not ready"))),
        Progress::No | Progress::Done => {}
    }
    match machine.registered {
        Progress::Done if outside::node_is_ready(world, &name) => {}
        Progress::Done => unmet.push(("nodeReady", format!("node {name:?} is not ready"))),
        Progress::No | Progress::Underway => {
            unmet.push(("nodeReady", format!("node {name:?} status is not available yet")));
        }
    }
    unmet
}

/// Whether the status differs from the one told last.
pub fn changed(world: &World, machine: &Machine) -> bool {
    machine.on && machine.status.as_ref() != Some(&of(world, machine))
}

/// Tells the status in an event when it changed.
pub fn tell(world: &mut World, vmid: u32) {
    let Some(machine) = world.machines.get(&vmid).filter(|m| changed(world, m)) else { return };
    let status = of(world, machine);
    let told = super::wire::MachineStatusEvent { stage: status.stage.wire().into(), status: Some(wire(&status)) };
    let now = world.now;
    let Some(machine) = world.machines.get_mut(&vmid) else { return };
    machine.note(now, Kind::MachineStatus, "", &told);
    if status.stage == Stage::Running && status.ready {
        machine.log(now, "machine is running and ready");
    }
    machine.status = Some(status);
}

fn wire(status: &Status) -> wire::MachineStatus {
    wire::MachineStatus {
        ready: status.ready,
        unmet_conditions: status
            .unmet
            .iter()
            .map(|(name, reason)| wire::machine_status::UnmetCondition { name: (*name).into(), reason: reason.clone() })
            .collect(),
    }
}
