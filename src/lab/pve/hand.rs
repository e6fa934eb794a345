//! The commands that a person types as root on a host, as far as cozyup tells people to.
use super::lifecycle;
use crate::world::World;

/// Carries out commands that are joined by `&&`.
///
/// # Errors
/// A command that the lab's hosts have not, or a VM or volume that is not there.
pub fn type_in(world: &mut World, line: &str) -> Result<(), String> {
    line.split(" && ").try_for_each(|command| one(world, command))
}

fn one(world: &mut World, command: &str) -> Result<(), String> {
    let words: Vec<&str> = command.split_whitespace().collect();
    let unknown = || format!("{command}: the lab's hosts have no such command");
    match words.as_slice() {
        ["qm", verb, id, options @ ..] => {
            let vmid: u32 = id.parse().map_err(|e| format!("{id}: {e}"))?;
            let missing = format!("Configuration file 'nodes/pve/qemu-server/{vmid}.conf' does not exist");
            let vm = world.pve.vms.get_mut(&vmid).ok_or(missing)?;
            match *verb {
                "unlock" => drop(vm.config.remove("lock")),
                "destroy" => {
                    let disks = options.windows(2).any(|o| o == ["--destroy-unreferenced-disks", "1"]);
                    lifecycle::destroy(world, vmid, options.contains(&"--purge"), disks, "root@pam");
                }
                _ => return Err(unknown()),
            }
            Ok(())
        }
        ["pvesm", "free", volid] if world.pve.remove_volume(volid) => Ok(()),
        ["pvesm", "free", volid] => Err(format!("no such volume {volid}")),
        _ => Err(unknown()),
    }
}
