//! Machine configs of Talos v1.10 for CozyStack v0.37: rendered whole from typed input, never merged.
mod machine;
mod redact;
mod registries;
pub(in crate::talos) mod yaml;

pub use redact::redacted;
pub use registries::{Login, Mirror, Proxy, Registries};

use super::secrets::Bundle;
use crate::base::label::is_dns_label;
pub use crate::base::role::Role;
use crate::base::secret::Secret;
use ipnet::Ipv4Net;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use zeroize::Zeroizing;

/// The inputs of one node's config, besides the cluster's secrets.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeConfig {
    /// Name of the cluster in the config (`cluster.clusterName`), in kubeconfig and talosconfig.
    pub cluster_name: String,
    /// `https://VIP:6443`
    pub endpoint: String,
    /// A control plane gets the etcd and API server sections, a worker does not.
    pub role: Role,
    /// `None`: the platform tells the machine its name and its network, as a NoCloud CD-ROM does. Then one config serves
    /// any number of machines.
    pub place: Option<Place>,
    /// The nodes' network: prefix of the address, and what kubelet and etcd choose their address from.
    pub subnet: Ipv4Net,
    /// Default gateway, inside `subnet`.
    pub gateway: Ipv4Addr,
    /// Name servers, in the order in which they are asked.
    pub dns: Vec<Ipv4Addr>,
    /// Empty: the gateway.
    pub ntp: Vec<String>,
    /// Left out of workers' configs.
    pub vip: Option<Ipv4Addr>,
    /// Device path of the disk that Talos is installed on; Talos follows a link (`EvalSymlinks`, v1.10.6).
    pub install_disk: String,
    /// Image of the Talos installer, with tag or digest (`machine.install.image`).
    pub installer_image: String,
    /// `v1.33.3` or `1.33.3`
    pub kubernetes_version: String,
    /// Network that pods get their addresses from.
    pub pod_cidr: Ipv4Net,
    /// Network that services get their addresses from.
    pub service_cidr: Ipv4Net,
    /// DNS domain of the cluster, such as `cozy.local`.
    pub dns_domain: String,
    /// Labels that the kubelet gives its node.
    pub node_labels: BTreeMap<String, String>,
    /// Keys of taints with which the node registers; without a toleration nothing is scheduled on it.
    pub taints: Vec<String>,
    /// Mirrors of registries, their logins, and further authorities.
    pub registries: Registries,
    /// Further names of the Talos and Kubernetes APIs; 127.0.0.1 and the VIP are always there.
    pub cert_sans: Vec<String>,
}

/// What one machine alone has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Host name of the node and its name in Kubernetes: one DNS label in lower case.
    pub hostname: String,
    /// Static address of the node, inside `subnet`.
    pub address: Ipv4Addr,
    /// Of the interface that gets `address`; any case.
    pub mac: String,
    /// MTU of that interface in bytes; `None`: what the card says.
    pub mtu: Option<u16>,
}

/// The reason why no config can be rendered from this input.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// etcd would wait for ever for an address inside its subnet.
    #[error("{what} {address} is outside the nodes' subnet {subnet}")]
    OutsideSubnet {
        /// The address that is meant: "node address", "gateway" or "VIP".
        what: &'static str,
        /// The address that is outside.
        address: Ipv4Addr,
        /// The nodes' subnet.
        subnet: Ipv4Net,
    },
    /// The text is not six pairs of hexadecimal digits with colons between them.
    #[error("`{0}` is not a MAC address")]
    Mac(String),
    /// The text does not begin with `https://`, or nothing follows.
    #[error("the cluster endpoint `{0}` is not an https URL")]
    Endpoint(String),
    /// The text is not one DNS label in lower case of at most 63 characters.
    #[error("the host name `{0}` is not a DNS label")]
    Hostname(String),
    /// The YAML writer's words.
    #[error("can't write YAML: {0}")]
    Yaml(String),
}

/// The whole machine config of a node: the v1alpha1 document, the one that the lldpd extension waits for, and further authorities.
/// The same input gives the same bytes.
///
/// # Errors
/// When the input contradicts itself in a way that Talos would accept and then hang on.
pub fn render(node: &NodeConfig, bundle: &Bundle) -> Result<Secret<String>, Error> {
    let mut node = node.clone();
    check(&mut node)?;
    let main = yaml::text(&machine::document(&node, bundle)).map_err(Error::Yaml)?;
    let lldpd = yaml::text(&machine::lldpd()).map_err(Error::Yaml)?;
    // Go reads the file mode as an integer, and no serializer writes an octal one.
    let main = Zeroizing::new(main);
    let main = Zeroizing::new(main.replace(&format!("\"{}\"", machine::LVM_MODE), machine::LVM_MODE));
    let trusted = node.registries.trusted.as_deref().map(|pem| yaml::text(&registries::trusted(pem)));
    let trusted = trusted.transpose().map_err(Error::Yaml)?.map(|text| format!("---\n{text}")).unwrap_or_default();
    Ok(Secret::new(format!("{}---\n{lldpd}{trusted}", main.as_str())))
}

/// Puts the MAC address into lower case: Talos compares case-sensitively.
fn check(node: &mut NodeConfig) -> Result<(), Error> {
    let vip = node.vip.filter(|_| node.role == Role::ControlPlane);
    let own = node.place.as_ref().map(|place| ("node address", place.address));
    let inside = [own, Some(("gateway", node.gateway)), vip.map(|v| ("VIP", v))];
    for (what, address) in inside.into_iter().flatten() {
        if !node.subnet.contains(&address) {
            return Err(Error::OutsideSubnet { what, address, subnet: node.subnet });
        }
    }
    if node.endpoint.strip_prefix("https://").is_none_or(str::is_empty) {
        return Err(Error::Endpoint(node.endpoint.clone()));
    }
    node.place.as_mut().map_or(Ok(()), check_place)
}

fn check_place(place: &mut Place) -> Result<(), Error> {
    let mac = place.mac.to_ascii_lowercase();
    let octets: Vec<&str> = mac.split(':').collect();
    if octets.len() != 6 || !octets.iter().all(|o| o.len() == 2 && o.bytes().all(|b| b.is_ascii_hexdigit())) {
        return Err(Error::Mac(place.mac.clone()));
    }
    if !is_dns_label(&place.hostname) {
        return Err(Error::Hostname(place.hostname.clone()));
    }
    place.mac = mac;
    Ok(())
}

#[cfg(test)]
mod tests;
