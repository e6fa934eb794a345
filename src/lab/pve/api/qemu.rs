//! `/nodes/{node}/qemu`: the VMs, and every act on them but their configuration.
use super::call::{Call, Failure, Outcome, rows, task as upid};
use super::cluster::{none, not_simulated};
use super::config::{check_digest, check_on_vm, may_use_bridge, of_new_vm, only_root};
use super::kind::{CONFIG_ID, DNS_NAME, Kind, NODE, SIZE, STORAGE, VMID};
use super::route::{Need, Route, needed, optional, route};
use super::storage::usable;
use crate::pve::clone::{self, Job};
use crate::pve::create::{self, Create};
use crate::pve::disk::{no_storage, storage_of};
use crate::pve::lifecycle;
use crate::pve::property::Property;
use crate::pve::vm::{Vm, is_cdrom, is_numbered};
use crate::world::World;
use serde_json::{Value, json};

const AUDIT: Need = Need::All("/vms/{vmid}", &["VM.Audit"]);
const POWER: Need = Need::All("/vms/{vmid}", &["VM.PowerMgmt"]);
const ALLOCATE: Need = Need::All("/vms/{vmid}", &["VM.Allocate"]);
const DISK: Need = Need::All("/vms/{vmid}", &["VM.Config.Disk"]);
const SECONDS: Kind = Kind::Integer(0, i64::MAX);

pub const ROUTES: &[Route] = &[
    route("GET", "/nodes/{node}/qemu", Need::Anyone, &[optional("full", Kind::Boolean)], list),
    route("GET", "/nodes/{node}/lxc", Need::Anyone, &[], none),
    route(
        "POST",
        "/nodes/{node}/qemu",
        // Its rights are looked at inside.
        Need::Anyone,
        &[
            needed("vmid", VMID),
            optional("pool", Kind::Text),
            optional("start", Kind::Boolean),
            optional("storage", STORAGE),
            optional("import-working-storage", STORAGE),
            optional("ha-managed", Kind::Boolean),
            optional("bwlimit", SECONDS),
        ],
        make,
    )
    .with_config(),
    route("GET", "/nodes/{node}/qemu/{vmid}/status/current", AUDIT, &[], current),
    route(
        "POST",
        "/nodes/{node}/qemu/{vmid}/status/start",
        POWER,
        &[optional("timeout", SECONDS), optional("skiplock", Kind::Boolean), optional("machine", Kind::Text)],
        start,
    ),
    route(
        "POST",
        "/nodes/{node}/qemu/{vmid}/status/stop",
        POWER,
        &[
            optional("timeout", SECONDS),
            optional("skiplock", Kind::Boolean),
            optional("keepActive", Kind::Boolean),
            optional("overrule-shutdown", Kind::Boolean),
        ],
        |world, call| stop(world, call, "qmstop"),
    ),
    route(
        "POST",
        "/nodes/{node}/qemu/{vmid}/status/shutdown",
        POWER,
        &[
            optional("timeout", SECONDS),
            optional("skiplock", Kind::Boolean),
            optional("keepActive", Kind::Boolean),
            optional("forceStop", Kind::Boolean),
        ],
        |world, call| stop(world, call, "qmshutdown"),
    ),
    route("POST", "/nodes/{node}/qemu/{vmid}/status/reboot", POWER, &[optional("timeout", SECONDS)], |world, call| {
        restart(world, call, "qmreboot")
    }),
    route(
        "POST",
        "/nodes/{node}/qemu/{vmid}/status/reset",
        POWER,
        &[optional("skiplock", Kind::Boolean)],
        |world, call| restart(world, call, "qmreset"),
    ),
    route(
        "POST",
        "/nodes/{node}/qemu/{vmid}/clone",
        Need::Rule(may_clone),
        &[
            needed("newid", VMID),
            optional("name", DNS_NAME),
            optional("description", Kind::Text),
            optional("pool", Kind::Text),
            optional("snapname", CONFIG_ID),
            optional("storage", STORAGE),
            optional("format", Kind::Choice(&["raw", "qcow2", "vmdk"])),
            optional("full", Kind::Boolean),
            optional("target", NODE),
            optional("bwlimit", SECONDS),
        ],
        clone_vm,
    ),
    route("POST", "/nodes/{node}/qemu/{vmid}/template", ALLOCATE, &[optional("disk", Kind::Drive)], template),
    route(
        "PUT",
        "/nodes/{node}/qemu/{vmid}/resize",
        DISK,
        &[
            needed("disk", Kind::Drive),
            needed("size", SIZE),
            optional("digest", Kind::Short(40)),
            optional("skiplock", Kind::Boolean),
        ],
        resize,
    ),
    route(
        "POST",
        "/nodes/{node}/qemu/{vmid}/move_disk",
        DISK,
        &[
            needed("disk", Kind::Text),
            optional("storage", STORAGE),
            optional("format", Kind::Text),
            optional("delete", Kind::Boolean),
            optional("target-vmid", VMID),
            optional("target-disk", Kind::Text),
        ],
        not_simulated,
    ),
    route(
        "GET",
        "/nodes/{node}/qemu/{vmid}/feature",
        AUDIT,
        &[needed("feature", Kind::Choice(&["snapshot", "clone", "copy"])), optional("snapname", CONFIG_ID)],
        feature,
    ),
    route("GET", "/nodes/{node}/qemu/{vmid}/snapshot", AUDIT, &[], snapshots),
    route("GET", "/nodes/{node}/qemu/{vmid}/firewall/options", AUDIT, &[], firewall),
    route("GET", "/nodes/{node}/qemu/{vmid}/agent/network-get-interfaces", Need::Rule(may_ask_agent), &[], agent),
    route("GET", "/nodes/{node}/qemu/{vmid}/agent/get-host-name", Need::Rule(may_ask_agent), &[], agent),
    route("GET", "/nodes/{node}/qemu/{vmid}/agent/get-osinfo", Need::Rule(may_ask_agent), &[], agent),
    route("GET", "/nodes/{node}/qemu/{vmid}/agent/info", Need::Rule(may_ask_agent), &[], agent),
    route("POST", "/nodes/{node}/qemu/{vmid}/agent/ping", Need::Rule(may_ask_agent), &[], agent),
    route(
        "DELETE",
        "/nodes/{node}/qemu/{vmid}",
        ALLOCATE,
        &[
            optional("purge", Kind::Boolean),
            optional("destroy-unreferenced-disks", Kind::Boolean),
            optional("skiplock", Kind::Boolean),
        ],
        destroy,
    ),
];

/// The VM of the path.
///
/// # Errors
/// 500, never 404: Proxmox reads a file that is not there.
pub fn guest<'a>(world: &'a World, call: &Call) -> Result<&'a Vm, Failure> {
    let (node, vmid) = (call.node(), call.vmid());
    world.pve.vms.get(&vmid).filter(|vm| vm.node == node).ok_or_else(|| {
        Failure::died(format!("Configuration file 'nodes/{node}/qemu-server/{vmid}.conf' does not exist"))
    })
}

fn list(world: &mut World, call: &Call) -> Outcome {
    let vms: Vec<Vm> = world.pve.vms.values().filter(|vm| vm.node == call.node()).cloned().collect();
    let mut list = Vec::new();
    for vm in vms {
        if call.allowed(world, &format!("/vms/{}", vm.vmid), "VM.Audit") {
            list.push(world.pve.row(&vm, world.now));
        }
    }
    rows(list)
}

fn pool_is_there(world: &World, call: &Call) -> Result<(), Failure> {
    match call.get("pool") {
        Some(pool) if !world.pve.rights.pools.contains_key(pool) => {
            Err(Failure::denied(&format!("pool '{pool}' does not exist")))
        }
        Some(_) | None => Ok(()),
    }
}

/// `VM.Allocate` on the new VM or on its pool.
fn may_allocate(world: &mut World, call: &Call, vmid: &str) -> Result<(), Failure> {
    let on_vm = call.allowed(world, &format!("/vms/{vmid}"), "VM.Allocate");
    let on_pool = match call.owned("pool") {
        Some(pool) => call.allowed(world, &format!("/pool/{pool}"), "VM.Allocate"),
        None => false,
    };
    if on_vm || on_pool { Ok(()) } else { Err(Failure::denied_plainly()) }
}

fn make(world: &mut World, call: &Call) -> Outcome {
    let vmid = call.vmid();
    pool_is_there(world, call)?;
    if let Some(storage) = call.get("storage") {
        call.check(world, &format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
    }
    if call.flag("ha-managed") == Some(true) {
        call.check(world, "/", &["Sys.Console"])?;
    }
    if call.flag("start") == Some(true) {
        check_on_vm(world, call, &["VM.PowerMgmt"])?;
    }
    may_allocate(world, call, call.text("vmid"))?;
    let change = of_new_vm(world, call)?;
    if let Some(taken) = world.pve.vms.get(&vmid) {
        let why = format!("unable to create VM {vmid} - VM {vmid} already exists on node '{}'", taken.node);
        return Err(Failure::died(why));
    }
    let create = Create {
        node: call.node().into(),
        vmid,
        change,
        pool: call.owned("pool"),
        start: call.flag("start") == Some(true),
        user: call.who.id(),
    };
    upid(create::create(world, create))
}

fn current(world: &mut World, call: &Call) -> Outcome {
    let vm = guest(world, call)?;
    let mut row = world.pve.row(vm, world.now);
    row["qmpstatus"] = json!(vm.status());
    row["ha"] = json!({"managed": 0});
    if vm.running() {
        row["running-machine"] = json!("pc-i440fx-10.1+pve0");
        row["running-qemu"] = json!("10.1.2");
        row["proxmox-support"] = json!({"pbs-dirty-bitmap": true, "query-bitmap-info": true});
    }
    if vm.config.get("agent").is_some_and(|a| a.starts_with('1') || a.contains("enabled=1")) {
        row["agent"] = json!(1);
    }
    Ok(row.into())
}

/// A task on the VM of the path. It begins also when there is no such VM; then it fails.
fn in_task(
    world: &mut World,
    call: &Call,
    kind: &'static str,
    begin: impl FnOnce(&mut World, &Call) -> String,
) -> Outcome {
    only_root(call, "skiplock")?;
    only_root(call, "keepActive")?;
    match guest(world, call).map(|_| ()) {
        Ok(()) => upid(begin(world, call)),
        Err(why) => upid(lifecycle::refuse(world, call.node(), call.vmid(), kind, &call.who.id(), why.message)),
    }
}

fn start(world: &mut World, call: &Call) -> Outcome {
    in_task(world, call, "qmstart", |world, call| lifecycle::start(world, call.vmid(), &call.who.id()))
}

fn stop(world: &mut World, call: &Call, kind: &'static str) -> Outcome {
    in_task(world, call, kind, |world, call| lifecycle::stop(world, call.vmid(), kind, &call.who.id()))
}

fn restart(world: &mut World, call: &Call, kind: &'static str) -> Outcome {
    only_root(call, "skiplock")?;
    if !exists(world, call)?.running() {
        return Err(Failure::died(format!("VM {} not running", call.vmid())));
    }
    upid(lifecycle::restart(world, call.vmid(), kind, &call.who.id()))
}

/// The VM of the path, where Proxmox looks for its process before its configuration.
fn exists<'a>(world: &'a World, call: &Call) -> Result<&'a Vm, Failure> {
    guest(world, call).map_err(|_| {
        Failure::died(format!("unable to find configuration file for VM {} on node '{}'", call.vmid(), call.node()))
    })
}

fn may_clone(world: &mut World, call: &Call) -> Result<(), Failure> {
    call.check(world, &format!("/vms/{}", call.vmid()), &["VM.Clone"])?;
    may_allocate(world, call, call.text("newid"))
}

fn clone_vm(world: &mut World, call: &Call) -> Outcome {
    exists(world, call)?;
    pool_is_there(world, call)?;
    let target = call.owned("target").filter(|t| t != call.node() && t != "localhost");
    if let Some(target) = &target
        && world.pve.node(target).is_none()
    {
        return Err(Failure::died(format!("no such cluster node '{target}'")));
    }
    let storage = call.owned("storage");
    if let Some(name) = &storage {
        clone_target(world, call, name, target.as_deref())?;
    }
    let vm = guest(world, call)?.clone();
    vm.unlocked()?;
    if let Some(snapshot) = call.get("snapname") {
        return Err(Failure::died(format!("snapshot '{snapshot}' does not exist")));
    }
    let full = call.flag("full").unwrap_or(!vm.is_template());
    for parameter in ["storage", "format"] {
        if !full && call.get(parameter).is_some() {
            return Err(Failure::died(format!("parameter '{parameter}' not allowed for linked clones")));
        }
    }
    let shared = clone_sources(world, call, &vm, storage.as_deref())?;
    for value in vm.config.iter().filter(|(k, _)| is_numbered(k, "net", 31)).map(|(_, v)| v) {
        may_use_bridge(world, call, value)?;
    }
    if let Some(target) = target.as_ref().filter(|_| !shared) {
        return Err(Failure::died(format!("can't clone VM to node '{target}' (VM uses local storage)")));
    }
    let newid = call.get("newid").and_then(|v| v.parse::<u32>().ok()).unwrap_or(0);
    if world.pve.vms.get(&newid).is_some_and(|taken| taken.node == vm.node) {
        return Err(Failure::died(format!("unable to create VM {newid}: config file already exists")));
    }
    let linkable = |drive: &Property| {
        let storage = world.pve.storages.get(storage_of(&drive.head));
        vm.is_template() && storage.is_some_and(|s| s.clones_linked())
    };
    if let Some((slot, drive)) = vm.disks().filter(|_| !full).find(|(_, drive)| !linkable(drive)) {
        return Err(Failure::died(format!("Linked clone feature is not supported for '{}' ({slot})", drive.head)));
    }
    let job = Job {
        source: vm.vmid,
        newid,
        full,
        node: vm.node.clone(),
        target,
        storage,
        name: call.owned("name"),
        description: call.owned("description"),
        pool: call.owned("pool"),
        user: call.who.id(),
    };
    upid(clone::clone(world, job))
}

/// # Errors
/// The storage that a full clone goes to can't be used, here or on the target.
fn clone_target(world: &World, call: &Call, name: &str, target: Option<&str>) -> Result<(), Failure> {
    let storage = usable(world, name, call.node())?;
    if !storage.holds("images") {
        return Err(Failure::parameter("storage", format!("storage '{name}' does not support vm images")));
    }
    let Some(target) = target else { return Ok(()) };
    if !usable(world, name, target)?.shared {
        return Err(Failure::died(format!("can't clone to non-shared storage '{name}'")));
    }
    Ok(())
}

/// True when every drive of the VM is on shared storage.
///
/// # Errors
/// The caller may not take space where a drive goes.
fn clone_sources(world: &mut World, call: &Call, vm: &Vm, into: Option<&str>) -> Result<bool, Failure> {
    let mut shared = true;
    for (_, drive) in vm.drives().filter(|(_, d)| d.head != "none") {
        let from = storage_of(&drive.head);
        shared &= world.pve.storages.get(from).ok_or_else(|| Failure::died(no_storage(from)))?.shared;
        // Proxmox counts a cloud-init drive as a CD-ROM here.
        if !is_cdrom(&drive) {
            let path = format!("/storage/{}", into.unwrap_or(from));
            call.check(world, &path, &["Datastore.AllocateSpace"])?;
        }
    }
    Ok(shared)
}

fn template(world: &mut World, call: &Call) -> Outcome {
    let vm = guest(world, call)?;
    vm.unlocked()?;
    if vm.is_template() && call.get("disk").is_none() {
        return Err(Failure::died("you can't convert a template to a template"));
    }
    if vm.running() {
        return Err(Failure::died("you can't convert a VM to template if VM is running"));
    }
    upid(lifecycle::template(world, call.vmid(), &call.who.id()))
}

fn resize(world: &mut World, call: &Call) -> Outcome {
    in_task(world, call, "resize", |world, call| {
        let worker = call.clone();
        let may = move |world: &mut World, storage: &str| {
            let path = format!("/storage/{storage}");
            let digest = guest(world, &worker).and_then(|vm| check_digest(vm, &worker));
            digest.and_then(|()| worker.check(world, &path, &["Datastore.AllocateSpace"])).map_err(|why| why.as_text())
        };
        lifecycle::resize(world, call.vmid(), call.text("disk").into(), call.text("size").into(), &call.who.id(), may)
    })
}

fn feature(world: &mut World, call: &Call) -> Outcome {
    let vm = guest(world, call)?;
    let storages: Vec<_> = vm.disks().filter_map(|(_, d)| world.pve.storages.get(storage_of(&d.head))).collect();
    let has = match call.text("feature") {
        "clone" => vm.is_template() && storages.iter().all(|s| s.clones_linked()),
        "snapshot" => !vm.is_template() && storages.iter().all(|s| s.kind != "lvm"),
        _ => true,
    };
    let reaches = |node: &&str| *node == vm.node || storages.iter().all(|s| s.shared);
    let nodes: Vec<&str> = world.pve.nodes.iter().map(|n| n.name.as_str()).filter(reaches).collect();
    Ok(json!({"hasFeature": if has { json!(1) } else { json!("") }, "nodes": nodes}).into())
}

fn snapshots(world: &mut World, call: &Call) -> Outcome {
    let vm = guest(world, call)?;
    let now: Value = json!({
        "name": "current", "description": "You are here!", "digest": vm.digest(), "running": i32::from(vm.running()),
    });
    rows(vec![now])
}

fn firewall(world: &mut World, call: &Call) -> Outcome {
    guest(world, call)?;
    Ok(json!({"enable": 0}).into())
}

fn may_ask_agent(world: &mut World, call: &Call) -> Result<(), Failure> {
    let path = format!("/vms/{}", call.vmid());
    if world.pve.version.0 >= 9 {
        call.check_any(world, &path, &["VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted"])
    } else {
        call.check(world, &path, &["VM.Monitor"])
    }
}

/// The Talos image that CozyStack ships has no guest agent.
fn agent(world: &mut World, call: &Call) -> Outcome {
    let vm = guest(world, call)?;
    Err(Failure::died(if !vm.config.contains_key("agent") {
        "No QEMU guest agent configured".to_string()
    } else if !vm.running() {
        format!("VM {} is not running", vm.vmid)
    } else {
        "QEMU guest agent is not running".into()
    }))
}

fn destroy(world: &mut World, call: &Call) -> Outcome {
    only_root(call, "skiplock")?;
    let vmid = call.vmid();
    let vm = guest(world, call)?;
    if vm.config.get("protection").is_some_and(|p| p == "1") {
        return Err(Failure::died(format!("can't remove VM {vmid} - protection mode enabled")));
    }
    if vm.running() {
        return Err(Failure::died(format!("VM {vmid} is running - destroy failed")));
    }
    let [purge, disks] = ["purge", "destroy-unreferenced-disks"].map(|name| call.flag(name) == Some(true));
    upid(lifecycle::destroy(world, vmid, purge, disks, &call.who.id()))
}
