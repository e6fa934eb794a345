//! What a machine tells the cluster it belongs to.
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// A control plane whose API server has come up.
#[derive(Debug, Clone)]
pub struct ControlPlaneFacts {
    pub name: String,
    pub address: Ipv4Addr,
    pub vip: Option<Ipv4Addr>,
    pub ca_crt_pem: String,
    pub ca_key_pem: String,
    pub pod_cidr: String,
    pub service_cidr: String,
    pub dns_domain: String,
    /// `v1.33.3`
    pub kubernetes_version: String,
}

/// A machine whose kubelet registers.
#[derive(Debug, Clone)]
pub struct NodeFacts {
    pub name: String,
    pub address: Ipv4Addr,
    /// `controlplane` or `worker`
    pub role: String,
    pub vmid: u32,
    /// SMBIOS UUID, the node's systemUUID.
    pub uuid: String,
    pub cores: u32,
    pub memory_mib: u64,
    pub mac: String,
    pub labels: BTreeMap<String, String>,
    pub kubernetes_version: String,
    pub talos_version: String,
    /// Device path (`/dev/sdb`) and size in GiB of every disk but the system disk.
    pub data_disks: Vec<(String, u64)>,
}
