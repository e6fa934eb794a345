//! Proxmox VE in the lab.
pub mod api;

use super::scenario::Scenario;
use crate::base::secret::Secret;
use crate::base::tls::Fingerprint;
use std::net::Ipv4Addr;

pub struct Pve {}

/// What the rest of the lab may know about a VM: its hardware and the network that its cloud-init drive gives it.
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
    /// The boot disk comes from an imported image.
    pub talos_disk: bool,
    pub system_disk_gib: u64,
    /// Slot and size of every other disk, e.g. `("scsi1", 256)`.
    pub extra_disks: Vec<(String, u64)>,
    /// Static address and prefix length of `ipconfig0`; only when a cloud-init drive carries it into the VM.
    pub address: Option<(Ipv4Addr, u8)>,
    pub gateway: Option<Ipv4Addr>,
    pub nameservers: Vec<Ipv4Addr>,
}

impl Pve {
    pub fn new(_scenario: &Scenario, _base: Ipv4Addr) -> Self {
        Pve {}
    }

    /// SHA-256 of the certificate that port 8006 shows.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(b"")
    }

    /// Full token id (`cozyup@pve!installer`) and its secret.
    pub fn installer_token(&self) -> (String, Secret<String>) {
        (String::new(), Secret::new(String::new()))
    }

    /// The password of `root@pam`.
    pub fn password(&self) -> Secret<String> {
        Secret::new(String::new())
    }

    /// Where the API of node number `index` of the scenario answers on port 8006: address 10 + `index` of the lab's /24.
    pub fn node_address(&self, _index: usize) -> Ipv4Addr {
        Ipv4Addr::LOCALHOST
    }

    pub fn facts(&self, _vmid: u32) -> Option<VmFacts> {
        None
    }

    /// Allocates an empty volume `name` of `gib` GiB; the volid, or why not in Proxmox's words.
    ///
    /// # Errors
    /// The storage is not there, holds no disks, has no room, or has a volume of that name.
    pub fn create_volume(&mut self, storage: &str, _name: &str, _gib: u64) -> Result<String, String> {
        Err(format!("storage '{storage}' does not exist"))
    }

    /// `false` when there is no such volume.
    pub fn remove_volume(&mut self, _volid: &str) -> bool {
        false
    }

    /// Whether `secret` belongs to the API token `id` (`user@realm!name`).
    pub fn token_valid(&self, _id: &str, _secret: &str) -> bool {
        false
    }
}
