//! The Kubernetes of a tenant that day 9 makes.
use super::model::Plan;
use crate::base::vmid::Vmid;

impl Plan {
    /// The template of its machines, when the plan names one and capmox is there to clone it.
    pub fn day_9(&self) -> Option<Vmid> {
        self.day_6().and(self.tests.worker_template)
    }

    /// How many machines it gets.
    pub fn tenant_workers(&self) -> u32 {
        self.day_9().map_or(0, |_| self.tests.tenant_workers)
    }

    /// The most machines that Cluster API has at a time, days 6 and 9 come one after the other.
    pub fn most_workers(&self) -> u32 {
        self.workers().max(self.tenant_workers())
    }
}
