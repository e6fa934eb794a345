//! The cluster's pods, with the few fields that a pane shows.
use super::kind::Kind;
use super::rows::{Condition, Metadata, Row, condition};
use crate::base::text::clean;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A Pod as the API server shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodStatus {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod, unique only within its namespace.
    pub name: String,
    /// `status.phase`: `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    pub phase: String,
    /// True when the Ready condition is True: every container passes its readiness probe. False for a job that is done.
    pub ready: bool,
    /// Of the main containers together.
    pub restarts: u64,
    /// Empty while unscheduled.
    pub node: String,
    /// The reason why it does not run: `ImagePullBackOff`, `CrashLoopBackOff`, `Unschedulable`, `Evicted`, …
    pub waiting_reason: Option<String>,
    /// `status.podIP`; empty until the pod's network is set up.
    pub ip: String,
    /// Start of the main container that was started last, by the node's clock; none while none runs.
    pub started: Option<Timestamp>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct SlimPod {
    metadata: Metadata,
    spec: SlimPodSpec,
    status: SlimPodState,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SlimPodSpec {
    node_name: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SlimPodState {
    phase: String,
    reason: String,
    #[serde(rename = "podIP")]
    pod_ip: String,
    conditions: Vec<Condition>,
    init_container_statuses: Vec<SlimContainer>,
    container_statuses: Vec<SlimContainer>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SlimContainer {
    restart_count: u32,
    state: SlimContainerState,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct SlimContainerState {
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<SlimReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    running: Option<SlimRunning>,
    #[serde(skip_serializing_if = "Option::is_none")]
    terminated: Option<SlimReason>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SlimRunning {
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct SlimReason {
    reason: String,
}

impl SlimPod {
    fn waiting_reason(&self) -> Option<String> {
        let status = &self.status;
        let containers = || status.init_container_statuses.iter().chain(&status.container_statuses);
        let waiting = || containers().filter_map(|c| c.state.waiting.as_ref());
        // "PodInitializing" and "ContainerCreating" only say that another container, or the pod, is the cause.
        let telling = waiting().find(|w| !matches!(w.reason.as_str(), "PodInitializing" | "ContainerCreating"));
        let unscheduled =
            condition(&status.conditions, "PodScheduled").filter(|c| c.status == "False").map(|c| &c.reason);
        let failed =
            || containers().filter_map(|c| c.state.terminated.as_ref()).map(|t| &t.reason).find(|r| *r != "Completed");
        telling
            .map(|w| &w.reason)
            .or_else(|| Some(&status.reason).filter(|r| !r.is_empty()))
            .or(unscheduled)
            .or_else(|| waiting().next().map(|w| &w.reason))
            .or_else(failed)
            .filter(|r| !r.is_empty())
            .map(|r| clean(r))
    }
}

impl Row for PodStatus {
    const KIND: Kind = Kind::POD;
    type Slim = SlimPod;

    fn of(slim: &SlimPod) -> Self {
        let status = &slim.status;
        let running = status.container_statuses.iter().filter_map(|c| c.state.running.as_ref());
        PodStatus {
            namespace: clean(&slim.metadata.namespace),
            name: clean(&slim.metadata.name),
            phase: clean(&status.phase),
            ready: condition(&status.conditions, "Ready").is_some_and(|c| c.status == "True"),
            restarts: status.container_statuses.iter().map(|c| u64::from(c.restart_count)).sum(),
            node: clean(&slim.spec.node_name),
            waiting_reason: slim.waiting_reason(),
            ip: clean(&status.pod_ip),
            started: running.filter_map(|r| r.started_at).max(),
        }
    }

    fn metadata(slim: &SlimPod) -> &Metadata {
        &slim.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(status: serde_json::Value) -> PodStatus {
        let slim = serde_json::from_value(json!({"metadata": {"name": "p"}, "status": status})).unwrap();
        PodStatus::of(&slim)
    }

    #[test]
    fn the_reason_of_a_pod_is_the_one_that_tells_most() {
        let waiting = |r: &str| json!({"restartCount": 3, "state": {"waiting": {"reason": r}}});
        let init = pod(json!({"phase": "Pending", "initContainerStatuses": [waiting("ImagePullBackOff")],
            "containerStatuses": [waiting("PodInitializing")]}));
        assert_eq!(init.waiting_reason.as_deref(), Some("ImagePullBackOff"));
        assert_eq!(init.restarts, 3);
        let unscheduled = pod(json!({"phase": "Pending",
            "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]}));
        assert_eq!(unscheduled.waiting_reason.as_deref(), Some("Unschedulable"));
        assert_eq!(pod(json!({"phase": "Failed", "reason": "Evicted"})).waiting_reason.as_deref(), Some("Evicted"));
        assert_eq!(pod(json!({"phase": "Running"})).waiting_reason, None);
    }
}
