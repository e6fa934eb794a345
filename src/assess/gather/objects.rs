//! The few fields of each kind that the rules need.
use super::super::pod::{Condition, Meta, time};
use super::super::snapshot::{Backup, Certificate, Claim, Node, Release, Satellite, Source, Volume, kept};
use crate::base::text::shorten;
use crate::kubernetes::ReleaseStatus;
use crate::kubernetes::quantity;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Longest message that is kept, in bytes.
const MESSAGE: usize = 300;

/// An object, and what is kept of it.
pub trait Keep: Sized {
    type Kept;
    fn keep(self) -> Option<Self::Kept>;
}

fn condition<'a>(all: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    all.iter().find(|c| c.kind == kind)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Conditions {
    conditions: Vec<Condition>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct SlimNode {
    metadata: LabelledMeta,
    status: NodeState,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LabelledMeta {
    name: String,
    creation_timestamp: Option<String>,
    labels: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct NodeState {
    conditions: Vec<Condition>,
    allocatable: BTreeMap<String, Value>,
    node_info: NodeInfo,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct NodeInfo {
    kubelet_version: String,
    os_image: String,
}

/// A quantity is a text, or a bare number.
fn amount(of: &BTreeMap<String, Value>, what: &str, read: fn(&str) -> u64) -> u64 {
    match of.get(what) {
        Some(Value::String(text)) => read(text),
        Some(other) => read(&other.to_string()),
        None => 0,
    }
}

impl Keep for SlimNode {
    type Kept = Node;

    fn keep(self) -> Option<Node> {
        let status = &self.status;
        let ready = condition(&status.conditions, "Ready");
        let pressure = status.conditions.iter().filter(|c| c.kind.ends_with("Pressure") && c.status == "True");
        Some(Node {
            name: kept(&self.metadata.name),
            ready: ready.is_some_and(|c| c.status == "True"),
            since: ready.and_then(|c| time(c.last_transition_time.as_ref())),
            created: time(self.metadata.creation_timestamp.as_ref()),
            control_plane: self.metadata.labels.contains_key("node-role.kubernetes.io/control-plane"),
            pressure: pressure.map(|c| kept(&c.kind)).collect(),
            kubelet: kept(&status.node_info.kubelet_version),
            os: kept(&status.node_info.os_image),
            cpu: amount(&status.allocatable, "cpu", quantity::milli),
            memory: amount(&status.allocatable, "memory", quantity::bytes),
        })
    }
}

impl Release {
    pub fn read(release: &Value) -> Release {
        let mut status = ReleaseStatus::read(release);
        status.namespace = kept(&status.namespace);
        status.name = kept(&status.name);
        status.message = shorten(&status.message, MESSAGE);
        for said in [&mut status.released, &mut status.stalled].into_iter().flatten() {
            said.message = shorten(&said.message, MESSAGE);
        }
        let created = release.pointer("/metadata/creationTimestamp").and_then(|at| at.as_str()?.parse().ok());
        let chart = release.pointer("/spec/chart/spec/chart").and_then(Value::as_str);
        Release {
            chart: chart.map(kept).unwrap_or_default(),
            created,
            nested_resources: release.pointer("/spec/values").is_some_and(has_nested_resources),
            status,
        }
    }
}

/// True when `resources` at any depth holds `requests` or `limits`.
fn has_nested_resources(values: &Value) -> bool {
    match values {
        Value::Object(entries) => entries.iter().any(|(key, value)| {
            let has = |part: &str| value.get(part).is_some_and(Value::is_object);
            let nested = key == "resources" && (has("requests") || has("limits"));
            nested || has_nested_resources(value)
        }),
        Value::Array(items) => items.iter().any(has_nested_resources),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct SlimSource {
    metadata: Meta,
    spec: SourceSpec,
    status: Conditions,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SourceSpec {
    #[serde(rename = "type")]
    kind: String,
}

impl Keep for SlimSource {
    type Kept = Source;

    fn keep(self) -> Option<Source> {
        let ready = condition(&self.status.conditions, "Ready");
        // A repository of OCI images has no status of its own (source-controller v1.6).
        let fails = self.spec.kind != "oci" && ready.is_none_or(|c| c.status != "True");
        Some(Source {
            namespace: kept(&self.metadata.namespace),
            name: kept(&self.metadata.name),
            fails,
            since: ready.and_then(|c| time(c.last_transition_time.as_ref())),
        })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SlimEvent {
    message: String,
    last_timestamp: Option<String>,
    event_time: Option<String>,
}

/// A pod whose network was not set up.
pub struct SandboxEvent {
    /// The CNI plugin did not find Kube-OVN's socket.
    pub no_socket: bool,
    pub last: Option<Timestamp>,
}

impl Keep for SlimEvent {
    type Kept = SandboxEvent;

    /// Kube-OVN's plugin (v1.13, `cmd/cni`) says: `dial unix /run/openvswitch/kube-ovn-daemon.sock: connect: no such file
    /// or directory`, or `connection refused` when the daemon left a dead one.
    fn keep(self) -> Option<SandboxEvent> {
        let last = time(self.last_timestamp.as_ref()).or(time(self.event_time.as_ref()));
        Some(SandboxEvent { no_socket: self.message.contains("kube-ovn-daemon.sock"), last })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct SlimVolume {
    metadata: Meta,
    spec: VolumeSpec,
    status: Phase,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct VolumeSpec {
    capacity: BTreeMap<String, Value>,
    storage_class_name: String,
    claim_ref: Option<Meta>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Phase {
    phase: String,
}

impl Keep for SlimVolume {
    type Kept = Volume;

    fn keep(self) -> Option<Volume> {
        let claim = self.spec.claim_ref.map(|c| (kept(&c.namespace), kept(&c.name)));
        Some(Volume {
            name: kept(&self.metadata.name),
            class: kept(&self.spec.storage_class_name),
            bytes: amount(&self.spec.capacity, "storage", quantity::bytes),
            phase: kept(&self.status.phase),
            claim: claim.unwrap_or_default(),
        })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct SlimClaim {
    metadata: Meta,
    spec: ClaimSpec,
    status: Phase,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ClaimSpec {
    storage_class_name: String,
}

impl Keep for SlimClaim {
    type Kept = Claim;

    fn keep(self) -> Option<Claim> {
        Some(Claim {
            namespace: kept(&self.metadata.namespace),
            name: kept(&self.metadata.name),
            class: kept(&self.spec.storage_class_name),
            is_bound: self.status.phase == "Bound",
            created: time(self.metadata.creation_timestamp.as_ref()),
        })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct SlimSatellite {
    metadata: Meta,
    status: Conditions,
}

impl Keep for SlimSatellite {
    type Kept = Satellite;

    /// `Applied`, `Available` and `Configured` (piraeus-operator v2, `api/v1/linstorsatellite_types.go`).
    fn keep(self) -> Option<Satellite> {
        let unmet = self.status.conditions.iter().filter(|c| c.status == "False");
        let unmet = unmet.filter(|c| matches!(c.kind.as_str(), "Applied" | "Available" | "Configured"));
        Some(Satellite { name: kept(&self.metadata.name), unmet: unmet.map(|c| kept(&c.kind)).collect() })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct SlimCertificate {
    metadata: Meta,
    status: CertificateState,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct CertificateState {
    conditions: Vec<Condition>,
    not_after: Option<String>,
}

impl Keep for SlimCertificate {
    type Kept = Certificate;

    fn keep(self) -> Option<Certificate> {
        Some(Certificate {
            namespace: kept(&self.metadata.namespace),
            name: kept(&self.metadata.name),
            ready: condition(&self.status.conditions, "Ready").is_some_and(|c| c.status == "True"),
            not_after: time(self.status.not_after.as_ref()),
        })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct SlimBackup {
    status: BackupState,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct BackupState {
    phase: String,
    /// Velero's.
    completion_timestamp: Option<String>,
    /// CloudNativePG's.
    stopped_at: Option<String>,
}

impl SlimBackup {
    pub fn of(self, of_cluster: bool) -> Option<Backup> {
        let is_done = self.status.phase.eq_ignore_ascii_case("completed");
        let at = time(self.status.completion_timestamp.as_ref()).or(time(self.status.stopped_at.as_ref()));
        Some(Backup { done: at.filter(|_| is_done), of_cluster })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_old_form_of_resources_is_found_at_any_depth_and_the_new_one_is_not_it() {
        let nested = |values: Value| has_nested_resources(&values);
        assert!(nested(json!({"a": [{"resources": {"requests": {"cpu": "1"}}}]})));
        assert!(nested(json!({"resources": {"limits": {"memory": "1Gi"}}})));
        assert!(!nested(json!({"resources": {"cpu": "1", "memory": "1Gi"}, "limits": {"requests": {}}})));
        assert!(!nested(Value::Null));
    }

    #[test]
    fn kube_ovns_missing_socket_is_told_from_other_faults_of_a_network() {
        let event =
            |message: &str| serde_json::from_value::<SlimEvent>(json!({"message": message})).unwrap().keep().unwrap();
        assert!(
            event("failed (add): dial unix /run/openvswitch/kube-ovn-daemon.sock: connect: no such file").no_socket
        );
        assert!(!event("plugin type=\"cilium-cni\" failed (add)").no_socket);
    }

    #[test]
    fn only_a_backup_that_is_complete_counts() {
        let of = |status: Value| {
            serde_json::from_value::<SlimBackup>(json!({"status": status})).unwrap().of(true).unwrap().done
        };
        assert!(of(json!({"phase": "Completed", "completionTimestamp": "2026-01-01T00:00:00Z"})).is_some());
        assert!(of(json!({"phase": "completed", "stoppedAt": "2026-01-01T00:00:00Z"})).is_some());
        assert!(of(json!({"phase": "PartiallyFailed", "completionTimestamp": "2026-01-01T00:00:00Z"})).is_none());
    }
}
