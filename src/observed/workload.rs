//! The cluster from the inside: releases, nodes, pods, events.
use super::question::Object;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The health of a HelmRelease, without the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseState {
    /// At least one attempt has failed since the last success.
    Failed,
    /// Flux has given up.
    Stalled,
    /// Somebody told Flux to leave it alone.
    Suspended,
    /// Flux can't begin.
    Hindered,
    /// An attempt is under way and none has failed.
    Runs,
    /// For another release or for its chart.
    Waits,
    /// Flux has not come to it as it is written now.
    New,
    Ready,
    #[serde(other)]
    Unknown,
}

impl ReleaseState {
    /// True when it does not become ready by itself, or does so only after attempts that fail.
    pub fn is_trouble(self) -> bool {
        match self {
            ReleaseState::Failed | ReleaseState::Stalled | ReleaseState::Suspended | ReleaseState::Hindered => true,
            ReleaseState::Runs
            | ReleaseState::Waits
            | ReleaseState::New
            | ReleaseState::Ready
            | ReleaseState::Unknown => false,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            ReleaseState::Failed => "failed",
            ReleaseState::Stalled => "stalled",
            ReleaseState::Suspended => "suspended",
            ReleaseState::Hindered => "hindered",
            ReleaseState::Runs => "runs",
            ReleaseState::Waits => "waits",
            ReleaseState::New => "new",
            ReleaseState::Ready => "ready",
            ReleaseState::Unknown => "unknown",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    pub namespace: String,
    pub name: String,
    pub state: ReleaseState,
    /// Flux's word; empty where it has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The beginning of Flux's message, of a release that is not ready.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The chart's version that was tried last.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// Failed attempts in a row.
    #[serde(default)]
    pub failures: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// `namespace/name` of the first release that it waits for and that is not ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Name of the Helm release, where it is not the HelmRelease's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helm_name: Option<String>,
    /// The namespace into which its chart goes, where it is not its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

#[cfg(test)]
impl Release {
    /// One that has failed once, and of which nothing else is known.
    pub fn failed(namespace: &str, name: &str) -> Release {
        Release {
            namespace: namespace.into(),
            name: name.into(),
            state: ReleaseState::Failed,
            reason: String::new(),
            message: String::new(),
            revision: String::new(),
            failures: 1,
            since: None,
            after: None,
            helm_name: None,
            target: None,
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Releases {
    pub total: usize,
    pub ready: usize,
    /// With trouble of their own.
    pub troubled: usize,
    /// Those with trouble first, then those on their way, then the ready ones: at most [`Releases::MOST`].
    pub rows: Vec<Release>,
}

impl Releases {
    pub const MOST: usize = 150;
    /// Bytes of a message.
    pub const MESSAGE: usize = 200;
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    pub name: String,
    pub ready: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// `v1.33.3`
    pub version: String,
    pub roles: Vec<String>,
    /// Beside those of its role: `key:Effect`; the first ones.
    pub taints: Vec<String>,
    /// A node of the plan.
    pub planned: bool,
    /// Somebody keeps new pods from it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cordoned: bool,
    /// `DiskPressure`, `NetworkUnavailable`, ... as Kubernetes calls them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pressures: Vec<String>,
    /// When it registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nodes {
    pub total: usize,
    pub ready: usize,
    /// The plan's first; at most [`Nodes::MOST`].
    pub rows: Vec<Node>,
}

impl Nodes {
    pub const MOST: usize = 100;
    /// Roles, and taints, of a node that are listed.
    pub const MOST_MARKS: usize = 8;
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    pub namespace: String,
    pub name: String,
    pub phase: String,
    /// `ImagePullBackOff`, `CrashLoopBackOff`, `Unschedulable`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub restarts: u64,
    /// Empty while it is unscheduled.
    pub node: String,
    /// Name of the release that it says to be of, by its labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
}

/// Counts of all pods; rows of those that neither run nor have come to their end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pods {
    pub total: usize,
    pub ready: usize,
    /// Of all pods, by phase: `Running`, `Pending`, `Succeeded`, `Failed`, `Unknown`.
    pub phases: BTreeMap<String, usize>,
    /// All that neither are ready nor have succeeded.
    pub troubled: usize,
    /// The first of those, the ones with a reason before the others: at most [`Pods::MOST`].
    pub rows: Vec<Pod>,
}

impl Pods {
    pub const MOST: usize = 100;
}

/// A warning that Kubernetes recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub at: Option<Timestamp>,
    /// `Pod cozy-system/x`
    pub about: String,
    /// The same where it can be asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<Object>,
    pub reason: String,
    /// The beginning of the message.
    pub message: String,
    /// Number of times that it was recorded.
    pub count: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Events {
    /// Warnings that the cluster keeps.
    pub total: usize,
    /// The newest, newest first: at most [`Events::MOST`].
    pub rows: Vec<Event>,
}

impl Events {
    pub const MOST: usize = 50;
    /// Bytes of a message.
    pub const MESSAGE: usize = 200;
}

/// The last lines of the container that keeps a pod of a failed release from being ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tail {
    pub namespace: String,
    pub pod: String,
    pub container: String,
    /// They are of the container's run before.
    pub earlier: bool,
    /// At most [`Tail::LINES`], each at most [`Events::MESSAGE`] bytes.
    pub lines: Vec<String>,
}

impl Tail {
    pub const LINES: usize = 3;
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tails {
    /// At most [`Tails::MOST`].
    pub rows: Vec<Tail>,
}

impl Tails {
    pub const MOST: usize = 3;
}

/// The reason why a kind can't be read, of an API that answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gap {
    /// The API has no such kind.
    Absent,
    /// The credentials may not list it.
    Forbidden,
    /// One of a newer cozyup.
    #[serde(other)]
    Unknown,
}

/// The kinds that can't be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gaps {
    pub releases: Option<Gap>,
    pub nodes: Option<Gap>,
    pub pods: Option<Gap>,
    pub events: Option<Gap>,
}
