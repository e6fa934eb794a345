//! A kubelet that hangs: its health check fails, and Kubernetes hears nothing of the node any more.
use super::super::super::world::World;
use super::super::{Progress, cluster, outside, status};
use super::later;

/// The words of Talos' health check of a kubelet that takes connections and says nothing.
const SILENT: &str = "Get \"http://127.0.0.1:10248/healthz\": context deadline exceeded";

/// The kubelet of this node hangs for so many lab seconds, and is well again.
pub fn hang(world: &mut World, node: &str, for_s: f64) {
    let now = world.now;
    let found = world.machines.iter_mut().find(|(_, m)| m.on && m.registered == Progress::Done && m.hostname() == node);
    let Some((vmid, machine)) = found else { return };
    let vmid = *vmid;
    machine.health(now, "kubelet", false, SILENT);
    status::publish(world, vmid);
    outside::node_down(world, node);
    later(world, vmid, for_s, move |world| {
        let now = world.now;
        let Some(machine) = world.machines.get_mut(&vmid) else { return };
        machine.health(now, "kubelet", true, "");
        machine.registered = Progress::No;
        status::publish(world, vmid);
        cluster::settle(world);
    });
}
