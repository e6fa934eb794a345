//! What was read of the cluster, as values. Texts are cleaned and short; what no rule needs is not kept.
use super::version::Version;
use crate::base::text::{clean, shorten};
use crate::kubernetes::{Cut, Error, ReleaseStatus};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Longest text that is kept of a name, in bytes; Kubernetes allows 253.
const NAME: usize = 253;

/// A name from outside, safe to show.
pub fn kept(text: &str) -> String {
    shorten(&clean(text), NAME)
}

/// One of the readings that make a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Nodes,
    Pods,
    Releases,
    Installer,
    Settings,
    Migration,
    Sources,
    SandboxEvents,
    Volumes,
    Claims,
    Satellites,
    Certificates,
    Backups,
    Etcd,
}

/// The reason why something is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Missing {
    /// The API serves no such kind: its definition is not installed.
    NotServed,
    /// These credentials may not read it.
    Forbidden { text: String },
    /// No answer.
    Unanswered { text: String },
    /// An answer that is none of the API's.
    Unusable { text: String },
    /// Nothing is in a list that is never empty in a living cluster.
    Empty,
    /// Nobody gave access to it.
    NoAccess,
    /// The list is longer than is read; what was read is in the snapshot.
    Cut { limit: Limit },
}

/// [`Cut`], as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    Objects(usize),
    Pages(usize),
    Bytes(usize),
    Seconds(u64),
}

impl From<Error> for Missing {
    fn from(error: Error) -> Missing {
        match error {
            Error::NotFound => Missing::NotServed,
            Error::Forbidden { text } => Missing::Forbidden { text },
            Error::Unauthorized => Missing::Forbidden { text: error.to_string() },
            Error::Unreachable { .. } | Error::Server { .. } | Error::Webhook { .. } | Error::Gone => {
                Missing::Unanswered { text: error.to_string() }
            }
            Error::Kubeconfig { .. }
            | Error::Untrusted { .. }
            | Error::Conflict { .. }
            | Error::Invalid { .. }
            | Error::Denied { .. }
            | Error::Answer { .. } => Missing::Unusable { text: error.to_string() },
        }
    }
}

impl From<Cut> for Limit {
    fn from(cut: Cut) -> Self {
        match cut {
            Cut::Objects(n) => Limit::Objects(n),
            Cut::Pages(n) => Limit::Pages(n),
            Cut::Bytes(n) => Limit::Bytes(n),
            Cut::Time(Duration::ZERO) => Limit::Seconds(0),
            Cut::Time(time) => Limit::Seconds(time.as_secs()),
        }
    }
}

/// A reading, whole or not.
#[derive(Debug, Clone, PartialEq)]
pub struct Part<T> {
    /// What was read; the default when nothing was.
    pub read: T,
    /// The reason why `read` is not all.
    pub missing: Option<Missing>,
}

impl<T> Part<T> {
    pub fn whole(read: T) -> Self {
        Part { read, missing: None }
    }
}

impl<T: Default> Part<T> {
    pub fn missing(why: Missing) -> Self {
        Part { read: T::default(), missing: Some(why) }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub name: String,
    pub ready: bool,
    /// Since when it is as `ready` says.
    pub since: Option<Timestamp>,
    pub created: Option<Timestamp>,
    pub control_plane: bool,
    /// `MemoryPressure`, `DiskPressure`, `PIDPressure` that hold.
    pub pressure: Vec<String>,
    pub kubelet: String,
    /// `Talos (v1.9.3)`
    pub os: String,
    /// Thousandths of a core that pods may ask for.
    pub cpu: u64,
    /// Bytes that pods may ask for.
    pub memory: u64,
}

/// Why a pod does not serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    ImagePull,
    CrashLoop,
    OutOfCpu,
    OutOfMemory,
    InitStuck,
    /// Scheduled, and no address came.
    NoNetwork,
    Unknown,
    Unschedulable,
    Terminating,
    Evicted,
    CannotStart,
    Failed,
    NotReady,
}

impl Trouble {
    pub const ALL: [Trouble; 13] = [
        Trouble::ImagePull,
        Trouble::CrashLoop,
        Trouble::OutOfCpu,
        Trouble::OutOfMemory,
        Trouble::InitStuck,
        Trouble::NoNetwork,
        Trouble::Unknown,
        Trouble::Unschedulable,
        Trouble::Terminating,
        Trouble::Evicted,
        Trouble::CannotStart,
        Trouble::Failed,
        Trouble::NotReady,
    ];
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pod {
    pub namespace: String,
    pub name: String,
    pub node: String,
    pub trouble: Option<Trouble>,
    /// Since when it does not serve.
    pub since: Option<Timestamp>,
    pub restarts: u32,
    /// Of the first container that waits.
    pub image: String,
    /// It has ended and asks for nothing.
    pub is_over: bool,
    /// Thousandths of a core that it asks for.
    pub cpu: u64,
    /// Bytes that it asks for.
    pub memory: u64,
    /// Names of the claims that it mounts.
    pub claims: Vec<String>,
}

impl Pod {
    /// A pod of the platform itself, without which nothing else can be trusted to come back.
    pub fn is_platform(&self) -> bool {
        self.namespace == "kube-system" || self.namespace.starts_with("cozy-")
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    pub status: ReleaseStatus,
    /// Name of its chart.
    pub chart: String,
    pub created: Option<Timestamp>,
    /// Its values say `resources: {requests: ..}` or `limits`, the form before v0.33.
    pub nested_resources: bool,
}

impl Release {
    pub fn is_of_a_tenant(&self) -> bool {
        self.status.namespace.starts_with("tenant-")
    }
}

/// The installer, or the operator of later versions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Installer {
    pub image: String,
    pub version: Option<Version>,
    pub created: Option<Timestamp>,
}

/// A Helm repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub namespace: String,
    pub name: String,
    /// Its Ready condition is not True.
    pub fails: bool,
    pub since: Option<Timestamp>,
}

/// Warnings that a pod's network could not be set up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sandboxes {
    /// Events that name Kube-OVN's socket.
    pub no_socket: usize,
    /// Events with another reason.
    pub other: usize,
    pub last: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    pub name: String,
    pub class: String,
    pub bytes: u64,
    /// `Bound`, `Released`, `Available` or `Failed`.
    pub phase: String,
    /// Namespace and name of its claim; empty without one.
    pub claim: (String, String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub namespace: String,
    pub name: String,
    pub class: String,
    pub is_bound: bool,
    pub created: Option<Timestamp>,
}

/// A node of LINSTOR's storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Satellite {
    pub name: String,
    /// Conditions that are False.
    pub unmet: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    pub namespace: String,
    pub name: String,
    pub ready: bool,
    pub not_after: Option<Timestamp>,
}

/// A backup that something in the cluster keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// When it was complete; `None` when it is not.
    pub done: Option<Timestamp>,
    /// Of the whole cluster (Velero), not of one database.
    pub of_cluster: bool,
}

/// One control plane's etcd, through Talos.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Etcd {
    pub address: String,
    /// Version of Talos, `v1.9.3`.
    pub talos: String,
    /// The reason why it can't be read.
    pub fault: Option<String>,
    pub has_leader: bool,
    pub is_learner: bool,
    pub database: u64,
    pub members: usize,
    pub errors: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// When reading began.
    pub at: Timestamp,
    pub server: String,
    pub user: String,
    /// End of the kubeconfig's own certificate.
    pub access_ends: Option<Timestamp>,
    /// Version of the API server.
    pub kubernetes: String,
    pub nodes: Part<Vec<Node>>,
    pub pods: Part<Vec<Pod>>,
    pub releases: Part<Vec<Release>>,
    pub installer: Part<Installer>,
    /// Name of the bundle; empty when the settings do not name one.
    pub bundle: Part<String>,
    /// Number of the last migration.
    pub migration: Part<Option<u32>>,
    pub sources: Part<Vec<Source>>,
    pub sandboxes: Part<Sandboxes>,
    pub volumes: Part<Vec<Volume>>,
    pub claims: Part<Vec<Claim>>,
    pub satellites: Part<Vec<Satellite>>,
    pub certificates: Part<Vec<Certificate>>,
    pub backups: Part<Vec<Backup>>,
    pub etcd: Part<Vec<Etcd>>,
    /// Requests to the API server.
    pub calls: usize,
}

impl Snapshot {
    /// What is not known, and why.
    pub fn gaps(&self) -> Vec<(What, &Missing)> {
        let all = [
            (What::Nodes, &self.nodes.missing),
            (What::Pods, &self.pods.missing),
            (What::Releases, &self.releases.missing),
            (What::Installer, &self.installer.missing),
            (What::Settings, &self.bundle.missing),
            (What::Migration, &self.migration.missing),
            (What::Sources, &self.sources.missing),
            (What::SandboxEvents, &self.sandboxes.missing),
            (What::Volumes, &self.volumes.missing),
            (What::Claims, &self.claims.missing),
            (What::Satellites, &self.satellites.missing),
            (What::Certificates, &self.certificates.missing),
            (What::Backups, &self.backups.missing),
            (What::Etcd, &self.etcd.missing),
        ];
        all.into_iter().filter_map(|(what, missing)| Some((what, missing.as_ref()?))).collect()
    }

    /// Whole days from `since` to now.
    pub fn days(&self, since: Option<Timestamp>) -> Option<u64> {
        let hours = self.at.duration_since(since?).as_hours();
        u64::try_from(hours / 24).ok()
    }

    /// Whole days since the oldest node was made.
    pub fn age_days(&self) -> Option<u64> {
        self.days(self.nodes.read.iter().filter_map(|n| n.created).min())
    }
}
