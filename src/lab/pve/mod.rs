//! Proxmox VE in the lab.
use super::scenario::Scenario;
use std::net::Ipv4Addr;

pub struct Pve {}

impl Pve {
    pub fn new(_scenario: &Scenario, _base: Ipv4Addr) -> Self {
        Pve {}
    }
}
