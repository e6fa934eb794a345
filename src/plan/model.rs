//! The plan as typed values. One struct per section of the file; `docs/PLAN.md` describes every key.
pub use super::vmid::{Vmid, VmidRange};
use crate::base::tls::Fingerprint;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The version of the plan file that this cozyup writes and reads.
pub const PLAN_VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Always [`PLAN_VERSION`].
    pub version: u32,
    /// Name of the run: lower-case letters, digits and dashes, 1 to 40 characters. The state folder and the marks carry it.
    pub name: String,
    pub site: SitePlan,
    pub image: ImagePlan,
    pub template: TemplatePlan,
    pub nodes: Vec<NodePlan>,
    pub network: NetworkPlan,
    pub talos: TalosPlan,
    pub cozystack: CozystackPlan,
    pub integration: IntegrationPlan,
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

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplatePlan {
    pub vmid: Vmid,
    pub name: String,
    /// Proxmox node on which the template is built.
    pub host: String,
    /// Storage (content `images`) for the template's disk and the clones' disks.
    pub storage: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    ControlPlane,
    Worker,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::ControlPlane => "controlplane",
            Role::Worker => "worker",
        })
    }
}

impl FromStr for Role {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "controlplane" => Ok(Role::ControlPlane),
            "worker" => Ok(Role::Worker),
            other => Err(format!("`{other}` is no role: write controlplane or worker")),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodePlan {
    /// VM name, Talos host name and Kubernetes node name: a DNS label.
    pub name: String,
    pub role: Role,
    pub vmid: Vmid,
    pub address: Ipv4Addr,
    /// Proxmox node that carries the VM.
    pub host: String,
    pub cores: u32,
    pub memory_mib: u64,
    pub system_disk_gib: u64,
    /// The raw disk for LINSTOR.
    pub data_disk_gib: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkPlan {
    pub subnet: Ipv4Net,
    pub gateway: Ipv4Addr,
    pub dns: Vec<Ipv4Addr>,
    /// NTP servers for the nodes; empty: the gateway.
    #[serde(default)]
    pub ntp: Vec<String>,
    pub bridge: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// The cluster's API address, held by one control plane at a time.
    pub vip: Ipv4Addr,
    pub pod_cidr: Ipv4Net,
    pub service_cidr: Ipv4Net,
    pub join_cidr: Ipv4Net,
    pub cluster_domain: String,
    /// Ranges for LoadBalancer services.
    pub address_pool: Vec<AddressRange>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TalosPlan {
    /// `v1.10.6`
    pub version: String,
    /// `v1.33.3`: the tag of the Kubernetes images.
    pub kubernetes: String,
    pub installer_image: String,
    /// The system disk as the node sees it, `/dev/sda`.
    pub install_disk: String,
    /// The way in which a machine gets its config.
    #[serde(default)]
    pub delivery: Delivery,
    /// Storage (content `iso`) for the CD-ROMs that carry machine configs; absent: the image's storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iso_storage: Option<String>,
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

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CozystackPlan {
    /// `v0.37.2`
    pub version: String,
    /// `paas-proxmox`, `hybrid` or `paas-full`: a profile of the release.
    pub profile: String,
    /// DNS domain of the platform, e.g. `cozy.example.com`.
    pub root_host: String,
    pub installer_url: String,
    /// SHA-256 of the file at `installer_url`, 64 hexadecimal digits; absent: fetched and recorded, not compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installer_sha256: Option<String>,
    /// Services put on the root ingress.
    #[serde(default)]
    pub expose: Vec<String>,
    #[serde(default)]
    pub telemetry: bool,
    /// Further components to leave out.
    #[serde(default)]
    pub disable: Vec<String>,
    /// Optional components to switch on.
    #[serde(default)]
    pub enable: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntegrationPlan {
    pub linstor: LinstorPlan,
    pub csi: CsiPlan,
    pub capmox: CapmoxPlan,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinstorPlan {
    pub pool: String,
    /// The data disk as the node sees it, `/dev/sdb`.
    pub device: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CsiPlan {
    pub enabled: bool,
    /// Proxmox storage for volumes.
    pub storage: String,
    /// Value of `topology.kubernetes.io/region` on every node.
    pub region: String,
    pub chart_version: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapmoxPlan {
    pub enabled: bool,
    pub version: String,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipam_components_sha256: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TestPlan {
    pub pod: bool,
    /// StorageClasses on which a real volume is made, written and read.
    pub volumes: Vec<String>,
    pub load_balancer: bool,
    pub dns: bool,
    pub ingress: bool,
    /// VMIDs for the VMs that Cluster API makes on day 6 and removes again; absent with `machine_addresses`: no such test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine_vmids: Option<VmidRange>,
    /// Addresses for these VMs; the first is the endpoint of a control plane that nobody starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine_addresses: Option<AddressRange>,
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
            machine_vmids: None,
            machine_addresses: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// Name of a lint rule that allows it, e.g. `size-below-minimum`.
    pub rule: String,
    pub reason: String,
}

/// `https://host[:port]` of a Proxmox VE API, without a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ApiUrl(String);

impl ApiUrl {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The API of the Proxmox VE host at `address`, on its usual port.
    pub fn at(address: Ipv4Addr) -> Self {
        ApiUrl(format!("https://{address}:8006"))
    }

    /// Host name or address, without the port.
    pub fn host(&self) -> &str {
        let rest = self.0.strip_prefix("https://").unwrap_or(&self.0);
        // The colons of an IPv6 address stand in brackets.
        let end = rest.rfind(']').map_or(0, |at| at + 1);
        let port = rest.get(end..).and_then(|after| after.rfind(':')).map(|at| end + at);
        port.and_then(|at| rest.get(..at)).unwrap_or(rest)
    }
}

impl FromStr for ApiUrl {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        if s.contains('@') {
            // A password may stand in front of the `@`: it must not be repeated.
            return Err("the URL carries a user name: write https://HOST:8006, the token goes to token_file".into());
        }
        let rest =
            s.strip_prefix("https://").ok_or_else(|| format!("`{s}` is not an https URL: write https://HOST:8006"))?;
        let host = rest.trim_end_matches('/');
        if host.contains("/api2") {
            return Err(format!(
                "`{s}` must not end in /api2/json: clients append it themselves; write https://{}",
                host.split('/').next().unwrap_or(host)
            ));
        }
        if host.is_empty() || host.contains(['/', '?', '#', '@', ' ']) {
            return Err(format!("`{s}` has more than a host and a port: write https://HOST:8006"));
        }
        let (name, port) = match host.strip_prefix('[') {
            Some(rest) => {
                let (address, after) =
                    rest.split_once(']').ok_or_else(|| format!("`{s}` has no `]` behind the address"))?;
                address
                    .parse::<Ipv6Addr>()
                    .map_err(|_| format!("`{address}` is no IPv6 address: write https://[ADDRESS]:8006"))?;
                match after.strip_prefix(':') {
                    Some(port) => (format!("[{address}]"), Some(port)),
                    None if after.is_empty() => (format!("[{address}]"), None),
                    None => {
                        return Err(format!(
                            "`{s}` has something behind the `]` that is no port: write https://[ADDRESS]:8006"
                        ));
                    }
                }
            }
            None if host.matches(':').count() > 1 => {
                return Err(format!("`{s}` has an IPv6 address without brackets: {}", bracketed(host)));
            }
            None => match host.split_once(':') {
                Some((name, port)) => (name.to_string(), Some(port)),
                None => (host.to_string(), None),
            },
        };
        let port = match port {
            Some(port) => {
                port.parse::<u16>().ok().filter(|p| *p != 0 && port.bytes().all(|b| b.is_ascii_digit())).ok_or_else(
                    || format!("`{s}` has no port of 1 to 65535 behind its colon: write https://HOST:8006"),
                )?
            }
            None => 8006,
        };
        if name.is_empty() {
            return Err(format!("`{s}` names no host: write https://HOST:8006"));
        }
        Ok(ApiUrl(format!("https://{name}:{port}")))
    }
}

/// The notation with brackets of an IPv6 address that stands without them. Its last group may have been meant as the
/// port.
fn bracketed(host: &str) -> String {
    let with_port = host.rsplit_once(':').filter(|(address, port)| {
        *port == "8006" && (address.parse::<Ipv6Addr>().is_ok() || host.parse::<Ipv6Addr>().is_err())
    });
    match with_port {
        Some((address, port)) => format!("write https://[{address}]:{port}"),
        None => format!("write https://[{host}]:8006"),
    }
}

impl TryFrom<String> for ApiUrl {
    type Error = String;
    fn try_from(s: String) -> Result<Self, String> {
        s.parse()
    }
}

impl From<ApiUrl> for String {
    fn from(u: ApiUrl) -> String {
        u.0
    }
}

impl fmt::Display for ApiUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `10.0.0.210-10.0.0.250`, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddressRange {
    pub first: Ipv4Addr,
    pub last: Ipv4Addr,
}

impl AddressRange {
    /// The number of addresses in the range.
    pub fn count(&self) -> u64 {
        u64::from(u32::from(self.last)).saturating_sub(u32::from(self.first).into()) + 1
    }

    pub fn overlaps(&self, other: &AddressRange) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    pub fn contains(&self, a: Ipv4Addr) -> bool {
        self.first <= a && a <= self.last
    }
}

impl FromStr for AddressRange {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let wrong = || format!("`{s}` is not an address range: write FIRST-LAST, e.g. 10.0.0.210-10.0.0.250");
        let (a, b) = s.split_once('-').unwrap_or((s, s));
        let first: Ipv4Addr = a.trim().parse().map_err(|_| wrong())?;
        let last: Ipv4Addr = b.trim().parse().map_err(|_| wrong())?;
        if first > last { Err(format!("range `{s}` ends before it starts")) } else { Ok(AddressRange { first, last }) }
    }
}

impl TryFrom<String> for AddressRange {
    type Error = String;
    fn try_from(s: String) -> Result<Self, String> {
        s.parse()
    }
}

impl From<AddressRange> for String {
    fn from(r: AddressRange) -> String {
        r.to_string()
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl Plan {
    pub fn control_planes(&self) -> impl Iterator<Item = &NodePlan> {
        self.nodes.iter().filter(|n| n.role == Role::ControlPlane)
    }

    /// True when it is the VMID of the template or of a node.
    pub fn has_vmid(&self, vmid: u32) -> bool {
        u32::from(self.template.vmid) == vmid || self.nodes.iter().any(|n| u32::from(n.vmid) == vmid)
    }

    pub fn by_cdrom(&self) -> bool {
        self.talos.delivery == Delivery::Cdrom
    }

    /// The storage for CD-ROMs with machine configs.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_with_the_api_path_is_refused_with_what_to_write() {
        let error = "https://10.0.0.1:8006/api2/json".parse::<ApiUrl>().unwrap_err();
        assert!(error.contains("write https://10.0.0.1:8006"), "{error}");
        assert_eq!("https://pve/".parse::<ApiUrl>().unwrap().as_str(), "https://pve:8006");
    }

    /// reports.md B26
    #[test]
    fn an_ipv6_address_stands_in_brackets_and_means_the_same_port() {
        let url = |s: &str| s.parse::<ApiUrl>().map(|u| (u.as_str().to_string(), u.host().to_string()));
        let is = |url: &str, host: &str| Ok((url.to_string(), host.to_string()));
        assert_eq!(url("https://[fd00::1]"), is("https://[fd00::1]:8006", "[fd00::1]"));
        assert_eq!(url("https://[fd00::1]:443/"), is("https://[fd00::1]:443", "[fd00::1]"));
        assert_eq!(url("https://pve"), is("https://pve:8006", "pve"));
        assert_eq!(url("https://10.0.0.1:8006"), is("https://10.0.0.1:8006", "10.0.0.1"));
        for (wrong, said) in [
            ("https://2001:db8::10:8006", "write https://[2001:db8::10]:8006"),
            ("https://2001:db8::10", "write https://[2001:db8::10]:8006"),
            ("https://::1", "write https://[::1]:8006"),
            ("https://[fd00::1", "no `]`"),
            ("https://[fd00::g]", "no IPv6 address"),
            ("https://[fd00::1]8006", "is no port"),
            ("https://pve:", "no port"),
            ("https://pve:0", "no port"),
            ("https://pve:+80", "no port"),
            ("https://pve:99999", "no port"),
            ("https://:8006", "names no host"),
        ] {
            let error = url(wrong).unwrap_err();
            assert!(error.contains(said), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_range_that_ends_before_it_starts_is_refused() {
        assert!("10.0.0.9-10.0.0.1".parse::<AddressRange>().unwrap_err().contains("ends before"));
        assert!("10.0.0.1-10.0.0.9".parse::<AddressRange>().unwrap().contains("10.0.0.9".parse().unwrap()));
    }
}
