//! Guests that are on the site already, and not the run's.
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guest {
    pub vmid: u32,
    pub name: String,
    pub node: String,
    pub memory_mib: u64,
    pub running: bool,
    /// A template with a disk on this storage, and what is on it.
    #[serde(default)]
    pub template: Option<GuestTemplate>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuestTemplate {
    pub storage: String,
    pub disk_gib: u64,
    /// Ubuntu with containerd, cloud-init and a kubelet of this version (`v1.33.0`); without one nothing in it joins a cluster.
    #[serde(default)]
    pub kubelet: Option<String>,
}
