//! Creating a VM (`qmcreate`) and changing its configuration.
use super::disk::{self, Wanted};
use super::property::{Nic, Property};
use super::storage::Volume;
use super::vm::{Config, Vm, is_cloud_init, is_drive, is_numbered};
use super::{clone, copying, lifecycle, random_uuid, task};
use crate::world::World;
use std::collections::BTreeMap;

/// The QEMU that `meta` names.
const QEMU: &str = "10.1.2";

/// A configuration to make or to change to; drives are apart because they need volumes.
#[derive(Debug, Clone, Default)]
pub struct Change {
    pub options: Config,
    pub drives: BTreeMap<String, Wanted>,
    pub delete: Vec<String>,
}

pub struct Create {
    pub node: String,
    pub vmid: u32,
    pub change: Change,
    pub pool: Option<String>,
    pub start: bool,
    /// `user@realm[!token]`
    pub user: String,
}

/// Claims the VMID with `lock: create` at once and makes the VM in a task; the UPID.
pub fn create(world: &mut World, create: Create) -> String {
    let lock = Config::from([("lock".to_string(), "create".to_string())]);
    let vm = Vm::new(create.vmid, &create.node, lock, world.now);
    world.pve.vms.insert(create.vmid, vm);
    let upid = task::begin(world, &create.node, "qmcreate", &create.vmid.to_string(), &create.user);
    let mut made: Vec<(String, disk::Made)> = Vec::new();
    for (slot, wanted) in &create.change.drives {
        match disk::make(world, &create.node, create.vmid, wanted) {
            Ok(drive) => made.push((slot.clone(), drive)),
            Err(why) => {
                let delay = world.scenario.latency.config_s;
                let undo = upid.clone();
                world.after(delay, move |world| {
                    if !task::running(world, &undo) {
                        return;
                    }
                    for volid in made.iter().filter_map(|(_, m)| m.allocated.as_ref()) {
                        disk::free(world, &create.node, volid);
                    }
                    world.pve.vms.remove(&create.vmid);
                    let why = format!("unable to create VM {} - {why}", create.vmid);
                    task::finish(world, &undo, Err(why));
                });
                return upid;
            }
        }
    }
    let (seconds, id) = (world.scenario.latency.config_s, upid.clone());
    world.after(seconds, move |world| fill(world, id, create, made, 0));
    upid
}

/// Copies the imports into the drives from number `at` on, one after the other.
fn fill(world: &mut World, upid: String, create: Create, made: Vec<(String, disk::Made)>, at: usize) {
    if !task::running(world, &upid) {
        return;
    }
    let Some((slot, drive)) = made.get(at) else { return finish(world, &upid, create, made) };
    let Some(volid) = &drive.allocated else { return fill(world, upid, create, made, at + 1) };
    let source = create.change.drives.get(slot).and_then(|wanted| wanted.import());
    source.iter().for_each(|from| task::say(world, &upid, full_clone_of(from)));
    for line in disk::told(world, &create.node, create.vmid, volid, drive.import) {
        task::say(world, &upid, line);
    }
    let line = format!("{slot}: successfully created disk '{}'", drive.value);
    let Some(bytes) = drive.import else {
        task::say(world, &upid, line);
        return fill(world, upid, create, made, at + 1);
    };
    let (lane, lasts) = (disk::lane(world, &create.node, volid), world.scenario.latency.import_s);
    copying::begin(world, &upid.clone(), lane, Some(bytes), lasts, move |world| {
        task::say(world, &upid, line);
        fill(world, upid, create, made, at + 1);
    });
}

fn finish(world: &mut World, upid: &str, create: Create, made: Vec<(String, disk::Made)>) {
    if !task::running(world, upid) {
        return;
    }
    let mut config = create.change.options;
    config.extend(made.into_iter().map(|(slot, drive)| (slot, drive.value)));
    identify(world, &mut config);
    let created = world.now;
    if let Some(vm) = world.pve.vms.get_mut(&create.vmid) {
        vm.config = config;
        vm.created = created;
        if !vm.config.contains_key("boot") {
            let boot = vm.default_boot();
            vm.config.insert("boot".into(), boot);
        }
    }
    join_pool(world, create.pool.as_deref(), create.vmid);
    task::finish(world, upid, Ok(()));
    if create.start {
        lifecycle::start(world, create.vmid, &create.user);
    }
}

pub fn join_pool(world: &mut World, pool: Option<&str>, vmid: u32) {
    if let Some(pool) = pool.and_then(|p| world.pve.rights.pools.get_mut(p)) {
        pool.vms.insert(vmid);
    }
}

/// The settings that the server adds to a new VM: hardware addresses, SMBIOS uuid, generation id, `meta`.
fn identify(world: &mut World, config: &mut Config) {
    fill_addresses(world, config, false);
    if !config.contains_key("smbios1") {
        config.insert("smbios1".into(), format!("uuid={}", random_uuid(world)));
    }
    let generation = config.get("vmgenid").map(String::as_str);
    if generation.is_none_or(|g| g == "1") {
        config.insert("vmgenid".into(), random_uuid(world));
    }
    config.insert("meta".into(), meta(world));
}

fn meta(world: &World) -> String {
    format!("creation-qemu={QEMU},ctime={}", world.now.as_second())
}

/// Takes back what a task that was stopped has made so far.
pub fn interrupt(world: &mut World, upid: &str) {
    let Some(task) = task::find(world, upid) else { return };
    let (node, vmid) = (task.node.clone(), task.id.parse().unwrap_or(0));
    disk::free_all(world, &node, vmid);
    world.pve.vms.remove(&vmid);
    task::finish(world, upid, Err(format!("unable to create VM {vmid} - received interrupt")));
}

/// Gives network cards without a hardware address one; `all` replaces the others too.
pub fn fill_addresses(world: &mut World, config: &mut Config, all: bool) {
    for (_, value) in config.iter_mut().filter(|(k, _)| is_numbered(k, "net", 31)) {
        if let Ok(mut nic) = Nic::parse(value) {
            if all || nic.mac.is_none() {
                nic.mac = Some(world.pve.next_mac());
            }
            *value = nic.print();
        }
    }
}

fn full_clone_of(volid: &str) -> String {
    format!("create full clone of drive ({volid})")
}

/// Changes the configuration now; what a task that does it says of the drives in its log.
///
/// # Errors
/// The VM is locked, or a drive could not be made.
pub fn change(world: &mut World, vmid: u32, change: Change) -> Result<Vec<String>, String> {
    let Some(vm) = world.pve.vms.get(&vmid) else { return Err(format!("VM {vmid} does not exist")) };
    vm.unlocked()?;
    clone::may_change(world, vmid)?;
    let node = vm.node.clone();
    for key in &change.delete {
        remove_option(world, &node, vmid, key);
    }
    let mut said = Vec::new();
    for (slot, wanted) in change.drives {
        said.extend(set_drive(world, &node, vmid, &slot, wanted)?);
    }
    let mut options = change.options;
    let addresses: Vec<(String, String)> = world.pve.vms.get(&vmid).map(known_addresses).unwrap_or_default();
    for (key, mac) in addresses {
        if let Some(value) = options.get_mut(&key)
            && let Ok(mut nic) = Nic::parse(value)
            && nic.mac.is_none()
        {
            nic.mac = Some(mac);
            *value = nic.print();
        }
    }
    fill_addresses(world, &mut options, false);
    if let Some(vm) = world.pve.vms.get_mut(&vmid) {
        for (key, value) in options {
            vm.set(&key, Some(value));
        }
    }
    Ok(said)
}

/// A card that is set again without an address keeps the one it has.
fn known_addresses(vm: &Vm) -> Vec<(String, String)> {
    vm.nics().filter_map(|(slot, nic)| nic.mac.map(|mac| (slot.to_string(), mac))).collect()
}

fn remove_option(world: &mut World, node: &str, vmid: u32, key: &str) {
    let Some(vm) = world.pve.vms.get_mut(&vmid) else { return };
    let old = vm.config.get(key).map(|value| Property::parse(value, "file"));
    vm.set(key, None);
    if vm.config.contains_key(key) {
        return;
    }
    let Some(old) = old else { return };
    if is_numbered(key, "unused", 255) || (is_drive(key) && is_cloud_init(&old)) {
        disk::free(world, node, &old.head);
    } else if is_drive(key) && old.option("media") != Some("cdrom") {
        let_go(vm, &old.head);
    }
}

/// A volume that lost its slot stays with the VM as unused; one of another VMID does not (PVE/QemuServer.pm,
/// `vmconfig_register_unused_drive`).
fn let_go(vm: &mut Vm, volid: &str) {
    if disk::owner_of(volid) == Some(vm.vmid) {
        vm.keep_unused(volid);
    }
}

fn set_drive(world: &mut World, node: &str, vmid: u32, slot: &str, wanted: Wanted) -> Result<Vec<String>, String> {
    let old = world.pve.vms.get(&vmid).and_then(|vm| vm.config.get(slot)).map(|v| Property::parse(v, "file"));
    let made = disk::make(world, node, vmid, &wanted)?;
    if let Some(volume) = made.allocated.as_deref().and_then(|v| volume_mut(world, node, v)) {
        volume.vmid = Some(vmid);
    }
    let head = Property::parse(&made.value, "file").head;
    let said = match &made.allocated {
        Some(volid) => drive_lines(disk::told(world, node, vmid, volid, None), slot, &made.value),
        None => Vec::new(),
    };
    let Some(vm) = world.pve.vms.get_mut(&vmid) else { return Ok(said) };
    vm.config.retain(|key, value| !(is_numbered(key, "unused", 255) && *value == head));
    if let Some(old) = old.filter(|o| o.head != head && o.head != "none") {
        if is_cloud_init(&old) {
            disk::free(world, node, &old.head);
        } else if old.option("media") != Some("cdrom") {
            let_go(vm, &old.head);
        }
    }
    if let Some(vm) = world.pve.vms.get_mut(&vmid) {
        vm.set(slot, Some(made.value));
    }
    Ok(said)
}

/// The lines of a task's log about a drive that was made, behind those about its volume.
fn drive_lines(mut lines: Vec<String>, slot: &str, value: &str) -> Vec<String> {
    lines.push(format!("{slot}: successfully created disk '{value}'"));
    if is_cloud_init(&Property::parse(value, "file")) {
        lines.push("generating cloud-init ISO".into());
    }
    lines
}

fn volume_mut<'a>(world: &'a mut World, node: &str, volid: &str) -> Option<&'a mut Volume> {
    let (storage, name) = volid.split_once(':')?;
    world.pve.storages.get_mut(storage)?.volume_mut(node, name)
}

/// A change of the configuration as a task (`qmconfig`); `shown` are the options as the log names them.
pub fn change_in_task(
    world: &mut World,
    vmid: u32,
    shown: &str,
    user: &str,
    work: impl FnOnce(&mut World, &str) -> Result<(), String> + Send + 'static,
) -> String {
    let node = world.pve.vms.get(&vmid).map(|vm| vm.node.clone()).unwrap_or_default();
    let upid = task::begin(world, &node, "qmconfig", &vmid.to_string(), user);
    task::say(world, &upid, format!("update VM {vmid}: {shown}"));
    let delay = world.scenario.latency.config_s;
    let id = upid.clone();
    world.after(delay, move |world| {
        if task::running(world, &id) {
            let result = work(world, &id);
            task::finish(world, &id, result);
        }
    });
    upid
}
