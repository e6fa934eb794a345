//! The few fields of an object that a pane shows: watching five thousand whole pods costs a quarter of a gigabyte,
//! watching these fields costs a fifteenth of it.
use super::kind::Kind;
use crate::base::text::clean;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A condition beside Ready, as a controller last wrote it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Its status is True.
    pub holds: bool,
    /// The condition's `reason`, one word in CamelCase; empty when the controller gave none.
    pub reason: String,
    /// The condition's `message`, cleaned for the terminal.
    pub message: String,
    /// When it took its present value. Flux moves it with every change of status, reason or message.
    pub since: Option<Timestamp>,
    /// Generation that it speaks of, when it says so.
    pub generation: Option<i64>,
}

/// A HelmRelease as Flux reports it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReleaseStatus {
    /// Namespace of the HelmRelease; CozyStack puts its components into `cozy-…` and `tenant-…`.
    pub namespace: String,
    /// Name of the HelmRelease, which is unique only within its namespace.
    pub name: String,
    /// The Ready condition: `None` when it is missing or unknown.
    pub ready: Option<bool>,
    /// `InstallSucceeded`, `DependencyNotReady`, `InstallFailed`, …; empty without a condition.
    pub reason: String,
    /// Message of the Ready condition, cleaned; empty without a condition.
    pub message: String,
    /// `metadata.generation`: the server raises it with every change of the spec; 0 when it is missing.
    pub generation: i64,
    /// Generation that the status speaks of; -1 before the first.
    pub observed_generation: i64,
    /// The chart version last tried; empty before the first.
    pub revision: String,
    /// When the Ready condition took its present value.
    pub since: Option<Timestamp>,
    /// Generation that the Ready condition speaks of, when it says so.
    pub ready_generation: Option<i64>,
    /// `Released`: how the last finished install or upgrade ended. It stays while the next one runs.
    pub released: Option<Said>,
    /// `Stalled`: Flux does not try again by itself.
    pub stalled: Option<Said>,
    /// Attempts that failed in a row; Flux sets it back when one succeeds, or when chart or values change.
    pub failures: u64,
    /// `spec.suspend`: Flux leaves the release alone.
    pub suspended: bool,
    /// `spec.dependsOn`, each as namespace and name: Flux begins when all of them are ready. The first ones.
    pub depends_on: Vec<(String, String)>,
    /// Name of the Helm release: `spec.releaseName`, else made of `spec.targetNamespace` and the name (helm-controller v1.3.0,
    /// `api/v2/helmrelease_types.go`, `GetReleaseName`).
    pub helm_name: String,
    /// The namespace into which the chart goes: `spec.targetNamespace`, else its own.
    pub helm_namespace: String,
}

impl ReleaseStatus {
    /// Dependencies of a release that are kept.
    const MOST_DEPENDENCIES: usize = 30;
}

/// A row, and the part of the object that it is made from.
pub(super) trait Row: Sized + Clone + Send + Unpin + 'static {
    const KIND: Kind;
    /// Field selector for the objects that are asked for; `None`: all.
    const FIELD: Option<&'static str> = None;
    type Slim: DeserializeOwned + Serialize + Clone + Send + Unpin + 'static;
    fn of(slim: &Self::Slim) -> Self;
    fn metadata(slim: &Self::Slim) -> &Metadata;
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Metadata {
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    pub resource_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creation_timestamp: Option<String>,
    pub annotations: Annotations,
}

/// The few that are kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Annotations {
    /// Of what Helm made itself, and not of what came of that (helm v3, `pkg/action/validate.go`).
    #[serde(rename = "meta.helm.sh/release-name", skip_serializing_if = "Option::is_none")]
    pub helm_release: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Condition {
    #[serde(rename = "type")]
    kind: String,
    pub status: String,
    pub reason: String,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_transition_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_generation: Option<i64>,
}

impl Condition {
    fn since(&self) -> Option<Timestamp> {
        self.last_transition_time.as_deref()?.parse().ok()
    }

    fn said(&self) -> Said {
        Said {
            holds: self.status == "True",
            reason: clean(&self.reason),
            message: clean(&self.message),
            since: self.since(),
            generation: self.observed_generation,
        }
    }
}

pub(super) fn condition<'a>(all: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    all.iter().find(|c| c.kind == kind)
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct SlimRelease {
    metadata: Metadata,
    spec: SlimReleaseSpec,
    status: SlimReleaseState,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SlimReleaseSpec {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    suspend: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    release_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    target_namespace: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    depends_on: Vec<Dependency>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Dependency {
    name: String,
    /// Empty: that of the release.
    #[serde(skip_serializing_if = "String::is_empty")]
    namespace: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SlimReleaseState {
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_generation: Option<i64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    last_attempted_revision: String,
    #[serde(skip_serializing_if = "is_zero")]
    failures: i64,
    #[serde(skip_serializing_if = "is_zero")]
    install_failures: i64,
    #[serde(skip_serializing_if = "is_zero")]
    upgrade_failures: i64,
    conditions: Vec<Condition>,
}

/// Serde asks for a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(n: &i64) -> bool {
    *n == 0
}

impl ReleaseStatus {
    /// The same of one HelmRelease as the API shows it. What can't be read counts as not said.
    pub fn read(release: &Value) -> Self {
        Self::of(&SlimRelease::deserialize(release).unwrap_or_default())
    }
}

impl SlimRelease {
    fn depends_on(&self) -> Vec<(String, String)> {
        let own = &self.metadata.namespace;
        let named = self.spec.depends_on.iter().take(ReleaseStatus::MOST_DEPENDENCIES).map(|on| {
            let namespace = if on.namespace.is_empty() { own } else { &on.namespace };
            (clean(namespace), clean(&on.name))
        });
        named.collect()
    }

    fn helm_name(&self) -> String {
        let (spec, name) = (&self.spec, &self.metadata.name);
        match (spec.release_name.as_str(), spec.target_namespace.as_str()) {
            ("", "") => clean(name),
            ("", target) => clean(&format!("{target}-{name}")),
            (given, _) => clean(given),
        }
    }

    fn helm_namespace(&self) -> String {
        let target = &self.spec.target_namespace;
        clean(if target.is_empty() { &self.metadata.namespace } else { target })
    }
}

impl Row for ReleaseStatus {
    const KIND: Kind = Kind::HELM_RELEASE;
    type Slim = SlimRelease;

    fn of(slim: &SlimRelease) -> Self {
        let status = &slim.status;
        let ready = condition(&status.conditions, "Ready");
        let said = |kind| condition(&status.conditions, kind).map(Condition::said);
        // Attempts that left nothing behind are counted in `failures` alone.
        let failures = status.failures.max(status.install_failures.saturating_add(status.upgrade_failures));
        ReleaseStatus {
            namespace: clean(&slim.metadata.namespace),
            name: clean(&slim.metadata.name),
            ready: ready.and_then(|c| match c.status.as_str() {
                "True" => Some(true),
                "False" => Some(false),
                _ => None,
            }),
            reason: ready.map(|c| clean(&c.reason)).unwrap_or_default(),
            message: ready.map(|c| clean(&c.message)).unwrap_or_default(),
            generation: slim.metadata.generation.unwrap_or_default(),
            observed_generation: slim.status.observed_generation.unwrap_or(-1),
            revision: clean(&slim.status.last_attempted_revision),
            since: ready.and_then(Condition::since),
            ready_generation: ready.and_then(|c| c.observed_generation),
            released: said("Released"),
            stalled: said("Stalled"),
            failures: u64::try_from(failures).unwrap_or_default(),
            suspended: slim.spec.suspend,
            depends_on: slim.depends_on(),
            helm_name: slim.helm_name(),
            helm_namespace: slim.helm_namespace(),
        }
    }

    fn metadata(slim: &SlimRelease) -> &Metadata {
        &slim.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_generation_that_a_release_speaks_of_is_kept() {
        let slim = serde_json::from_value(json!({
            "metadata": {"name": "cilium", "namespace": "cozy-cilium", "generation": 2, "managedFields": [{}]},
            "status": {"observedGeneration": 1, "lastAttemptedRevision": "1.2.3", "conditions": [
                {"type": "Released", "status": "True"},
                {"type": "Ready", "status": "True", "reason": "InstallSucceeded", "message": "Helm install succeeded",
                 "lastTransitionTime": "2026-11-23T10:00:00Z"}]},
        }))
        .unwrap();
        let release = ReleaseStatus::of(&slim);
        assert_eq!((release.ready, release.generation, release.observed_generation), (Some(true), 2, 1));
        assert_eq!(release.reason, "InstallSucceeded");
        assert_eq!(release.since, Some("2026-11-23T10:00:00Z".parse().unwrap()));
    }

    #[test]
    fn a_release_without_status_is_neither_ready_nor_failed() {
        let slim = serde_json::from_value(json!({"metadata": {"name": "a", "generation": 1}})).unwrap();
        assert_eq!(ReleaseStatus::of(&slim).ready, None);
    }

    /// cozystack.md 2.10, 2.11: what helm-controller v1.3.0 wrote during the third attempt.
    #[test]
    fn a_release_that_runs_again_still_says_how_its_last_attempt_ended() {
        let release = ReleaseStatus::read(&json!({
            "metadata": {"name": "reloader", "namespace": "cozy-reloader", "generation": 1},
            "status": {"observedGeneration": -1, "failures": 2, "installFailures": 2, "conditions": [
                {"type": "Reconciling", "status": "True", "reason": "Progressing", "message": "Running 'install' action"},
                {"type": "Ready", "status": "Unknown", "reason": "Progressing", "message": "Running 'install' action",
                 "lastTransitionTime": "2026-11-29T10:05:00Z", "observedGeneration": 1},
                {"type": "Released", "status": "False", "reason": "InstallFailed", "message": "context deadline exceeded",
                 "lastTransitionTime": "2026-11-29T10:00:25Z", "observedGeneration": 1},
                {"type": "Remediated", "status": "True", "reason": "UninstallSucceeded"}]}}));
        let released = release.released.clone().unwrap();
        assert_eq!((release.ready, release.failures, release.suspended), (None, 2, false));
        assert_eq!((released.holds, released.reason.as_str()), (false, "InstallFailed"));
        assert_eq!(released.since, Some("2026-11-29T10:00:25Z".parse().unwrap()));
        assert!(ReleaseStatus::read(&json!({"spec": {"suspend": true}})).suspended);
        let behind = json!({"metadata": {"namespace": "cozy-a"}, "spec": {"dependsOn": [{"name": "b"}, {"name": "d", "namespace": "c"}]}});
        let on = [("cozy-a", "b"), ("c", "d")].map(|(namespace, name)| (namespace.to_string(), name.to_string()));
        assert_eq!(ReleaseStatus::read(&behind).depends_on, on);
        assert_eq!(ReleaseStatus::read(&json!([1])).ready, None);
        let helm = |spec: Value| {
            let read = ReleaseStatus::read(&json!({"metadata": {"namespace": "cozy-a", "name": "a"}, "spec": spec}));
            format!("{}/{}", read.helm_namespace, read.helm_name)
        };
        assert_eq!(helm(json!({})), "cozy-a/a");
        assert_eq!(helm(json!({"targetNamespace": "b"})), "b/b-a");
        assert_eq!(helm(json!({"targetNamespace": "b", "releaseName": "c"})), "b/c");
    }
}
