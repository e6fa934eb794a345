//! The rules of a plan: one per file, pure functions from a plan to what is wrong with it, each with its reason.
use super::finding::{Finding, Severity};
use super::model::{Override, Plan};
use super::{defaults::FILL_IN, names::is_sha256};
use crate::base::text::quoted;
use crate::release::Release;
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;

mod address_outside_subnet;
mod address_reserved;
mod addresses_unchosen;
mod bridge_name;
mod capmox_definitions;
mod capmox_version;
mod cidr_host_bits;
mod cidr_overlap;
mod cluster_domain;
mod component_name;
mod component_unknown;
mod cozystack_version;
mod csi_chart_version;
mod csi_region;
mod data_disk_below_recommended;
mod data_disk_is_install_disk;
mod disable_needed;
mod disable_network;
mod disk_letter;
mod disk_name;
mod dns_servers;
mod drill_machines;
mod duplicate_address;
mod duplicate_name;
mod duplicate_vmid;
mod enable_and_disable;
mod even_control_planes;
mod expose_keycloak;
mod expose_unknown;
mod expose_without_kubevirt;
mod gateway_outside_subnet;
mod guest_name;
mod host_name;
mod image_checksum;
mod image_format;
mod image_over_http;
mod image_platform;
mod image_scheme;
mod installer_checksum;
mod installer_image;
mod installer_other_release;
mod installer_over_http;
mod installer_url;
mod ipam_version;
mod iso_storage_unused;
mod kubernetes_version;
mod linstor_pool_name;
mod machine_addresses;
mod machine_test;
mod machine_vmids;
mod memory_step;
mod mirror_only_csi;
mod mirrors;
mod mtu_range;
mod no_control_plane;
mod override_refused;
mod override_unknown;
mod override_unused;
mod override_without_reason;
mod plan_name;
mod plan_version;
mod pool_outside_subnet;
mod pool_overlap;
mod pool_ranges_overlap;
mod pool_too_small;
mod profile_is_no_bundle;
mod profile_unknown;
mod provider_checksum;
mod provider_over_http;
mod provider_url;
mod proxmox_address_taken;
mod proxmox_pool;
mod proxy;
mod replicated_needs_three_nodes;
mod root_host;
mod root_host_elsewhere;
mod root_host_in_cluster;
mod single_control_plane;
mod single_host;
mod site_pinned_twice;
mod site_unpinned;
mod size_below_floor;
mod size_below_minimum;
mod storage_name;
mod talos_too_old;
mod talos_version;
mod template_copies;
mod tenant_test;
mod test_volume_unknown;
mod test_volume_without_csi;
mod token_file_relative;
mod token_id;
mod token_of_root;
mod vip_outside_subnet;
mod vlan_range;
mod worker_room;
mod worker_template;

/// One rule of a plan.
pub struct Rule {
    /// Kebab-case; the file's name with dashes.
    pub id: &'static str,
    /// Severity of its findings, unless an override makes them notes.
    pub severity: Severity,
    /// True when an entry of `overrides` turns its findings into notes.
    pub overridable: bool,
    /// The mistakes that it refuses or warns of, as `docs/PLAN.md` prints them.
    pub about: &'static str,
    check: fn(&Plan) -> Vec<Problem>,
}

/// The finding of one rule at one key.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    /// `nodes[2].vmid`
    key: String,
    what: String,
    why: String,
    write: String,
}

impl Problem {
    fn new(key: impl Into<String>, what: impl Into<String>, why: impl Into<String>, write: impl Into<String>) -> Self {
        Problem { key: key.into(), what: what.into(), why: why.into(), write: write.into() }
    }
}

/// The rules of these modules.
macro_rules! rules {
    ($($name:ident),* $(,)?) => {
        &[$($name::RULE),*]
    };
}

/// Every rule, in the order of `docs/PLAN.md`.
pub static RULES: &[Rule] = rules! {
    plan_version, plan_name, guest_name, duplicate_vmid, template_copies, duplicate_name, duplicate_address,
    address_outside_subnet, address_reserved, vip_outside_subnet, gateway_outside_subnet, proxmox_address_taken,
    addresses_unchosen, dns_servers, pool_overlap, pool_outside_subnet, pool_ranges_overlap, pool_too_small,
    cidr_host_bits, cidr_overlap, no_control_plane, even_control_planes, single_control_plane,
    replicated_needs_three_nodes, test_volume_unknown, test_volume_without_csi, tenant_test, size_below_floor,
    size_below_minimum, data_disk_below_recommended, memory_step, data_disk_is_install_disk, disk_name, disk_letter,
    proxy, mirrors, mirror_only_csi, talos_too_old, talos_version, kubernetes_version, installer_image, image_scheme,
    image_platform, image_format, image_over_http, image_checksum, installer_checksum, installer_url,
    installer_over_http, installer_other_release, cozystack_version, profile_unknown, profile_is_no_bundle,
    cluster_domain, root_host, root_host_elsewhere, root_host_in_cluster, expose_unknown, expose_without_kubevirt,
    expose_keycloak, component_name, component_unknown, disable_network, disable_needed, enable_and_disable,
    capmox_version, capmox_definitions, ipam_version, provider_url, provider_checksum, provider_over_http,
    csi_chart_version, csi_region, linstor_pool_name, machine_addresses, machine_test, machine_vmids, drill_machines,
    worker_room, worker_template, token_id, token_of_root, token_file_relative, site_unpinned, site_pinned_twice,
    bridge_name, vlan_range, mtu_range, storage_name, iso_storage_unused, proxmox_pool, host_name, single_host,
    override_unknown, override_refused, override_without_reason, override_unused,
};

/// The rule of this id; `None` for ids of form errors, which are no rules.
pub fn rule(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id)
}

/// Everything the rules say of `plan`, without places. An error or warning that the plan sets aside becomes a note
/// that carries the reason.
pub fn lint(plan: &Plan) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in RULES {
        let set_aside = plan.overrides.iter().find(|o| rule.overridable && o.rule == rule.id);
        for problem in (rule.check)(plan) {
            let (severity, what) = match set_aside {
                Some(o) => (Severity::Note, format!("{}; set aside: {}", problem.what, o.reason)),
                None => (rule.severity, problem.what),
            };
            findings.push(Finding {
                rule: rule.id.into(),
                severity,
                file: String::new(),
                line: 0,
                column: 0,
                key: problem.key,
                what,
                why: problem.why,
                write: problem.write,
            });
        }
    }
    findings
}

/// The addresses that somebody holds: gateway, VIP, nodes.
fn owned_addresses(plan: &Plan) -> Vec<(String, Ipv4Addr)> {
    let network = [("network.gateway", plan.network.gateway), ("network.vip", plan.network.vip)];
    let nodes = plan.nodes.iter().enumerate().map(|(i, n)| (format!("nodes[{i}].address"), n.address));
    network.into_iter().map(|(key, address)| (key.to_string(), address)).chain(nodes).collect()
}

/// [`owned_addresses`] and the DNS servers, each address once.
fn held_addresses(plan: &Plan) -> Vec<(String, Ipv4Addr)> {
    let mut held = owned_addresses(plan);
    for (i, server) in plan.network.dns.iter().enumerate() {
        if !held.iter().any(|(_, address)| address == server) {
            held.push((format!("network.dns[{i}]"), *server));
        }
    }
    held
}

fn networks(plan: &Plan) -> [(&'static str, Ipv4Net); 4] {
    let network = &plan.network;
    [
        ("network.subnet", network.subnet),
        ("network.pod_cidr", network.pod_cidr),
        ("network.service_cidr", network.service_cidr),
        ("network.join_cidr", network.join_cidr),
    ]
}

/// Each value that an earlier key has already, with that key.
fn repeated<T: PartialEq>(values: impl IntoIterator<Item = (String, T)>) -> Vec<(String, T, String)> {
    let mut seen: Vec<(String, T)> = Vec::new();
    let mut repeats = Vec::new();
    for (key, value) in values {
        match seen.iter().find(|(_, earlier)| *earlier == value) {
            Some((first, _)) => repeats.push((key, value, first.clone())),
            None => seen.push((key, value)),
        }
    }
    repeats
}

/// The floor of a node: `[cores, memory MiB, system GiB, data GiB]`.
const FLOOR: [u64; 4] = [4, super::choose::LEAST_MEMORY >> 20, 32, 0];

/// Sizes from `floor` on and below `least`.
fn too_small(plan: &Plan, floor: [u64; 4], least: [u64; 4], source: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (i, node) in plan.nodes.iter().enumerate() {
        let sizes = [
            ("cores", u64::from(node.cores)),
            ("memory_mib", node.memory_mib),
            ("system_disk_gib", node.system_disk_gib),
            ("data_disk_gib", node.data_disk_gib),
        ];
        for (((key, size), floor), least) in sizes.into_iter().zip(floor).zip(least) {
            if size < floor || size >= least {
                continue;
            }
            let what = format!("{size} is below {least}");
            problems.push(Problem::new(format!("nodes[{i}].{key}"), what, source, format!("{key}: {least} or more")));
        }
    }
    problems
}

fn web_address(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or_default();
    !rest.is_empty() && !rest.starts_with('/') && !rest.contains(char::is_whitespace)
}

/// The last part of a URL's path.
fn file_of(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default()
}

fn checksum(key: &str, sha256: &str, url: &str) -> Vec<Problem> {
    let get = format!("the output of: curl -sSL {} | sha256sum", quoted(url));
    if sha256 == FILL_IN {
        let why = "CozyStack publishes no checksum file; the download is checked against the one that you trust today";
        vec![Problem::new(key, "is not filled in", why, get)]
    } else if is_sha256(sha256) {
        Vec::new()
    } else if is_sha256(&sha256.to_ascii_lowercase()) {
        vec![Problem::new(key, "has capitals", "it is compared letter by letter", sha256.to_ascii_lowercase())]
    } else {
        let what = format!("is no SHA-256: 64 hexadecimal digits are, not these {} characters", sha256.chars().count());
        vec![Problem::new(key, what, "what is downloaded runs with every right on your machines", get)]
    }
}

/// The plan's values about the components of one Cluster API provider.
struct ProviderFile<'a> {
    /// `components` or `ipam_components`
    key: &'static str,
    url: Option<&'a str>,
    sha256: Option<&'a str>,
}

/// None when capmox is not wanted.
fn provider_files(plan: &Plan) -> Vec<ProviderFile<'_>> {
    let capmox = &plan.integration.capmox;
    if !capmox.enabled {
        return Vec::new();
    }
    vec![
        ProviderFile {
            key: "components",
            url: capmox.components_url.as_deref(),
            sha256: capmox.components_sha256.as_deref(),
        },
        ProviderFile {
            key: "ipam_components",
            url: capmox.ipam_components_url.as_deref(),
            sha256: capmox.ipam_components_sha256.as_deref(),
        },
    ]
}

/// The release that the plan names; for a rule that holds of any, the one of a new plan where it names none that is known.
fn release_of(plan: &Plan) -> &'static Release {
    Release::known(&plan.cozystack.version).unwrap_or_else(Release::current)
}

/// Entries of `disable` (false) and `enable` (true).
fn components(plan: &Plan) -> Vec<(String, &str, bool)> {
    let disable = plan.cozystack.disable.iter().enumerate().map(|(i, c)| (i, c, "disable", false));
    let enable = plan.cozystack.enable.iter().enumerate().map(|(i, c)| (i, c, "enable", true));
    disable.chain(enable).map(|(i, c, list, on)| (format!("cozystack.{list}[{i}]"), c.as_str(), on)).collect()
}

/// Each override with its index and its rule, when there is one.
fn overrides(plan: &Plan) -> impl Iterator<Item = (usize, &Override, Option<&'static Rule>)> {
    plan.overrides.iter().enumerate().map(|(i, set_aside)| (i, set_aside, rule(&set_aside.rule)))
}
