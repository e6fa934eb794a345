//! What Talos v1.10.6 takes from a NoCloud CD-ROM (`internal/app/machined/pkg/runtime/v1alpha1/platform/nocloud`): the
//! network of its card before anything else, a name, and the machine config, unless there is something else in its place.
use serde_yaml::Value;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Given {
    pub address: Option<(Ipv4Addr, u8)>,
    pub gateway: Option<Ipv4Addr>,
    pub nameservers: Vec<Ipv4Addr>,
    pub hostname: Option<String>,
}

/// `mac` in lower case.
pub fn read(files: &BTreeMap<String, Vec<u8>>, mac: &str) -> Given {
    let yaml = |name: &str| -> Value {
        let text = files.get(name).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
        serde_saphyr::from_str(text).unwrap_or(Value::Null)
    };
    let document = yaml("network-config");
    // cloud-init wraps it in `network`.
    let network = document.get("network").unwrap_or(&document);
    let mut given = match network.get("version").and_then(Value::as_u64) {
        Some(1) => version_1(network, mac),
        Some(2) => version_2(network, mac),
        _ => Given::default(),
    };
    let meta = yaml("meta-data");
    let name = |key: &str| text(&meta, key).filter(|name| !name.is_empty());
    given.hostname = name("hostname").or_else(|| name("local-hostname"));
    given
}

/// The machine config; `None` where there is none, and Talos goes into maintenance.
pub fn machine_config(files: &BTreeMap<String, Vec<u8>>) -> Option<&[u8]> {
    let data = files.get("user-data")?;
    let first = data.split(|b| *b == b'\n').next().unwrap_or_default().trim_ascii();
    (!data.is_empty() && !matches!(first, b"#cloud-config" | b"#include")).then_some(data.as_slice())
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).map(str::to_string)
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_sequence).map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(Value::as_str).map(str::to_string).collect()
}

fn version_1(network: &Value, mac: &str) -> Given {
    let mut given = Given::default();
    for entry in network.get("config").and_then(Value::as_sequence).map(Vec::as_slice).unwrap_or_default() {
        match text(entry, "type").as_deref() {
            Some("nameserver") => {
                given.nameservers = texts(entry.get("address")).iter().filter_map(|a| a.parse().ok()).collect();
            }
            Some("physical") if text(entry, "mac_address").is_none_or(|m| m.eq_ignore_ascii_case(mac)) => {
                let subnets = entry.get("subnets").and_then(Value::as_sequence).map(Vec::as_slice).unwrap_or_default();
                let is_static = |s: &&Value| text(s, "type").as_deref() == Some("static");
                if let Some(subnet) = subnets.iter().find(is_static) {
                    given.address = text(subnet, "address").and_then(|a| prefixed(&a, text(subnet, "netmask")));
                    given.gateway = text(subnet, "gateway").and_then(|g| g.parse().ok());
                }
            }
            _ => {}
        }
    }
    given
}

fn version_2(network: &Value, mac: &str) -> Given {
    let mut given = Given::default();
    for (_, card) in network.get("ethernets").and_then(Value::as_mapping).into_iter().flatten() {
        let wanted = card.get("match").and_then(|m| text(m, "macaddress"));
        if wanted.is_some_and(|m| !m.eq_ignore_ascii_case(mac)) {
            continue;
        }
        given.address = texts(card.get("addresses")).iter().find_map(|a| prefixed(a, None));
        given.gateway = text(card, "gateway4").or_else(|| default_route(card)).and_then(|g| g.parse().ok());
        let servers = card.get("nameservers").and_then(|n| n.get("addresses"));
        given.nameservers = texts(servers).iter().filter_map(|a| a.parse().ok()).collect();
    }
    given
}

/// The gateway of the default route.
fn default_route(card: &Value) -> Option<String> {
    let routes = card.get("routes").and_then(Value::as_sequence)?;
    let route = routes.iter().find(|route| text(route, "to").as_deref() == Some("0.0.0.0/0"))?;
    text(route, "via")
}

/// `10.0.0.201/24`, or an address and its dotted mask.
fn prefixed(address: &str, mask: Option<String>) -> Option<(Ipv4Addr, u8)> {
    if let Some((address, prefix)) = address.split_once('/') {
        return Some((address.parse().ok()?, prefix.parse().ok()?));
    }
    let mask: Ipv4Addr = mask?.parse().ok()?;
    Some((address.parse().ok()?, ipnet::ipv4_mask_to_prefix(mask).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(pairs: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
        pairs.iter().map(|(name, text)| (name.to_string(), text.as_bytes().to_vec())).collect()
    }

    const MAC: &str = "bc:24:11:00:00:01";

    #[test]
    fn both_versions_of_a_network_give_the_card_of_that_address_and_no_other() {
        let one = format!(
            "version: 1\nconfig:\n  - type: physical\n    name: eth0\n    mac_address: \"{MAC}\"\n    subnets:\n      - \
             {{type: static, address: 10.0.0.5, netmask: 255.255.255.0, gateway: 10.0.0.1}}\n  - type: nameserver\n    \
             address: [9.9.9.9]\n"
        );
        let two = format!(
            "network:\n  version: 2\n  ethernets:\n    eth0:\n      match: {{macaddress: \"{MAC}\"}}\n      addresses: \
             [10.0.0.5/24]\n      gateway4: 10.0.0.1\n      nameservers: {{addresses: [9.9.9.9]}}\n"
        );
        for network in [one, two] {
            let given = read(&files(&[("network-config", &network), ("meta-data", "local-hostname: cp1\n")]), MAC);
            let at = |last| Ipv4Addr::new(10, 0, 0, last);
            assert_eq!((given.address, given.gateway), (Some((at(5), 24)), Some(at(1))), "{network}");
            assert_eq!((given.nameservers.len(), given.hostname.as_deref()), (1, Some("cp1")));
            assert_eq!(read(&files(&[("network-config", &network)]), "bc:24:11:00:00:02").address, None);
        }
    }

    #[test]
    fn only_what_is_no_cloud_config_is_a_machine_config() {
        let of = |text: &str| machine_config(&files(&[("user-data", text)])).is_some();
        assert!(of("version: v1alpha1\n"));
        assert!(!of("#cloud-config\nhostname: x\n") && !of("#include\nhttp://x\n") && !of(""));
        assert_eq!(machine_config(&files(&[])), None);
    }
}
