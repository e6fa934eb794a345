//! Chooses what a new plan takes from a site: hosts for the machines, storage, bridge, network. The functions are pure
//! and work on what was read, so that day 0 of the same site accepts the new plan wherever such a plan exists.
mod local;
mod small;

pub use small::{LEAST_MEMORY, Small};

use crate::base::text::size;
use crate::plan::model::USUAL_MTU;
use ipnet::Ipv4Net;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

const GIB: u64 = 1 << 30;
/// Memory that a Proxmox node keeps for itself, in bytes; `day0.capacity` counts so too.
pub const HOST_MEMORY: u64 = 2 * GIB;
/// The room that a new machine needs within its first days on a storage where disks take only the room that is written,
/// in bytes; `day0.storages` counts so too.
pub const WRITTEN_EARLY: u64 = 20 * GIB;
/// The raw image, and some, in bytes; `day0.storages` counts so too.
pub const IMAGE: u64 = 2 * GIB;

/// A Proxmox node as a new plan sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Name of the Proxmox VE node.
    pub name: String,
    /// The reason why no machine can run here, e.g. its version; absent when one can.
    pub unfit: Option<String>,
    /// Logical processors.
    pub cores: u64,
    /// Bytes.
    pub memory: u64,
    /// Bytes that its running guests may take.
    pub taken: u64,
    /// The storages that are active on the node, with what they take.
    pub storages: Vec<Store>,
    /// The bridges that are active on the node.
    pub bridges: Vec<Wire>,
}

/// A storage that is active on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Name of the storage in Proxmox VE (`storage`).
    pub name: String,
    /// True when it takes disks of VMs (content `images`).
    pub images: bool,
    /// True when it takes an uploaded image (content `import`).
    pub import: bool,
    /// True when several nodes see the same content (`shared`).
    pub shared: bool,
    /// Disks take their whole size at once.
    pub thick: bool,
    /// Bytes.
    pub free: u64,
}

/// A bridge that is active on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wire {
    /// The kernel's name of the bridge, such as `vmbr0`.
    pub name: String,
    /// The host's own address on it.
    pub address: Option<Ipv4Net>,
    /// Default gateway that is configured on the bridge, where there is one.
    pub gateway: Option<Ipv4Addr>,
    /// MTU that is configured on the bridge, in bytes; `None`: the usual 1500.
    pub mtu: Option<u16>,
}

/// The machines that need a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machines {
    /// Number of machines, control planes and workers together.
    pub count: usize,
    /// Of each machine.
    pub cores: u64,
    /// Of each machine, bytes.
    pub memory: u64,
    /// Of each machine, both disks, bytes.
    pub disks: u64,
    /// Memory of what comes to the template's host beside the machines, in bytes: the VM of day 6.
    pub beside: u64,
    /// Number of workers by Cluster API that come to the template's host beside the machines.
    pub workers: u64,
    /// Of each of these workers, its disk, in bytes.
    pub worker_disk: u64,
}

/// A template of a further host, in the words of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChosenCopy {
    /// The host that it is built on.
    pub host: String,
    /// Storage for its disks, where it has another name than on the first template's host.
    pub storage: Option<String>,
    /// Storage for an image of its own, where it has one.
    pub image_storage: Option<String>,
}

/// The values for a new plan. What nothing on the site decides is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Chosen {
    /// The host of the template.
    pub template_host: Option<String>,
    /// The host of each machine.
    pub hosts: Vec<String>,
    /// Storage on the template's host for the uploaded image.
    pub image_storage: Option<String>,
    /// Storage for the template's disk and the disks of the machines.
    pub disk_storage: Option<String>,
    /// Storage for the volumes of Proxmox CSI; `None` where the hosts have none of one name.
    pub csi_storage: Option<String>,
    /// The templates of further hosts.
    pub copies: Vec<ChosenCopy>,
    /// Bridge of the machines' network.
    pub bridge: Option<String>,
    /// The bridge's own network; `None` when no host has an address on it.
    pub subnet: Option<Ipv4Net>,
    /// Gateway of that network; `None` when no host shows one inside it.
    pub gateway: Option<Ipv4Addr>,
    /// MTU of the machines' interfaces, where a host's bridge has another than the usual.
    pub mtu: Option<u16>,
    /// The hosts' own addresses.
    pub taken: BTreeSet<Ipv4Addr>,
    /// Where the usual machines have no place, and smaller ones have.
    pub small: Option<Small>,
    /// False when day 0 of the site would refuse the plan.
    pub has_room: bool,
    /// One sentence for each choice: the key, what was taken, and why.
    pub reasons: Vec<String>,
}

/// `api` is the address in the plan's URL, where it is one. Where the machines have no room, small ones are tried.
pub fn choose(hosts: &[Host], api: Option<Ipv4Addr>, machines: Machines) -> Chosen {
    let usual = place(hosts, api, machines);
    if usual.has_room { usual } else { small::instead(hosts, api, machines).unwrap_or(usual) }
}

fn place(hosts: &[Host], api: Option<Ipv4Addr>, machines: Machines) -> Chosen {
    let mut chosen = Chosen::default();
    let mut hosts: Vec<&Host> = hosts.iter().filter(|host| chosen.can_run(host, machines)).collect();
    chosen.network(&hosts, api);
    if let Some(bridge) = chosen.bridge.clone() {
        let (with, without): (Vec<&Host>, Vec<&Host>) =
            hosts.iter().partition(|host| host.bridges.iter().any(|b| b.name == bridge));
        chosen
            .reasons
            .extend(without.iter().map(|h| format!("nodes: none on {}, which has no bridge {bridge}", h.name)));
        hosts = with;
    }
    chosen.has_room =
        chosen.on_shared(&hosts, machines) || chosen.on_local(&hosts, machines) || chosen.on_one(&hosts, machines);
    if !chosen.has_room {
        chosen.as_far_as_it_goes(&hosts, machines);
    }
    if chosen.copies.is_empty() {
        chosen.csi_storage.clone_from(&chosen.disk_storage);
    }
    chosen
}

impl Host {
    /// Memory for the plan's machines, in bytes. Any host may become the template's.
    fn free(&self, machines: Machines) -> u64 {
        self.memory.saturating_sub(HOST_MEMORY).saturating_sub(self.taken).saturating_sub(machines.beside)
    }

    /// The number of machines that its memory can carry.
    fn slots(&self, machines: Machines) -> usize {
        usize::try_from(self.free(machines) / machines.memory.max(1)).unwrap_or(usize::MAX)
    }

    fn store(&self, name: &str) -> Option<&Store> {
        self.storages.iter().find(|s| s.name == name)
    }

    /// The one with most room that takes an uploaded image.
    fn import(&self) -> Option<&Store> {
        self.storages.iter().filter(|s| s.takes_image()).max_by_key(|s| (s.free, std::cmp::Reverse(&s.name)))
    }
}

impl Store {
    /// True when so many machines fit, and the workers that may come beside them.
    fn fits(&self, count: usize, machines: Machines) -> bool {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let workers = machines.workers.saturating_mul(machines.worker_disk);
        let whole = machines.disks.saturating_mul(count).saturating_add(workers);
        let early = WRITTEN_EARLY.saturating_mul(count.saturating_add(machines.workers));
        self.images && self.free >= if self.thick { whole } else { early.min(whole) }
    }

    fn takes_image(&self) -> bool {
        self.import && self.free >= IMAGE
    }
}

impl Chosen {
    fn can_run(&mut self, host: &Host, machines: Machines) -> bool {
        let why = if let Some(why) = &host.unfit {
            Some(why.clone())
        } else if host.cores < machines.cores {
            Some(format!("has {} processors, and a machine takes {}", host.cores, machines.cores))
        } else if host.slots(machines) == 0 {
            let free = size(host.free(machines));
            Some(format!("has {free} of memory for guests, and a machine takes {}", size(machines.memory)))
        } else {
            None
        };
        if let Some(why) = &why {
            self.reasons.push(format!("nodes: none on {}, which {why}", host.name));
        }
        why.is_none()
    }

    /// The bridge whose network holds the API's address, else one with a gateway: others are for storage, for migration, for
    /// guests of their own, and lead nowhere from there.
    fn network(&mut self, hosts: &[&Host], api: Option<Ipv4Addr>) {
        let mut wires: Vec<&Wire> = hosts.iter().flat_map(|host| &host.bridges).collect();
        // More hosts first: machines can only be where the bridge is.
        let spread = |wire: &Wire| hosts.iter().filter(|h| h.bridges.iter().any(|b| b.name == wire.name)).count();
        wires.sort_by_key(|w| (std::cmp::Reverse(spread(w)), w.name.clone()));
        let of_api = wires.iter().find(|w| api.is_some_and(|api| w.address.is_some_and(|net| net.contains(&api))));
        let with_gateway = || wires.iter().find(|w| w.gateway.is_some());
        let (wire, why) = if let Some(wire) = of_api {
            (Some(wire), "its network holds the API's address")
        } else if let Some(wire) = with_gateway() {
            (Some(wire), "it has the gateway")
        } else if let Some(wire) = wires.iter().find(|w| w.address.is_some()) {
            (Some(wire), "its host has an address on it; whether it leads out is not known")
        } else {
            (wires.first(), "it is the first by name: none has an address or a gateway")
        };
        let Some(wire) = wire else { return };
        let same: Vec<&&Wire> = wires.iter().filter(|w| w.name == wire.name).collect();
        let net = wire.address.or_else(|| same.iter().find_map(|w| w.address));
        let gateway = same.iter().find_map(|w| w.gateway).filter(|g| net.is_some_and(|net| net.contains(g)));
        self.bridge = Some(wire.name.clone());
        self.reasons.push(format!("network.bridge: {}, since {why}", wire.name));
        if same.iter().any(|w| w.mtu.is_some_and(|mtu| mtu != USUAL_MTU)) {
            self.mtu = same.iter().map(|w| w.mtu.unwrap_or(USUAL_MTU)).min();
            let mtu = self.mtu.unwrap_or(USUAL_MTU);
            self.reasons.push(format!("network.mtu: {mtu}, the least that {} carries on its hosts", wire.name));
        }
        self.subnet = net.map(|net| net.trunc());
        self.gateway = gateway;
        self.taken = same.iter().filter_map(|w| w.address).map(|net| net.addr()).chain(api).collect();
        match (self.subnet, gateway) {
            (Some(subnet), Some(gateway)) => {
                self.reasons.push(format!("network.subnet: {subnet} and gateway {gateway}, those of {}", wire.name));
            }
            (Some(subnet), None) => self.reasons.push(format!(
                "network.subnet: {subnet}, that of {}; it shows no gateway, so network.gateway is a guess",
                wire.name
            )),
            (None, _) => self.reasons.push(format!(
                "network.subnet: a guess, since no host has an address on {}: fill in subnet, gateway and all addresses",
                wire.name
            )),
        }
    }

    /// All hosts, when they share a storage with room.
    fn on_shared(&mut self, hosts: &[&Host], machines: Machines) -> bool {
        if hosts.len() < 2 {
            return false;
        }
        let mut best: Option<(Vec<&Host>, &Store)> = None;
        for store in
            hosts.iter().flat_map(|host| &host.storages).filter(|s| s.shared && s.fits(machines.count, machines))
        {
            let with: Vec<&Host> =
                hosts.iter().copied().filter(|h| h.store(&store.name).is_some_and(|s| s.images)).collect();
            let room: usize = with.iter().fold(0, |sum, host| sum.saturating_add(host.slots(machines)));
            let better =
                best.as_ref().is_none_or(|(hosts, other)| (hosts.len(), other.free) < (with.len(), store.free));
            if with.len() > 1 && room >= machines.count && with.iter().any(|h| h.import().is_some()) && better {
                best = Some((with, store));
            }
        }
        let Some((with, store)) = best else { return false };
        let Some(template) = with.iter().find(|host| host.import().is_some()) else { return false };
        self.template_host = Some(template.name.clone());
        self.image_storage = template.import().map(|s| s.name.clone());
        self.disk_storage = Some(store.name.clone());
        self.hosts = dealt(with.iter().map(|h| (h.slots(machines), h.name.as_str())).collect(), machines.count);
        let names: Vec<&str> = with.iter().map(|h| h.name.as_str()).collect();
        self.reasons.push(format!(
            "template.storage: {}, which {} share: a clone goes to another host only over a shared storage",
            store.name,
            names.join(", ")
        ));
        true
    }

    /// The host that can carry all of them on a storage of its own.
    fn on_one(&mut self, hosts: &[&Host], machines: Machines) -> bool {
        let best_store = |host: &&Host| {
            let fit = host.storages.iter().filter(|s| s.fits(machines.count, machines));
            fit.max_by_key(|s| (s.free, std::cmp::Reverse(s.name.clone()))).cloned()
        };
        let fit = hosts.iter().filter(|h| h.slots(machines) >= machines.count && h.import().is_some());
        let best = fit
            .filter_map(|h| Some((*h, best_store(h)?)))
            .max_by_key(|(host, store)| (host.slots(machines), store.free, std::cmp::Reverse(host.name.clone())));
        let Some((host, store)) = best else { return false };
        self.all_on(host, machines);
        self.disk_storage = Some(store.name.clone());
        if hosts.len() > 1 {
            self.reasons.push(format!(
                "nodes: all on {}, since the hosts share no storage that could take them, and no two have the room and storages for \
                 a template of their own. The loss of {0} is then the loss of the cluster",
                host.name
            ));
        }
        self.reasons.push(format!("template.storage: {}, with most room of those that take disks", store.name));
        true
    }

    /// No plan passes day 0 of this site: the nearest one, and what is missing.
    fn as_far_as_it_goes(&mut self, hosts: &[&Host], machines: Machines) {
        let Some(host) = hosts.iter().max_by_key(|h| (h.slots(machines), std::cmp::Reverse(h.name.clone()))) else {
            return;
        };
        self.all_on(host, machines);
        let images =
            host.storages.iter().filter(|s| s.images).max_by_key(|s| (s.free, std::cmp::Reverse(s.name.clone())));
        self.disk_storage = images.map(|s| s.name.clone());
        let lacks = if host.import().is_none() {
            "no storage takes an image (content import) and has room for it".to_string()
        } else if images.is_none() {
            "no storage takes disks (content images)".to_string()
        } else {
            let room =
                || format!("no host, and no hosts with a shared storage, have room for {} machines", machines.count);
            host.arithmetic(machines).unwrap_or_else(room)
        };
        self.reasons.push(format!("nodes: all on {}, and day 0 will refuse it: {lacks}", host.name));
    }

    fn all_on(&mut self, host: &Host, machines: Machines) {
        self.template_host = Some(host.name.clone());
        self.image_storage = host.import().map(|s| s.name.clone());
        self.hosts = vec![host.name.clone(); machines.count];
    }
}

/// In turn, to hosts that have room left.
fn dealt(mut left: Vec<(usize, &str)>, count: usize) -> Vec<String> {
    let mut dealt = Vec::new();
    while dealt.len() < count && left.iter().any(|(slots, _)| *slots > 0) {
        for (slots, name) in left.iter_mut().filter(|(slots, _)| *slots > 0) {
            if dealt.len() < count {
                *slots -= 1;
                dealt.push((*name).to_string());
            }
        }
    }
    dealt
}

#[cfg(test)]
mod tests;
