//! Clones (`qmclone`): linked ones share the template's blocks, full ones copy them. A storage is locked only while a volume
//! is made on it, so full clones copy side by side and share the bandwidth of its disks. The template's configuration is
//! locked shared until the end (`lock_config_shared`): nothing else may change it meanwhile.
use super::property::{Property, print_size};
use super::storage::{LOCK_WAIT_S, Volume};
use super::vm::{Config, Vm, is_cdrom, is_cloud_init, is_numbered};
use super::{Version, copying, create, disk, random_uuid, task};
use crate::scenario::FaultKind;
use crate::world::World;
use cozyup_base::clock::{add, between};
use jiff::Timestamp;
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Job {
    pub source: u32,
    pub newid: u32,
    pub full: bool,
    pub node: String,
    pub target: Option<String>,
    pub storage: Option<String>,
    pub name: Option<String>,
    pub description: Option<String>,
    pub pool: Option<String>,
    /// `user@realm[!token]`
    pub user: String,
}

/// Starts the task; the new VMID is claimed only when its worker writes the configuration.
pub fn clone(world: &mut World, job: Job) -> String {
    let upid = task::begin(world, &job.node, "qmclone", &job.source.to_string(), &job.user);
    world.pve.clones.insert(upid.clone(), job);
    let delay = world.scenario.latency.config_s;
    let id = upid.clone();
    world.after(delay, move |world| work(world, &id));
    upid
}

fn work(world: &mut World, upid: &str) {
    let Some(job) = under_way(world, upid) else { return };
    if let Some(taken) = world.pve.vms.get(&job.newid) {
        let why = if taken.node == job.node {
            format!("unable to create VM {}: config file already exists", job.newid)
        } else {
            let path = format!("/etc/pve/nodes/{}/qemu-server/{}.conf", job.node, job.newid);
            format!("close (rename) atomic file '{path}' failed: File exists")
        };
        world.pve.clones.remove(upid);
        return task::finish(world, upid, Err(why));
    }
    let lock = Config::from([("lock".to_string(), "clone".to_string())]);
    let vm = Vm::new(job.newid, &job.node, lock, world.now);
    world.pve.vms.insert(job.newid, vm);
    if world.pve.version >= Version(9, 2, 0) {
        task::say(world, upid, format!("creating a clone of VM {} with ID {}", job.source, job.newid));
    }
    if !job.full || world.bites(|k| matches!(k, FaultKind::CloneLock)).is_none() {
        return copy(world, upid);
    }
    let storage = target_storage(world, &job);
    let Some(store) = world.pve.storages.get(&storage) else {
        return fail(world, upid, &disk::no_storage(&storage));
    };
    let (attempt, timeout) = (store.lock_attempt(), store.lock_timeout());
    task::say(world, upid, attempt);
    let id = upid.to_string();
    world.after(LOCK_WAIT_S, move |world| fail(world, &id, &timeout));
}

/// # Errors
/// While a clone of this VM is under way.
pub fn may_change(world: &World, vmid: u32) -> Result<(), String> {
    let is_cloned = world.pve.clones.iter().any(|(upid, job)| job.source == vmid && task::running(world, upid));
    if is_cloned {
        Err(format!("can't lock file '/var/lock/qemu-server/lock-{vmid}.conf' - got timeout"))
    } else {
        Ok(())
    }
}

/// The job of a clone task that has not ended.
fn under_way(world: &mut World, upid: &str) -> Option<Job> {
    let running = task::running(world, upid);
    world.pve.clones.get(upid).filter(|_| running).cloned()
}

/// The storage for the first disk.
fn target_storage(world: &World, job: &Job) -> String {
    job.storage.clone().unwrap_or_else(|| {
        let first = world.pve.vms.get(&job.source).and_then(|vm| vm.disks().next().map(|(_, d)| d.head));
        disk::storage_of(&first.unwrap_or_default()).to_string()
    })
}

/// Makes the new volumes and fills them, drive by drive, then writes the configuration.
fn copy(world: &mut World, upid: &str) {
    let Some(job) = under_way(world, upid) else { return };
    let Some(source) = world.pve.vms.get(&job.source).cloned() else {
        let why = format!("Configuration file 'nodes/{}/qemu-server/{}.conf' does not exist", job.node, job.source);
        return fail(world, upid, &why);
    };
    let total: u64 = source.disks().filter_map(|(_, d)| world.pve.volume(&job.node, &d.head)).map(|v| v.size).sum();
    let mut todo: Vec<(String, Property)> = source.drives().map(|(slot, drive)| (slot.to_string(), drive)).collect();
    todo.reverse();
    let (id, latency) = (upid.to_string(), &world.scenario.latency);
    let (linked, half) = (latency.template_s, latency.clone_s / 2.0);
    if !job.full {
        return world.after(linked, move |world| next(world, Work { upid: id, todo, done: Vec::new(), total }));
    }
    if world.bites(|k| matches!(k, FaultKind::CloneKilled)).is_some() {
        let killed = id.clone();
        world.after(half, move |world| kill(world, &killed));
    }
    next(world, Work { upid: id, todo, done: Vec::new(), total });
}

/// A clone's drives: those that are still to be made, the last one first, and the lines of those that are.
struct Work {
    upid: String,
    todo: Vec<(String, Property)>,
    done: Vec<(String, String)>,
    /// Bytes of all disks.
    total: u64,
}

fn next(world: &mut World, mut work: Work) {
    let Some(job) = under_way(world, &work.upid) else { return };
    let Some((slot, drive)) = work.todo.pop() else { return finish(world, &work.upid.clone(), work.done) };
    if is_cdrom(&drive) && !is_cloud_init(&drive) {
        work.done.push((slot, drive.print()));
        return next(world, work);
    }
    let Some(old) = world.pve.volume(&job.node, &drive.head).cloned() else {
        return fail(world, &work.upid, &format!("volume '{}' does not exist", drive.head));
    };
    // A cloud-init drive is made anew also in a linked clone.
    let full = job.full || is_cloud_init(&drive);
    let manner = if full { "full" } else { "linked" };
    task::say(world, &work.upid, format!("create {manner} clone of drive {slot} ({})", drive.head));
    if is_cloud_init(&drive) || !full {
        return made(world, &job, work, &slot, &drive, &old);
    }
    let since = world.now;
    allocate(world, job, work, slot, drive, old, since);
}

/// Waits for the storage's lock, and holds it while the disk is allocated. The moments of smaller volumes are not waited for.
fn allocate(world: &mut World, job: Job, work: Work, slot: String, drive: Property, old: Volume, since: Timestamp) {
    if under_way(world, &work.upid).is_none() {
        return;
    }
    let (now, lasts) = (world.now, world.scenario.latency.allocate_s);
    let storage = job.storage.clone().unwrap_or_else(|| disk::storage_of(&drive.head).to_string());
    let Some(store) = world.pve.storages.get_mut(&storage) else {
        return fail(world, &work.upid, &disk::no_storage(&storage));
    };
    let (busy, patience) =
        (store.is_locked_for(&job.node, job.newid, now).as_secs_f64(), LOCK_WAIT_S - between(since, now).as_secs_f64());
    if busy <= 0.0 {
        store.hold(&job.node, job.newid, add(now, Duration::from_secs_f64(lasts)));
        let said = (since < now && !store.shared).then(|| " OK".to_string());
        said.into_iter().for_each(|line| task::say(world, &work.upid, line));
        return world.after(lasts, move |world| made(world, &job, work, &slot, &drive, &old));
    }
    let (attempt, timeout) = (store.lock_attempt(), store.lock_timeout());
    if since == now {
        task::say(world, &work.upid, attempt);
    }
    if busy > patience {
        let upid = work.upid;
        return world.after(patience.max(0.0), move |world| fail(world, &upid, &timeout));
    }
    world.after(busy, move |world| allocate(world, job, work, slot, drive, old, since));
}

/// The volume is allocated; a full clone's disk is filled then.
fn made(world: &mut World, job: &Job, mut work: Work, slot: &str, drive: &Property, old: &Volume) {
    if under_way(world, &work.upid).is_none() {
        return;
    }
    let volid = match place(world, job, drive, old) {
        Ok(volid) => volid,
        Err(why) => return fail(world, &work.upid, &why),
    };
    let copies = job.full && !is_cloud_init(drive);
    // The lock for the disk of a full clone was held until now.
    let said = match copies {
        true => disk::created(world, &volid, None),
        false => disk::told(world, &job.node, job.newid, &volid, None),
    };
    said.into_iter().for_each(|line| task::say(world, &work.upid, line));
    if (copies || is_cloud_init(drive)) && world.pve.version >= Version(9, 2, 0) {
        task::say(world, &work.upid, format!("allocated target volume '{volid}'"));
    }
    let size = world.pve.volume(&job.node, &volid).map_or(old.size, |v| v.size);
    let mut cloned = Property { head: volid.clone(), options: drive.options.clone() };
    cloned.options.insert("size".into(), print_size(size));
    work.done.push((slot.to_string(), cloned.print()));
    if !copies {
        return next(world, work);
    }
    let alone = world.scenario.latency.clone_s * old.size as f64 / work.total.max(1) as f64;
    let lane = disk::lane(world, &job.node, &volid);
    copying::begin(world, &work.upid.clone(), lane, Some(old.size), alone, move |world| next(world, work));
}

/// A worker that is killed takes nothing back (measured on 8.4.1): the lock stays and the volumes too, and no line of the
/// configuration names them.
fn kill(world: &mut World, upid: &str) {
    if under_way(world, upid).is_some() {
        world.pve.clones.remove(upid);
        task::finish(world, upid, Err("unexpected status".into()));
    }
}

fn place(world: &mut World, job: &Job, drive: &Property, old: &Volume) -> Result<String, String> {
    let storage = job.storage.clone().unwrap_or_else(|| disk::storage_of(&drive.head).to_string());
    if is_cloud_init(drive) {
        let wanted = disk::Wanted { source: disk::Source::CloudInit { storage }, options: Property::default() };
        return disk::make(world, &job.node, job.newid, &wanted).map(|made| made.allocated.unwrap_or_default());
    }
    let volume = Volume {
        vmid: Some(job.newid),
        content: "images".into(),
        used: if job.full { old.used } else { 0 },
        created: world.now,
        ..old.clone()
    };
    let volid = disk::allocate(world, &job.node, &storage, job.newid, volume)?;
    if job.full {
        return Ok(volid);
    }
    let base = drive.head.split_once(':').map_or("", |(_, name)| name);
    let Some(store) = world.pve.storages.get_mut(&storage) else { return Ok(volid) };
    let name = volid.split_once(':').map_or("", |(_, name)| name);
    let linked = store.linked_name(base, name);
    if let Some(volume) = store.remove(&job.node, name) {
        store.insert(&job.node, &linked, volume);
    }
    Ok(store.volid(&linked))
}

fn finish(world: &mut World, upid: &str, drives: Vec<(String, String)>) {
    let Some(job) = under_way(world, upid) else { return };
    let mut config = world.pve.vms.get(&job.source).map(|vm| vm.config.clone()).unwrap_or_default();
    for dropped in ["template", "lock"] {
        config.remove(dropped);
    }
    config.retain(|key, _| !is_numbered(key, "unused", 255));
    config.extend(drives);
    create::fill_addresses(world, &mut config, true);
    let mut smbios = config.get("smbios1").map(|s| Property::parse(s, "")).unwrap_or_default();
    smbios.options.insert("uuid".into(), random_uuid(world));
    let rest = smbios.options.iter().filter(|(k, _)| *k != "uuid").map(|(k, v)| format!(",{k}={v}"));
    let uuid = smbios.option("uuid").unwrap_or_default();
    config.insert("smbios1".into(), format!("uuid={uuid}{}", rest.collect::<String>()));
    if config.contains_key("vmgenid") {
        config.insert("vmgenid".into(), random_uuid(world));
    }
    let copied = config.get("name").cloned().unwrap_or_else(|| job.source.to_string());
    config.insert("name".into(), job.name.clone().unwrap_or_else(|| format!("Copy-of-VM-{copied}")));
    if let Some(description) = &job.description {
        config.insert("description".into(), description.clone());
    }
    let now = world.now;
    if let Some(vm) = world.pve.vms.get_mut(&job.newid) {
        vm.config = config;
        vm.created = now;
        if let Some(target) = &job.target {
            vm.node.clone_from(target);
        }
    }
    create::join_pool(world, job.pool.as_deref(), job.newid);
    world.pve.clones.remove(upid);
    task::finish(world, upid, Ok(()));
}

/// Takes back what the clone made and ends its task.
pub fn fail(world: &mut World, upid: &str, why: &str) {
    let Some(job) = under_way(world, upid) else { return };
    world.pve.clones.remove(upid);
    if world.pve.vms.get(&job.newid).is_some_and(|vm| vm.lock() == Some("clone")) {
        disk::free_all(world, &job.node, job.newid);
        world.pve.vms.remove(&job.newid);
    }
    task::finish(world, upid, Err(format!("clone failed: {why}")));
}
