//! A pod as the rules need it: whether it serves, and if not, why and since when.
use super::snapshot::{Pod, Trouble, kept};
use crate::kubernetes::quantity;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A pod that is younger is starting; nothing is wrong with it yet.
const GRACE: SignedDuration = SignedDuration::from_mins(15);

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    pub name: String,
    pub namespace: String,
    pub creation_timestamp: Option<String>,
    deletion_timestamp: Option<String>,
}

/// A time as the API writes it; `None` for anything else.
pub fn time(text: Option<&String>) -> Option<Timestamp> {
    text?.parse().ok()
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: String,
    pub status: String,
    pub reason: String,
    pub message: String,
    pub last_transition_time: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct SlimPod {
    metadata: Meta,
    spec: Spec,
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    node_name: String,
    host_network: bool,
    containers: Vec<Container>,
    volumes: Vec<Volume>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Container {
    resources: Resources,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Resources {
    requests: BTreeMap<String, serde_json::Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Volume {
    persistent_volume_claim: Option<Claim>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Claim {
    claim_name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: String,
    reason: String,
    #[serde(rename = "podIP")]
    pod_ip: String,
    conditions: Vec<Condition>,
    init_container_statuses: Vec<ContainerStatus>,
    container_statuses: Vec<ContainerStatus>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ContainerStatus {
    image: String,
    restart_count: u32,
    state: State,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct State {
    waiting: Option<Why>,
    terminated: Option<Why>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Why {
    reason: String,
    exit_code: i64,
}

impl SlimPod {
    fn containers(&self) -> impl Iterator<Item = &ContainerStatus> {
        self.status.init_container_statuses.iter().chain(&self.status.container_statuses)
    }

    fn condition(&self, kind: &str) -> Option<&Condition> {
        self.status.conditions.iter().find(|c| c.kind == kind)
    }

    fn is_old(&self, since: Option<Timestamp>, now: Timestamp) -> bool {
        since.is_some_and(|since| now.duration_since(since) >= GRACE)
    }

    /// The reason why it does not serve; `None` when it does, is done, or is only starting.
    fn trouble(&self, now: Timestamp) -> Option<Trouble> {
        let status = &self.status;
        let created = time(self.metadata.creation_timestamp.as_ref());
        if status.phase == "Succeeded" {
            return None;
        }
        if self.is_old(time(self.metadata.deletion_timestamp.as_ref()), now) {
            return Some(Trouble::Terminating);
        }
        let lost =
            |c: &ContainerStatus| c.state.terminated.as_ref().is_some_and(|t| t.reason == "ContainerStatusUnknown");
        if status.phase == "Unknown" || status.reason == "NodeLost" || self.containers().any(lost) {
            return Some(Trouble::Unknown);
        }
        if status.phase == "Failed" {
            return Some(match status.reason.as_str() {
                "OutOfcpu" => Trouble::OutOfCpu,
                "OutOfmemory" => Trouble::OutOfMemory,
                "Evicted" => Trouble::Evicted,
                _ => Trouble::Failed,
            });
        }
        self.waits().or_else(|| if self.is_old(created, now) { self.stands_still(now) } else { None })
    }

    /// A reason that the kubelet gives for a container that does not run.
    fn waits(&self) -> Option<Trouble> {
        self.containers().filter_map(|c| c.state.waiting.as_ref()).find_map(|w| match w.reason.as_str() {
            "ImagePullBackOff" | "ErrImagePull" | "InvalidImageName" | "ErrImageNeverPull" | "RegistryUnavailable" => {
                Some(Trouble::ImagePull)
            }
            "CrashLoopBackOff" => Some(Trouble::CrashLoop),
            "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => Some(Trouble::CannotStart),
            _ => None,
        })
    }

    /// Of a pod that is older than [`GRACE`].
    fn stands_still(&self, now: Timestamp) -> Option<Trouble> {
        let status = &self.status;
        if status.phase == "Pending" {
            let done = |c: &&ContainerStatus| c.state.terminated.as_ref().is_some_and(|t| t.exit_code == 0);
            let inits = &status.init_container_statuses;
            return Some(if self.condition("PodScheduled").is_some_and(|c| c.status == "False") {
                Trouble::Unschedulable
            } else if status.pod_ip.is_empty() && !self.spec.host_network {
                Trouble::NoNetwork
            } else if inits.iter().filter(done).count() < inits.len() {
                Trouble::InitStuck
            } else {
                Trouble::NotReady
            });
        }
        let ready = self.condition("Ready").filter(|c| c.status != "True")?;
        self.is_old(time(ready.last_transition_time.as_ref()), now).then_some(Trouble::NotReady)
    }

    fn requests(&self, what: &str, read: fn(&str) -> u64) -> u64 {
        let texts = self.spec.containers.iter().filter_map(|c| c.resources.requests.get(what));
        texts.fold(0, |sum: u64, value| match value {
            serde_json::Value::String(text) => sum.saturating_add(read(text)),
            other => sum.saturating_add(read(&other.to_string())),
        })
    }

    /// What the rules need of it.
    pub fn read(&self, now: Timestamp) -> Pod {
        let created = time(self.metadata.creation_timestamp.as_ref());
        let trouble = self.trouble(now);
        let since =
            self.condition("Ready").filter(|c| c.status != "True").and_then(|c| time(c.last_transition_time.as_ref()));
        let failing = |c: &&ContainerStatus| c.state.waiting.is_some();
        let claims = self.spec.volumes.iter().filter_map(|v| v.persistent_volume_claim.as_ref());
        let is_over = matches!(self.status.phase.as_str(), "Succeeded" | "Failed");
        Pod {
            namespace: kept(&self.metadata.namespace),
            name: kept(&self.metadata.name),
            node: kept(&self.spec.node_name),
            since: trouble.and(since.or(created)),
            restarts: self.containers().map(|c| c.restart_count).max().unwrap_or_default(),
            image: trouble.and(self.containers().find(failing)).map(|c| kept(&c.image)).unwrap_or_default(),
            trouble,
            is_over,
            cpu: if is_over { 0 } else { self.requests("cpu", quantity::milli) },
            memory: if is_over { 0 } else { self.requests("memory", quantity::bytes) },
            claims: claims.map(|c| kept(&c.claim_name)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn now() -> Timestamp {
        "2026-11-30T00:00:00Z".parse().unwrap()
    }

    fn read(age_days: i64, spec: Value, status: Value) -> Pod {
        let created = now().checked_sub(SignedDuration::from_hours(24 * age_days)).unwrap().to_string();
        let object = json!({"metadata": {"name": "p", "namespace": "n", "creationTimestamp": created}, "spec": spec, "status": status});
        serde_json::from_value::<SlimPod>(object).unwrap().read(now())
    }

    fn waiting(reason: &str) -> Value {
        json!({"image": "ghcr.io/x:1", "state": {"waiting": {"reason": reason}}})
    }

    #[test]
    fn each_way_of_failing_is_told_from_the_others() {
        let pending = |init: Value, ip: &str| json!({"phase": "Pending", "podIP": ip, "initContainerStatuses": init});
        let of = |status: Value| read(60, json!({}), status).trouble;
        assert_eq!(
            of(json!({"phase": "Pending", "containerStatuses": [waiting("ImagePullBackOff")]})),
            Some(Trouble::ImagePull)
        );
        assert_eq!(
            of(json!({"phase": "Running", "containerStatuses": [waiting("CrashLoopBackOff")]})),
            Some(Trouble::CrashLoop)
        );
        assert_eq!(of(json!({"phase": "Failed", "reason": "OutOfcpu"})), Some(Trouble::OutOfCpu));
        assert_eq!(of(json!({"phase": "Unknown"})), Some(Trouble::Unknown));
        assert_eq!(of(pending(json!([{"state": {"running": {}}}]), "10.244.0.1")), Some(Trouble::InitStuck));
        assert_eq!(of(pending(json!([waiting("PodInitializing")]), "")), Some(Trouble::NoNetwork));
        let unscheduled = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False"}]});
        assert_eq!(of(unscheduled), Some(Trouble::Unschedulable));
    }

    #[test]
    fn a_pod_that_serves_is_done_or_only_starts_is_no_trouble() {
        let ready = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
        assert_eq!(read(60, json!({}), ready).trouble, None);
        assert_eq!(read(60, json!({}), json!({"phase": "Succeeded"})).trouble, None);
        assert_eq!(read(0, json!({}), json!({"phase": "Pending"})).trouble, None);
    }

    #[test]
    fn a_pod_fails_since_it_was_last_ready() {
        let status = json!({"phase": "Running", "containerStatuses": [waiting("CrashLoopBackOff")],
            "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": "2026-10-09T00:00:00Z"}]});
        assert_eq!(read(203, json!({}), status).since, Some("2026-10-09T00:00:00Z".parse().unwrap()));
        let failed = read(52, json!({}), json!({"phase": "Failed", "reason": "OutOfcpu"}));
        assert_eq!(failed.since, Some("2026-10-09T00:00:00Z".parse().unwrap()));
    }

    #[test]
    fn requests_add_up_and_those_of_a_pod_that_is_over_are_free() {
        let spec = json!({"containers": [{"resources": {"requests": {"cpu": "100m", "memory": "1Mi"}}}, {"resources": {"requests": {"cpu": 1}}}]});
        let pod = read(1, spec.clone(), json!({"phase": "Running"}));
        assert_eq!((pod.cpu, pod.memory), (1100, 1 << 20));
        assert_eq!(read(1, spec, json!({"phase": "Failed"})).cpu, 0);
    }
}
