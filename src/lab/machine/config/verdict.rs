//! What Talos v1.10.6 finds wrong with a config that it could read, in its order and its words
//! (`pkg/machinery/config/types/v1alpha1/v1alpha1_validation.go`), for the nocloud platform: it installs nothing, so
//! nothing is asked of `machine.install`.
use super::{Reader, Role};
use serde_yaml::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Every complaint; none: the config is taken.
pub fn complaints(read: &Reader<'_>) -> Vec<String> {
    if read.at("machine").is_none() {
        return vec!["machine instructions are required".into()];
    }
    let role = role(read);
    let mut wrong = cluster(read, role == Some(Role::ControlPlane));
    wrong.extend(machine(read, role));
    for device in read.list("machine.network.interfaces") {
        wrong.extend(interface(&Reader { root: device }));
    }
    for subnet in read.texts("machine.kubelet.nodeIP.validSubnets") {
        if !is_subnet(&subnet) {
            wrong.push(format!("kubelet nodeIP subnet is not valid: {:?}", subnet.trim_start_matches('!')));
        }
    }
    if read.at("persist").and_then(Value::as_bool) == Some(false) {
        wrong.push(".persist should be enabled".into());
    }
    wrong
}

pub(super) fn labels(read: &Reader<'_>) -> BTreeMap<String, String> {
    let all = read.at("machine.nodeLabels").and_then(Value::as_mapping).into_iter().flatten();
    all.filter_map(|(k, v)| Some((k.as_str()?.to_string(), v.as_str().unwrap_or_default().to_string()))).collect()
}

/// Key and effect of the taints with which the kubelet registers.
pub(super) fn taints(read: &Reader<'_>) -> Vec<(String, String)> {
    let taint = |taint: &Value| {
        let field = |name: &str| taint.get(name).and_then(Value::as_str).map(str::to_string);
        Some((field("key")?, field("effect")?))
    };
    read.list("machine.kubelet.extraConfig.registerWithTaints").into_iter().filter_map(taint).collect()
}

/// `None` for a role that Talos does not know.
pub fn role(read: &Reader<'_>) -> Option<Role> {
    match read.text("machine.type").as_str() {
        "controlplane" | "init" => Some(Role::ControlPlane),
        "worker" | "join" | "" => Some(Role::Worker),
        _ => None,
    }
}

fn cluster(read: &Reader<'_>, control_plane: bool) -> Vec<String> {
    if read.at("cluster").is_none() {
        return vec!["cluster instructions are required".into()];
    }
    if read.at("cluster.controlPlane.endpoint").is_none() {
        return vec!["cluster controlplane endpoint is required".into()];
    }
    let mut wrong = Vec::new();
    if let Err(why) = host_and_port(&read.text("cluster.controlPlane.endpoint")) {
        wrong.push(format!("invalid controlplane endpoint: {why}"));
    }
    let domain = read.text("cluster.network.dnsDomain");
    if !domain.is_empty() && !is_dns_name(&domain) {
        wrong.push(format!("{domain:?} is not a valid DNS name"));
    }
    if read.at("cluster.etcd").is_some() {
        if control_plane {
            wrong.extend(etcd(read));
        } else {
            wrong.push("etcd config is only allowed on control plane machines".into());
        }
    }
    if !control_plane && has_key(read, "cluster.ca") {
        wrong.push("cluster CA key is not allowed on non-controlplane nodes (.cluster.ca)".into());
    }
    wrong
}

fn etcd(read: &Reader<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    if read.at("cluster.etcd.ca").is_none() {
        wrong.push("key/cert combination should not be empty".into());
    }
    let advertised = read.texts("cluster.etcd.advertisedSubnets");
    let listen = read.texts("cluster.etcd.listenSubnets");
    // Advertised addresses are listened on too, unless the config says otherwise.
    let listen = if listen.is_empty() { &advertised } else { &listen };
    for (what, subnets) in [("advertised", &advertised), ("listen", listen)] {
        for subnet in subnets.iter().filter(|s| !is_subnet(s)) {
            wrong.push(format!("etcd {what} subnet is not valid: {:?}", subnet.trim_start_matches('!')));
        }
    }
    wrong
}

fn machine(read: &Reader<'_>, role: Option<Role>) -> Vec<String> {
    let mut wrong = Vec::new();
    let ca = read.at("machine.ca").is_some();
    let accepted = !read.list("machine.acceptedCAs").is_empty();
    if !ca && !accepted {
        wrong.push("issuing CA or some accepted CAs are required (.machine.ca, machine.acceptedCAs)".into());
    }
    match role {
        Some(Role::ControlPlane) => {
            let cni = read.text("cluster.network.cni.name");
            if !["", "flannel", "custom", "none"].contains(&cni.as_str()) {
                wrong.push("cni name should be one of [\"flannel\", \"custom\", \"none\"]".into());
            }
            if !ca {
                wrong.push("issuing CA is required (.machine.ca)".into());
            } else if !has_key(read, "machine.ca") {
                wrong.push("issuing CA key is required for controlplane nodes (.machine.ca.key)".into());
            }
        }
        Some(Role::Worker) => {
            let shared = |device: &&Value| device.get("vip").is_some_and(|vip| !vip.is_null());
            wrong.extend(
                read.list("machine.network.interfaces")
                    .iter()
                    .filter(|d| shared(d))
                    .map(|_| "virtual (shared) IP is not allowed on non-controlplane nodes".to_string()),
            );
            if has_key(read, "machine.ca") {
                wrong.push("issuing Talos API CA key is not allowed on non-controlplane nodes (.machine.ca)".into());
            }
            if ca && read.text("machine.ca.crt").is_empty() && !accepted {
                wrong.push(
                    "trusted CA certificates are required on non-controlplane nodes (.machine.ca.crt, .machine.acceptedCAs)"
                        .into(),
                );
            }
            if has_key(read, "cluster.ca") {
                wrong.push(
                    "issuing Kubernetes API CA key is not allowed on non-controlplane nodes (.cluster.ca)".into(),
                );
            }
        }
        None => wrong.push(format!("unknown machine type {:?}", read.text("machine.type"))),
    }
    wrong
}

fn has_key(read: &Reader<'_>, ca: &str) -> bool {
    !read.text(&format!("{ca}.key")).is_empty()
}

fn interface(read: &Reader<'_>) -> Vec<String> {
    const EITHER: &str = "[networking.os.device.interface], [networking.os.device.deviceSelector]";
    if read.at("ignore").and_then(Value::as_bool) == Some(true) {
        return Vec::new();
    }
    let mut wrong = Vec::new();
    let name = read.text("interface");
    let selector = read.at("deviceSelector");
    match (name.is_empty(), selector) {
        (true, None) => wrong.push(format!("{EITHER}: required either config section to be set")),
        (false, Some(_)) => wrong.push(format!("{EITHER}: config sections are mutually exclusive")),
        (true, Some(_)) | (false, None) => {}
    }
    if selector.and_then(Value::as_mapping).is_some_and(|fields| fields.is_empty()) {
        wrong.push("[networking.os.device.deviceSelector]: config section should contain at least one field".into());
    }
    for address in read.texts("addresses") {
        let why = match address.contains('/') {
            true if !is_prefix(&address) => format!("invalid CIDR address: {address}"),
            false if address.parse::<IpAddr>().is_err() => format!("failed to parse IP address {address:?}"),
            true | false => continue,
        };
        wrong.push(format!("[networking.os.device.addresses] {name:?}: {why}"));
    }
    let vip = read.text("vip.ip");
    if read.at("vip").is_some() && vip.parse::<IpAddr>().is_err() {
        wrong.push(format!("[networking.os.device.vip] failed to parse {vip:?} as IP address"));
    }
    for (at, route) in read.list("routes").into_iter().enumerate() {
        wrong.extend(self::route(at, &Reader { root: route }));
    }
    wrong
}

fn route(at: usize, read: &Reader<'_>) -> Vec<String> {
    let (network, gateway, source) = (read.text("network"), read.text("gateway"), read.text("source"));
    let is_address = |text: &str| text.parse::<IpAddr>().is_ok();
    let mut wrong = Vec::new();
    let mut complain = |field: &str, value: &str| {
        wrong.push(format!("[networking.os.device.route[{at}].{field}] {value:?}: invalid network address"));
    };
    if !network.is_empty() && !is_prefix(&network) {
        complain("network", &network);
    }
    if !gateway.is_empty() && !is_address(&gateway) {
        complain("gateway", &gateway);
    }
    if !source.is_empty() && !is_address(&source) {
        complain("source", &source);
    }
    if network.is_empty() && gateway.is_empty() {
        wrong.push(format!("[networking.os.device.route[{at}]]: either network or gateway should be set"));
    }
    wrong
}

fn is_prefix(text: &str) -> bool {
    text.parse::<ipnet::IpNet>().is_ok()
}

/// A subnet or an address, perhaps with the `!` that excludes it.
fn is_subnet(text: &str) -> bool {
    let text = text.strip_prefix('!').unwrap_or(text);
    is_prefix(text) || text.parse::<IpAddr>().is_ok()
}

fn is_dns_name(name: &str) -> bool {
    let name = name.strip_suffix(['.', '_']).unwrap_or(name);
    name.len() <= 255
        && name.split('.').all(|label| {
            let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            (1..=63).contains(&label.len())
                && label.bytes().next().is_some_and(letter)
                && label.bytes().all(|b| letter(b) || b == b'-')
        })
}

/// Host and port of the cluster's endpoint.
///
/// # Errors
/// Talos' words for a URL without them.
pub fn host_and_port(url: &str) -> Result<(String, u16), &'static str> {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        Some(_) | None => (authority, ""),
    };
    if host.is_empty() {
        return Err("hostname must not be blank");
    }
    match port {
        "" => Ok((host.into(), 443)),
        port => match port.parse() {
            Ok(port) if port > 0 => Ok((host.into(), port)),
            Ok(_) | Err(_) => Err("port number must be between 1 and 65535"),
        },
    }
}

/// The reason why Go's URL parser reads nothing at all here.
pub fn unreadable_url(url: &str) -> Option<String> {
    let first = url.split('/').next().unwrap_or_default();
    let scheme = first.split(':').next().unwrap_or_default();
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    (first.contains(':') && !is_scheme)
        .then(|| format!("parse {url:?}: first path segment in URL cannot contain colon"))
}
