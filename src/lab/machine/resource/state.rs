//! Resources about what the machine does: stage, services, addresses, Kubernetes.
use super::super::spec::Spec;
use super::super::{Progress, Role, TALOS_VERSION, outside, status};
use super::{Made, View};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use prost_types::value::Kind;
use serde_yaml::{Mapping, Value};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub fn machine_status(view: &View<'_>) -> Vec<Made> {
    let status = status::of(view.world, view.machine);
    let conditions =
        status.unmet.iter().map(|(name, reason)| Spec::new().text(1, "name", name).text(2, "reason", reason)).collect();
    let inner = Spec::new().flag(1, "ready", status.ready).messages(2, "unmetConditions", conditions);
    let stage = u64::try_from(i32::from(status.stage.wire())).unwrap_or_default();
    let spec = Spec::new().number_shown(1, "stage", stage, status.stage.as_str()).message(2, "status", inner);
    vec![Made::new("machine", spec)]
}

pub fn version(_: &View<'_>) -> Vec<Made> {
    vec![Made::new("version", Spec::new().text(1, "version", TALOS_VERSION))]
}

/// Only what runs is a resource; `ServiceList` has the others too.
pub fn services(view: &View<'_>) -> Vec<Made> {
    let running = view.machine.services.iter().filter(|(_, service)| service.running());
    running
        .map(|(id, service)| {
            let spec = Spec::new()
                .flag(1, "running", true)
                .flag(2, "healthy", service.health.as_ref().is_some_and(|h| h.healthy))
                .flag(3, "unknown", service.health.is_none());
            Made::new(id, spec)
        })
        .collect()
}

/// The extensions of CozyStack's image for Talos v1.10.6.
const EXTENSIONS: [(&str, &str, &str); 9] = [
    ("amd-ucode", "20250708", "AMD microcode updates"),
    ("amdgpu-firmware", "20250708", "AMD GPU firmware"),
    ("bnx2-bnx2x", "20250708", "Broadcom NetXtreme firmware"),
    ("drbd", "9.2.14-v1.10.6", "DRBD kernel modules"),
    ("i915-ucode", "20250708", "Intel GPU firmware"),
    ("intel-ucode", "20250512", "Intel microcode updates"),
    ("lldpd", "1.0.18", "LLDP daemon"),
    ("qlogic-firmware", "20250708", "QLogic firmware"),
    ("zfs", "2.3.3-v1.10.6", "ZFS kernel modules and tools"),
];

pub fn extensions(_: &View<'_>) -> Vec<Made> {
    (0..)
        .zip(EXTENSIONS)
        .map(|(index, (name, version, description))| {
            let metadata = Spec::new()
                .text(1, "name", name)
                .text(2, "version", version)
                .text(3, "author", "Sidero Labs")
                .text(4, "description", description)
                .message(
                    5,
                    "compatibility",
                    Spec::new().message(1, "talos", Spec::new().text(1, "version", ">= v1.10.0")),
                );
            let image = format!("{index:03}.ghcr.io-siderolabs-{name}-{version}");
            let spec = Spec::new().text(1, "image", format!("{image}.sqsh"));
            Made::new(image, spec.message(2, "metadata", metadata))
        })
        .collect()
}

pub fn platform(view: &View<'_>) -> Vec<Made> {
    // The name on the cloud-init drive, whatever the config calls the machine later.
    let name = view.machine.vm.hostname.as_deref().unwrap_or_default();
    let spec = Spec::new().text(1, "platform", "nocloud").text(2, "hostname", name);
    let spec = spec.text(6, "instanceId", &view.machine.vm.uuid);
    vec![Made::new("platformmetadata", spec)]
}

pub fn time(_: &View<'_>) -> Vec<Made> {
    vec![Made::new("node", Spec::new().flag(1, "synced", true).number(2, "epoch", 1).flag(3, "syncDisabled", false))]
}

pub fn hostname(view: &View<'_>) -> Vec<Made> {
    let name = view.machine.hostname();
    vec![Made::new("hostname", Spec::new().text(1, "hostname", name).text(2, "domainname", ""))]
}

/// The machine's own address, and the VIP while it holds it.
fn own_addresses(view: &View<'_>) -> Vec<(Ipv4Addr, u8)> {
    let machine = view.machine;
    let vip = machine.vip().filter(|_| machine.vip_held);
    std::iter::once(machine.address()).chain(vip.map(|vip| (vip, 32))).collect()
}

fn prefix(address: Ipv4Addr, length: u8) -> Spec {
    Spec::new()
        .bytes_shown(1, "", address.octets().to_vec(), "")
        .number(2, "", u64::from(length))
        .bare(&format!("{address}/{length}"))
}

fn ip(address: Ipv4Addr) -> Spec {
    Spec::new().bytes_shown(1, "", address.octets().to_vec(), "").bare(&address.to_string())
}

pub fn node_addresses(view: &View<'_>) -> Vec<Made> {
    let mut own = own_addresses(view);
    let made = |id: &str, addresses: &[(Ipv4Addr, u8)]| {
        let items = addresses.iter().map(|(address, length)| prefix(*address, *length)).collect();
        Made::new(id, Spec::new().messages(1, "addresses", items).number_shown(2, "sortAlgorithm", 0, "v1"))
    };
    let mut all = vec![made("default", own.get(..1).unwrap_or_default())];
    own.sort();
    for id in ["accumulative", "current", "routed"] {
        all.push(made(id, &own));
        // Without a CNI no address is of Kubernetes' own networks.
        if view.configured() {
            all.push(made(&format!("{id}-no-k8s"), &own));
            all.push(made(&format!("{id}-only-k8s"), &[]));
        }
    }
    all
}

/// The address of Talos' own DNS for pods, on `lo` of every configured machine (`constants.HostDNSAddress`).
const HOST_DNS: Ipv4Addr = Ipv4Addr::new(169, 254, 116, 108);

/// The address that IPv6 gives a card by its hardware address.
fn link_local(mac: &str) -> Option<Ipv6Addr> {
    let bytes: Vec<u8> = mac.split(':').filter_map(|part| u8::from_str_radix(part, 16).ok()).collect();
    let [a, b, c, d, e, f] = bytes.try_into().ok()?;
    let pair = |high, low| u16::from_be_bytes([high, low]);
    Some(Ipv6Addr::new(0xfe80, 0, 0, 0, pair(a ^ 2, b), pair(c, 0xff), pair(0xfe, d), pair(e, f)))
}

/// All that the kernel has: beside the machine's own address those of `lo`, of IPv6, of Talos' DNS for pods.
pub fn addresses(view: &View<'_>) -> Vec<Made> {
    let own = own_addresses(view).into_iter().map(|(address, length)| (IpAddr::V4(address), length, "eth0"));
    let eth0 = link_local(&view.machine.vm.mac).map(|address| (IpAddr::V6(address), 64, "eth0"));
    let dns = view.configured().then_some((IpAddr::V4(HOST_DNS), 32, "lo"));
    let lo = [(IpAddr::V4(Ipv4Addr::LOCALHOST), 8, "lo"), (IpAddr::V6(Ipv6Addr::LOCALHOST), 128, "lo")];
    own.chain(eth0).chain(dns).chain(lo).map(|(address, length, link)| address_status(address, length, link)).collect()
}

fn address_status(address: IpAddr, length: u8, link: &str) -> Made {
    let bytes = match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let family = if address.is_ipv4() { (2, "inet4") } else { (10, "inet6") };
    let scope = match address {
        address if address.is_loopback() => (254, "host"),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => (253, "link"),
        IpAddr::V4(_) | IpAddr::V6(_) => (0, "global"),
    };
    let whole = Spec::new()
        .bytes_shown(1, "", bytes.clone(), "")
        .number(2, "", u64::from(length))
        .bare(&format!("{address}/{length}"));
    let spec = Spec::new()
        .message(1, "address", whole)
        .number(6, "linkIndex", if link == "lo" { 1 } else { 2 })
        .text(7, "linkName", link)
        .number_shown(8, "family", family.0, family.1)
        .number_shown(9, "scope", scope.0, scope.1)
        .number_shown(10, "flags", 0x80, "permanent")
        .number(11, "priority", 0)
        // Addresses are never shown beside the first: Go's encoder takes them for empty.
        .message(2, "", Spec::new().bytes_shown(1, "", bytes, "").bare(&address.to_string()))
        .message(3, "", Spec::new())
        .message(4, "", Spec::new())
        .message(5, "", Spec::new());
    Made::new(format!("{link}/{address}/{length}"), spec)
}

fn gateway(view: &View<'_>) -> Option<Ipv4Addr> {
    let machine = view.machine;
    match machine.config.as_ref().and_then(|c| c.interface(&machine.vm.mac)) {
        Some(interface) => interface.gateway,
        None => machine.vm.gateway,
    }
}

pub fn routes(view: &View<'_>) -> Vec<Made> {
    let Some(gateway) = gateway(view) else { return Vec::new() };
    let spec = Spec::new()
        .number_shown(1, "family", 2, "inet4")
        .message(2, "dst", Spec::new().bare(""))
        .message(3, "src", Spec::new().bare(""))
        .message(4, "gateway", ip(gateway))
        .number(5, "outLinkIndex", 2)
        .text(6, "outLinkName", "eth0")
        .number_shown(7, "table", 254, "main")
        .number(8, "priority", 1024)
        .number_shown(9, "scope", 0, "global")
        .number_shown(10, "type", 1, "unicast")
        .number_shown(11, "flags", 0, "")
        .number_shown(12, "protocol", 4, "static");
    vec![Made::new(format!("inet4/{gateway}//1024"), spec)]
}

pub fn resolvers(view: &View<'_>) -> Vec<Made> {
    let machine = view.machine;
    let servers = match &machine.config {
        Some(config) if !config.nameservers.is_empty() => &config.nameservers,
        Some(_) | None => &machine.vm.nameservers,
    };
    let spec = Spec::new().messages(1, "dnsServers", servers.iter().copied().map(ip).collect());
    vec![Made::new("resolvers", spec.texts(2, "searchDomains", &[]))]
}

pub fn network(_: &View<'_>) -> Vec<Made> {
    let spec = Spec::new()
        .flag(1, "addressReady", true)
        .flag(2, "connectivityReady", true)
        .flag(3, "hostnameReady", true)
        .flag(4, "etcFilesReady", true);
    vec![Made::new("status", spec)]
}

pub fn nodename(view: &View<'_>) -> Vec<Made> {
    if !view.configured() {
        return Vec::new();
    }
    // The name of the config is the second one where the platform gave another before.
    let renamed = view.machine.vm.hostname.as_ref().is_some_and(|given| *given != view.machine.hostname());
    let spec = Spec::new()
        .text(1, "nodename", view.machine.hostname())
        .text(2, "hostnameVersion", if renamed { "2" } else { "1" })
        .flag(3, "skipNodeRegistration", false);
    vec![Made::new("nodename", spec)]
}

pub fn node_status(view: &View<'_>) -> Vec<Made> {
    let (Progress::Done, Some(config)) = (view.machine.registered, &view.machine.config) else { return Vec::new() };
    let name = view.machine.hostname();
    let spec = Spec::new()
        .text(1, "nodename", &name)
        .flag(2, "nodeReady", outside::node_is_ready(view.world, &name))
        .flag(3, "unschedulable", false)
        .map(4, "labels", config.node_labels.iter().map(|(k, v)| (k.as_str(), v.as_str())))
        .map(5, "annotations", []);
    vec![Made::new(name, spec)]
}

pub fn static_pods(view: &View<'_>) -> Vec<Made> {
    let ready = match view.machine.api_server {
        Progress::No => return Vec::new(),
        Progress::Underway => false,
        Progress::Done => true,
    };
    let name = view.machine.hostname();
    status::STATIC_PODS
        .into_iter()
        .map(|pod| Made::new(format!("kube-system/{pod}-{name}"), pod_status(ready, view.machine.address().0)))
        .collect()
}

/// A pod's status, in protobuf as `google.protobuf.Struct`.
fn pod_status(ready: bool, address: Ipv4Addr) -> Spec {
    let phase = if ready { "Running" } else { "Pending" };
    let condition = [("type", "Ready"), ("status", if ready { "True" } else { "False" })];
    let text = |value: &str| prost_types::Value { kind: Some(Kind::StringValue(value.into())) };
    let structure = |fields: BTreeMap<String, prost_types::Value>| prost_types::Struct { fields };
    let conditions = prost_types::ListValue {
        values: vec![prost_types::Value {
            kind: Some(Kind::StructValue(structure(condition.iter().map(|(k, v)| ((*k).into(), text(v))).collect()))),
        }],
    };
    let status = structure(BTreeMap::from([
        ("phase".to_string(), text(phase)),
        ("hostIP".to_string(), text(&address.to_string())),
        ("conditions".to_string(), prost_types::Value { kind: Some(Kind::ListValue(conditions)) }),
    ]));
    let shown: Mapping = condition.iter().map(|(k, v)| (Value::from(*k), Value::from(*v))).collect();
    Spec::new()
        .encoded(1, &status)
        .shown("phase", phase)
        .shown("hostIP", address.to_string())
        .shown("conditions", vec![Value::Mapping(shown)])
}

pub fn etcd_member(view: &View<'_>) -> Vec<Made> {
    view.machine
        .etcd
        .iter()
        .filter(|_| view.machine.healthy("etcd"))
        .map(|etcd| Made::new("local", Spec::new().text(1, "memberID", format!("{:016x}", etcd.id))))
        .collect()
}

pub fn etcd_spec(view: &View<'_>) -> Vec<Made> {
    let machine = view.machine;
    if !machine.services.get("etcd").is_some_and(|s| s.state != super::super::State::Waiting) {
        return Vec::new();
    }
    let spec = Spec::new()
        .text(1, "name", machine.hostname())
        .messages(2, "advertisedAddresses", vec![ip(machine.address().0)])
        .messages(5, "listenPeerAddresses", vec![ip(machine.address().0)])
        .messages(6, "listenClientAddresses", vec![ip(Ipv4Addr::LOCALHOST), ip(machine.address().0)])
        .text(3, "image", "gcr.io/etcd-development/etcd:v3.5.21")
        .map(4, "extraArgs", []);
    vec![Made::new("etcd", spec)]
}

pub fn machine_type(view: &View<'_>) -> Vec<Made> {
    let role = view.machine.config.as_ref().filter(|_| view.configured()).map(|c| c.role);
    let (number, shown) = match role {
        None => (0, "unknown"),
        Some(Role::ControlPlane) => (2, Role::ControlPlane.as_str()),
        Some(Role::Worker) => (3, Role::Worker.as_str()),
    };
    vec![Made::new("machine-type", Spec::new().number(1, "", number).bare(shown))]
}

pub fn machine_config(view: &View<'_>) -> Vec<Made> {
    let Some(config) = &view.machine.config else { return Vec::new() };
    let text = config.text.expose();
    vec![Made::new("v1alpha1", Spec::new().bytes_shown(1, "", text.as_bytes().to_vec(), "").bare(text))]
}

/// The resource with the authority of the machine's own certificates. A worker has no key to sign with.
pub fn os_root(view: &View<'_>) -> Vec<Made> {
    let Some(config) = view.machine.config.as_ref().filter(|_| view.configured()) else { return Vec::new() };
    let pem = |number, name: &str, pem: &str| {
        Spec::new().bytes_shown(number, name, pem.as_bytes().to_vec(), &BASE64.encode(pem))
    };
    let certificate = || pem(1, "crt", &config.os_ca.crt);
    let spec = match &config.os_ca.key {
        Some(key) => {
            let shown = BASE64.encode(key.expose());
            let issuing = certificate().bytes_shown(2, "key", key.expose().clone().into_bytes(), &shown);
            Spec::new().message(1, "issuingCA", issuing)
        }
        None => Spec::new().shown("issuingCA", Value::Null),
    };
    let (addresses, names): (Vec<&String>, Vec<&String>) =
        config.cert_sans.iter().partition(|name| name.parse::<Ipv4Addr>().is_ok());
    let addresses = addresses.into_iter().filter_map(|address| address.parse().ok()).map(ip).collect();
    let names: Vec<String> = names.into_iter().cloned().collect();
    let spec = spec
        .messages(5, "acceptedCAs", vec![certificate()])
        .messages(2, "certSANIPs", addresses)
        .texts(3, "certSANDNSNames", &names)
        .text(4, "token", config.token.expose());
    vec![Made::new("os", spec)]
}

pub fn cluster_info(view: &View<'_>) -> Vec<Made> {
    let Some(config) = view.machine.config.as_ref().filter(|_| view.configured()) else { return Vec::new() };
    let spec = Spec::new().text(1, "clusterId", &config.cluster_id).text(2, "clusterName", &config.cluster_name);
    vec![Made::new("current", spec)]
}

pub fn node_ip(view: &View<'_>) -> Vec<Made> {
    let Some(config) = view.machine.config.as_ref().filter(|_| view.configured()) else { return Vec::new() };
    let address = view.machine.address().0;
    if !config.kubelet_subnets.is_empty() && !config.kubelet_subnets.iter().any(|n| n.contains(&address)) {
        return Vec::new();
    }
    vec![Made::new("kubelet", Spec::new().messages(1, "addresses", vec![ip(address)]))]
}

pub fn security(_: &View<'_>) -> Vec<Made> {
    let spec = Spec::new().flag(1, "secureBoot", false).number_shown(4, "selinuxState", 1, "enabled, permissive");
    vec![Made::new("securitystate", spec)]
}

pub fn time_servers(view: &View<'_>) -> Vec<Made> {
    vec![Made::new("timeservers", Spec::new().texts(1, "timeServers", &view.machine.time_servers()))]
}
