//! The section `integration`: how the cluster uses the site.
use serde::{Deserialize, Serialize};

/// The parts that join the cluster to the site, installed on day 4.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntegrationPlan {
    /// The storage of the nodes' own data disks.
    pub linstor: LinstorPlan,
    /// The driver for volumes on Proxmox VE storages.
    pub csi: CsiPlan,
    /// The Cluster API provider that makes VMs.
    pub capmox: CapmoxPlan,
}

/// LINSTOR's storage pool on every node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinstorPlan {
    /// Name of the pool, the same on every node.
    pub pool: String,
    /// The data disk as the node sees it: udev's name of the disk at scsi1.
    pub device: String,
}

/// Proxmox CSI, the driver for volumes on Proxmox VE storages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CsiPlan {
    /// False: the driver, its token and its StorageClass are not made.
    pub enabled: bool,
    /// Proxmox storage for volumes.
    pub storage: String,
    /// Value of `topology.kubernetes.io/region` on every node.
    pub region: String,
    /// Version of the chart `proxmox-csi-plugin`, such as `0.3.16`.
    pub chart_version: String,
}

/// capmox, the Cluster API provider for Proxmox VE, and the address provider that it needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapmoxPlan {
    /// False: neither provider nor token is made.
    pub enabled: bool,
    /// Version of capmox, such as `v0.7.7`; below v0.8.
    pub version: String,
    /// Version of the in-cluster address provider, such as `v1.0.3`; below v1.1.
    pub ipam_version: String,
    /// The source of capmox's `infrastructure-components.yaml` for this machine: a URL or an absolute path; absent: the
    /// release of that version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub components_url: Option<String>,
    /// SHA-256 of that file, 64 hexadecimal digits; absent: recorded when it is read first, and compared from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub components_sha256: Option<String>,
    /// The same of the address provider's `ipam-components.yaml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipam_components_url: Option<String>,
    /// SHA-256 of the address provider's file; see `components_sha256`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipam_components_sha256: Option<String>,
}
