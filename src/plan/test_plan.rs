//! The section `tests` of the plan.
use super::model::AddressRange;
use crate::base::vmid::{Vmid, VmidRange};
use serde::{Deserialize, Serialize};

/// The tests of days 5 to 9. What the file does not name is as in [`TestPlan::default`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TestPlan {
    /// A pod starts and answers.
    pub pod: bool,
    /// StorageClasses on which a real volume is made, written and read.
    pub volumes: Vec<String>,
    /// An address of the pool answers from the jump host.
    pub load_balancer: bool,
    /// Names resolve inside the cluster.
    pub dns: bool,
    /// The root ingress answers for the root host.
    pub ingress: bool,
    /// On day 7 each of these volumes grows, moves with its pod to another node, and is restored from a snapshot, as its class can.
    pub storage: bool,
    /// Machines that day 7 powers off and on again, one after the other, by their names; none unless a person asks for it.
    pub drills: Vec<String>,
    /// On day 8 two tenants are made, kept apart, limited, and removed again.
    pub tenant: bool,
    /// A database of one of these tenants keeps a row.
    pub postgres: bool,
    /// The template for the machines of a tenant's Kubernetes on day 9: an Ubuntu with containerd, kubeadm and kubelet, on the host of
    /// the Talos template; absent: no such test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_template: Option<Vmid>,
    /// How many machines the tenant's Kubernetes gets, of the sizes below.
    pub tenant_workers: u32,
    /// VMIDs for the VMs that Cluster API makes on day 6 and removes again; absent with `machine_addresses`: no such test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine_vmids: Option<VmidRange>,
    /// Addresses for these VMs; the first is the endpoint of a control plane that nobody starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine_addresses: Option<AddressRange>,
    /// How many machines Cluster API makes on day 6 that join the cluster and are removed again; 0: none.
    pub workers: u32,
    /// Number of CPU cores of each.
    pub worker_cores: u32,
    /// Memory of each, in MiB.
    pub worker_memory_mib: u64,
    /// Disk of each, in GiB.
    pub worker_disk_gib: u64,
}

/// StorageClasses that a run makes.
pub const STORAGE_CLASSES: [&str; 3] = ["local", "replicated", "proxmox"];

impl Default for TestPlan {
    fn default() -> Self {
        let volumes = STORAGE_CLASSES.map(String::from).to_vec();
        TestPlan {
            pod: true,
            volumes,
            load_balancer: true,
            dns: true,
            ingress: true,
            storage: true,
            drills: Vec::new(),
            tenant: true,
            postgres: true,
            worker_template: None,
            tenant_workers: 1,
            machine_vmids: None,
            machine_addresses: None,
            workers: 0,
            worker_cores: 2,
            worker_memory_mib: 4096,
            worker_disk_gib: 20,
        }
    }
}
