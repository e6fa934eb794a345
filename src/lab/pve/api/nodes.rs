//! `/nodes/{node}`: what a host is made of.
use super::call::{Call, Failure, Outcome, rows};
use super::cluster::none;
use super::kind::{Kind, URL};
use super::route::{Need, Route, needed, optional, route};
use crate::pve::{Node, Version};
use crate::scenario::Bridge;
use crate::world::World;
use cozyup_base::clock::between;
use serde_json::{Value, json};

const AUDIT: Need = Need::All("/nodes/{node}", &["Sys.Audit"]);

/// The flags of a host processor that `x86-64-v2` and `-v3` ask for, and virtualisation.
const FLAGS: &str = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 \
ht syscall nx rdtscp lm constant_tsc rep_good nopl pni pclmulqdq vmx ssse3 fma cx16 pcid sse4_1 sse4_2 x2apic movbe \
popcnt aes xsave avx f16c rdrand hypervisor lahf_lm abm bmi1 avx2 bmi2";

pub const ROUTES: &[Route] = &[
    route("GET", "/nodes", Need::Anyone, &[], list),
    route("GET", "/nodes/{node}/status", AUDIT, &[], status),
    route("GET", "/nodes/{node}/time", AUDIT, &[], time),
    route("GET", "/nodes/{node}/dns", AUDIT, &[], dns),
    route("GET", "/nodes/{node}/hosts", AUDIT, &[], hosts),
    route("GET", "/nodes/{node}/version", Need::Anyone, &[], version),
    route("GET", "/nodes/{node}/subscription", Need::Anyone, &[], subscription),
    route(
        "GET",
        "/nodes/{node}/network",
        Need::Anyone,
        &[optional("type", Kind::Choice(&["any_bridge", "any_local_bridge", "bridge", "bond", "eth", "include_sdn"]))],
        network,
    ),
    route("GET", "/nodes/{node}/sdn/zones", Need::Anyone, &[], none),
    route("GET", "/nodes/{node}/capabilities/qemu/cpu", Need::Anyone, &[optional("arch", Kind::Text)], processors),
    route("GET", "/nodes/{node}/capabilities/qemu/machines", Need::Anyone, &[optional("arch", Kind::Text)], machines),
    route("GET", "/nodes/{node}/certificates/info", Need::Anyone, &[], certificates),
    route(
        "GET",
        "/nodes/{node}/query-url-metadata",
        Need::Rule(may_fetch),
        &[needed("url", URL), optional("verify-certificates", Kind::Boolean)],
        query_url,
    ),
];

/// # Errors
/// 403 without saying what is missing, as for every check with alternatives.
pub fn may_fetch(world: &mut World, call: &Call) -> Result<(), Failure> {
    let on_all = call.allowed(world, "/", "Sys.Audit") && call.allowed(world, "/", "Sys.Modify");
    if on_all || call.allowed(world, &format!("/nodes/{}", call.node()), "Sys.AccessNetwork") {
        return Ok(());
    }
    Err(Failure::denied_plainly())
}

fn memory_used(world: &World, node: &str) -> u64 {
    let guests = world.pve.vms.values().filter(|vm| vm.node == node && vm.running());
    (2 << 30) + guests.map(|vm| vm.memory_mib() << 20).sum::<u64>()
}

/// A row of `GET /nodes`; figures only for who may audit the node.
pub fn node_row(world: &World, node: &Node, audit: bool) -> Value {
    let mut row = json!({
        "node": node.name, "id": format!("node/{}", node.name), "type": "node", "status": "online", "level": "",
        "ssl_fingerprint": world.pve.fingerprint().to_string(),
    });
    if node.dark.is_some() {
        row["status"] = json!("offline");
    } else if audit {
        let figures = json!({
            "cpu": 0.04, "maxcpu": node.cores, "mem": memory_used(world, &node.name), "maxmem": node.memory,
            "disk": 8_u64 << 30, "maxdisk": 96_u64 << 30, "uptime": uptime(world),
        });
        if let (Some(row), Some(mut figures)) = (row.as_object_mut(), figures.as_object().cloned()) {
            row.append(&mut figures);
        }
    }
    row
}

/// Hosts have been up for a day when the lab begins.
fn uptime(world: &World) -> u64 {
    24 * 3600 + between(world.started, world.now).as_secs()
}

fn list(world: &mut World, call: &Call) -> Outcome {
    let nodes = world.pve.nodes.clone();
    let mut list = Vec::new();
    for node in nodes {
        let audit = call.allowed(world, &format!("/nodes/{}", node.name), "Sys.Audit");
        list.push(node_row(world, &node, audit));
    }
    rows(list)
}

fn node<'a>(world: &'a World, call: &Call) -> Result<&'a Node, Failure> {
    world.pve.node(call.node()).ok_or_else(|| Failure::died("no such node"))
}

fn status(world: &mut World, call: &Call) -> Outcome {
    let node = node(world, call)?;
    let used = memory_used(world, &node.name).min(node.memory);
    let kernel = &node.kernel;
    let mut status = json!({
        "uptime": uptime(world), "loadavg": ["0.42", "0.38", "0.31"], "cpu": 0.04, "wait": 0, "idle": 0,
        "kversion": format!("Linux {kernel} #1 SMP PREEMPT_DYNAMIC"),
        "current-kernel": {"sysname": "Linux", "release": kernel, "version": "#1 SMP PREEMPT_DYNAMIC", "machine": "x86_64"},
        "cpuinfo": {
            "model": "Lab Processor", "cpus": node.cores, "cores": node.cores.div_ceil(2), "sockets": 1, "hvm": "1",
            "mhz": "2600.000", "user_hz": 100, "flags": FLAGS,
        },
        "memory": {"total": node.memory, "used": used, "free": node.memory - used},
        "swap": {"total": 0, "used": 0, "free": 0},
        "ksm": {"shared": 0},
        "rootfs": {"total": 96_u64 << 30, "used": 8_u64 << 30, "free": 88_u64 << 30, "avail": 88_u64 << 30},
        "pveversion": format!("pve-manager/{}/9d436f37a0ac4172", node.version),
        "boot-info": {"mode": "efi", "secureboot": 0},
    });
    if Version::parse(&node.version).0 >= 9 {
        status["memory"]["available"] = json!(node.memory - used);
    }
    Ok(status.into())
}

fn time(world: &mut World, _: &Call) -> Outcome {
    let now = world.now.as_second() + world.clock_off();
    Ok(json!({"timezone": "UTC", "time": now, "localtime": now}).into())
}

fn version(world: &mut World, call: &Call) -> Outcome {
    let text = &node(world, call)?.version;
    let release = text.split('.').take(2).collect::<Vec<_>>().join(".");
    Ok(json!({"version": text, "release": release, "repoid": "9d436f37a0ac4172"}).into())
}

fn subscription(_: &mut World, _: &Call) -> Outcome {
    Ok(json!({"status": "notfound", "message": "There is no subscription key"}).into())
}

fn vnet(bridge: &Bridge) -> Value {
    let mut row = json!({"iface": bridge.name, "type": "vnet", "active": "1"});
    if bridge.vlan_aware {
        row["vlanaware"] = json!(1);
    }
    row
}

fn network(world: &mut World, call: &Call) -> Outcome {
    let node = node(world, call)?.clone();
    let bridges = world.pve.bridges.clone();
    let gateway = world.address(1).to_string();
    let mut list = Vec::new();
    for (index, bridge) in bridges.iter().enumerate() {
        if !call.allowed_any(world, &bridge.path(), &["SDN.Audit", "SDN.Use"]) {
            continue;
        }
        if bridge.kind == "vnet" {
            list.push(vnet(bridge));
            continue;
        }
        let ports = if bridge.kind == "bridge" { "bridge_ports" } else { "ovs_ports" };
        let mut row = json!({
            "iface": bridge.name, "type": bridge.kind, "active": 1, "autostart": 1, "method": "manual",
            "method6": "manual", "families": ["inet"], "priority": 3 + index, ports: bridge.ports.join(" "),
        });
        if bridge.kind == "bridge" {
            row["bridge_stp"] = json!("off");
            row["bridge_fd"] = json!("0");
        }
        if bridge.vlan_aware && bridge.kind == "bridge" {
            row["bridge_vlan_aware"] = json!(1);
            row["bridge_vids"] = json!("2-4094");
        }
        if let Some(mtu) = bridge.mtu {
            row["mtu"] = json!(mtu.to_string());
        }
        if index == 0 {
            row["method"] = json!("static");
            row["address"] = json!(node.address.to_string());
            row["netmask"] = json!("24");
            row["cidr"] = json!(format!("{}/24", node.address));
            row["gateway"] = json!(gateway);
        }
        list.push(row);
    }
    if !matches!(call.get("type"), Some("any_bridge" | "any_local_bridge" | "bridge" | "include_sdn")) {
        for index in 0..bridges.len() {
            list.push(json!({
                "iface": format!("eno{}", index + 1), "type": "eth", "active": 1, "exists": 1, "method": "manual",
                "method6": "manual", "families": ["inet"], "priority": 2,
            }));
        }
    }
    if matches!(call.get("type"), Some("bond")) {
        list.clear();
    }
    // The keys of a hash: they come in another order in every process, and so from one answer to the next.
    let turn = usize::try_from(world.now.as_second().unsigned_abs()).unwrap_or_default() % list.len().max(1);
    list.rotate_left(turn);
    rows(list)
}

fn dns(world: &mut World, _: &Call) -> Outcome {
    Ok(json!({"search": "lab.example", "dns1": world.address(1).to_string()}).into())
}

fn hosts(world: &mut World, call: &Call) -> Outcome {
    let node = node(world, call)?;
    let data = format!("127.0.0.1 localhost.localdomain localhost\n{} {}.lab.example {1}\n", node.address, node.name);
    Ok(json!({"digest": "da39a3ee5e6b4b0d3255bfef95601890afd80709", "data": data}).into())
}

fn processors(_: &mut World, _: &Call) -> Outcome {
    let names = ["host", "max", "kvm64", "qemu64", "x86-64-v2", "x86-64-v2-AES", "x86-64-v3", "x86-64-v4"];
    rows(names.iter().map(|n| json!({"name": n, "vendor": "default", "custom": 0})).collect())
}

fn machines(_: &mut World, _: &Call) -> Outcome {
    let types = [("pc-i440fx-10.1", "i440fx", "10.1"), ("pc-q35-10.1", "q35", "10.1")];
    rows(types.iter().map(|(id, kind, version)| json!({"id": id, "type": kind, "version": version})).collect())
}

fn certificates(world: &mut World, _: &Call) -> Outcome {
    let Some(certificate) = &world.pve.certificate else { return Err(Failure::died("no certificate")) };
    let fingerprint = certificate.fingerprint().to_string();
    rows(vec![
        json!({"filename": "pve-root-ca.pem", "pem": certificate.authority_pem, "subject": "/CN=Proxmox Virtual Environment/O=cozyup lab"}),
        json!({"filename": "pve-ssl.pem", "pem": certificate.leaf_pem, "fingerprint": fingerprint}),
    ])
}

/// The lab's hosts reach no other server.
fn query_url(_: &mut World, call: &Call) -> Outcome {
    let url = call.text("url");
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or_default();
    let host = if host.contains(':') { host.to_string() } else { format!("{host}:443") };
    let why = format!("invalid server response: '500 Can't connect to {host} (Temporary failure in name resolution)'");
    Err(Failure::died(why))
}
