//! The VMIDs and addresses that the plan keeps for the VMs that Cluster API makes on day 6.
use super::model::{AddressRange, Plan, TestPlan};
use crate::base::vmid::VmidRange;

/// Memory of the one VM that joins nothing.
pub const ALONE_MIB: u64 = 1024;

impl TestPlan {
    /// VMIDs and addresses that the plan keeps for Cluster API, whether day 6 is in or not.
    pub fn machines(&self) -> Option<(VmidRange, AddressRange)> {
        Some((self.machine_vmids?, self.machine_addresses?))
    }

    /// How many workers have room in the VMIDs, and how many in the addresses: capmox sometimes clones a machine twice; the
    /// first address is kept out of the pool, and a removed VM's is free only a little later.
    pub fn room_for_workers(&self) -> Option<(u32, u32)> {
        let (vmids, addresses) = self.machines()?;
        Some((vmids.count() / 2, u32::try_from(addresses.count().saturating_sub(2)).unwrap_or(u32::MAX)))
    }
}

impl Plan {
    /// VMIDs and addresses of day 6's VMs, when the plan wants them and capmox is there to make them.
    pub fn day_6(&self) -> Option<(VmidRange, AddressRange)> {
        self.tests.machines().filter(|_| self.integration.capmox.enabled)
    }

    /// How many workers Cluster API makes on day 6.
    pub fn workers(&self) -> u32 {
        self.day_6().map_or(0, |_| self.tests.workers)
    }

    /// Memory that Cluster API's VMs take on the template's host, in MiB: day 6's one VM is gone before its workers come, and those
    /// before day 9's machines.
    pub fn machines_memory_mib(&self) -> u64 {
        let workers = u64::from(self.most_workers()).saturating_mul(self.tests.worker_memory_mib);
        self.day_6().map_or(0, |_| workers.max(ALONE_MIB))
    }
}
