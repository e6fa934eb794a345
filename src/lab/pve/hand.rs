//! The commands that a person types on a host, as far as cozyup tells people to, and as others type them while a run goes on.
use super::vm::Vm;
use super::{lifecycle, task};
use crate::world::World;

/// Lab seconds that a backup, and a migration until it gives up, take.
const BACKUP_S: f64 = 300.0;
const MIGRATION_S: f64 = 120.0;

/// Carries out commands that are joined by `&&`, as `root@pam` types them.
///
/// # Errors
/// A command that the lab's hosts have not, or a VM or volume that is not there.
pub fn type_in(world: &mut World, line: &str) -> Result<(), String> {
    type_as(world, line, "root@pam")
}

/// [`type_in`] by another user, as in the web interface.
///
/// # Errors
/// As [`type_in`].
pub fn type_as(world: &mut World, line: &str, user: &str) -> Result<(), String> {
    line.split(" && ").try_for_each(|command| one(world, command, user))
}

fn one(world: &mut World, command: &str, user: &str) -> Result<(), String> {
    let words: Vec<&str> = command.split_whitespace().collect();
    let unknown = || format!("{command}: the lab's hosts have no such command");
    match words.as_slice() {
        ["vzdump", id] => {
            backup(world, found(world, id)?, user);
            Ok(())
        }
        ["qm", verb, id, options @ ..] => of_vm(world, verb, found(world, id)?, options, user).ok_or_else(unknown),
        ["pvesm", "free", volid] if world.pve.remove_volume(volid) => Ok(()),
        ["pvesm", "free", volid] => Err(format!("no such volume {volid}")),
        _ => Err(unknown()),
    }
}

fn found(world: &World, id: &str) -> Result<u32, String> {
    let vmid: u32 = id.parse().map_err(|e| format!("{id}: {e}"))?;
    let missing = || format!("Configuration file 'nodes/pve/qemu-server/{vmid}.conf' does not exist");
    world.pve.vms.get(&vmid).map(|vm| vm.vmid).ok_or_else(missing)
}

/// `None` for a verb that the lab's hosts have not.
fn of_vm(world: &mut World, verb: &str, vmid: u32, options: &[&str], user: &str) -> Option<()> {
    match (verb, options) {
        ("unlock", _) => set(world, vmid, "lock", None),
        ("set", ["--description", words @ ..]) => set(world, vmid, "description", Some(words.join(" "))),
        ("start", []) => drop(lifecycle::start(world, vmid, user)),
        ("stop", []) => drop(lifecycle::stop(world, vmid, "qmstop", user)),
        ("shutdown", []) => drop(lifecycle::stop(world, vmid, "qmshutdown", user)),
        ("reboot", []) => drop(lifecycle::restart(world, vmid, "qmreboot", user)),
        ("migrate", [_target]) => migrate(world, vmid, user),
        ("destroy", _) => {
            let disks = options.windows(2).any(|o| o == ["--destroy-unreferenced-disks", "1"]);
            drop(lifecycle::destroy(world, vmid, options.contains(&"--purge"), disks, user));
        }
        _ => return None,
    }
    Some(())
}

fn set(world: &mut World, vmid: u32, key: &str, value: Option<String>) {
    let Some(vm) = world.pve.vms.get_mut(&vmid) else { return };
    match value {
        Some(value) => drop(vm.config.insert(key.into(), value)),
        None => drop(vm.config.remove(key)),
    }
}

/// A backup of the VM: its lock and its task, and no archive (`PVE/VZDump/QemuServer.pm`).
fn backup(world: &mut World, vmid: u32, user: &str) {
    let upid = locked(world, vmid, ("vzdump", "backup"), user, (BACKUP_S, Ok(())));
    for line in [format!("INFO: Starting Backup of VM {vmid} (qemu)"), "INFO: backup mode: snapshot".to_string()] {
        task::say(world, &upid, line);
    }
}

/// A migration that copies for a while and then gives up: the lab moves no VM (`PVE/AbstractMigrate.pm`).
fn migrate(world: &mut World, vmid: u32, user: &str) {
    let upid = locked(world, vmid, ("qmigrate", "migrate"), user, (MIGRATION_S, Err("migration aborted".into())));
    task::say(world, &upid, format!("starting migration of VM {vmid}"));
}

/// A task of this kind that holds this lock on the VM until it ends.
fn locked(
    world: &mut World,
    vmid: u32,
    (kind, lock): (&str, &'static str),
    user: &str,
    (seconds, end): (f64, Result<(), String>),
) -> String {
    let node = world.pve.vms.get(&vmid).map(|vm| vm.node.clone()).unwrap_or_default();
    let upid = task::begin(world, &node, kind, &vmid.to_string(), user);
    if let Err(why) = world.pve.vms.get(&vmid).map_or(Ok(()), Vm::unlocked) {
        task::finish(world, &upid, Err(why));
        return upid;
    }
    set(world, vmid, "lock", Some(lock.to_string()));
    let id = upid.clone();
    world.after(seconds, move |world| {
        let is_its = |vm: &&mut Vm| vm.config.get("lock").is_some_and(|held| held == lock);
        if let Some(vm) = world.pve.vms.get_mut(&vmid).filter(is_its) {
            vm.config.remove("lock");
        }
        task::finish(world, &id, end);
    });
    upid
}
