//! What a rule has found: a typed fact, how grave it is, and which part of the cluster it breaks. `tell` makes the sentences.
use super::snapshot::Trouble;
use super::verdict::Broken;
use super::version::{Number, Version};
use serde::Serialize;
use std::collections::BTreeMap;

/// Names that are shown of a longer list.
pub const EXAMPLES: usize = 5;

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// No upgrade may begin before it is repaired.
    Blocks,
    /// To be dealt with, or to be known, before an upgrade.
    Warns,
    /// Worth knowing.
    Notes,
}

/// A change of CozyStack that can break what is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// v0.34.0: FerretDB v1 to v2, on another database; dump and restore by hand.
    FerretDb,
    /// v0.36.0: SeaweedFS' values have another structure; migration 19 rewrites them.
    SeaweedFs,
    /// v0.33.0: the form of `resources`; migration 16 rewrites it.
    Resources,
    /// v0.32.0: the release capi-providers is deleted and four take its place; migration 14 does it.
    ClusterApiProviders,
}

impl Change {
    pub const ALL: [Change; 4] = [Change::FerretDb, Change::SeaweedFs, Change::Resources, Change::ClusterApiProviders];

    /// The release that brings it.
    pub fn since(self) -> Number {
        match self {
            Change::FerretDb => Number::new(0, 34, 0),
            Change::SeaweedFs => Number::new(0, 36, 0),
            Change::Resources => Number::new(0, 33, 0),
            Change::ClusterApiProviders => Number::new(0, 32, 0),
        }
    }

    /// No migration does it.
    pub fn is_by_hand(self) -> bool {
        match self {
            Change::FerretDb => true,
            Change::SeaweedFs | Change::Resources | Change::ClusterApiProviders => false,
        }
    }
}

/// One root cause and what follows from it, each link as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cascade {
    /// Warnings of the kubelets that name Kube-OVN's socket.
    pub socket_warnings: usize,
    /// Pods of kube-ovn-cni that do not serve, of how many.
    pub cni_down: usize,
    pub cni_of: usize,
    /// Pods that wait for an address.
    pub without_network: usize,
    /// Pods of CoreDNS that do not serve, of how many.
    pub dns_down: usize,
    pub dns_of: usize,
    /// Helm repositories that Flux can't fetch.
    pub sources_down: usize,
    /// HelmReleases that wait for a chart.
    pub releases_waiting: usize,
    /// Days since the first of its pods failed.
    pub days: Option<u64>,
}

/// Failing pods of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pods {
    pub trouble: Trouble,
    pub count: usize,
    /// Of these in namespaces of the platform.
    pub platform: usize,
    /// Days since the first and the last of them failed.
    pub oldest_days: Option<u64>,
    pub newest_days: Option<u64>,
    /// `namespace/name`
    pub examples: Vec<String>,
    /// Images that can't be pulled.
    pub images: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    NodesNotReady { nodes: Vec<String>, of: usize, days: Option<u64> },
    NodePressure { node: String, pressure: Vec<String> },
    NetworkCascade(Cascade),
    PodsFail(Pods),
    ReleasesNotReady { failed: usize, waiting: usize, of: usize, days: Option<u64>, examples: Vec<String> },
    SourcesFail { sources: Vec<String>, of: usize, days: Option<u64> },
    Unofficial { version: Version },
    VersionUnknown { image: String },
    MigrationDiffers { found: u32, expected: u32 },
    ChangeInUse { change: Change, count: usize, examples: Vec<String> },
    ChangeNotInUse { change: Change },
    TalosVersions { versions: BTreeMap<String, usize> },
    KubeletSkew { server: String, kubelets: BTreeMap<String, usize> },
    Scarce { resource: &'static str, percent: u64, nodes: Vec<String> },
    Orphans { volumes: usize, bytes: u64, examples: Vec<String> },
    ClaimsPending { claims: usize, days: Option<u64>, examples: Vec<String> },
    SatellitesUnwell { satellites: Vec<String> },
    EtcdUnwell { members: Vec<String> },
    EtcdLarge { bytes: u64 },
    NoBackup { of_databases: usize },
    BackupOld { days: u64 },
    CertificatesEnd { ended: usize, soon: usize, examples: Vec<String> },
    AccessEnds { days: i64 },
}

/// What a rule returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub severity: Severity,
    pub broken: Option<Broken>,
    pub fact: Fact,
}

impl Problem {
    pub fn blocks(broken: Broken, fact: Fact) -> Problem {
        Problem { severity: Severity::Blocks, broken: Some(broken), fact }
    }

    pub fn warns(fact: Fact) -> Problem {
        Problem { severity: Severity::Warns, broken: None, fact }
    }

    pub fn notes(fact: Fact) -> Problem {
        Problem { severity: Severity::Notes, broken: None, fact }
    }
}

/// A problem, and the rule that found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub rule: &'static str,
    /// The source of the rule's knowledge.
    pub source: &'static str,
    pub severity: Severity,
    pub broken: Option<Broken>,
    #[serde(flatten)]
    pub fact: Fact,
    /// The rule whose finding is the cause of this one.
    pub symptom_of: Option<&'static str>,
}
