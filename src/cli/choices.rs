//! Reads from a live site what a new plan is chosen from.
use crate::base::answer::Answer;
use crate::base::text::clean;
use crate::plan::choose::{Chosen, Host, Machines, Store, Wire, choose};
use crate::plan::defaults::{self, Defaults};
use crate::proxmox::{Error, NodeStatus, Reader, StorageConfig, StorageRow, VmRow};
use crate::steps::day0::{api_version, capacity};
use std::net::Ipv4Addr;

/// Fills in what the site decides: hosts, storages, bridge, network, VMIDs that are taken, and why each was chosen. Gives the
/// hosts that are online.
///
/// # Errors
/// When the site can't be asked for its nodes, guests or storages.
pub async fn from_site(reader: &Reader, known: &mut Defaults) -> Result<Vec<Host>, Error> {
    let nodes = reader.nodes().await?.value;
    let guests = reader.resources().await?.value;
    known.taken_vmids = guests.iter().map(|guest| guest.vmid.into()).collect();
    let guests = others(guests, known);
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
    let mut chosen = choose(&hosts, api, machines(known));
    let off = nodes.iter().filter(|node| node.status != "online");
    chosen.reasons.extend(off.map(|node| format!("nodes: none on {}, which is {}", node.node, clean(&node.status))));
    take(known, chosen, hosts.iter().map(|host| host.name.clone()).collect());
    // A node of several may be left out; where none tells anything, nothing of the plan is the site's.
    silent.filter(|_| !has_read).map_or(Ok(hosts), Err)
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
        beside: plan.machines_memory_mib() << 20,
        workers: plan.most_workers().into(),
        worker_disk: plan.tests.worker_disk_gib << 30,
    }
}

fn take(known: &mut Defaults, chosen: Chosen, online: Vec<String>) {
    // When no host can carry a machine, the plan gets all of them, and day 0 says why the first one is refused.
    known.hosts = chosen.template_host.clone().map_or(online, |host| vec![host]);
    known.placed = chosen.hosts;
    known.image_storage = chosen.image_storage;
    known.without_csi = chosen.disk_storage.is_some() && chosen.csi_storage.is_none();
    known.csi_storage = chosen.csi_storage;
    known.copies = chosen.copies;
    known.disk_storage = chosen.disk_storage;
    known.bridge = chosen.bridge;
    known.mtu = chosen.mtu;
    known.subnet = chosen.subnet;
    known.gateway = chosen.gateway;
    known.taken_addresses.extend(chosen.taken);
    known.small = chosen.small;
    known.reasons = chosen.reasons;
}

/// The guests but for the machines of the plan in hand, whose memory would count twice.
fn others(guests: Vec<VmRow>, known: &Defaults) -> Vec<VmRow> {
    let is_own = |guest: &VmRow| {
        known.own.iter().any(|(vmid, name)| guest.vmid == *vmid && guest.name.as_deref() == Some(name.as_str()))
    };
    guests.into_iter().filter(|guest| !is_own(guest)).collect()
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
        storages: stores(storages, configs),
        bridges: bridges.map(|b| Wire { name: b.iface, address: b.cidr, gateway: b.gateway, mtu: b.mtu }).collect(),
    })
}

fn stores(rows: Vec<StorageRow>, configs: &[StorageConfig]) -> Vec<Store> {
    let usable = rows.into_iter().filter(|s| s.active && s.enabled);
    let store = |s: StorageRow| Store {
        images: s.content.iter().any(|c| c == "images"),
        import: s.content.iter().any(|c| c == "import"),
        shared: s.shared,
        thick: configs.iter().any(|c| c.storage == s.storage && c.is_thick()),
        free: s.avail,
        name: s.storage,
    };
    usable.map(store).collect()
}

fn unfit(name: &str, status: &NodeStatus) -> Option<String> {
    let old = status.version().filter(api_version::is_too_old).map(|v| format!("runs Proxmox VE {}", v.version));
    old.or_else(|| capacity::processor(name, status).into_iter().next().map(|why| format!("can't run Talos: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::lint;
    use crate::steps::storages::{self, Rows};
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    const GIB: u64 = 1 << 30;

    /// A storage as one host sees it; the thick ones are LVM.
    fn any_row() -> impl Strategy<Value = StorageRow> {
        (0..5_usize, any::<[bool; 4]>(), 0..1500_u64).prop_map(|(n, [images, import, active, thick], free)| {
            StorageRow {
                storage: ["local", "ssd", "thick", "nas", "ceph"][n].into(),
                kind: if n == 2 || (n == 1 && thick) { "lvm" } else { "dir" }.into(),
                content: [(images, "images"), (import, "import")]
                    .iter()
                    .filter(|c| c.0)
                    .map(|c| c.1.to_string())
                    .collect(),
                active: active || n < 3,
                enabled: true,
                shared: n > 2,
                total: 0,
                used: 0,
                avail: free * GIB,
            }
        })
    }

    /// A site of one to three hosts: what each has, and its memory in GiB.
    fn any_site() -> impl Strategy<Value = Vec<(Vec<StorageRow>, u64)>> {
        proptest::collection::vec((proptest::collection::vec(any_row(), 1..5), 20..160_u64), 1..4)
    }

    fn configs(rows: &Rows) -> Vec<StorageConfig> {
        let all = rows.values().flatten().map(|row| StorageConfig {
            storage: row.storage.clone(),
            kind: row.kind.clone(),
            sparse: false,
            preallocation: None,
        });
        all.collect()
    }

    fn status(memory_gib: u64) -> NodeStatus {
        let flags = ["cx16", "popcnt", "sse4_1", "sse4_2", "ssse3"].map(String::from).to_vec();
        NodeStatus {
            cpus: 32,
            sockets: 1,
            model: "m".into(),
            hvm: true,
            flags,
            memory_total: memory_gib * GIB,
            memory_used: 0,
            memory_free: 0,
            rootfs_avail: 50 * GIB,
            pveversion: String::new(),
            kernel: None,
        }
    }

    proptest! {
        /// proxmox.md part 2 section 3: what `plan new` writes is judged by the rules and by day 0's own judgement of the same site.
        #[test]
        fn a_new_plan_is_one_that_day_0_of_the_same_site_lets_through(site in any_site()) {
            let mut rows = Rows::new();
            for (n, (stores, _)) in site.iter().enumerate() {
                let by_name: BTreeMap<String, StorageRow> = stores.iter().map(|s| (s.storage.clone(), s.clone())).collect();
                rows.insert(format!("pve{n}"), by_name.into_values().collect());
            }
            // A shared storage is one and the same on every host.
            let mut shared: BTreeMap<String, StorageRow> = BTreeMap::new();
            for row in rows.values_mut().flatten().filter(|row| row.shared) {
                *row = shared.entry(row.storage.clone()).or_insert_with(|| row.clone()).clone();
            }
            let configs = configs(&rows);
            let hosts: Vec<Host> = rows.iter().zip(&site).map(|((name, rows), (_, memory))| Host {
                name: name.clone(),
                unfit: None,
                cores: 32,
                memory: memory * GIB,
                taken: 0,
                storages: stores(rows.clone(), &configs),
                bridges: vec![Wire { name: "vmbr0".into(), address: None, gateway: None, mtu: None }],
            }).collect();
            let mut known = Defaults::default();
            let chosen = choose(&hosts, None, machines(&known));
            let given_up = !chosen.has_room;
            take(&mut known, chosen, rows.keys().cloned().collect());
            if given_up {
                return Ok(());
            }
            let plan = defaults::plan(&known);
            let wrong: Vec<String> = lint::lint(&plan).into_iter()
                .filter(|f| f.severity == crate::plan::finding::Severity::Error && f.rule != "image-checksum")
                .map(|f| format!("{}: {}", f.rule, f.what)).collect();
            prop_assert_eq!(wrong, Vec::<String>::new());
            let thick: BTreeSet<String> = configs.iter().filter(|c| c.is_thick()).map(|c| c.storage.clone()).collect();
            prop_assert_eq!(storages::refusal(&plan, &rows, thick), None, "{:?} on {:?}", plan.template, rows);
            for (host, (_, memory)) in rows.keys().zip(&site) {
                prop_assert_eq!(capacity::refusals(&plan, host, &status(*memory)), Vec::<String>::new());
            }
        }
    }

    #[test]
    fn a_machine_of_the_plan_in_hand_is_not_counted_beside_it_and_another_under_its_vmid_is() {
        use crate::steps::day0::tests::guest;
        let own = [(1001, "cp1".to_string()), (1002, "cp2".to_string())].into();
        let known = Defaults { own, ..Defaults::default() };
        let guests = vec![guest(1001, "cp1"), guest(1002, "anns"), guest(150, "cp1")];
        let left: Vec<u32> = others(guests, &known).iter().map(|guest| guest.vmid.into()).collect();
        assert_eq!(left, [1002, 150]);
    }
}
