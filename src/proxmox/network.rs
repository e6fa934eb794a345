//! The bridges of a node and the networks of the software-defined network.
use super::fields::{Fields, rows};
use ipnet::Ipv4Net;
use serde_json::Value;
use std::net::Ipv4Addr;

/// A row of `GET /nodes/{node}/network`: a bridge, or a vnet of the software-defined network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge {
    /// The kernel's name, such as `vmbr0`.
    pub iface: String,
    /// `bridge`, `OVSBridge` or `vnet`.
    pub kind: String,
    /// True when it is up on the node.
    pub active: bool,
    /// A bridge says `bridge_vlan_aware`, a vnet `vlanaware` (pve-network, `PVE/Network/SDN.pm`).
    pub vlan_aware: bool,
    /// The interfaces that the bridge is joined to, e.g. `eno1`; empty for one without a port.
    pub ports: Vec<String>,
    /// The node's own address on it, with the prefix length; `None` without one.
    pub cidr: Option<Ipv4Net>,
    /// Default gateway that is configured on it.
    pub gateway: Option<Ipv4Addr>,
    /// MTU as it is configured, in bytes; `None`: 1500, or of a vnet, whose row says none.
    pub mtu: Option<u16>,
}

pub(super) fn bridges(data: &Value) -> Result<Vec<Bridge>, String> {
    let row = |r: &Fields| {
        Ok(Bridge {
            iface: r.need_text("iface")?,
            kind: r.text("type").unwrap_or_default(),
            active: r.flag("active"),
            vlan_aware: r.flag("bridge_vlan_aware") || r.flag("vlanaware"),
            ports: r.parts("bridge_ports", &[' ', ',']).into_iter().filter(|p| p != "none").collect(),
            cidr: r.text("cidr").and_then(|c| c.parse().ok()),
            gateway: r.text("gateway").and_then(|g| g.parse().ok()),
            mtu: r.text("mtu").and_then(|m| m.trim().parse().ok()),
        })
    };
    let mut bridges: Vec<Bridge> = rows(data)?.iter().map(row).collect::<Result<_, String>>()?;
    // The server's list has no order of its own: it comes from the keys of a hash.
    bridges.sort_by(|a, b| a.iface.cmp(&b.iface));
    Ok(bridges)
}

/// A network of the software-defined network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vnet {
    /// Name of the vnet, at most eight characters.
    pub vnet: String,
    /// Zone that the vnet belongs to.
    pub zone: String,
    /// True when guests on it may use VLAN tags of their own.
    pub vlan_aware: bool,
}

pub(super) fn vnets(data: &Value) -> Result<Vec<Vnet>, String> {
    let row = |r: &Fields| {
        Ok(Vnet { vnet: r.need_text("vnet")?, zone: r.need_text("zone")?, vlan_aware: r.flag("vlanaware") })
    };
    rows(data)?.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_of_bridges_bear_missing_fields() {
        let b =
            &bridges(&json!([{"iface": "vmbr0", "type": "bridge", "active": 1, "bridge_vlan_aware": 1}])).unwrap()[0];
        assert!(b.active && b.vlan_aware && b.cidr.is_none());
        let more = json!([
            {"iface": "vmbr1", "type": "bridge", "bridge_ports": "none"}, {"iface": "k8s", "type": "vnet", "vlanaware": 1},
            {"iface": "vmbr0", "bridge_ports": "eno1 eno2", "cidr": "192.168.7.11/24", "gateway": "192.168.7.1"},
        ]);
        let more = bridges(&more).unwrap();
        assert_eq!(more.iter().map(|b| b.iface.as_str()).collect::<Vec<_>>(), ["k8s", "vmbr0", "vmbr1"]);
        assert!(more[0].vlan_aware && more[1].ports == ["eno1", "eno2"] && more[2].ports.is_empty());
        assert_eq!(more[1].gateway, Some(Ipv4Addr::new(192, 168, 7, 1)));
    }
}
