//! Clones (`qmclone`): linked ones share the template's blocks, full ones copy one after another per storage.
use super::property::Property;
use super::storage::{LOCK_WAIT_S, Volume};
use super::vm::{Config, Vm, is_cdrom, is_cloud_init, is_numbered};
use super::{Version, create, disk, random_uuid, task};
use crate::lab::scenario::FaultKind;
use crate::lab::world::World;

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
    /// The storage whose lock a full clone takes: where its first disk goes. Set by [`clone`].
    pub locks: String,
}

/// Starts the task; the new VMID is claimed only when its worker writes the configuration.
pub fn clone(world: &mut World, mut job: Job) -> String {
    job.locks = target_storage(world, &job);
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
    if !job.full {
        return copy(world, upid, world.scenario.latency.template_s);
    }
    let storage = job.locks.clone();
    let Some(store) = world.pve.storages.get_mut(&storage) else {
        return fail(world, upid, &disk::no_storage(&storage));
    };
    let attempt = store.lock_attempt();
    let place = store.place(&job.node);
    let lock = store.clone_locks.entry(place).or_default();
    let free = lock.holder.is_none();
    if free {
        lock.holder = Some(upid.into());
    } else {
        lock.waiting.push_back(upid.into());
    }
    let faulty = world.bites(|k| matches!(k, FaultKind::CloneLock)).is_some();
    if free && !faulty {
        return copy(world, upid, world.scenario.latency.clone_s);
    }
    if faulty {
        // The fault holds the lock, so this clone neither has it nor is next in line.
        release(world, upid, &job);
    }
    task::say(world, upid, attempt);
    let id = upid.to_string();
    world.after(LOCK_WAIT_S, move |world| {
        let waiting = under_way(world, &id).is_some_and(|job| !holds(world, &id, &job));
        if waiting {
            let why = world.pve.storages.get(&storage).map(super::Storage::lock_timeout).unwrap_or_default();
            fail(world, &id, &why);
        }
    });
}

/// The job of a clone task that has not ended. One that was stopped from outside gives up its place here.
fn under_way(world: &mut World, upid: &str) -> Option<Job> {
    let job = world.pve.clones.get(upid).cloned()?;
    if task::running(world, upid) {
        return Some(job);
    }
    world.pve.clones.remove(upid);
    release(world, upid, &job);
    None
}

fn target_storage(world: &World, job: &Job) -> String {
    job.storage.clone().unwrap_or_else(|| {
        let first = world.pve.vms.get(&job.source).and_then(|vm| vm.disks().next().map(|(_, d)| d.head));
        disk::storage_of(&first.unwrap_or_default()).to_string()
    })
}

fn holds(world: &World, upid: &str, job: &Job) -> bool {
    let storage = world.pve.storages.get(&job.locks);
    let lock = storage.and_then(|s| s.clone_locks.get(&s.place(&job.node)));
    lock.is_some_and(|l| l.holder.as_deref() == Some(upid))
}

/// Gives the lock up, or the place in line, and lets the next one copy.
fn release(world: &mut World, upid: &str, job: &Job) {
    let Some(store) = world.pve.storages.get_mut(&job.locks) else { return };
    let place = store.place(&job.node);
    let Some(lock) = store.clone_locks.get_mut(&place) else { return };
    lock.waiting.retain(|waiting| waiting != upid);
    if lock.holder.as_deref() != Some(upid) {
        return;
    }
    lock.holder = lock.waiting.pop_front();
    if let Some(next) = lock.holder.clone() {
        task::say(world, &next, " OK");
        let seconds = world.scenario.latency.clone_s;
        if under_way(world, &next).is_some() {
            copy(world, &next, seconds);
        }
    }
}

/// Makes the new volumes, lets the copying last `seconds`, then writes the configuration.
fn copy(world: &mut World, upid: &str, seconds: f64) {
    let Some(job) = under_way(world, upid) else { return };
    let Some(source) = world.pve.vms.get(&job.source).cloned() else {
        let why = format!("Configuration file 'nodes/{}/qemu-server/{}.conf' does not exist", job.node, job.source);
        return fail(world, upid, &why);
    };
    let total: u64 = source.disks().filter_map(|(_, d)| world.pve.volume(&job.node, &d.head)).map(|v| v.size).sum();
    let mut drives = Vec::new();
    let mut begun = 0.0;
    for (slot, drive) in source.drives() {
        if is_cdrom(&drive) && !is_cloud_init(&drive) {
            drives.push((slot.to_string(), drive.print()));
            continue;
        }
        let Some(old) = world.pve.volume(&job.node, &drive.head).cloned() else {
            return fail(world, upid, &format!("volume '{}' does not exist", drive.head));
        };
        let volid = match place(world, &job, &drive, &old) {
            Ok(volid) => volid,
            Err(why) => return fail(world, upid, &why),
        };
        if !is_cloud_init(&drive) {
            let manner = if job.full { "full" } else { "linked" };
            let line = format!("create {manner} clone of drive {slot} ({})", drive.head);
            task::say_after(world, upid, begun, line);
            if world.pve.version >= Version(9, 2, 0) {
                task::say_after(world, upid, begun, format!("allocated target volume '{volid}'"));
            }
            if job.full {
                let lasts = seconds * old.size as f64 / total.max(1) as f64;
                task::transfer(world, upid, begun, lasts, old.size);
                begun += lasts;
            }
        }
        drives.push((slot.to_string(), Property { head: volid, options: drive.options.clone() }.print()));
    }
    let id = upid.to_string();
    world.after(seconds, move |world| finish(world, &id, drives));
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
    for dropped in ["template", "description", "lock"] {
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
    config.insert("meta".into(), create::meta(world));
    let source_name = world.pve.vms.get(&job.source).map(Vm::name).unwrap_or_default();
    let name = job.name.clone().unwrap_or_else(|| format!("Copy-of-VM-{}", source_name.replace(' ', "-")));
    config.insert("name".into(), name);
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
    release(world, upid, &job);
}

/// Takes back what the clone made and ends its task.
fn fail(world: &mut World, upid: &str, why: &str) {
    let Some(job) = under_way(world, upid) else { return };
    world.pve.clones.remove(upid);
    let (node, newid) = (job.node.clone(), job.newid);
    for storage in world.pve.storages.values_mut() {
        let place = storage.place(&node);
        storage.volumes.retain(|(p, _), v| !(*p == place && v.vmid == Some(newid)));
    }
    world.pve.vms.remove(&newid);
    task::finish(world, upid, Err(format!("clone failed: {why}")));
    release(world, upid, &job);
}
