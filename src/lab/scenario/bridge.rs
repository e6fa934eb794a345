//! Bridges of a scenario's hosts.
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BridgeText")]
pub struct Bridge {
    pub name: String,
    /// `bridge`, `OVSBridge` or `vnet`
    pub kind: String,
    pub vlan_aware: bool,
    pub ports: Vec<String>,
    /// Of a `vnet`.
    pub zone: Option<String>,
    /// As `/etc/network/interfaces` has it, in bytes; `None`: 1500.
    pub mtu: Option<u16>,
}

impl Bridge {
    /// The path on which Proxmox VE checks the right to use it.
    pub fn path(&self) -> String {
        format!("/sdn/zones/{}/{}", self.zone.as_deref().unwrap_or("localnetwork"), self.name)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum BridgeText {
    Name(String),
    Whole(WholeBridge),
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WholeBridge {
    name: String,
    kind: Option<String>,
    #[serde(default)]
    vlan_aware: bool,
    ports: Option<Vec<String>>,
    zone: Option<String>,
    mtu: Option<u16>,
}

impl From<BridgeText> for Bridge {
    fn from(text: BridgeText) -> Self {
        let WholeBridge { name, kind, vlan_aware, ports, zone, mtu } = match text {
            BridgeText::Name(name) => WholeBridge { name, ..WholeBridge::default() },
            BridgeText::Whole(whole) => whole,
        };
        let kind = kind.unwrap_or_else(|| if zone.is_some() { "vnet" } else { "bridge" }.to_string());
        let ports = ports.unwrap_or_else(|| if kind == "vnet" { vec![] } else { vec!["eno1".into()] });
        Bridge { name, kind, vlan_aware, ports, zone, mtu }
    }
}
