//! The plan that `cozyup plan new` writes: the product's defaults, with what the live site showed in their place.
mod layout;

use super::choose::{ChosenCopy, Small};
use super::model::{
    AddressRange, ApiUrl, CapmoxPlan, CozystackPlan, CsiPlan, Delivery, ImagePlan, IntegrationPlan, LinstorPlan,
    NetworkPlan, NodePlan, PLAN_VERSION, Plan, Role, SitePlan, TalosPlan, TemplatePlan,
};
use super::{pin::FirstUse, write};
use crate::base::{disk, tls::Fingerprint};
use crate::release::Release;
use ipnet::Ipv4Net;
use layout::Layout;
use std::{collections::BTreeSet, net::Ipv4Addr};

/// Stands where only a person can know the value; the rules refuse it.
pub const FILL_IN: &str = "FILL-IN";

const SUBNET: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 24);
const POD_CIDR: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 244, 0, 0), 16);
const SERVICE_CIDR: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 96, 0, 0), 16);
const JOIN_CIDR: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 16);

/// The facts that are known of the site; everything else becomes the product's default.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Defaults {
    /// Name of the plan; else `cozy-new`.
    pub name: Option<String>,
    /// URL of the Proxmox VE API; else port 8006 of the gateway.
    pub site_url: Option<ApiUrl>,
    /// Fingerprint of the site's certificate; `None` when the certificate verifies against known authorities.
    pub fingerprint: Option<Fingerprint>,
    /// The file with the certificate of the site's own authority.
    pub ca_file: Option<String>,
    /// Id of the API token; else `cozyup@pve!run`.
    pub token_id: Option<String>,
    /// Path of the file for the token's secret; else `~/.config/cozyup/proxmox.token`.
    pub token_file: Option<String>,
    /// Proxmox nodes; machines are dealt to them in turn unless they are placed, the template is built on the first.
    pub hosts: Vec<String>,
    /// The host of each machine, where it was chosen for it.
    pub placed: Vec<String>,
    /// Storage with content `import`.
    pub image_storage: Option<String>,
    /// Storage with content `images`.
    pub disk_storage: Option<String>,
    /// Storage for the volumes of Proxmox CSI; else the disks' storage.
    pub csi_storage: Option<String>,
    /// Proxmox CSI is left out: the hosts have no storage of one name for its volumes.
    pub without_csi: bool,
    /// The templates of further hosts.
    pub copies: Vec<ChosenCopy>,
    /// Bridge of the nodes' network; else `vmbr0`.
    pub bridge: Option<String>,
    /// VLAN tag of the nodes' interface; `None`: untagged.
    pub vlan: Option<u16>,
    /// MTU of the nodes' interface; `None`: what Proxmox VE gives it.
    pub mtu: Option<u16>,
    /// The nodes' network; else 10.0.0.0/24.
    pub subnet: Option<Ipv4Net>,
    /// Default gateway of the nodes; else the first address of the network.
    pub gateway: Option<Ipv4Addr>,
    /// Empty: the gateway.
    pub dns: Vec<Ipv4Addr>,
    /// Time servers of the nodes. Empty: the gateway.
    pub ntp: Vec<String>,
    /// VMIDs that exist on the site.
    pub taken_vmids: BTreeSet<u32>,
    /// VMID and name of the machines that a plan names already: what they take of the site is its own.
    pub own: BTreeSet<(u32, String)>,
    /// Addresses known to be in use.
    pub taken_addresses: BTreeSet<Ipv4Addr>,
    /// Number of control planes; else three.
    pub control_planes: Option<usize>,
    /// Number of workers beside the control planes.
    pub workers: usize,
    /// The CozyStack release; else the one that a new plan asks for.
    pub release: Option<&'static Release>,
    /// URL of the Talos image; else the one of the release.
    pub image_url: Option<String>,
    /// SHA-256 of the Talos image; else a person has to fill it in.
    pub image_sha256: Option<String>,
    /// URL of CozyStack's installer manifest; else the one of the release.
    pub installer_url: Option<String>,
    /// SHA-256 of the installer manifest; `None`: recorded when it is fetched, and not compared.
    pub installer_sha256: Option<String>,
    /// The digests above that were had by fetching.
    pub trusted: Vec<FirstUse>,
    /// DNS domain of the platform; else a `nip.io` name of the first pool address.
    pub root_host: Option<String>,
    /// Machines below the documented minimum, where the site has no room for others.
    pub small: Option<Small>,
    /// The reasons for the chosen values of the site, one sentence each; they are written above the plan.
    pub reasons: Vec<String>,
}

/// The text of a new plan, each key explained.
pub fn write(defaults: &Defaults) -> String {
    // The writer refuses no value of ours; were it to, an empty text is refused when it is read.
    let text = write::render_with(&plan(defaults), &defaults.trusted).unwrap_or_default();
    let open: Vec<String> = defaults.release.unwrap_or_else(Release::current).offer().into_iter().collect();
    let reasons = write::comments("Chosen from what the site showed:", &defaults.reasons);
    reasons + &write::comments("Yours to choose:", &open) + &text
}

/// The plan whose text [`write()`] gives.
pub fn plan(known: &Defaults) -> Plan {
    let subnet = known.subnet.unwrap_or(SUBNET);
    let gateway = known.gateway.unwrap_or_else(|| subnet.hosts().next().unwrap_or(subnet.network()));
    let hosts = if known.hosts.is_empty() { vec!["pve".to_string()] } else { known.hosts.clone() };
    let mut layout = Layout::new(known, subnet, gateway);
    let vip = layout.take(200);
    let mut nodes = Vec::new();
    let mut add = |layout: &mut Layout, name: String, role: Role, vmid: u32, last: u32| {
        let dealt = || hosts.get(nodes.len() % hosts.len()).cloned().unwrap_or_default();
        let host = known.placed.get(nodes.len()).cloned().unwrap_or_else(dealt);
        nodes.push(NodePlan {
            name,
            role,
            vmid: layout.vmid(vmid),
            address: layout.take(last),
            host,
            cores: 8,
            memory_mib: known.small.as_ref().map_or(24576, |small| small.memory_mib),
            system_disk_gib: 50,
            data_disk_gib: 256,
        });
    };
    for n in 1..=known.control_planes.unwrap_or(3) {
        add(&mut layout, format!("cozy-new-cp{n}"), Role::ControlPlane, 1001, 201);
    }
    for n in 1..=known.workers {
        add(&mut layout, format!("cozy-new-worker{n}"), Role::Worker, 1011, 211);
    }
    let address_pool = layout.pool();
    let root_host = known.root_host.clone().unwrap_or_else(|| {
        let first = address_pool.first().map_or(vip, |range| range.first);
        format!("{}.nip.io", first.to_string().replace('.', "-"))
    });
    let release = known.release.unwrap_or_else(Release::current);
    let disks = known.disk_storage.clone().unwrap_or_else(|| "local-lvm".into());
    let or = |value: &Option<String>, default: &str| value.clone().unwrap_or_else(|| default.into());
    Plan {
        version: PLAN_VERSION,
        name: or(&known.name, "cozy-new"),
        site: SitePlan {
            url: known.site_url.clone().unwrap_or_else(|| ApiUrl::at(gateway)),
            fingerprint: known.fingerprint.clone(),
            ca_file: known.ca_file.clone(),
            token_id: or(&known.token_id, "cozyup@pve!run"),
            token_file: or(&known.token_file, "~/.config/cozyup/proxmox.token"),
            pool: None,
        },
        image: ImagePlan {
            url: or(&known.image_url, &release.image_url()),
            sha256: or(&known.image_sha256, FILL_IN),
            storage: or(&known.image_storage, "local"),
        },
        template: TemplatePlan {
            vmid: layout.vmid(9100),
            name: "cozy-talos".into(),
            host: hosts.first().cloned().unwrap_or_default(),
            storage: disks.clone(),
            copies: layout.copies(&known.copies),
        },
        nodes,
        network: network(known, (subnet, gateway), vip, address_pool),
        talos: talos(release),
        cozystack: CozystackPlan {
            version: release.version.clone(),
            profile: "paas-proxmox".into(),
            root_host,
            installer_url: or(&known.installer_url, &release.installer.url),
            installer_sha256: known.installer_sha256.clone(),
            expose: vec!["api".into(), "dashboard".into()],
            telemetry: false,
            disable: Vec::new(),
            enable: Vec::new(),
        },
        integration: IntegrationPlan {
            linstor: LinstorPlan { pool: "data".into(), device: disk::by_slot("scsi1") },
            csi: CsiPlan {
                enabled: !known.without_csi,
                storage: known.csi_storage.clone().unwrap_or(disks),
                region: "pve".into(),
                chart_version: "0.3.16".into(),
            },
            capmox: CapmoxPlan {
                enabled: true,
                version: "v0.7.7".into(),
                ipam_version: "v1.0.3".into(),
                components_url: None,
                components_sha256: None,
                ipam_components_url: None,
                ipam_components_sha256: None,
            },
        },
        tests: layout.tests(known.without_csi),
        overrides: known.small.iter().map(Small::set_aside).collect(),
    }
}

fn network(
    known: &Defaults,
    (subnet, gateway): (Ipv4Net, Ipv4Addr),
    vip: Ipv4Addr,
    pool: Vec<AddressRange>,
) -> NetworkPlan {
    NetworkPlan {
        subnet,
        gateway,
        dns: if known.dns.is_empty() { vec![gateway] } else { known.dns.clone() },
        ntp: known.ntp.clone(),
        bridge: known.bridge.clone().unwrap_or_else(|| "vmbr0".into()),
        vlan: known.vlan,
        mtu: known.mtu,
        proxy: None,
        no_proxy: Vec::new(),
        vip,
        pod_cidr: POD_CIDR,
        service_cidr: SERVICE_CIDR,
        join_cidr: JOIN_CIDR,
        cluster_domain: "cozy.local".into(),
        address_pool: pool,
    }
}

fn talos(release: &Release) -> TalosPlan {
    TalosPlan {
        version: release.talos.version.clone(),
        kubernetes: release.talos.kubernetes.clone(),
        installer_image: release.talos.installer_image.clone(),
        install_disk: disk::by_slot("scsi0"),
        delivery: Delivery::Apply,
        iso_storage: None,
        mirrors: Vec::new(),
        ca_file: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_new_plan_has_the_products_addresses_and_ids() {
        let plan = plan(&Defaults { workers: 1, ..Defaults::default() });
        let nodes: Vec<String> = plan.nodes.iter().map(|n| format!("{} {} {}", n.name, n.vmid, n.address)).collect();
        assert_eq!(
            nodes,
            [
                "cozy-new-cp1 1001 10.0.0.201",
                "cozy-new-cp2 1002 10.0.0.202",
                "cozy-new-cp3 1003 10.0.0.203",
                "cozy-new-worker1 1011 10.0.0.211"
            ]
        );
        assert_eq!(plan.network.vip.to_string(), "10.0.0.200");
        assert_eq!(plan.network.address_pool.first().unwrap().to_string(), "10.0.0.212-10.0.0.250");
        assert_eq!(plan.template.vmid.to_string(), "9100");
        assert_eq!(plan.cozystack.root_host, "10-0-0-212.nip.io");
    }

    #[test]
    fn what_the_site_uses_already_is_not_given_away() {
        let plan = plan(&Defaults {
            hosts: vec!["a".into(), "b".into()],
            taken_vmids: [1001, 1002, 9100].into(),
            taken_addresses: ["10.0.0.200", "10.0.0.202", "10.0.0.215"].map(|a| a.parse().unwrap()).into(),
            ..Defaults::default()
        });
        let nodes: Vec<String> = plan.nodes.iter().map(|n| format!("{} {} {}", n.vmid, n.address, n.host)).collect();
        assert_eq!(plan.network.vip.to_string(), "10.0.0.201");
        assert_eq!(nodes, ["1003 10.0.0.203 a", "1004 10.0.0.204 b", "1005 10.0.0.205 a"]);
        assert_eq!(plan.network.address_pool.first().unwrap().to_string(), "10.0.0.216-10.0.0.250");
        assert_eq!(plan.template.vmid.to_string(), "9101");
    }

    #[test]
    fn a_plan_for_the_last_patch_of_the_line_is_written_when_asked_for_and_offered_when_not() {
        let offered = write(&Defaults::default());
        assert!(offered.contains("cozystack.version: v0.37.10 is the last of the line"), "{offered}");
        assert!(offered.contains("--cozystack"), "{offered}");
        let last = Release::known("v0.37.10");
        let asked = write(&Defaults { release: last, ..Defaults::default() });
        assert!(!asked.contains("Yours to choose") && asked.contains("version: v0.37.10\n"), "{asked}");
        assert_eq!(asked.matches("/v0.37.10/").count(), 2, "image and manifest: {asked}");
        assert!(!asked.contains("/v0.37.2/nocloud"), "{asked}");
    }

    #[test]
    fn the_reasons_stand_above_the_plan_and_each_machine_where_it_was_placed() {
        let known = Defaults {
            hosts: vec!["b".into(), "a".into()],
            placed: ["b", "b", "a"].map(String::from).to_vec(),
            reasons: vec!["network.bridge: vmbr0, since its network holds the API's address".into()],
            image_sha256: Some("0".repeat(64)),
            ..Defaults::default()
        };
        let text = write(&known);
        assert!(text.starts_with("# Chosen from what the site showed:\n# - network.bridge: vmbr0, since"), "{text}");
        let plan = super::super::parse(&text, "new").unwrap().plan;
        assert_eq!(plan.template.host, "b");
        assert_eq!(plan.nodes.iter().map(|n| n.host.as_str()).collect::<Vec<_>>(), ["b", "b", "a"]);
    }

    #[test]
    fn a_subnet_of_another_size_still_gives_a_plan_without_clashes() {
        for subnet in ["192.168.7.0/26", "172.16.0.0/12", "10.9.0.0/16", "192.168.1.128/25", "127.43.0.0/24"] {
            let known = Defaults {
                subnet: Some(subnet.parse().unwrap()),
                image_sha256: Some("0".repeat(64)),
                ..Defaults::default()
            };
            let text = write(&known);
            assert!(
                super::super::parse(&text, "new").is_ok(),
                "{subnet}: {:?}",
                super::super::parse(&text, "new").err()
            );
        }
    }
}
