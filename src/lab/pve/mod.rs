//! Proxmox VE in the lab: one site whose nodes, storages, VMs, tasks and rights are values, with its HTTPS API in front.
pub mod api;
pub(crate) mod certificate;
mod clone;
mod confined;
pub mod copying;
mod create;
mod disk;
pub mod filling;
pub mod hand;
pub mod host;
pub mod inventory;
pub mod lifecycle;
mod lvm;
mod pressure;
mod property;
mod rights;
mod roles;
mod storage;
pub(crate) mod task;
mod vm;

use self::certificate::Certificate;
use self::property::{GIB, Nic};
use self::rights::Rights;
use self::storage::{Storage, Volume};
use self::task::Task;
use self::vm::{Power, Vm};
use super::scenario::{Bridge, FaultKind, GuestTemplate, ProxmoxNode, Scenario};
use super::world::World;
use cozyup_base::secret::Secret;
use cozyup_base::tls::Fingerprint;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// Address of the first Proxmox node in the lab's /24, the one that `site` serves.
const FIRST_NODE: u8 = 1;
/// The others stand at this address plus their index, clear of the release server.
const OTHER_NODES: u8 = 10;
/// The VMID that disks belong to which were made for no VM, as the CSI driver names it.
const NOBODY: u32 = 9999;
/// MTU of a bridge that says none, in bytes.
const USUAL_MTU: u16 = 1500;

pub struct Pve {
    version: Version,
    version_text: String,
    nodes: Vec<Node>,
    bridges: Vec<Bridge>,
    storages: BTreeMap<String, Storage>,
    vms: BTreeMap<u32, Vm>,
    tasks: Vec<Task>,
    /// Clones under way, by UPID.
    clones: BTreeMap<String, clone::Job>,
    copies: Vec<copying::Copy>,
    rights: Rights,
    certificate: Option<Certificate>,
    next_pid: u32,
    next_mac: u32,
}

#[derive(Debug, Clone)]
struct Node {
    name: String,
    address: Ipv4Addr,
    cores: u32,
    memory: u64,
    kernel: String,
    /// `9.1.2`
    version: String,
    dark: Option<host::Dark>,
}

/// Major, minor and patch of `9.1.2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32, u32);

impl Version {
    fn parse(text: &str) -> Self {
        let mut parts = text.split(['.', '-']).map(|p| p.parse().unwrap_or(0));
        let mut next = || parts.next().unwrap_or(0);
        Version(next(), next(), next())
    }
}

/// The view of a VM for the rest of the lab: its hardware and the network that its cloud-init drive gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmFacts {
    pub vmid: u32,
    pub name: String,
    /// The Proxmox node it is on.
    pub node: String,
    pub running: bool,
    pub cores: u32,
    pub memory_mib: u64,
    /// Of `net0`, lower case; empty without a network card.
    pub mac: String,
    /// SMBIOS uuid, lower case.
    pub uuid: String,
    /// Of `net0`; empty without a network card.
    pub bridge: String,
    /// Of `net0`, in bytes.
    pub mtu: u16,
    /// The boot disk comes from an imported image.
    pub talos_disk: bool,
    /// Version of the kubelet on a boot disk of an Ubuntu with kubeadm.
    pub kubelet: Option<String>,
    pub system_disk_gib: u64,
    /// Slot and size of every other disk, e.g. `("scsi1", 256)`.
    pub extra_disks: Vec<(String, u64)>,
    /// Static address and prefix length of `ipconfig0`; only when a cloud-init drive carries it into the VM.
    pub address: Option<(Ipv4Addr, u8)>,
    pub gateway: Option<Ipv4Addr>,
    pub nameservers: Vec<Ipv4Addr>,
    /// The name in the cloud-init drive's user-data, which is the VM's.
    pub hostname: Option<String>,
}

impl Pve {
    pub fn new(scenario: &Scenario, base: Ipv4Addr) -> Self {
        let site = &scenario.proxmox;
        let version = Version::parse(&site.version);
        let [a, b, c, _] = base.octets();
        let node = |(index, node): (usize, &ProxmoxNode)| {
            let index = u8::try_from(index).unwrap_or(u8::MAX);
            let host = if index == 0 { FIRST_NODE } else { OTHER_NODES.saturating_add(index) };
            Node {
                name: node.name.clone(),
                address: Ipv4Addr::new(a, b, c, host),
                cores: node.cores,
                memory: node.memory_gib * GIB,
                kernel: node.kernel.clone(),
                version: node.version.clone().unwrap_or_else(|| site.version.clone()),
                dark: node.no_power.then(host::Dark::for_long),
            }
        };
        let nodes: Vec<Node> = site.nodes.iter().enumerate().map(node).collect();
        let named: Vec<(String, Ipv4Addr)> = nodes.iter().map(|n| (n.name.clone(), n.address)).collect();
        let mut pve = Pve {
            version,
            version_text: site.version.clone(),
            nodes,
            bridges: site.bridges.clone(),
            storages: site.storages.iter().map(|s| (s.name.clone(), Storage::new(s))).collect(),
            vms: BTreeMap::new(),
            tasks: Vec::new(),
            clones: BTreeMap::new(),
            copies: Vec::new(),
            rights: Rights::new(version.0),
            certificate: Certificate::make(&named).ok(),
            next_pid: 660_000,
            next_mac: 0,
        };
        for guest in &site.guests {
            let vm = pve.foreign_vm(guest.vmid, &guest.name, &guest.node, guest.memory_mib, guest.running);
            pve.vms.insert(guest.vmid, vm);
            if let Some(template) = &guest.template {
                pve.furnish_template(guest.vmid, &guest.node, template);
            }
        }
        if let Some(pool) = &site.pool {
            pve.rights.pools.insert(pool.clone(), rights::Pool::default());
            if site.pool_token {
                let networks: Vec<String> = site.bridges.iter().map(Bridge::path).collect();
                pve.rights.confine(pool, &site.storages, &networks);
            }
        }
        pve
    }

    /// SHA-256 of the certificate that port 8006 shows.
    pub fn fingerprint(&self) -> Fingerprint {
        self.certificate.as_ref().map_or_else(|| Fingerprint::of(b""), Certificate::fingerprint)
    }

    /// Full token id (`cozyup@pve!installer`) and its secret.
    pub fn installer_token(&self) -> (String, Secret<String>) {
        let id = format!("{}!{}", rights::INSTALLER_USER, rights::INSTALLER_TOKEN);
        let secret = self.rights.token(&id).map(|t| t.secret.clone());
        (id, secret.unwrap_or_else(|| Secret::new(String::new())))
    }

    /// MTU of a card: its own, or the bridge's, which it takes by itself from Proxmox VE 9.0 on (qemu-server, commit 84a937c1).
    fn mtu(&self, nic: &Nic) -> u16 {
        let of_bridge = nic.bridge().and_then(|name| self.bridge(name)?.mtu).unwrap_or(USUAL_MTU);
        match nic.options.get("mtu").and_then(|mtu| mtu.parse().ok()) {
            Some(1) => of_bridge,
            Some(mtu) => mtu,
            None if self.version.0 >= 9 => of_bridge,
            None => USUAL_MTU,
        }
    }

    fn bridge(&self, name: &str) -> Option<&Bridge> {
        self.bridges.iter().find(|b| b.name == name)
    }

    /// The password of `root@pam`.
    pub fn password(&self) -> Secret<String> {
        let root = self.rights.users.get("root@pam").and_then(|u| u.password.clone());
        root.unwrap_or_else(|| Secret::new(String::new()))
    }

    /// The address of node number `index` of the scenario, where its API is on port 8006.
    pub fn node_address(&self, index: usize) -> Ipv4Addr {
        self.nodes.get(index).map_or(Ipv4Addr::LOCALHOST, |n| n.address)
    }

    /// Allocates an empty volume `name` of `gib` GiB; the volid, or why not in Proxmox's words.
    /// A local storage's volume is made on the first node that has the storage.
    ///
    /// # Errors
    /// The storage is not there, holds no disks, has no room, or has a volume of that name.
    pub fn create_volume(&mut self, storage: &str, name: &str, gib: u64) -> Result<String, String> {
        let node = self.nodes.first().map(|n| n.name.clone()).unwrap_or_default();
        self.create_volume_on(&node, storage, name, gib)
    }

    /// [`Pve::create_volume`] on this host, where the storage is its own.
    ///
    /// # Errors
    /// Proxmox VE's words.
    pub fn create_volume_on(&mut self, node: &str, storage: &str, name: &str, gib: u64) -> Result<String, String> {
        self.allocate_named(node, storage, name, NOBODY, gib * GIB, Timestamp::UNIX_EPOCH)
    }

    /// `false` when there is no such volume.
    pub fn remove_volume(&mut self, volid: &str) -> bool {
        let Some((storage, name)) = volid.split_once(':') else { return false };
        let Some(storage) = self.storages.get_mut(storage) else { return false };
        let before = storage.volumes.len();
        storage.volumes.retain(|(_, n), _| n != name);
        storage.volumes.len() != before
    }

    /// True when `secret` belongs to the API token `id` (`user@realm!name`).
    pub fn token_valid(&self, id: &str, secret: &str) -> bool {
        let enabled = id.split_once('!').and_then(|(user, _)| self.rights.users.get(user)).is_some_and(|u| u.enabled);
        enabled && self.rights.token(id).is_some_and(|t| t.secret.expose() == secret)
    }

    /// VMID and host of the VM with this name.
    pub fn vm_named(&self, name: &str) -> Option<(u32, String)> {
        let vm = self.vms.values().find(|vm| vm.config.get("name").is_some_and(|own| own == name))?;
        Some((vm.vmid, vm.node.clone()))
    }

    /// `/vms/ID` of the VM with this name.
    pub fn path_of(&self, name: &str) -> Option<String> {
        self.vm_named(name).map(|(vmid, _)| format!("/vms/{vmid}"))
    }

    /// True when the token `user!token` has the privilege on this path.
    pub fn may(&self, user: &str, token: &str, path: &str, privilege: &str) -> bool {
        let who = rights::Who { user: user.to_string(), token: Some(token.to_string()) };
        self.rights.privileges(&who, path).contains_key(privilege)
    }

    fn allocate_named(
        &mut self,
        node: &str,
        storage: &str,
        name: &str,
        vmid: u32,
        size: u64,
        now: Timestamp,
    ) -> Result<String, String> {
        let storage = self.storages.get_mut(storage).ok_or_else(|| format!("storage '{storage}' does not exist"))?;
        if !storage.holds("images") {
            return Err(format!("storage '{}' does not support vm images", storage.name));
        }
        if storage.volume(node, name).is_some() {
            return Err(format!("disk image '{}' already exists", storage.volid(name)));
        }
        if size > storage.available(node) {
            return Err(storage.no_room(name));
        }
        storage.insert(node, name, Volume::disk(vmid, "raw", storage.whole(size), now));
        Ok(storage.volid(name))
    }

    fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|n| n.name == name)
    }

    fn volume(&self, node: &str, volid: &str) -> Option<&Volume> {
        let (storage, name) = volid.split_once(':')?;
        self.storages.get(storage)?.volume(node, name)
    }

    /// A VM that is not ours, as the scenario or a fault puts it there.
    fn foreign_vm(&mut self, vmid: u32, name: &str, node: &str, memory_mib: u64, running: bool) -> Vm {
        let mac = self.next_mac();
        let config = [
            ("name", name.to_string()),
            ("cores", "4".into()),
            ("sockets", "1".into()),
            ("memory", memory_mib.to_string()),
            ("ostype", "l26".into()),
            ("scsihw", "virtio-scsi-pci".into()),
            ("boot", "order=scsi0".into()),
            ("net0", format!("virtio={mac},bridge={}", self.bridges.first().map_or("vmbr0", |b| b.name.as_str()))),
            ("smbios1", format!("uuid={}", uuid_text(u128::from(vmid) | (0x4 << 76) | (0x2 << 62)))),
        ];
        let mut vm =
            Vm::new(vmid, node, config.map(|(k, v)| (k.to_string(), v)).into_iter().collect(), Timestamp::UNIX_EPOCH);
        if running {
            self.next_pid += 1;
            vm.power = Power::Running { since: Timestamp::UNIX_EPOCH, pid: self.next_pid };
        }
        vm
    }

    /// The guest becomes a template whose disk carries a system; where the storage has no room it stays without a disk.
    fn furnish_template(&mut self, vmid: u32, node: &str, template: &GuestTemplate) {
        let (GuestTemplate { storage, disk_gib, kubelet }, size) = (template, template.disk_gib * GIB);
        let name = format!("base-{vmid}-disk-0");
        let Ok(volid) = self.allocate_named(node, storage, &name, vmid, size, Timestamp::UNIX_EPOCH) else { return };
        if let Some(volume) = self.storages.get_mut(storage).and_then(|s| s.volume_mut(node, &name)) {
            volume.kubelet.clone_from(kubelet);
        }
        if let Some(vm) = self.vms.get_mut(&vmid) {
            vm.config.insert("template".into(), "1".into());
            vm.config.insert("scsi0".into(), format!("{volid},size={disk_gib}G"));
        }
    }

    /// A hardware address with Proxmox's prefix that no other VM of the site has.
    fn next_mac(&mut self) -> String {
        self.next_mac += 1;
        let [_, x, y, z] = self.next_mac.wrapping_mul(0x9e_3779).to_be_bytes();
        format!("BC:24:11:{x:02X}:{y:02X}:{z:02X}")
    }
}

/// The guest has switched itself off; told by the machine, which is off already.
pub fn guest_stopped(world: &mut World, vmid: u32) {
    if let Some(vm) = world.pve.vms.get_mut(&vmid) {
        vm.power = Power::Stopped;
        vm.apply_pending();
    }
}

/// Seats or removes the strangers that `vmid_taken` faults put on VMIDs. Called before every look at VMs.
fn seat_strangers(world: &mut World) {
    let wanted: BTreeSet<u32> = world
        .scenario
        .faults
        .iter()
        .filter_map(|f| match &f.kind {
            FaultKind::VmidTaken { vmid } => Some(*vmid),
            FaultKind::MissingPrivilege { .. }
            | FaultKind::StorageFull { .. }
            | FaultKind::AddressTaken { .. }
            | FaultKind::CloneLock
            | FaultKind::CloneKilled
            | FaultKind::ClockOff { .. }
            | FaultKind::ReleaseStuck { .. }
            | FaultKind::PodsFail { .. }
            | FaultKind::PodsMeet { .. } => None,
        })
        .collect();
    for vmid in wanted {
        let bites = world.bites(|k| matches!(k, FaultKind::VmidTaken { vmid: v } if *v == vmid)).is_some();
        if !bites {
            if world.pve.vms.get(&vmid).is_some_and(|vm| vm.stranger) {
                world.pve.vms.remove(&vmid);
            }
        } else if !world.pve.vms.contains_key(&vmid) {
            let node = world.pve.nodes.first().map(|n| n.name.clone()).unwrap_or_default();
            let mut vm = world.pve.foreign_vm(vmid, "someone-elses", &node, 2048, false);
            vm.stranger = true;
            world.pve.vms.insert(vmid, vm);
        }
    }
}

/// True when a `storage_full` fault bites this storage now.
fn full(world: &mut World, storage: &str) -> bool {
    world.bites(|k| matches!(k, FaultKind::StorageFull { storage: s } if s == storage)).is_some()
}

/// The words with which this storage refuses a volume, while a `storage_full` fault bites it.
pub fn refusal(world: &mut World, storage: &str, volume: &str) -> Option<String> {
    full(world, storage).then(|| world.pve.storages.get(storage).map(|store| store.no_room(volume)))?
}

/// A UUID for things of the site (SMBIOS, VM generation), from the lab's seed.
fn random_uuid(world: &mut World) -> String {
    let n = (world.random.u128(..) & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    uuid_text(n)
}

fn uuid_text(n: u128) -> String {
    let h = format!("{n:032x}");
    let part = |from, to| h.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}
