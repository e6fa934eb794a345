//! One snapshot of what the checks are judged by. What can't be read is kept as the reason, so that the others are judged.
use super::table::DEFINITIONS;
use crate::base::answer::Answer;
use crate::kubernetes::{self, EventStatus, Kind, PodStatus, ReleaseStatus, Version};
use crate::proxmox::{self, NodeRow};
use serde_json::Value;
use std::collections::BTreeMap;
use std::future::Future;
use std::time::{Duration, Instant};

/// One list or object may take this long, in wall time.
const DEADLINE: Duration = Duration::from_secs(30);

/// An answer, or why there is none.
pub type Read<T> = Result<T, String>;

/// Proxmox VE, as it answers now.
pub struct Site {
    /// The time that the server took to tell its version.
    pub answered_in: Read<Duration>,
    pub nodes: Read<Vec<NodeRow>>,
}

impl Site {
    pub async fn read(reader: &proxmox::Reader) -> Site {
        // Another look may be before it in the queue of four: the second question is the one that is measured.
        let _ = of(reader.version()).await;
        let began = Instant::now();
        let version = of(reader.version()).await;
        Site { answered_in: version.map(|_| began.elapsed()), nodes: of(reader.nodes()).await }
    }
}

/// The cluster, as its API server shows it now.
pub struct Cluster {
    pub version: Read<Version>,
    pub nodes: Read<Vec<Value>>,
    pub pods: Read<Vec<PodStatus>>,
    pub deployments: Read<Vec<Value>>,
    pub daemon_sets: Read<Vec<Value>>,
    pub services: Read<Vec<Value>>,
    pub volumes: Read<Vec<Value>>,
    pub claims: Read<Vec<Value>>,
    pub bindings: Read<Vec<Value>>,
    pub accounts: Read<Vec<Value>>,
    pub releases: Read<Vec<ReleaseStatus>>,
    pub warnings: Read<Vec<EventStatus>>,
    pub namespace: Read<bool>,
    /// By name; `None` for one that is not there.
    pub definitions: BTreeMap<&'static str, Read<Option<Value>>>,
    pub proxmox_clusters: Read<Vec<Value>>,
    pub proxmox_machines: Read<Vec<Value>>,
}

impl Cluster {
    /// `namespace` is that of Cluster API.
    pub async fn read(reader: &kubernetes::Reader, namespace: &str) -> Cluster {
        let version = of(reader.version()).await;
        // A server that does not answer is asked once, not twenty times.
        let silent = version.as_ref().err().cloned();
        let list = |kind: &'static Kind| unless(&silent, of(reader.list(kind, None, None)));
        let mut definitions = BTreeMap::new();
        for name in DEFINITIONS {
            let found = within(reader.get(&Kind::CUSTOM_RESOURCE_DEFINITION, None, name));
            definitions.insert(name, unless(&silent, found).await.map(|answer| answer.map(|a| a.value)));
        }
        Cluster {
            version,
            nodes: list(&Kind::NODE).await,
            pods: unless(&silent, of(reader.pods(None, None))).await,
            deployments: list(&Kind::DEPLOYMENT).await,
            daemon_sets: list(&Kind::DAEMON_SET).await,
            services: list(&Kind::SERVICE).await,
            volumes: list(&Kind::PERSISTENT_VOLUME).await,
            claims: list(&Kind::PERSISTENT_VOLUME_CLAIM).await,
            bindings: list(&Kind::CLUSTER_ROLE_BINDING).await,
            accounts: list(&Kind::SERVICE_ACCOUNT).await,
            releases: unless(&silent, of(reader.releases())).await,
            warnings: unless(&silent, of(reader.warnings())).await,
            namespace: unless(&silent, within(reader.get(&Kind::NAMESPACE, None, namespace)))
                .await
                .map(|n| n.is_some()),
            definitions,
            proxmox_clusters: list(&Kind::PROXMOX_CLUSTER).await,
            proxmox_machines: list(&Kind::PROXMOX_MACHINE).await,
        }
    }
}

async fn unless<T>(silent: &Option<String>, asking: impl Future<Output = Read<T>>) -> Read<T> {
    match silent {
        Some(why) => Err(why.clone()),
        None => asking.await,
    }
}

async fn of<T, E: std::fmt::Display>(asking: impl Future<Output = Result<Answer<T>, E>>) -> Read<T> {
    within(asking).await.map(|answer| answer.value)
}

async fn within<T, E: std::fmt::Display>(asking: impl Future<Output = Result<T, E>>) -> Read<T> {
    match tokio::time::timeout(DEADLINE, asking).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(e)) => Err(e.to_string()),
        Err(_) => Err(format!("no answer within {} s", DEADLINE.as_secs())),
    }
}
