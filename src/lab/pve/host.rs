//! A host that loses its power, and gets it back.
use super::{lifecycle, task};
use crate::world::World;
use cozyup_base::clock::between;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;

/// The time for which the cluster shows what a dark host last said of its guests (pve-cluster, `rrd_entry_is_old`).
const TOLD: Duration = Duration::from_secs(5 * 60);

/// A host without power.
#[derive(Debug, Clone)]
pub struct Dark {
    since: Timestamp,
    /// Its guests that ran.
    ran: BTreeSet<u32>,
}

impl Dark {
    /// For longer than the cluster remembers of its guests.
    pub fn for_long() -> Dark {
        Dark { since: Timestamp::UNIX_EPOCH, ran: BTreeSet::new() }
    }

    /// The cluster's word for a guest of this host: the last one, and then none.
    pub fn told(&self, vmid: u32, now: Timestamp) -> Option<&'static str> {
        (between(self.since, now) <= TOLD).then(|| if self.ran.contains(&vmid) { "running" } else { "stopped" })
    }
}

/// The host is dark, and its guests with it. Its tasks end in the middle.
pub fn power_off(world: &mut World, name: &str) {
    let (since, pve) = (world.now, &mut world.pve);
    let ran: BTreeSet<u32> = pve.vms.values().filter(|vm| vm.node == name && vm.running()).map(|vm| vm.vmid).collect();
    let Some(node) = pve.nodes.iter_mut().find(|node| node.name == name && node.dark.is_none()) else { return };
    node.dark = Some(Dark { since, ran: ran.clone() });
    let cut = pve.tasks.iter().filter(|task| task.node == name && task.end.is_none()).map(|task| task.upid.clone());
    for upid in cut.collect::<Vec<_>>() {
        task::finish(world, &upid, Err("unexpected status".into()));
    }
    for vmid in ran {
        lifecycle::switch_off(world, vmid);
    }
}

/// The host is there again and starts the guests that are to start with it.
pub fn power_on(world: &mut World, name: &str) {
    let Some(node) = world.pve.nodes.iter_mut().find(|node| node.name == name) else { return };
    if node.dark.take().is_none() {
        return;
    }
    let start =
        |vm: &&super::vm::Vm| vm.node == name && !vm.is_template() && vm.config.get("onboot").is_some_and(|v| v == "1");
    let all: Vec<u32> = world.pve.vms.values().filter(start).map(|vm| vm.vmid).collect();
    for vmid in all {
        lifecycle::start(world, vmid, "root@pam");
    }
}
