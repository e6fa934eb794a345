//! Reads from a live site what a new plan is chosen from.
use crate::base::answer::Answer;
use crate::plan::choose::{Chosen, Host, Machines, Store, Wire, choose};
use crate::plan::defaults::{self, Defaults};
use crate::proxmox::{Error, NodeStatus, Reader, StorageConfig, VmRow};
use crate::steps::day0::{api_version, capacity};
use std::net::Ipv4Addr;

/// Fills in what the site decides: hosts, storages, bridge, network, VMIDs that are taken, and why each was chosen.
///
/// # Errors
/// When the site can't be asked for its nodes, guests or storages.
pub async fn from_site(reader: &Reader, known: &mut Defaults) -> Result<(), Error> {
    let nodes = reader.nodes().await?.value;
    let guests = reader.resources().await?.value;
    known.taken_vmids = guests.iter().map(|guest| guest.vmid.into()).collect();
    let configs = reader.storage_configs().await?.value;
    let (mut hosts, mut silent, mut has_read) = (Vec::new(), None, false);
    for node in nodes.iter().filter(|node| node.status == "online") {
        let status = reader.node_status(&node.node).await;
        hosts.push(host(reader, &node.node, &status, &guests, &configs).await?);
        match status {
            Ok(_) => has_read = true,
            Err(e) => silent = Some(e),
        }
    }
    hosts.sort_by(|a, b| a.name.cmp(&b.name));
    let api: Option<Ipv4Addr> = known.site_url.as_ref().and_then(|url| url.host().parse().ok());
    let chosen = choose(&hosts, api, machines(known));
    take(known, chosen, hosts.into_iter().map(|host| host.name).collect());
    // A node of several may be left out; where none tells anything, nothing of the plan is the site's.
    silent.filter(|_| !has_read).map_or(Ok(()), Err)
}

/// Sizes of the machines that a new plan asks for.
fn machines(known: &Defaults) -> Machines {
    let plan = defaults::plan(known);
    let nodes = &plan.nodes;
    let most = |of: fn(&crate::plan::model::NodePlan) -> u64| nodes.iter().map(of).max().unwrap_or_default();
    Machines {
        count: nodes.len(),
        cores: most(|n| u64::from(n.cores)),
        memory: most(|n| n.memory_mib << 20),
        disks: most(|n| (n.system_disk_gib + n.data_disk_gib) << 30),
        beside: plan.day_6_memory_mib() << 20,
    }
}

fn take(known: &mut Defaults, chosen: Chosen, online: Vec<String>) {
    // When no host can carry a machine, the plan gets all of them, and day 0 says why the first one is refused.
    known.hosts = chosen.template_host.clone().map_or(online, |host| vec![host]);
    known.placed = chosen.hosts;
    known.image_storage = chosen.image_storage;
    known.csi_storage.clone_from(&chosen.disk_storage);
    known.disk_storage = chosen.disk_storage;
    known.bridge = chosen.bridge;
    known.subnet = chosen.subnet;
    known.gateway = chosen.gateway;
    known.taken_addresses.extend(chosen.taken);
    known.reasons = chosen.reasons;
}

async fn host(
    reader: &Reader,
    name: &str,
    status: &Result<Answer<NodeStatus>, Error>,
    guests: &[VmRow],
    configs: &[StorageConfig],
) -> Result<Host, Error> {
    let (unfit, cores, memory) = match status {
        Ok(status) => (unfit(name, &status.value), status.value.cpus, status.value.memory_total),
        Err(e) => (Some(format!("does not tell its status: {e}")), 0, 0),
    };
    let runs = |guest: &&VmRow| guest.node == name && guest.status != "stopped" && !guest.template;
    let storages = match status {
        Ok(_) => reader.storages(name).await?.value,
        Err(_) => Vec::new(),
    };
    let storages = storages.into_iter().filter(|s| s.active && s.enabled).map(|s| Store {
        images: s.content.iter().any(|c| c == "images"),
        import: s.content.iter().any(|c| c == "import"),
        shared: s.shared,
        thick: configs.iter().any(|c| c.storage == s.storage && c.is_thick()),
        free: s.avail,
        name: s.storage,
    });
    let bridges = match &status {
        Ok(_) => reader.bridges(name).await?.value,
        Err(_) => Vec::new(),
    };
    let bridges = bridges.into_iter().filter(|b| b.active);
    Ok(Host {
        name: name.to_string(),
        unfit,
        cores,
        memory,
        taken: guests.iter().filter(runs).filter_map(|guest| guest.maxmem).sum(),
        storages: storages.collect(),
        bridges: bridges.map(|b| Wire { name: b.iface, address: b.cidr, gateway: b.gateway }).collect(),
    })
}

fn unfit(name: &str, status: &NodeStatus) -> Option<String> {
    let old = status.version().filter(api_version::is_too_old).map(|v| format!("runs Proxmox VE {}", v.version));
    old.or_else(|| capacity::processor(name, status).into_iter().next().map(|why| format!("can't run Talos: {why}")))
}
