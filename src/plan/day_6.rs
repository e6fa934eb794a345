//! The VMIDs and addresses that the plan keeps for the VMs that Cluster API makes on day 6.
use super::model::{AddressRange, Plan, TestPlan};
use super::vmid::VmidRange;

impl TestPlan {
    /// VMIDs and addresses that the plan keeps for Cluster API, whether day 6 is in or not.
    pub fn machines(&self) -> Option<(VmidRange, AddressRange)> {
        Some((self.machine_vmids?, self.machine_addresses?))
    }
}

impl Plan {
    /// VMIDs and addresses of day 6's VMs, when the plan wants them and capmox is there to make them.
    pub fn day_6(&self) -> Option<(VmidRange, AddressRange)> {
        self.tests.machines().filter(|_| self.integration.capmox.enabled)
    }
}
