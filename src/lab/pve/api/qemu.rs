//! `/nodes/{node}/qemu`: the VMs, and every act on them but their configuration.
use super::call::{Call, Failure, Outcome, rows, task as upid};
use super::cluster::not_simulated;
use super::config::{may_use_bridge, wanted};
use super::route::{Kind, Need, Route, VMID, needed, optional, route};
use crate::lab::pve::clone::{self, Job};
use crate::lab::pve::create::{self, Create};
use crate::lab::pve::disk::{no_storage, storage_of};
use crate::lab::pve::vm::{Vm, is_cdrom, is_cloud_init, is_numbered};
use crate::lab::pve::{lifecycle, vm};
use crate::lab::world::World;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const AUDIT: Need = Need::All("/vms/{vmid}", &["VM.Audit"]);
const POWER: Need = Need::All("/vms/{vmid}", &["VM.PowerMgmt"]);
const ALLOCATE: Need = Need::All("/vms/{vmid}", &["VM.Allocate"]);
const DISK: Need = Need::All("/vms/{vmid}", &["VM.Config.Disk"]);
const SECONDS: Kind = Kind::Integer(0, i64::MAX);

pub const ROUTES: &[Route] = &[
    route("GET", "/nodes/{node}/qemu", Need::Anyone, &[optional("full", Kind::Boolean)], list),
    route(
        "POST",
        "/nodes/{node}/qemu",
        Need::Rule(may_create),
        &[
            needed("vmid", VMID),
            optional("pool", Kind::Text),
            optional("start", Kind::Boolean),
            optional("storage", Kind::Text),
            optional("import-working-storage", Kind::Text),
            optional("ha-managed", Kind::Boolean),
            optional("unique", Kind::Boolean),
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
            optional("name", Kind::Name),
            optional("description", Kind::Text),
            optional("pool", Kind::Text),
            optional("snapname", Kind::Text),
            optional("storage", Kind::Text),
            optional("format", Kind::Choice(&["raw", "qcow2", "vmdk"])),
            optional("full", Kind::Boolean),
            optional("target", Kind::Text),
            optional("bwlimit", SECONDS),
        ],
        clone_vm,
    ),
    route("POST", "/nodes/{node}/qemu/{vmid}/template", ALLOCATE, &[optional("disk", Kind::Text)], template),
    route(
        "PUT",
        "/nodes/{node}/qemu/{vmid}/resize",
        DISK,
        &[
            needed("disk", Kind::Text),
            needed("size", Kind::Size),
            optional("digest", Kind::Text),
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
            optional("storage", Kind::Text),
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
        &[needed("feature", Kind::Choice(&["snapshot", "clone", "copy"])), optional("snapname", Kind::Text)],
        feature,
    ),
    route("GET", "/nodes/{node}/qemu/{vmid}/snapshot", AUDIT, &[], snapshots),
    route("GET", "/nodes/{node}/qemu/{vmid}/firewall/options", AUDIT, &[], firewall),
    route("GET", "/nodes/{node}/qemu/{vmid}/agent/network-get-interfaces", Need::Rule(may_ask_agent), &[], agent),
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
            list.push(vm.row(world.now));
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

fn may_create(world: &mut World, call: &Call) -> Result<(), Failure> {
    pool_is_there(world, call)?;
    may_allocate(world, call, call.text("vmid"))
}

fn make(world: &mut World, call: &Call) -> Outcome {
    let vmid = call.vmid();
    let change = wanted(world, call, true)?;
    if call.flag("start") == Some(true) {
        call.check(world, &format!("/vms/{vmid}"), &["VM.PowerMgmt"])?;
    }
    if call.flag("ha-managed") == Some(true) {
        call.check(world, "/", &["Sys.Console"])?;
    }
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
    let mut row = vm.row(world.now);
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

fn start(world: &mut World, call: &Call) -> Outcome {
    guest(world, call)?;
    upid(lifecycle::start(world, call.vmid(), &call.who.id()))
}

fn stop(world: &mut World, call: &Call, kind: &'static str) -> Outcome {
    guest(world, call)?;
    upid(lifecycle::stop(world, call.vmid(), kind, &call.who.id()))
}

fn restart(world: &mut World, call: &Call, kind: &'static str) -> Outcome {
    guest(world, call)?;
    upid(lifecycle::restart(world, call.vmid(), kind, &call.who.id()))
}

fn may_clone(world: &mut World, call: &Call) -> Result<(), Failure> {
    call.check(world, &format!("/vms/{}", call.vmid()), &["VM.Clone"])?;
    may_allocate(world, call, call.text("newid"))
}

fn clone_vm(world: &mut World, call: &Call) -> Outcome {
    pool_is_there(world, call)?;
    let vm = guest(world, call)?.clone();
    vm.unlocked()?;
    let full = call.flag("full").unwrap_or(!vm.is_template());
    let storage = call.owned("storage");
    if !full && storage.is_some() {
        return Err(Failure::died("parameter 'storage' not allowed for linked clones"));
    }
    let target = call.owned("target").filter(|t| t != call.node());
    if let Some(target) = &target
        && world.pve.node(target).is_none()
    {
        return Err(Failure::died(format!("no such cluster node '{target}'")));
    }
    for (slot, drive) in vm.drives() {
        if drive.head == "none" {
            continue;
        }
        let disk = !is_cdrom(&drive) || is_cloud_init(&drive);
        let from = storage_of(&drive.head);
        let to = storage.as_deref().filter(|_| disk).unwrap_or(from);
        if disk {
            call.check(world, &format!("/storage/{to}"), &["Datastore.AllocateSpace"])?;
        }
        let source = world.pve.storages.get(from).ok_or_else(|| Failure::died(no_storage(from)))?;
        if let Some(target) = target.as_ref().filter(|_| !source.shared) {
            let why = format!("can't clone VM to node '{target}' (VM uses local storage)");
            return Err(Failure::died(why));
        }
        let into = world.pve.storages.get(to).ok_or_else(|| Failure::died(no_storage(to)))?;
        if target.is_some() && !into.shared {
            return Err(Failure::died(format!("can't clone to non-shared storage '{to}'")));
        }
        if disk && !into.holds("images") {
            return Err(Failure::parameter("storage", format!("storage '{to}' does not support vm images")));
        }
        let linkable = source.clones_linked() && vm.is_template();
        if !full && !linkable && disk && !is_cloud_init(&drive) {
            let why = format!("Linked clone feature is not supported for '{}' ({slot})", drive.head);
            return Err(Failure::died(why));
        }
    }
    for value in vm.config.iter().filter(|(k, _)| is_numbered(k, "net", 31)).map(|(_, v)| v) {
        may_use_bridge(world, call, value)?;
    }
    let newid = call.get("newid").and_then(|v| v.parse::<u32>().ok()).unwrap_or(0);
    if world.pve.vms.get(&newid).is_some_and(|taken| taken.node == vm.node) {
        return Err(Failure::died(format!("unable to create VM {newid}: config file already exists")));
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
        locks: String::new(),
    };
    upid(clone::clone(world, job))
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
    guest(world, call)?;
    let slot = call.text("disk");
    if !vm::is_drive(slot) {
        let slots: BTreeSet<String> = vm::BUSES
            .iter()
            .flat_map(|(bus, most)| (0..=*most).map(move |n| format!("{bus}{n}")))
            .chain(["efidisk0".into(), "tpmstate0".into()])
            .collect();
        let slots = slots.into_iter().collect::<Vec<_>>().join(", ");
        let why = format!("value '{slot}' does not have a value in the enumeration '{slots}'");
        return Err(Failure::parameter("disk", why));
    }
    upid(lifecycle::resize(world, call.vmid(), slot.into(), call.text("size").into(), &call.who.id()))
}

fn feature(world: &mut World, call: &Call) -> Outcome {
    let vm = guest(world, call)?;
    let storages: Vec<_> = vm.disks().filter_map(|(_, d)| world.pve.storages.get(storage_of(&d.head))).collect();
    let has = match call.text("feature") {
        "clone" => vm.is_template() && storages.iter().all(|s| s.clones_linked()),
        "snapshot" => !vm.is_template() && storages.iter().all(|s| s.kind != "lvm"),
        _ => true,
    };
    let shared = storages.iter().all(|s| s.shared);
    let nodes: Vec<&str> =
        world.pve.nodes.iter().map(|n| n.name.as_str()).filter(|n| shared || *n == vm.node).collect();
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
        "QEMU guest agent is not running".to_string()
    }))
}

fn destroy(world: &mut World, call: &Call) -> Outcome {
    let vm = guest(world, call)?;
    let vmid = vm.vmid;
    if vm.config.get("protection").is_some_and(|p| p == "1") {
        return Err(Failure::died(format!("can't remove VM {vmid} - protection mode enabled")));
    }
    if vm.running() {
        return Err(Failure::died(format!("VM {vmid} is running - destroy failed")));
    }
    vm.unlocked()?;
    upid(lifecycle::destroy(world, vmid, &call.who.id()))
}
