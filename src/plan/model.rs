//! The plan as typed values. One struct per section of the file; `docs/PLAN.md` describes every key.
mod integration;
mod mirror;
mod proxy;
mod template;

pub use super::address_range::AddressRange;
pub use super::test_plan::{STORAGE_CLASSES, TestPlan};
pub use crate::base::api_url::ApiUrl;
pub use crate::base::role::Role;
pub use crate::base::vmid::{Vmid, VmidRange};
pub use integration::{CapmoxPlan, CsiPlan, IntegrationPlan, LinstorPlan};
pub use mirror::{EVERY, MirrorPlan};
pub use template::{Template, TemplateCopy, TemplatePlan};

use crate::base::tls::Fingerprint;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// The version of the plan file that this cozyup writes and reads.
pub const PLAN_VERSION: u32 = 1;

/// MTU of a bridge that is given none, in bytes.
pub const USUAL_MTU: u16 = 1500;

/// The whole plan. Keys that are not known are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Always [`PLAN_VERSION`].
    pub version: u32,
    /// Name of the run: lower-case letters, digits and dashes, 1 to 40 characters. The state folder and the marks carry it.
    pub name: String,
    /// The Proxmox VE site and the access to it.
    pub site: SitePlan,
    /// The Talos image that is uploaded to the site.
    pub image: ImagePlan,
    /// The VM templates that are made of the image.
    pub template: TemplatePlan,
    /// The machines of the cluster, control planes and workers.
    pub nodes: Vec<NodePlan>,
    /// The nodes' network and the cluster's own networks.
    pub network: NetworkPlan,
    /// Talos and Kubernetes.
    pub talos: TalosPlan,
    /// The platform.
    pub cozystack: CozystackPlan,
    /// Storage, CSI driver and Cluster API provider on the site.
    pub integration: IntegrationPlan,
    /// The tests of days 5 to 8, which make real objects.
    #[serde(default)]
    pub tests: TestPlan,
    /// Rules that the user sets aside, each with a reason that goes into the record.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
}

/// The Proxmox VE site. The token's secret is never in the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SitePlan {
    /// `https://host:8006`, without `/api2/json`.
    pub url: ApiUrl,
    /// SHA-256 of the leaf certificate. Without it and `ca_file` the certificate must verify against the system's roots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// A file with the certificate of the authority that signs the site's, in PEM; renewed certificates then pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// `user@realm!tokenid`
    pub token_id: String,
    /// A file (mode 0600) that holds the token's secret; `~/` is the home folder. The environment's
    /// `COZYUP_PROXMOX_TOKEN` comes first.
    pub token_file: String,
    /// Resource pool in which every VM is made; absent: in none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
}

/// The Talos disk image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImagePlan {
    /// The URL from which the jump host fetches the Talos image: `https://…/nocloud-amd64.raw.xz`, or `.raw`.
    pub url: String,
    /// SHA-256 of the file at `url`, 64 hexadecimal digits.
    pub sha256: String,
    /// Proxmox storage with content type `import`.
    pub storage: String,
}

/// A machine: one VM and one node of the cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodePlan {
    /// VM name, Talos host name and Kubernetes node name: a DNS label.
    pub name: String,
    /// Control plane or worker.
    pub role: Role,
    /// VMID of its VM; a VM whose creation gave no answer is found again by it.
    pub vmid: Vmid,
    /// Fixed address, inside `network.subnet`.
    pub address: Ipv4Addr,
    /// Proxmox node that carries the VM.
    pub host: String,
    /// Number of CPU cores of the VM.
    pub cores: u32,
    /// Memory of the VM, in MiB.
    pub memory_mib: u64,
    /// Size of the disk that Talos is installed on, in GiB.
    pub system_disk_gib: u64,
    /// The raw disk for LINSTOR.
    pub data_disk_gib: u64,
}

/// The nodes' network and the cluster's own networks. All of them are IPv4.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkPlan {
    /// Network of the nodes, the VIP and the address pool.
    pub subnet: Ipv4Net,
    /// Default gateway of the nodes.
    pub gateway: Ipv4Addr,
    /// Name servers of the nodes, one to three.
    pub dns: Vec<Ipv4Addr>,
    /// NTP servers for the nodes; empty: the gateway.
    #[serde(default)]
    pub ntp: Vec<String>,
    /// Bridge that the VMs are attached to, on every Proxmox VE node that carries one.
    pub bridge: String,
    /// VLAN tag of the VMs' interface, 1 to 4094; absent: untagged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// MTU of the VMs' interface in bytes, at most the bridge's; absent: what Proxmox VE gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u16>,
    /// `http://HOST:PORT` of the proxy through which this machine's downloads and the nodes' pulls of images go; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// Further servers that are asked past the proxy: names, `.DOMAIN`, addresses, networks. See [`Plan::past_proxy`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub no_proxy: Vec<String>,
    /// The cluster's API address, held by one control plane at a time.
    pub vip: Ipv4Addr,
    /// Network that pods get their addresses from.
    pub pod_cidr: Ipv4Net,
    /// Network that services get their addresses from.
    pub service_cidr: Ipv4Net,
    /// Kube-OVN's network between node and pods.
    pub join_cidr: Ipv4Net,
    /// DNS domain inside the cluster, such as `cozy.local`.
    pub cluster_domain: String,
    /// Ranges for LoadBalancer services.
    pub address_pool: Vec<AddressRange>,
}

/// Talos and Kubernetes, in the versions that the CozyStack release ships.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TalosPlan {
    /// `v1.10.6`
    pub version: String,
    /// `v1.33.3`: the tag of the Kubernetes images.
    pub kubernetes: String,
    /// Image of the Talos installer, with the tag of `version` or a digest.
    pub installer_image: String,
    /// The system disk as the node sees it: udev's name of the disk at scsi0.
    pub install_disk: String,
    /// The way in which a machine gets its config.
    #[serde(default)]
    pub delivery: Delivery,
    /// Storage (content `iso`) for the CD-ROMs that carry machine configs; absent: the image's storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iso_storage: Option<String>,
    /// Mirrors that the nodes ask for images, before the registries themselves or in their place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<MirrorPlan>,
    /// File with the certificates of authorities, in PEM, that the nodes trust beside the usual ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
}

/// The way in which a machine gets its config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Delivery {
    /// Over the network, to the machine that waits for it in maintenance mode.
    #[default]
    Apply,
    /// From a CD-ROM that Proxmox VE puts into the VM before its first start.
    Cdrom,
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Delivery::Apply => "apply",
            Delivery::Cdrom => "cdrom",
        })
    }
}

impl FromStr for Delivery {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "apply" => Ok(Delivery::Apply),
            "cdrom" => Ok(Delivery::Cdrom),
            other => Err(format!("`{other}` is no way to deliver a config: write apply or cdrom")),
        }
    }
}

/// The platform that is installed on day 3.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CozystackPlan {
    /// `v0.37.2`
    pub version: String,
    /// `paas-proxmox`, `hybrid` or `paas-full`: a profile of the release.
    pub profile: String,
    /// DNS domain of the platform, e.g. `cozy.example.com`.
    pub root_host: String,
    /// URL of the manifest that installs CozyStack.
    pub installer_url: String,
    /// SHA-256 of the file at `installer_url`, 64 hexadecimal digits; absent: fetched and recorded, not compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installer_sha256: Option<String>,
    /// Services put on the root ingress.
    #[serde(default)]
    pub expose: Vec<String>,
    /// True when the platform may report usage to its makers.
    #[serde(default)]
    pub telemetry: bool,
    /// Further components to leave out.
    #[serde(default)]
    pub disable: Vec<String>,
    /// Optional components to switch on.
    #[serde(default)]
    pub enable: Vec<String>,
}

/// A rule that the user sets aside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// Name of a lint rule that allows it, e.g. `size-below-minimum`.
    pub rule: String,
    /// The user's reason, at least eight letters; it goes into the record.
    pub reason: String,
}

impl Plan {
    /// The machines with the role control plane, in the order of the file.
    pub fn control_planes(&self) -> impl Iterator<Item = &NodePlan> {
        self.nodes.iter().filter(|n| n.role == Role::ControlPlane)
    }

    /// True when it is the VMID of a template or of a node.
    pub fn has_vmid(&self, vmid: Vmid) -> bool {
        self.template_vmids().any(|(_, own)| own == vmid) || self.nodes.iter().any(|n| n.vmid == vmid)
    }

    /// Of the nodes, with its sign: `v1.33.3`.
    pub fn kubernetes_version(&self) -> String {
        format!("v{}", self.talos.kubernetes.trim_start_matches('v'))
    }

    /// True when machines get their configs from a CD-ROM.
    pub fn by_cdrom(&self) -> bool {
        self.talos.delivery == Delivery::Cdrom
    }

    /// The storage for CD-ROMs with machine configs, on hosts without a template of their own.
    pub fn iso_storage(&self) -> &str {
        self.talos.iso_storage.as_deref().unwrap_or(&self.image.storage)
    }

    /// The servers that the nodes ask for the time: the gateway, when the plan names none.
    pub fn time_servers(&self) -> Vec<String> {
        if self.network.ntp.is_empty() { vec![self.network.gateway.to_string()] } else { self.network.ntp.clone() }
    }

    /// `https://VIP:6443`
    pub fn cluster_endpoint(&self) -> String {
        format!("https://{}:6443", self.network.vip)
    }
}
