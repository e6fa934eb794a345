//! The tenants that days 8 and 9 try, and the tests that a plan leaves out.
use super::model::Plan;
use crate::base::day::Day;

/// A test that a run of the plan does not make, and the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Off {
    /// The day that would make it.
    pub day: Day,
    /// As in `tenants`.
    pub test: &'static str,
    /// The key of the plan, or what stock CozyStack can't do.
    pub reason: &'static str,
}

impl Plan {
    /// Whether day 8 makes tenants.
    pub fn day_8(&self) -> bool {
        self.tests.tenant
    }

    /// Whether one of them gets a database.
    pub fn database(&self) -> bool {
        self.tests.tenant && self.tests.postgres
    }

    /// The tests of days 6 to 9 that this plan does not make: nothing proves there what they would.
    pub fn off(&self) -> Vec<Off> {
        let mut off = Vec::new();
        let mut add = |is_off: bool, day: u8, test: &'static str, reason: &'static str| {
            if is_off {
                off.push(Off { day: Day::Number(day), test, reason });
            }
        };
        let no_range = "tests.machine_vmids and tests.machine_addresses are not in the plan";
        let no_capmox = "integration.capmox.enabled is false";
        let why_no_machines = if self.integration.capmox.enabled { no_range } else { no_capmox };
        add(self.day_6().is_none(), 6, "VMs by Cluster API", why_no_machines);
        add(self.day_6().is_some() && self.workers() == 0, 6, "workers by Cluster API", "tests.workers is 0");
        add(!self.tests.storage, 7, "volumes in both systems", "tests.storage is false");
        add(self.tests.storage && self.day_7().is_empty(), 7, "volumes in both systems", "tests.volumes is empty");
        add(self.tests.drills.is_empty(), 7, "drills", "tests.drills names no machine");
        add(!self.tests.tenant, 8, "tenants", "tests.tenant is false");
        let no_tenant = "tests.tenant is false, and a database lives in a tenant";
        let why = if self.tests.tenant { "tests.postgres is false" } else { no_tenant };
        add(!self.database(), 8, "a database of a tenant", why);
        add(true, 8, "backup and restore of a database", NO_BACKUP);
        let no_template = "tests.worker_template names no template with kubeadm";
        let why = if self.day_6().is_some() { no_template } else { why_no_machines };
        add(self.day_9().is_none(), 9, "a Kubernetes cluster of a tenant", why);
        add(self.day_9().is_some(), 9, "pods in a tenant's Kubernetes", NO_NETWORK);
        off
    }
}

/// Said wherever a person could take a database that answers for one that is saved.
pub const NO_BACKUP: &str = "CozyStack v0.37.2 saves a Postgres to an S3 store alone, and a plan names none; the root tenant's SeaweedFS is off";

/// Said where a person could take a tenant's Kubernetes whose machines have joined for one that carries pods.
pub const NO_NETWORK: &str = "CozyStack v0.37.2 brings a network, storage and a cloud controller into the clusters that it makes with KubeVirt alone: \
     in one with machines in Proxmox VE the nodes stay NotReady until its owner installs a network";

#[cfg(test)]
mod tests {
    use super::super::defaults::{Defaults, plan};
    use super::*;

    fn tests_off(plan: &Plan) -> Vec<(&'static str, &'static str)> {
        plan.off().into_iter().map(|off| (off.test, off.reason)).collect()
    }

    #[test]
    fn what_a_plan_leaves_out_is_named_with_the_key_that_leaves_it_out() {
        let mut plan = plan(&Defaults::default());
        // Drills are for who asks for them.
        let never = ["drills", "backup and restore of a database", "a Kubernetes cluster of a tenant"];
        let named = |plan: &Plan| tests_off(plan).into_iter().map(|(test, _)| test).collect::<Vec<_>>();
        assert_eq!(named(&plan), never);
        plan.tests.drills = vec![plan.nodes[0].name.clone()];
        assert_eq!(named(&plan), never[1..]);
        plan.tests.tenant = false;
        plan.tests.storage = false;
        plan.tests.machine_vmids = None;
        let off = tests_off(&plan);
        for (test, key) in [
            ("VMs by Cluster API", "tests.machine_vmids"),
            ("volumes in both systems", "tests.storage"),
            ("tenants", "tests.tenant"),
            ("a database of a tenant", "tests.tenant"),
        ] {
            assert!(off.iter().any(|(name, reason)| *name == test && reason.contains(key)), "{test}: {off:?}");
        }
    }
}
