//! A VM that runs Talos, in the lab.
pub mod outside;

use super::world::World;

pub struct Machine {}

/// Called by Proxmox when the VM's start task ends well.
pub fn power_on(_world: &mut World, _vmid: u32) {}

/// Called by Proxmox when the VM stops or is destroyed.
pub fn power_off(_world: &mut World, _vmid: u32) {}
