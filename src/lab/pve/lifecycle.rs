//! A VM's life after it was made: start, stop, resize, becoming a template, destruction.
use super::property::{Property, parse_size, print_size};
use super::storage::Volume;
use super::vm::{Power, Vm, is_cdrom, is_cloud_init, is_numbered};
use super::{USUAL_MTU, clone, disk, full, lvm, task};
use crate::machine;
use crate::others::{self, Occasion};
use crate::world::World;
use std::collections::BTreeSet;

/// Starts a task of `kind` on the VM that lasts `seconds` and ends as `act` says.
fn run(
    world: &mut World,
    vmid: u32,
    kind: &str,
    user: &str,
    seconds: f64,
    act: impl FnOnce(&mut World, &str) -> Result<(), String> + Send + 'static,
) -> String {
    let node = world.pve.vms.get(&vmid).map(|vm| vm.node.clone()).unwrap_or_default();
    let upid = task::begin(world, &node, kind, &vmid.to_string(), user);
    let id = upid.clone();
    world.after(seconds, move |world| {
        if task::running(world, &id) {
            let result = act(world, &id);
            task::finish(world, &id, result);
        }
    });
    upid
}

/// A task that found at its beginning that it can't be done.
pub fn refuse(world: &mut World, node: &str, vmid: u32, kind: &str, user: &str, why: String) -> String {
    let upid = task::begin(world, node, kind, &vmid.to_string(), user);
    let seconds = world.scenario.latency.config_s;
    task::finish_after(world, upid.clone(), seconds, Err(why));
    upid
}

fn vm(world: &World, vmid: u32) -> Result<&Vm, String> {
    world.pve.vms.get(&vmid).ok_or_else(|| format!("VM {vmid} does not exist"))
}

pub fn start(world: &mut World, vmid: u32, user: &str) -> String {
    if let Err(why) = startable(world, vmid) {
        let node = vm(world, vmid).map(|vm| vm.node.clone()).unwrap_or_default();
        return refuse(world, &node, vmid, "qmstart", user, why);
    }
    let seconds = world.scenario.latency.start_s;
    let upid = run(world, vmid, "qmstart", user, seconds, move |world, upid| {
        startable(world, vmid)?;
        let said = last_words(world, vmid);
        if !said.is_empty() {
            said.into_iter().for_each(|line| task::say(world, upid, line));
            return Err("start failed: QEMU exited with code 1".into());
        }
        switch_on(world, vmid);
        Ok(())
    });
    if vm(world, vmid).is_ok_and(|vm| vm.drives().any(|(_, d)| is_cloud_init(&d))) {
        task::say(world, &upid, "generating cloud-init ISO");
    }
    upid
}

fn startable(world: &World, vmid: u32) -> Result<(), String> {
    let vm = vm(world, vmid)?;
    if vm.is_template() {
        return Err("you can't start a vm if it's a template".into());
    }
    vm.unlocked()?;
    if vm.running() {
        return Err(format!("VM {vmid} already running"));
    }
    let mut next = vm.clone();
    next.apply_pending();
    let most = world.pve.node(&vm.node).map_or(u32::MAX, |n| n.cores);
    if next.cores() > most {
        return Err(format!("MAX {most} vcpus allowed per VM on this node"));
    }
    for (slot, nic) in next.nics() {
        let of_bridge = nic.bridge().and_then(|name| world.pve.bridge(name)).map(|b| b.mtu.unwrap_or(USUAL_MTU));
        let mtu = world.pve.mtu(&nic);
        if let Some(bridge) = of_bridge.filter(|bridge| mtu > *bridge) {
            return Err(format!(
                "netdev {slot}: MTU '{mtu}' is bigger than the bridge MTU '{bridge}' - adjust the MTU for the network device in \
                 the VM configuration, while ensuring that the bridge is configured as desired."
            ));
        }
    }
    for (_, drive) in next.drives().filter(|(_, d)| d.head != "none") {
        if world.pve.volume(&vm.node, &drive.head).is_none() {
            return Err(format!("volume '{}' does not exist", drive.head));
        }
    }
    Ok(())
}

/// The lines that QEMU prints before it gives up; none when it starts. The task ends without these words.
fn last_words(world: &World, vmid: u32) -> Vec<String> {
    let Ok(vm) = vm(world, vmid) else { return Vec::new() };
    let mut next = vm.clone();
    next.apply_pending();
    let missing = next.nics().find_map(|(slot, nic)| {
        let bridge = nic.bridge().unwrap_or_default().to_string();
        // For a VLAN on a traditional bridge one more is made on its card.
        let tagged = nic.options.contains_key("tag");
        let why = match world.pve.bridge(&bridge) {
            None => Some(format!("bridge '{bridge}' does not exist")),
            Some(b) if tagged && b.kind == "bridge" && !b.vlan_aware && b.ports.is_empty() => {
                Some(format!("no physical interface on bridge '{bridge}'"))
            }
            Some(_) => None,
        };
        why.map(|why| {
            let slot = slot.to_string();
            let script = "/usr/libexec/qemu-server/pve-bridge";
            vec![
                why,
                format!(
                    "kvm: -netdev type=tap,id={slot},ifname=tap{vmid}i0,script={script}: network script {script} failed with status 512"
                ),
            ]
        })
    });
    missing.unwrap_or_default()
}

fn switch_on(world: &mut World, vmid: u32) {
    let since = world.now;
    world.pve.next_pid += 1;
    let pid = world.pve.next_pid;
    if let Some(vm) = world.pve.vms.get_mut(&vmid) {
        vm.apply_pending();
        vm.power = Power::Running { since, pid };
    }
    machine::power_on(world, vmid);
    others::begin(world, &Occasion::Runs(vmid));
}

pub fn switch_off(world: &mut World, vmid: u32) {
    if let Some(vm) = world.pve.vms.get_mut(&vmid) {
        vm.power = Power::Stopped;
        vm.apply_pending();
    }
    machine::power_off(world, vmid);
}

/// `stop` and `shutdown`. Both are content with a VM that is stopped already.
pub fn stop(world: &mut World, vmid: u32, kind: &'static str, user: &str) -> String {
    if !vm(world, vmid).is_ok_and(Vm::running) {
        return run(world, vmid, kind, user, world.scenario.latency.config_s, |_, _| Ok(()));
    }
    if let Err(why) = vm(world, vmid).and_then(Vm::unlocked) {
        return run(world, vmid, kind, user, world.scenario.latency.config_s, |_, _| Err(why));
    }
    run(world, vmid, kind, user, world.scenario.latency.stop_s, move |world, _| {
        switch_off(world, vmid);
        Ok(())
    })
}

/// `reboot` and `reset` of a running VM.
pub fn restart(world: &mut World, vmid: u32, kind: &'static str, user: &str) -> String {
    run(world, vmid, kind, user, world.scenario.latency.stop_s, move |world, _| {
        switch_off(world, vmid);
        switch_on(world, vmid);
        Ok(())
    })
}

/// `size` is absolute (`50G`) or an addition (`+10G`); everything but its syntax is checked in the task, also, by
/// `may`, whether the caller may take space of the disk's storage.
pub fn resize(
    world: &mut World,
    vmid: u32,
    slot: String,
    size: String,
    user: &str,
    may: impl FnOnce(&mut World, &str) -> Result<(), String> + Send + 'static,
) -> String {
    let seconds = world.scenario.latency.resize_s;
    run(world, vmid, "resize", user, seconds, move |world, upid| {
        let found = vm(world, vmid)?;
        found.unlocked()?;
        clone::may_change(world, vmid)?;
        let drive = found.config.get(&slot).map(|v| Property::parse(v, "file"));
        let drive = drive.ok_or_else(|| format!("disk '{slot}' does not exist"))?;
        if is_cdrom(&drive) {
            return Err("you can't resize a cdrom".into());
        }
        may(world, disk::storage_of(&drive.head))?;
        let said = resize_now(world, vmid, &slot, drive, &size)?;
        said.into_iter().for_each(|line| task::say(world, upid, line));
        Ok(())
    })
}

/// Resizes the drive; the lines are those of lvextend, on LVM storages alone.
fn resize_now(
    world: &mut World,
    vmid: u32,
    slot: &str,
    mut drive: Property,
    size: &str,
) -> Result<Vec<String>, String> {
    let node = vm(world, vmid)?.node.clone();
    let old = drive.option("size").and_then(parse_size).unwrap_or(0);
    let new = match size.strip_prefix('+') {
        Some(more) => old + parse_size(more).unwrap_or(0),
        None => parse_size(size).unwrap_or(0),
    };
    if new < old {
        return Err("shrinking disks is not supported".into());
    }
    if new == old {
        return Ok(Vec::new());
    }
    let (storage, name) = drive.head.split_once(':').unwrap_or_default();
    let (new, said) = match world.pve.storages.get(storage) {
        Some(store) if store.is_lvm() => (store.whole(new), lvm::resized(name, old, store.whole(new))),
        Some(store) => (store.whole(new), Vec::new()),
        None => (new, Vec::new()),
    };
    if full(world, storage) {
        let store = world.pve.storages.get(storage);
        return Err(store.map(|s| s.no_room(name)).unwrap_or_default());
    }
    if let Some(volume) = world.pve.storages.get_mut(storage).and_then(|s| s.volume_mut(&node, name)) {
        volume.size = new;
        volume.disk = new;
    }
    drive.options.insert("size".into(), print_size(new));
    if let Some(vm) = world.pve.vms.get_mut(&vmid) {
        vm.config.insert(slot.into(), drive.print());
    }
    Ok(said)
}

/// The VM is marked at once; its disks are renamed when the task ends.
pub fn template(world: &mut World, vmid: u32, user: &str) -> String {
    if let Some(vm) = world.pve.vms.get_mut(&vmid) {
        vm.config.insert("template".into(), "1".into());
    }
    let seconds = world.scenario.latency.template_s;
    run(world, vmid, "qmtemplate", user, seconds, move |world, upid| {
        let Some(vm) = world.pve.vms.get(&vmid).cloned() else { return Err(format!("VM {vmid} does not exist")) };
        for (slot, mut drive) in vm.disks() {
            let Some((storage, name)) = drive.head.split_once(':') else { continue };
            let Some(store) = world.pve.storages.get_mut(storage) else { continue };
            let base = store.base_name(name);
            let said = store.is_lvm().then(|| lvm::renamed(name, &base));
            if base != name
                && let Some(volume) = store.remove(&vm.node, name)
            {
                store.insert(&vm.node, &base, volume);
                drive.head = store.volid(&base);
                said.into_iter().flatten().for_each(|line| task::say(world, upid, line));
            }
            if let Some(vm) = world.pve.vms.get_mut(&vmid) {
                vm.config.insert(slot.into(), drive.print());
            }
        }
        Ok(())
    })
}

/// Removes the VM and every volume of it that its configuration names; with `disks` also those that only bear its VMID.
pub fn destroy(world: &mut World, vmid: u32, purge: bool, disks: bool, user: &str) -> String {
    let seconds = world.scenario.latency.destroy_s;
    run(world, vmid, "qmdestroy", user, seconds, move |world, upid| {
        let found = vm(world, vmid)?;
        if found.running() {
            return Err(format!("VM {vmid} is running - destroy failed"));
        }
        found.unlocked()?;
        clone::may_change(world, vmid)?;
        let node = found.node.clone();
        if let Some(base) = found.disks().map(|(_, d)| d.head).find(|volid| has_linked_clones(world, &node, volid)) {
            return Err(format!("base volume '{base}' is still in use by linked cloned"));
        }
        let attached: Vec<String> =
            found.drives().map(|(_, d)| d).filter(|d| !is_cdrom(d) || is_cloud_init(d)).map(|d| d.head).collect();
        let unused = found.config.iter().filter(|(k, _)| is_numbered(k, "unused", 255)).map(|(_, v)| v.clone());
        let named = attached.into_iter().chain(unused);
        let stray = if disks { disk::all_of(world, &node, vmid) } else { Vec::new() };
        let volids: BTreeSet<String> = named.chain(stray).collect();
        for volid in volids {
            let mine = world.pve.volume(&node, &volid).is_some_and(|v: &Volume| v.vmid == Some(vmid));
            if mine {
                let said = disk::remove(world, &node, vmid, &volid);
                said.into_iter().for_each(|line| task::say(world, upid, line));
            }
        }
        if purge {
            task::say(world, upid, format!("purging VM {vmid} from related configurations.."));
        }
        world.pve.vms.remove(&vmid);
        for pool in world.pve.rights.pools.values_mut() {
            pool.vms.remove(&vmid);
        }
        let path = format!("/vms/{vmid}");
        world.pve.rights.acls.retain(|acl| acl.path != path);
        machine::destroyed(world, vmid);
        Ok(())
    })
}

/// Only storages that name the base in the clone's volume know it.
fn has_linked_clones(world: &World, node: &str, volid: &str) -> bool {
    let Some((storage, name)) = volid.split_once(':') else { return false };
    let Some(store) = world.pve.storages.get(storage) else { return false };
    let (place, under) = (store.place(node), format!("{name}/"));
    store.volumes.keys().any(|(p, other)| *p == place && other.starts_with(&under))
}
