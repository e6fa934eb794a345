//! The documents themselves. Keys and values: Talos v1.10 `gen config`, CozyStack v0.37.2's e2e patch and docs.
use super::yaml::{list, map, words};
use super::{NodeConfig, Role, registries};
use crate::talos::secrets::{Authority, Bundle};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_yaml::Value;
use std::net::Ipv4Addr;

/// Written unquoted in the end.
pub const LVM_MODE: &str = "0o644";

/// Unprivileged pods (virtual machines, their importers) may open the block devices that they are given.
const CONTAINERD: &str = "[plugins]\n  [plugins.\"io.containerd.cri.v1.runtime\"]\n    \
                          device_ownership_from_security_context = true\n";
/// The node's LVM must not take hold of volumes that lie on replicated or guests' devices.
const LVM: &str = "backup {\n  backup = 0\n  archive = 0\n}\ndevices {\n  \
                   global_filter = [ \"r|^/dev/drbd.*|\", \"r|^/dev/dm-.*|\", \"r|^/dev/zd.*|\" ]\n}\n";

/// The v1alpha1 document.
pub fn document(node: &NodeConfig, bundle: &Bundle) -> Value {
    map([
        ("version", "v1alpha1".into()),
        ("debug", false.into()),
        ("persist", true.into()),
        ("machine", machine(node, bundle)),
        ("cluster", cluster(node, bundle)),
    ])
}

/// Without this document the lldpd extension waits for ever, and the node restarts every 70 minutes.
pub fn lldpd() -> Value {
    let file = map([
        ("content", "configure lldp status disabled\n".into()),
        ("mountPath", "/usr/local/etc/lldp/lldpd.conf".into()),
    ]);
    map([
        ("apiVersion", "v1alpha1".into()),
        ("kind", "ExtensionServiceConfig".into()),
        ("name", "lldpd".into()),
        ("configFiles", list([file])),
    ])
}

fn machine(node: &NodeConfig, bundle: &Bundle) -> Value {
    map([
        ("type", node.role.to_string().into()),
        ("token", bundle.trustd_token.expose().as_str().into()),
        ("ca", pair(&bundle.os, node.role)),
        ("certSANs", names(node)),
        ("kubelet", kubelet(node)),
        ("network", network(node)),
        (
            "install",
            map([
                ("disk", node.install_disk.as_str().into()),
                ("image", node.installer_image.as_str().into()),
                ("wipe", false.into()),
            ]),
        ),
        (
            "files",
            list([
                map([
                    ("content", CONTAINERD.into()),
                    ("path", "/etc/cri/conf.d/20-customization.part".into()),
                    ("op", "create".into()),
                ]),
                map([
                    ("content", LVM.into()),
                    ("permissions", LVM_MODE.into()),
                    ("path", "/etc/lvm/lvm.conf".into()),
                    ("op", "overwrite".into()),
                ]),
            ]),
        ),
        ("time", map([("servers", time_servers(node))])),
        (
            "sysctls",
            map([
                ("net.ipv4.neigh.default.gc_thresh1", "4096".into()),
                ("net.ipv4.neigh.default.gc_thresh2", "8192".into()),
                ("net.ipv4.neigh.default.gc_thresh3", "16384".into()),
            ]),
        ),
        ("env", registries::environment(&node.registries)),
        ("registries", registries::section(&node.registries)),
        (
            "features",
            map([
                ("rbac", true.into()),
                ("stableHostname", true.into()),
                ("apidCheckExtKeyUsage", true.into()),
                ("diskQuotaSupport", true.into()),
                ("kubePrism", map([("enabled", true.into()), ("port", 7445.into())])),
                ("hostDNS", map([("enabled", true.into()), ("forwardKubeDNSToHost", true.into())])),
            ]),
        ),
        ("kernel", map([("modules", modules())])),
        // Never the label that keeps control planes out of load balancing: they carry the workload here.
        ("nodeLabels", labels(node)),
    ])
}

fn labels(node: &NodeConfig) -> Value {
    let all = node.node_labels.iter().map(|(key, value)| (key.as_str(), value.as_str().into()));
    if node.node_labels.is_empty() { Value::Null } else { map(all) }
}

fn kubelet(node: &NodeConfig) -> Value {
    let taint = |key: &String| map([("key", key.as_str().into()), ("effect", "NoSchedule".into())]);
    // The kubelet of a worker may not taint its node later on, only when it registers.
    let taints = if node.taints.is_empty() { Value::Null } else { list(node.taints.iter().map(taint)) };
    map([
        ("image", format!("ghcr.io/siderolabs/kubelet:{}", version(node)).into()),
        ("extraConfig", map([("maxPods", 512.into()), ("registerWithTaints", taints)])),
        ("nodeIP", map([("validSubnets", words([node.subnet.trunc()]))])),
        ("defaultRuntimeSeccompProfileEnabled", true.into()),
        ("disableManifestsDirectory", true.into()),
    ])
}

fn network(node: &NodeConfig) -> Value {
    let Some(place) = &node.place else { return map([("nameservers", words(&node.dns))]) };
    let vip = match (node.role, node.vip) {
        (Role::ControlPlane, Some(vip)) => map([("ip", vip.to_string().into())]),
        (Role::ControlPlane, None) | (Role::Worker, _) => Value::Null,
    };
    let interface = map([
        ("deviceSelector", map([("hardwareAddr", place.mac.as_str().into())])),
        ("addresses", words([format!("{}/{}", place.address, node.subnet.prefix_len())])),
        ("routes", list([map([("network", "0.0.0.0/0".into()), ("gateway", node.gateway.to_string().into())])])),
        ("mtu", place.mtu.map_or(Value::Null, Value::from)),
        ("dhcp", false.into()),
        ("vip", vip),
    ]);
    map([
        ("hostname", place.hostname.as_str().into()),
        ("interfaces", list([interface])),
        ("nameservers", words(&node.dns)),
    ])
}

fn modules() -> Value {
    let plain = |name: &str| map([("name", name.into())]);
    list([
        plain("openvswitch"),
        map([("name", "drbd".into()), ("parameters", words(["usermode_helper=disabled"]))]),
        plain("zfs"),
        plain("spl"),
        plain("vfio_pci"),
        plain("vfio_iommu_type1"),
    ])
}

fn cluster(node: &NodeConfig, bundle: &Bundle) -> Value {
    let common = [
        ("id", bundle.cluster_id.as_str().into()),
        ("secret", bundle.cluster_secret.expose().as_str().into()),
        ("controlPlane", map([("endpoint", node.endpoint.as_str().into())])),
        ("clusterName", node.cluster_name.as_str().into()),
        (
            "network",
            map([
                ("cni", map([("name", "none".into())])),
                ("dnsDomain", node.dns_domain.as_str().into()),
                ("podSubnets", words([node.pod_cidr])),
                ("serviceSubnets", words([node.service_cidr])),
            ]),
        ),
        ("token", bundle.bootstrap_token.expose().as_str().into()),
        ("ca", pair(&bundle.kubernetes, node.role)),
        ("discovery", map([("enabled", false.into())])),
    ];
    match node.role {
        Role::Worker => map(common),
        Role::ControlPlane => map(common.into_iter().chain(control_plane(node, bundle))),
    }
}

fn control_plane(node: &NodeConfig, bundle: &Bundle) -> [(&'static str, Value); 9] {
    let image = |name: &str| Value::from(format!("registry.k8s.io/{name}:{}", version(node)));
    // Metrics of these two are scraped from other nodes.
    let reachable = || map([("bind-address", "0.0.0.0".into())]);
    [
        ("secretboxEncryptionSecret", bundle.secretbox.expose().as_str().into()),
        ("aggregatorCA", pair(&bundle.aggregator, node.role)),
        ("serviceAccount", map([("key", base64(bundle.service_account.expose()))])),
        (
            "apiServer",
            map([
                ("image", image("kube-apiserver")),
                ("certSANs", names(node)),
                ("disablePodSecurityPolicy", true.into()),
                ("admissionControl", list([pod_security()])),
                (
                    "auditPolicy",
                    map([
                        ("apiVersion", "audit.k8s.io/v1".into()),
                        ("kind", "Policy".into()),
                        ("rules", list([map([("level", "Metadata".into())])])),
                    ]),
                ),
            ]),
        ),
        ("controllerManager", map([("image", image("kube-controller-manager")), ("extraArgs", reachable())])),
        ("proxy", map([("disabled", true.into())])),
        ("scheduler", map([("image", image("kube-scheduler")), ("extraArgs", reachable())])),
        ("etcd", map([("ca", pair(&bundle.etcd, node.role)), ("advertisedSubnets", words([node.subnet.trunc()]))])),
        ("allowSchedulingOnControlPlanes", true.into()),
    ]
}

/// Talos' own default: baseline is enforced everywhere but in kube-system.
fn pod_security() -> Value {
    let nobody = || Value::Sequence(Vec::new());
    let levels = [("enforce", "baseline"), ("audit", "restricted"), ("warn", "restricted")];
    let defaults = levels
        .into_iter()
        .flat_map(|(mode, level)| [(mode.to_string(), level.into()), (format!("{mode}-version"), "latest".into())]);
    map([
        ("name", "PodSecurity".into()),
        (
            "configuration",
            map([
                ("apiVersion", "pod-security.admission.config.k8s.io/v1alpha1".into()),
                ("kind", "PodSecurityConfiguration".into()),
                ("defaults", map(defaults)),
                (
                    "exemptions",
                    map([
                        ("namespaces", words(["kube-system"])),
                        ("runtimeClasses", nobody()),
                        ("usernames", nobody()),
                    ]),
                ),
            ]),
        ),
    ])
}

/// A CA with its key; a worker gets the certificate alone, Talos refuses more.
fn pair(authority: &Authority, role: Role) -> Value {
    let key = match role {
        Role::ControlPlane => base64(authority.key.expose()),
        Role::Worker => "".into(),
    };
    map([("crt", base64(&authority.certificate)), ("key", key)])
}

fn base64(text: &str) -> Value {
    STANDARD.encode(text).into()
}

fn version(node: &NodeConfig) -> String {
    format!("v{}", node.kubernetes_version.trim_start_matches('v'))
}

fn names(node: &NodeConfig) -> Value {
    let mut names = vec![Ipv4Addr::LOCALHOST.to_string()];
    for name in node.vip.iter().map(ToString::to_string).chain(node.cert_sans.iter().cloned()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    words(names)
}

fn time_servers(node: &NodeConfig) -> Value {
    if node.ntp.is_empty() { words([node.gateway]) } else { words(&node.ntp) }
}
