//! A machine whose CD-ROM carries its config: it boots with it, and is never in maintenance mode.
use super::super::world::World;
use super::life::{check, later, open_secure};
use super::{nocloud, outside, status};
use std::sync::Arc;

/// Takes the config from the CD-ROM that is in the VM now; `false` where there is none, and the machine goes into
/// maintenance. One that Talos does not take leaves the machine dark: it tries again for ever and opens nothing.
pub fn boot(world: &mut World, vmid: u32) -> bool {
    let Some(files) = outside::cdrom(world, vmid) else { return false };
    let Some(data) = nocloud::machine_config(&files) else { return false };
    let config = check(world, vmid, data);
    let (now, seconds) = (world.now, world.scenario.latency.apply_to_secure_api_s);
    let Some(machine) = world.machines.get_mut(&vmid) else { return true };
    machine.log(now, "found config disk (cidata) at /dev/sr0");
    match config {
        Err(refused) => {
            machine.log(now, &format!("failed to validate config acquired via platform nocloud: {refused}"));
        }
        Ok(config) => {
            machine.log(now, "machine configuration loaded successfully {\"sources\": [\"nocloud\"]}");
            machine.config = Some(Arc::new(config));
            later(world, vmid, seconds, move |world| open_secure(world, vmid));
        }
    }
    status::publish(world, vmid);
    true
}
