//! The cluster's nodes, with the few fields that a pane shows.
use super::kind::Kind;
use super::rows::{Condition, Metadata, Row, condition};
use crate::base::text::clean;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A Node as the API server shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeStatus {
    /// `metadata.name`; Talos makes it of the host name.
    pub name: String,
    /// True when the Ready condition is True; false also while there is none.
    pub ready: bool,
    /// Reason of the Ready condition: `KubeletReady`, `KubeletNotReady`, `NodeStatusUnknown`; empty without a
    /// condition.
    pub reason: String,
    /// Message of the Ready condition, cleaned; empty without a condition.
    pub message: String,
    /// The internal address; empty until the kubelet reports one.
    pub address: String,
    /// `v1.33.3`; empty until the kubelet reports it.
    pub kubelet_version: String,
    /// `Talos (v1.10.6)`; empty until the kubelet reports it.
    pub os_image: String,
    /// `control-plane`, … from the labels `node-role.kubernetes.io/…`.
    pub roles: Vec<String>,
    /// All labels of the node, cleaned.
    pub labels: BTreeMap<String, String>,
    /// `key=value:Effect`, or `key:Effect`.
    pub taints: Vec<String>,
    /// `spec.unschedulable`: cordoned, so that no new pod comes to it.
    pub unschedulable: bool,
    /// Its other conditions of Kubernetes that are True: `MemoryPressure`, `DiskPressure`, `PIDPressure`, `NetworkUnavailable`.
    pub pressures: Vec<String>,
    /// `metadata.creationTimestamp`.
    pub created: Option<Timestamp>,
}

/// Conditions of the kubelet and of the network that are True where something is wrong.
const PRESSURES: [&str; 4] = ["MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable"];

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct SlimNode {
    metadata: Metadata,
    spec: SlimNodeSpec,
    status: SlimNodeState,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct SlimNodeSpec {
    taints: Vec<SlimTaint>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unschedulable: bool,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct SlimTaint {
    key: String,
    value: String,
    effect: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SlimNodeState {
    conditions: Vec<Condition>,
    addresses: Vec<SlimAddress>,
    node_info: SlimNodeInfo,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct SlimAddress {
    #[serde(rename = "type")]
    kind: String,
    address: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SlimNodeInfo {
    kubelet_version: String,
    os_image: String,
}

impl Row for NodeStatus {
    const KIND: Kind = Kind::NODE;
    type Slim = SlimNode;

    fn of(slim: &SlimNode) -> Self {
        let ready = condition(&slim.status.conditions, "Ready");
        let role = |label: &String| label.strip_prefix("node-role.kubernetes.io/").map(clean);
        NodeStatus {
            name: clean(&slim.metadata.name),
            ready: ready.is_some_and(|c| c.status == "True"),
            reason: ready.map(|c| clean(&c.reason)).unwrap_or_default(),
            message: ready.map(|c| clean(&c.message)).unwrap_or_default(),
            address: slim
                .status
                .addresses
                .iter()
                .find(|a| a.kind == "InternalIP")
                .map(|a| clean(&a.address))
                .unwrap_or_default(),
            kubelet_version: clean(&slim.status.node_info.kubelet_version),
            os_image: clean(&slim.status.node_info.os_image),
            roles: slim.metadata.labels.keys().filter_map(role).collect(),
            labels: slim.metadata.labels.iter().map(|(k, v)| (clean(k), clean(v))).collect(),
            taints: slim.spec.taints.iter().map(SlimTaint::shown).collect(),
            unschedulable: slim.spec.unschedulable,
            pressures: PRESSURES
                .into_iter()
                .filter(|kind| condition(&slim.status.conditions, kind).is_some_and(|c| c.status == "True"))
                .map(str::to_string)
                .collect(),
            created: slim.metadata.creation_timestamp.as_deref().and_then(|at| at.parse().ok()),
        }
    }

    fn metadata(slim: &SlimNode) -> &Metadata {
        &slim.metadata
    }
}

impl SlimTaint {
    fn shown(&self) -> String {
        let value = if self.value.is_empty() { String::new() } else { format!("={}", self.value) };
        clean(&format!("{}{value}:{}", self.key, self.effect))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_node_shows_its_roles_address_and_taints() {
        let slim = serde_json::from_value(json!({
            "metadata": {"name": "cp1", "creationTimestamp": "2026-11-25T08:00:00Z", "labels": {"node-role.kubernetes.io/control-plane": ""}},
            "spec": {"unschedulable": true, "taints": [{"key": "node.cilium.io/agent-not-ready", "effect": "NoSchedule"}]},
            "status": {
                "conditions": [
                    {"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": "cni"},
                    {"type": "MemoryPressure", "status": "False"},
                    {"type": "DiskPressure", "status": "True", "reason": "KubeletHasDiskPressure"},
                    {"type": "EtcdIsVoter", "status": "True"}],
                "addresses": [{"type": "Hostname", "address": "cp1"}, {"type": "InternalIP", "address": "10.0.0.201"}],
                "nodeInfo": {"kubeletVersion": "v1.33.3", "osImage": "Talos (v1.10.6)"}},
        }))
        .unwrap();
        let node = NodeStatus::of(&slim);
        assert!(!node.ready);
        assert_eq!(node.roles, ["control-plane"]);
        assert_eq!(node.address, "10.0.0.201");
        assert_eq!(node.taints, ["node.cilium.io/agent-not-ready:NoSchedule"]);
        assert!(node.unschedulable);
        assert_eq!(node.pressures, ["DiskPressure"], "Talos' own condition is no pressure");
        assert_eq!(node.created, "2026-11-25T08:00:00Z".parse().ok());
    }
}
