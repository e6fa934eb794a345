//! `/version`, `/cluster` and the list of nodes.
use super::call::{Call, Failure, Good, Outcome, rows};
use super::kind::{Kind, VMID};
use super::nodes::node_row;
use super::route::{Need, Route, optional, route};
use crate::pve::vm::Vm;
use crate::pve::{Version, full, task};
use crate::world::World;
use cozyup_base::clock::between;
use serde_json::{Value, json};

/// The interval at which Proxmox's status daemon tells the cluster what guests a node has, in lab seconds.
const STATUS_PERIOD_S: u64 = 10;

const AUDIT: Need = Need::All("/", &["Sys.Audit"]);

pub const ROUTES: &[Route] = &[
    route("GET", "/version", Need::Anyone, &[], version),
    route("GET", "/cluster/status", AUDIT, &[], status),
    route(
        "GET",
        "/cluster/resources",
        Need::Anyone,
        &[optional("type", Kind::Choice(&["vm", "storage", "node", "sdn"]))],
        resources,
    ),
    route("GET", "/cluster/nextid", Need::Anyone, &[optional("vmid", VMID)], nextid),
    route("GET", "/cluster/tasks", Need::Anyone, &[], tasks),
    route("GET", "/cluster/options", Need::Anyone, &[], options),
    route("GET", "/cluster/ha/resources", AUDIT, &[], none),
    route("GET", "/cluster/ha/status/current", AUDIT, &[], none),
    route("GET", "/cluster/firewall/options", AUDIT, &[], firewall),
    route("GET", "/cluster/sdn/vnets", Need::Anyone, &[], vnets),
    route("GET", "/cluster/sdn/zones", Need::Anyone, &[], none),
];

fn vnets(world: &mut World, call: &Call) -> Outcome {
    let mut list = Vec::new();
    for bridge in world.pve.bridges.clone() {
        let Some(zone) = &bridge.zone else { continue };
        if !call.allowed_any(world, &bridge.path(), &["SDN.Audit", "SDN.Allocate"]) {
            continue;
        }
        let mut row = json!({"vnet": bridge.name, "zone": zone, "type": "vnet"});
        if bridge.vlan_aware {
            row["vlanaware"] = json!(1);
        }
        list.push(row);
    }
    rows(list)
}

pub fn none(_: &mut World, _: &Call) -> Outcome {
    rows(Vec::new())
}

fn version(world: &mut World, _: &Call) -> Outcome {
    let text = &world.pve.version_text;
    let release = text.split('.').take(2).collect::<Vec<_>>().join(".");
    Ok(json!({"version": text, "release": release, "repoid": "9d436f37a0ac4172"}).into())
}

fn firewall(_: &mut World, _: &Call) -> Outcome {
    Ok(json!({"enable": 0}).into())
}

fn status(world: &mut World, call: &Call) -> Outcome {
    let nodes = &world.pve.nodes;
    let alone = nodes.len() == 1;
    let mut list = Vec::new();
    if !alone {
        let cluster = json!({
            "type": "cluster", "id": "cluster", "name": "lab", "nodes": nodes.len(),
            "quorate": i32::from(nodes.iter().filter(|n| n.dark.is_none()).count() * 2 > nodes.len()),
            "version": nodes.len(),
        });
        list.push(cluster);
    }
    for (index, node) in nodes.iter().enumerate() {
        list.push(json!({
            "type": "node", "id": format!("node/{}", node.name), "name": node.name,
            "nodeid": if alone { 0 } else { index + 1 }, "ip": node.address.to_string(),
            "local": i32::from(node.name == call.local), "online": i32::from(node.dark.is_none()), "level": "",
        }));
    }
    rows(list)
}

fn resources(world: &mut World, call: &Call) -> Outcome {
    let wanted = |kind: &str| call.get("type").is_none_or(|t| t == kind);
    let mut list = Vec::new();
    if wanted("pool") {
        let pools: Vec<String> = world.pve.rights.pools.keys().cloned().collect();
        for pool in pools {
            if call.allowed(world, &format!("/pool/{pool}"), "Pool.Audit") {
                list.push(json!({"id": format!("/pool/{pool}"), "type": "pool", "pool": pool}));
            }
        }
    }
    if wanted("vm") {
        // Proxmox sorts VMIDs here as text.
        let mut vms: Vec<Vm> = world.pve.vms.values().cloned().collect();
        vms.sort_by_key(|vm| vm.vmid.to_string());
        for vm in vms {
            if call.allowed(world, &format!("/vms/{}", vm.vmid), "VM.Audit") {
                list.push(guest(world, call, &vm));
            }
        }
    }
    if wanted("node") {
        let nodes = world.pve.nodes.clone();
        for node in nodes {
            let audit = call.allowed(world, &format!("/nodes/{}", node.name), "Sys.Audit");
            let mut row = node_row(world, &node, audit);
            if let Some(row) = row.as_object_mut() {
                row.remove("ssl_fingerprint");
            }
            row["cgroup-mode"] = json!(2);
            list.push(row);
        }
    }
    if wanted("storage") {
        list.extend(storages(world, call));
    }
    // Since 9.1 zones are networks, which can't be asked for by their type.
    let zone = if world.pve.version >= Version(9, 1, 0) { "network" } else { "sdn" };
    if wanted(zone) && call.allowed(world, "/sdn/zones/localnetwork", "SDN.Audit") {
        list.extend(world.pve.nodes.iter().map(|node| local_zone(&node.name, zone)));
    }
    rows(list)
}

fn local_zone(node: &str, kind: &str) -> Value {
    if kind == "sdn" {
        let id = format!("sdn/{node}/localnetwork");
        return json!({"id": id, "type": "sdn", "sdn": "localnetwork", "node": node, "status": "ok"});
    }
    json!({
        "id": format!("network/{node}/zone/localnetwork"), "type": "network", "network-type": "zone",
        "network": "localnetwork", "node": node, "status": "ok",
    })
}

/// A guest that the status daemon has not told about yet has neither name nor figures.
fn guest(world: &mut World, call: &Call, vm: &Vm) -> Value {
    let period = |at| between(world.started, at).as_secs() / STATUS_PERIOD_S;
    let fresh = vm.created > world.started && period(vm.created) == period(world.now);
    let mut row = json!({"id": format!("qemu/{}", vm.vmid), "type": "qemu", "vmid": vm.vmid, "node": vm.node});
    let dark = world.pve.node(&vm.node).and_then(|node| node.dark.as_ref());
    let told = dark.map(|dark| dark.told(vm.vmid, world.now));
    if fresh || told == Some(None) {
        row["status"] = json!("unknown");
        return row;
    }
    let mut known = world.pve.row(vm, world.now);
    if let Some(Some(told)) = told {
        known["status"] = json!(told);
    }
    known["maxcpu"] = known["cpus"].take();
    known["template"] = json!(i32::from(vm.is_template()));
    if let (Some(row), Some(known)) = (row.as_object_mut(), known.as_object_mut()) {
        for own in ["cpus", "pid", "serial"] {
            known.remove(own);
        }
        row.append(known);
    }
    let pool = world.pve.rights.pools.iter().find(|(_, p)| p.vms.contains(&vm.vmid)).map(|(name, _)| name.clone());
    if let Some(pool) = pool.filter(|pool| call.allowed(world, &format!("/pool/{pool}"), "Pool.Audit")) {
        row["pool"] = json!(pool);
    }
    row
}

fn storages(world: &mut World, call: &Call) -> Vec<Value> {
    let mut list = Vec::new();
    let names: Vec<String> = world.pve.storages.keys().cloned().collect();
    for name in names {
        if !call.allowed(world, &format!("/storage/{name}"), "Datastore.Audit") {
            continue;
        }
        let no_room = full(world, &name);
        let Some(storage) = world.pve.storages.get(&name).filter(|s| !s.disabled) else { continue };
        for node in world.pve.nodes.iter().filter(|node| storage.is_on(&node.name)) {
            let used = if no_room { storage.total } else { storage.used(&node.name) };
            list.push(json!({
                "id": format!("storage/{}/{name}", node.name), "type": "storage", "storage": name, "node": node.name,
                "plugintype": storage.kind, "status": if node.dark.is_some() { "unknown" } else { "available" }, "shared": i32::from(storage.shared),
                "content": storage.content.join(","), "maxdisk": storage.total, "disk": used,
            }));
        }
    }
    list
}

fn nextid(world: &mut World, call: &Call) -> Outcome {
    let taken = |vmid: u32| world.pve.vms.contains_key(&vmid);
    let vmid = match call.get("vmid").and_then(|v| v.parse::<u32>().ok()) {
        Some(vmid) if taken(vmid) => {
            return Err(Failure::parameter("vmid", format!("VM {vmid} already exists")));
        }
        Some(vmid) => vmid,
        None => (100..1_000_000).find(|v| !taken(*v)).unwrap_or(1_000_000),
    };
    // A string, as everything that Perl has once used as text.
    Ok(json!(vmid.to_string()).into())
}

fn tasks(world: &mut World, call: &Call) -> Outcome {
    let all = call.allowed(world, "/", "Sys.Audit");
    let caller = call.who.id();
    // A task's user is compared without its token: a token without the right sees nothing at all.
    let mine = |task: &&task::Task| all || task.owner().0 == caller;
    rows(world.pve.tasks.iter().rev().filter(mine).take(50).map(task::Task::row).collect())
}

fn options(world: &mut World, call: &Call) -> Outcome {
    if !call.allowed(world, "/", "Sys.Audit") {
        return Ok(Good::from(json!({"allowed-tags": []})));
    }
    Ok(json!({"keyboard": "en-us", "mac_prefix": "BC:24:11", "allowed-tags": []}).into())
}

/// The answer for calls that the lab does not simulate, in plain words.
pub fn not_simulated(_: &mut World, call: &Call) -> Outcome {
    Err(Failure::died(format!("the lab does not simulate this call (VM {})", call.vmid())))
}
