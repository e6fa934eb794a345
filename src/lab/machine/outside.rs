//! The border between a machine and the rest of the lab: its VM in Proxmox, and the Kubernetes cluster that it carries.
//! Everything that machines need from other rooms of the lab goes through this file.
use super::nocloud;
use crate::world::World;
use crate::{kube, pve};
use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

/// The hardware and network that the hypervisor gives a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vm {
    pub name: String,
    pub cores: u32,
    pub memory_mib: u64,
    /// Lower case, as the kernel prints it.
    pub mac: String,
    pub uuid: String,
    /// Of the card, in bytes.
    pub mtu: u16,
    pub system_disk_gib: u64,
    /// Slot (`scsi1`) and GiB of every disk but the system disk and CD-ROMs.
    pub extra_disks: Vec<(String, u64)>,
    /// The kernel found the first two disks in another order.
    pub swapped: bool,
    /// From the cloud-init drive or the CD-ROM, with its prefix length.
    pub address: (Ipv4Addr, u8),
    pub gateway: Option<Ipv4Addr>,
    pub nameservers: Vec<Ipv4Addr>,
    /// The name on the cloud-init drive or the CD-ROM.
    pub hostname: Option<String>,
}

/// The facts that Kubernetes needs when an API server begins to serve.
#[derive(Clone)]
pub struct ControlPlaneFacts {
    pub name: String,
    pub address: Ipv4Addr,
    pub vip: Option<Ipv4Addr>,
    pub ca_crt_pem: String,
    pub ca_key_pem: String,
    pub pod_cidr: String,
    pub service_cidr: String,
    pub dns_domain: String,
    /// `v1.33.3`
    pub kubernetes_version: String,
}

impl fmt::Debug for ControlPlaneFacts {
    /// Without the CA's key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ControlPlaneFacts({} at {}, VIP {:?})", self.name, self.address, self.vip)
    }
}

/// The facts about a node that its kubelet registers.
#[derive(Debug, Clone)]
pub struct NodeFacts {
    pub name: String,
    pub address: Ipv4Addr,
    /// `controlplane` or `worker`
    pub role: String,
    pub vmid: u32,
    pub uuid: String,
    pub cores: u32,
    pub memory_mib: u64,
    pub mac: String,
    pub labels: BTreeMap<String, String>,
    /// Key and effect of the taints with which it registers.
    pub taints: Vec<(String, String)>,
    /// `v1.33.3`
    pub kubernetes_version: String,
    /// `v1.10.6`
    pub talos_version: String,
    /// Every name of a device (`/dev/sdb`, and udev's by its id) and GiB.
    pub data_disks: Vec<(String, u64)>,
}

impl Vm {
    /// Every disk that can be installed on, the system disk first.
    pub fn devices(&self) -> impl Iterator<Item = String> {
        let mut letters: Vec<char> = ('a'..='z').take(1 + self.extra_disks.len()).collect();
        if self.swapped && letters.len() > 1 {
            letters.swap(0, 1);
        }
        letters.into_iter().map(|letter| format!("/dev/sd{letter}"))
    }

    /// The disk that Talos runs from, without `/dev/`.
    pub fn system_disk(&self) -> String {
        self.devices().next().unwrap_or_default().trim_start_matches("/dev/").to_string()
    }

    /// Every name of a device and GiB of all disks but the system disk.
    pub fn data_disks(&self) -> Vec<(String, u64)> {
        let named = self.devices().skip(1).zip(&self.extra_disks);
        named.flat_map(|(device, (slot, gib))| [(device, *gib), (by_id(slot), *gib)]).collect()
    }
}

/// udev's name of the disk in a slot.
pub fn by_id(slot: &str) -> String {
    format!("/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_drive-{slot}")
}

/// The VM behind a machine; `None` when it does not exist, has no Talos disk or no static address:
/// then nothing ever answers there.
pub fn vm(world: &World, vmid: u32) -> Option<Vm> {
    let facts = world.pve.facts(vmid).filter(|f| f.talos_disk)?;
    let given = world.pve.cdrom(vmid).map(|files| nocloud::read(&files, &facts.mac)).unwrap_or_default();
    // A configured machine has its address on its disk.
    let own = world.machines.get(&vmid).filter(|m| m.vm.uuid == facts.uuid && m.config.is_some());
    let own = own.map(super::Machine::address);
    Some(Vm {
        name: facts.name,
        cores: facts.cores,
        memory_mib: facts.memory_mib,
        mac: facts.mac,
        uuid: facts.uuid,
        mtu: facts.mtu,
        system_disk_gib: facts.system_disk_gib,
        extra_disks: facts.extra_disks,
        swapped: world.scenario.proxmox.disks_swapped,
        address: given.address.or(facts.address).or(own)?,
        gateway: given.gateway.or(facts.gateway),
        nameservers: if given.nameservers.is_empty() { facts.nameservers } else { given.nameservers },
        hostname: given.hostname.or(facts.hostname),
    })
}

/// The files of the CD-ROM that is in the VM now.
pub fn cdrom(world: &World, vmid: u32) -> Option<BTreeMap<String, Vec<u8>>> {
    world.pve.cdrom(vmid)
}

/// The VM started, and it does not run Talos.
pub fn other_guest_up(world: &mut World, vmid: u32) {
    kube::guest_up(world, vmid);
}

/// The machine switched itself off (`Shutdown`, `Reset` without reboot).
pub fn switched_off(world: &mut World, vmid: u32) {
    pve::guest_stopped(world, vmid);
}

/// The last disk with the cluster's etcd is gone.
pub fn cluster_gone(world: &mut World) {
    kube::forget(world);
}

/// An API server serves on this control plane.
pub fn control_plane_up(world: &mut World, facts: ControlPlaneFacts) {
    kube::control_plane_up(world, facts);
}

/// A kubelet registers its node, first or again.
pub fn register_node(world: &mut World, facts: NodeFacts) {
    kube::register_node(world, facts);
}

/// A machine that carried this node went away.
pub fn node_down(world: &mut World, name: &str) {
    kube::node_down(world, name);
}

/// The nodes that Kubernetes knows, by name.
pub fn nodes(world: &World) -> Vec<(String, Ipv4Addr)> {
    kube::nodes(world)
}

pub fn node_is_ready(world: &World, name: &str) -> bool {
    kube::node_is_ready(world, name)
}
