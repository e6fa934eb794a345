//! A NoCloud seed: the CD-ROM from which a machine reads its config at its first boot, so that nothing has to be sent to
//! whoever answers on the network.
//!
//! Talos v1.10.6 (`platform/nocloud`) takes the first block device whose volume is named `cidata`, reads `user-data` as its
//! machine config unless the first line is `#cloud-config` or `#include`, and the network from `network-config` before that.

use super::config::yaml::{list, map, text, words};
use crate::base::iso::{self, File};
use crate::base::secret::Secret;
use crate::base::text::hex;
use aws_lc_rs::digest;
use ipnet::Ipv4Net;
use serde_yaml::Value;
use std::net::Ipv4Addr;
use zeroize::Zeroizing;

/// The volume label that cloud-init and Talos look for; `CIDATA` would do too.
const LABEL: &str = "cidata";

/// The content of a machine's seed beside its config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeedConfig {
    /// Tells this machine from every other, also from an earlier one of its name.
    pub instance_id: String,
    /// Host name for cloud-init's `local-hostname`; the machine config names it too.
    pub hostname: String,
    /// Lower case.
    pub mac: String,
    /// Static address of the machine, inside `subnet`.
    pub address: Ipv4Addr,
    /// Network of `address`; only its prefix length is written.
    pub subnet: Ipv4Net,
    /// Default gateway, inside `subnet`.
    pub gateway: Ipv4Addr,
    /// Name servers, in the order in which they are asked.
    pub dns: Vec<Ipv4Addr>,
}

/// The image of a seed. It holds everything that the machine config holds: on a control plane every key of the cluster.
pub struct Seed {
    /// The ISO 9660 image, wiped from memory when dropped.
    pub bytes: Zeroizing<Vec<u8>>,
    /// Of `bytes`, lower-case hexadecimal.
    pub sha256: String,
}

/// The seed with `machine_config` as it is.
///
/// # Errors
/// A config that Talos would not take for one, or the YAML writer's words.
pub fn seed(config: &SeedConfig, machine_config: &Secret<String>) -> Result<Seed, String> {
    let first = machine_config.expose().lines().next().unwrap_or_default().trim();
    if first.is_empty() || ["#cloud-config", "#include"].contains(&first) {
        return Err(format!("a machine config does not begin with `{first}`"));
    }
    let meta = text(&map([
        ("instance-id", Value::from(config.instance_id.as_str())),
        ("local-hostname", config.hostname.as_str().into()),
    ]))?;
    let network = text(&network(config))?;
    let bytes = iso::image(
        LABEL,
        &[
            File { name: "meta-data", bytes: meta.as_bytes() },
            File { name: "network-config", bytes: network.as_bytes() },
            File { name: "user-data", bytes: machine_config.expose().as_bytes() },
        ],
    );
    let sha256 = hex(digest::digest(&digest::SHA256, &bytes).as_ref());
    Ok(Seed { bytes, sha256 })
}

/// Version 1, as Proxmox VE writes it too: the card is found by its hardware address, whatever its name.
fn network(config: &SeedConfig) -> Value {
    let subnet = map([
        ("type", Value::from("static")),
        ("address", config.address.to_string().into()),
        ("netmask", config.subnet.netmask().to_string().into()),
        ("gateway", config.gateway.to_string().into()),
    ]);
    let card = map([
        ("type", Value::from("physical")),
        ("name", "eth0".into()),
        ("mac_address", config.mac.as_str().into()),
        ("subnets", list([subnet])),
    ]);
    let servers = map([("type", Value::from("nameserver")), ("address", words(&config.dns))]);
    map([("version", Value::from(1)), ("config", list([card, servers]))])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> SeedConfig {
        SeedConfig {
            instance_id: "cozy.0a1b2c3d-1001".into(),
            hostname: "cp1".into(),
            mac: "bc:24:11:0a:0b:0c".into(),
            address: Ipv4Addr::new(10, 0, 0, 201),
            subnet: "10.0.0.0/23".parse().unwrap(),
            gateway: Ipv4Addr::new(10, 0, 0, 1),
            dns: vec![Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(9, 9, 9, 9)],
        }
    }

    fn machine_config() -> Secret<String> {
        Secret::new("version: v1alpha1\nmachine: {}\n".into())
    }

    #[test]
    fn the_network_is_static_and_the_card_is_found_by_its_hardware_address() {
        let value: Value = serde_yaml::from_str(&text(&network(&config())).unwrap()).unwrap();
        let card = &value["config"][0];
        assert_eq!((value["version"].as_u64(), card["mac_address"].as_str()), (Some(1), Some("bc:24:11:0a:0b:0c")));
        let subnet = &card["subnets"][0];
        let of = |key: &str| subnet[key].as_str().unwrap();
        assert_eq!((of("type"), of("address"), of("netmask")), ("static", "10.0.0.201", "255.255.254.0"));
        assert_eq!(of("gateway"), "10.0.0.1");
        assert_eq!(value["config"][1]["address"][1].as_str(), Some("9.9.9.9"));
    }

    #[test]
    fn a_seed_is_known_by_its_bytes_and_another_config_is_another_seed() {
        let (one, same) = (seed(&config(), &machine_config()).unwrap(), seed(&config(), &machine_config()).unwrap());
        assert_eq!((one.sha256.len(), &one.sha256, &one.bytes), (64, &same.sha256, &same.bytes));
        let other = seed(&config(), &Secret::new("version: v1alpha1\nmachine: {type: worker}\n".into())).unwrap();
        assert_ne!(other.sha256, one.sha256);
    }

    #[test]
    fn what_talos_would_not_read_as_a_config_is_refused() {
        for wrong in ["", "\n", "#cloud-config\nhostname: x\n", "#include\nhttp://x\n"] {
            assert!(seed(&config(), &Secret::new(wrong.into())).is_err(), "{wrong:?}");
        }
    }
}
