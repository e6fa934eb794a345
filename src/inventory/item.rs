//! What an inventory is made of. Texts are cleaned when an item is made.
use crate::assess::snapshot::Missing;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Version of the form of an inventory's JSON.
pub const SCHEMA: u32 = 1;

/// Kinds of things, in the order in which they move: what stands on another comes after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    Tenant,
    Database,
    Disk,
    Machine,
    Cluster,
    Volume,
    Workload,
    Address,
    Ingress,
}

impl Sort {
    pub const ALL: [Sort; 9] = [
        Sort::Tenant,
        Sort::Database,
        Sort::Disk,
        Sort::Machine,
        Sort::Cluster,
        Sort::Volume,
        Sort::Workload,
        Sort::Address,
        Sort::Ingress,
    ];

    /// Its place in the order of a move, from 1.
    pub fn order(self) -> usize {
        Sort::ALL.iter().position(|sort| *sort == self).map_or(0, |n| n + 1)
    }
}

/// What a database is; how it moves follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    Postgres,
    MariaDb,
    Redis,
    RabbitMq,
    Kafka,
    ClickHouse,
    FerretDb,
    MongoDb,
    Nats,
    Etcd,
    ObjectStore,
    OpenSearch,
}

/// How something comes to another cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum Way {
    /// Its object is applied there; it has no data of its own.
    Apply,
    /// Made anew there, then filled from a dump.
    Dump { engine: Engine },
    /// Its disk is exported while it stands still, and imported there.
    CopyDisk,
    /// Its files are copied by a pod at each end.
    CopyFiles,
    /// With what it belongs to.
    WithOwner,
    /// A cluster in the cluster: made anew, and its contents moved like these.
    Rebuild,
    /// Taken off here before it is given there.
    MoveAddress,
    /// Made there, then its names lead there (DNS).
    SwitchName,
}

/// What stands against a move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "blocker")]
pub enum Blocker {
    /// It does not run, so nothing can be read out of it: of so many pods none is ready.
    NotRunning { pods: usize },
    /// Its HelmRelease is not Ready, with Flux's reason.
    ReleaseNotReady { reason: String },
    /// Its claim has no volume.
    NotBound,
    /// Nobody claims it; what is in it and whose it is nobody knows.
    Orphaned,
    /// FerretDB v1 has to be dumped and restored by hand since v0.34.
    NoMigration,
    /// The volume lies on one node and is copied from there alone.
    OnOneNode,
    /// A name that two ingresses have.
    SameHost { host: String },
    /// A pod of it waits for an image that can't be pulled here; there it may be no other.
    ImageNotPulled { image: String },
}

/// What is compared between two inventories; of each only what the thing has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Traits {
    /// Bytes of its volumes.
    pub size: Option<u64>,
    pub class: Option<String>,
    pub replicas: Option<u64>,
    pub cores: Option<u64>,
    /// Bytes.
    pub memory: Option<u64>,
    pub version: Option<String>,
    pub images: Vec<String>,
    pub hosts: Vec<String>,
    pub addresses: Vec<String>,
    pub ports: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    pub sort: Sort,
    /// `postgreses.apps.cozystack.io`
    pub resource: String,
    /// Empty for a thing of the whole cluster.
    pub namespace: String,
    pub name: String,
    /// What it belongs to: `HelmRelease postgres-app`; empty when nothing is known to own it.
    pub owner: String,
    /// It serves somebody now.
    pub serves: bool,
    pub way: Way,
    /// Bytes that have to be copied, at most: the size of its volumes.
    pub copy: u64,
    pub blockers: Vec<Blocker>,
    pub traits: Traits,
}

impl Item {
    pub fn new(sort: Sort, resource: &str, namespace: &str, name: &str, way: Way) -> Item {
        Item {
            sort,
            resource: resource.to_string(),
            namespace: namespace.to_string(),
            name: name.to_string(),
            owner: String::new(),
            serves: false,
            way,
            copy: 0,
            blockers: Vec::new(),
            traits: Traits::default(),
        }
    }
}

/// Something that could not be read, so that nobody knows what is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    pub what: String,
    pub missing: Missing,
}

/// Whether the cluster can be taken down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "left")]
pub enum Readiness {
    /// So many things serve somebody.
    Serves { items: usize },
    /// Nothing was seen that serves, and not all could be seen.
    Unknown { gaps: usize },
    /// Everything was read, and nothing serves. Volumes of tenants may hold data all the same; `idle` things are defined and
    /// do not run.
    Nothing { volumes: usize, idle: usize },
}

/// A namespace of the platform itself: what runs there goes with the cluster and is no item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    pub namespace: String,
    pub pods: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    pub schema: u32,
    /// Always `inventory`.
    pub kind: String,
    pub at: Timestamp,
    pub server: String,
    /// Uid of the namespace `kube-system`; empty where it can't be read.
    pub cluster: String,
    pub kubernetes: String,
    /// In the order of a move.
    pub items: Vec<Item>,
    pub gaps: Vec<Gap>,
    pub left_out: Vec<LeftOut>,
    pub readiness: Readiness,
    /// Requests to the API server.
    pub calls: usize,
}

impl Inventory {
    /// Puts the items into the order of a move, and says what is left.
    pub fn of(mut self) -> Inventory {
        self.items.sort_by(|a, b| {
            let key = |i: &Item| (i.sort, i.namespace.clone(), i.resource.clone(), i.name.clone());
            key(a).cmp(&key(b))
        });
        let serving = self.items.iter().filter(|i| i.serves).count();
        let volumes = self.items.iter().filter(|i| i.sort == Sort::Volume).count();
        self.readiness = match (serving, self.gaps.len()) {
            (0, 0) => Readiness::Nothing { volumes, idle: self.items.len() - volumes },
            (0, gaps) => Readiness::Unknown { gaps },
            (items, _) => Readiness::Serves { items },
        };
        self
    }
}
