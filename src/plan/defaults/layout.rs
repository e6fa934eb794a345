//! Which addresses and VMIDs a new plan gives away.
use super::Defaults;
use crate::base::vmid::VMIDS;
use crate::plan::choose::ChosenCopy;
use crate::plan::model::{AddressRange, TemplateCopy, TestPlan, Vmid, VmidRange};
use ipnet::Ipv4Net;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// Deals out addresses and VMIDs, none twice and none that is taken.
pub(super) struct Layout {
    /// Hosts of the subnet that may be given away, ascending.
    free: Vec<Ipv4Addr>,
    /// The address that a last octet counts from; `None` in a subnet too small for the usual octets.
    base: Option<u32>,
    taken_vmids: BTreeSet<u32>,
}

impl Layout {
    pub(super) fn new(known: &Defaults, subnet: Ipv4Net, gateway: Ipv4Addr) -> Self {
        // The /24 around the gateway is enough, and a large subnet would be millions of addresses.
        let around =
            if subnet.prefix_len() < 24 { Ipv4Net::new(gateway, 24).map_or(subnet, |n| n.trunc()) } else { subnet };
        let site = known.site_url.as_ref().and_then(|url| url.host().parse().ok());
        let reserved = |a: &Ipv4Addr| {
            *a == gateway || Some(*a) == site || known.dns.contains(a) || known.taken_addresses.contains(a)
        };
        Layout {
            free: around.hosts().filter(|a| !reserved(a)).collect(),
            base: (around.prefix_len() == 24).then(|| around.network().into()),
            taken_vmids: known.taken_vmids.clone(),
        }
    }

    /// The first free address from `octet` on, or any free one; the subnet's last resort is its own address,
    /// which the rules refuse.
    pub(super) fn take(&mut self, octet: u32) -> Ipv4Addr {
        let from = self.base.map_or(Ipv4Addr::UNSPECIFIED, |base| Ipv4Addr::from(base.saturating_add(octet)));
        let at = self.free.iter().position(|a| *a >= from).or((!self.free.is_empty()).then_some(0));
        at.map_or(Ipv4Addr::UNSPECIFIED, |at| self.free.remove(at))
    }

    pub(super) fn vmid(&mut self, from: u32) -> Vmid {
        let free = (from..=*VMIDS.end()).find(|id| !self.taken_vmids.contains(id)).unwrap_or(from);
        self.taken_vmids.insert(free);
        Vmid::new(free).unwrap_or(Vmid::LOWEST)
    }

    /// All tests, those of day 6 with a range of VMIDs and addresses of their own where there is one.
    pub(super) fn tests(&self, without_csi: bool) -> TestPlan {
        let (machine_vmids, machine_addresses) = (self.vmids(9500, 10), self.run(180, 6));
        let (both, whole) = (machine_vmids.is_some() && machine_addresses.is_some(), TestPlan::default());
        TestPlan {
            machine_vmids: machine_vmids.filter(|_| both),
            machine_addresses: machine_addresses.filter(|_| both),
            workers: if both { 2 } else { 0 },
            volumes: whole.volumes.into_iter().filter(|class| !(without_csi && class == "proxmox")).collect(),
            ..TestPlan::default()
        }
    }

    pub(super) fn copies(&mut self, chosen: &[ChosenCopy]) -> Vec<TemplateCopy> {
        let copy = |copy: &ChosenCopy| TemplateCopy {
            host: copy.host.clone(),
            vmid: self.vmid(9101),
            storage: copy.storage.clone(),
            image_storage: copy.image_storage.clone(),
        };
        chosen.iter().map(copy).collect()
    }

    /// `count` free VMIDs in a row from `from` on.
    fn vmids(&self, from: u32, count: u32) -> Option<VmidRange> {
        let is_free = |first: &u32| (*first..first + count).all(|id| !self.taken_vmids.contains(&id));
        let first = (from..1_000_000).step_by(count as usize).find(is_free)?;
        Some(VmidRange { first: Vmid::new(first).ok()?, last: Vmid::new(first + count - 1).ok()? })
    }

    /// `count` free addresses in a row below the machines, from `octet` on; only in a /24.
    fn run(&self, octet: u32, count: u32) -> Option<AddressRange> {
        let base = self.base?;
        let address = |octet: u32| Ipv4Addr::from(base.saturating_add(octet));
        let is_free = |first: &u32| (*first..first + count).all(|octet| self.free.contains(&address(octet)));
        let first = (octet..200 - count).find(is_free)?;
        Some(AddressRange { first: address(first), last: address(first + count - 1) })
    }

    /// The longest run of free addresses, in a /24 among .212 to .250: .210 and .211 stay free for workers.
    pub(super) fn pool(&self) -> Vec<AddressRange> {
        let (least, most) = match self.base {
            Some(base) => (Ipv4Addr::from(base.saturating_add(212)), Ipv4Addr::from(base.saturating_add(250))),
            None => (Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST),
        };
        let mut runs: Vec<AddressRange> = Vec::new();
        for address in self.free.iter().copied().filter(|a| (least..=most).contains(a)) {
            match runs.last_mut() {
                Some(run) if u32::from(run.last).checked_add(1) == Some(address.into()) => run.last = address,
                Some(_) | None => runs.push(AddressRange { first: address, last: address }),
            }
        }
        runs.into_iter().rev().max_by_key(AddressRange::count).into_iter().collect()
    }
}
