//! MachineStatus: the stage and the conditions that are not met, computed from the machine.
use super::super::world::World;
use super::event::Kind;
use super::{Machine, Progress, Service, Stage, outside};
use cozyup_talos_wire::machine::machine_status_event as wire;

/// The pods that a control plane's kubelet runs from files.
pub const STATIC_PODS: [&str; 3] = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"];

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
    // Nothing is asked of a machine in any other stage: it counts as ready.
    Status { stage: machine.stage, ready: unmet.is_empty(), unmet }
}

fn unmet(world: &World, machine: &Machine) -> Vec<(&'static str, String)> {
    let mut unmet = Vec::new();
    // First what runs and is not healthy, then what should run and does not, in the order of Talos' own lists.
    let needed: &[&str] = if machine.control_plane() {
        &["apid", "machined", "kubelet", "etcd", "trustd"]
    } else {
        &["apid", "machined", "kubelet"]
    };
    let ill = machine.services.iter().filter(|(_, s)| s.running() && !s.healthy());
    let down = needed.iter().filter(|id| !machine.services.get(**id).is_some_and(Service::running));
    let troubles: Vec<String> =
        ill.map(|(id, _)| format!("{id} not healthy")).chain(down.map(|id| format!("{id} not running"))).collect();
    if !troubles.is_empty() {
        unmet.push(("services", troubles.join(", ")));
    }
    let name = machine.hostname();
    match machine.api_server {
        Progress::Underway => {
            let pending = STATIC_PODS.map(|pod| format!("kube-system/{pod}-{name} pending"));
            unmet.push(("staticPods", pending.join(", ")));
        }
        Progress::No | Progress::Done => {}
    }
    if machine.config.is_none() {
        // Without a config it has no name as a node.
        return unmet;
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

/// True when the status differs from the one told last.
pub fn changed(world: &World, machine: &Machine) -> bool {
    machine.on && machine.status.as_ref() != Some(&of(world, machine))
}

/// Tells the status in an event when it changed.
pub fn publish(world: &mut World, vmid: u32) {
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
