//! The cluster's pods, with the few fields that a pane shows.
use super::kind::Kind;
use super::rows::{Condition, Metadata, Row, condition};
use crate::base::text::clean;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Labels with the name of a release: of Flux (helm-controller v1.3.0, `internal/postrender`), and of charts.
const FLUX_OR_CHART: [&str; 2] = ["helm.toolkit.fluxcd.io/name", "app.kubernetes.io/instance"];

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
    /// As `kubectl get pods` counts them: those of the main containers, and of the containers of initialization while they go on;
    /// later only of those of them that stay (kubectl v1.33, `printPod` in `pkg/printers/internalversion/printers.go`).
    pub restarts: u64,
    /// Empty while unscheduled.
    pub node: String,
    /// The reason why it does not run: `ImagePullBackOff`, `CrashLoopBackOff`, `Unschedulable`, `Evicted`, …
    pub waiting_reason: Option<String>,
    /// `status.podIP`; empty until the pod's network is set up.
    pub ip: String,
    /// Start of the main container that was started last, by the node's clock; none while none runs.
    pub started: Option<Timestamp>,
    /// Name of the release that it says to be of: Helm's own annotation, the label of Flux, or `app.kubernetes.io/instance`, which most
    /// charts write on their pods.
    pub release: Option<String>,
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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    init_containers: Vec<SlimInit>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SlimInit {
    name: String,
    /// `Always` of a container that stays beside the main ones.
    #[serde(skip_serializing_if = "String::is_empty")]
    restart_policy: String,
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
    name: String,
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
    fn restarts(&self) -> u64 {
        let status = &self.status;
        let sum = |all: &mut dyn Iterator<Item = &SlimContainer>| all.map(|c| u64::from(c.restart_count)).sum::<u64>();
        let stays = |c: &&SlimContainer| {
            self.spec.init_containers.iter().any(|init| init.name == c.name && init.restart_policy == "Always")
        };
        let has_begun = |c: &SlimContainer| c.state.running.is_some() || c.state.terminated.is_some();
        let main = sum(&mut status.container_statuses.iter());
        // Main containers begin when the others have ended, or run beside them.
        let initialized = condition(&status.conditions, "Initialized").is_some_and(|c| c.status == "True")
            || main > 0
            || status.container_statuses.iter().any(has_begun);
        match initialized {
            true => main + sum(&mut status.init_container_statuses.iter().filter(stays)),
            false => main + sum(&mut status.init_container_statuses.iter()),
        }
    }

    fn release(&self) -> Option<String> {
        let Metadata { labels, annotations, .. } = &self.metadata;
        let of = annotations.helm_release.as_ref();
        let of = of.or_else(|| FLUX_OR_CHART.iter().find_map(|label| labels.get(*label)));
        of.filter(|name| !name.is_empty()).map(|name| clean(name))
    }

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
            restarts: slim.restarts(),
            node: clean(&slim.spec.node_name),
            waiting_reason: slim.waiting_reason(),
            ip: clean(&status.pod_ip),
            started: running.filter_map(|r| r.started_at).max(),
            release: slim.release(),
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
            "containerStatuses": [{"restartCount": 0, "state": {"waiting": {"reason": "PodInitializing"}}}]}));
        assert_eq!(init.waiting_reason.as_deref(), Some("ImagePullBackOff"));
        let unscheduled = pod(json!({"phase": "Pending",
            "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]}));
        assert_eq!(unscheduled.waiting_reason.as_deref(), Some("Unschedulable"));
        assert_eq!(pod(json!({"phase": "Failed", "reason": "Evicted"})).waiting_reason.as_deref(), Some("Evicted"));
        assert_eq!(pod(json!({"phase": "Running"})).waiting_reason, None);
    }

    #[test]
    fn restarts_are_those_that_kubectl_shows() {
        let restarts = |initialized: &str, main: u32| {
            let of =
                |name: &str, n: u32| json!({"name": name, "restartCount": n, "state": {"waiting": {"reason": "x"}}});
            let slim = json!({"metadata": {"name": "p"},
                "spec": {"initContainers": [{"name": "once"}, {"name": "stays", "restartPolicy": "Always"}]},
                "status": {"conditions": [{"type": "Initialized", "status": initialized}],
                    "initContainerStatuses": [of("once", 4), of("stays", 2)], "containerStatuses": [of("main", main)]}});
            PodStatus::of(&serde_json::from_value(slim).unwrap()).restarts
        };
        assert_eq!(restarts("False", 0), 6, "it still initializes");
        assert_eq!((restarts("True", 0), restarts("True", 3)), (2, 5));
    }

    #[test]
    fn a_pod_says_whose_it_is_by_annotation_or_label() {
        let release = |metadata: serde_json::Value| {
            PodStatus::of(&serde_json::from_value(json!({"metadata": metadata})).unwrap()).release
        };
        assert_eq!(release(json!({"name": "p"})), None);
        assert_eq!(release(json!({"labels": {"app.kubernetes.io/instance": "a"}})).as_deref(), Some("a"));
        let of_flux = json!({"labels": {"app.kubernetes.io/instance": "a", "helm.toolkit.fluxcd.io/name": "b"}});
        assert_eq!(release(of_flux).as_deref(), Some("b"));
        let of_helm =
            json!({"labels": {"app.kubernetes.io/instance": "a"}, "annotations": {"meta.helm.sh/release-name": "c"}});
        assert_eq!(release(of_helm).as_deref(), Some("c"));
    }
}
