//! A storage of the site.
use serde::{Deserialize, Serialize};

/// One copy does not take all that disks give, several do: nobody measured it on a site.
fn streams() -> f64 {
    2.0
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    pub name: String,
    /// `dir`, `lvmthin`, `zfspool`, `nfs`
    pub kind: String,
    pub content: Vec<String>,
    pub total_gib: u64,
    pub used_gib: u64,
    #[serde(default)]
    pub shared: bool,
    /// The delay of every question about its state, as with a dead NFS server, in seconds of the lab.
    #[serde(default)]
    pub latency_s: f64,
    /// Of a `zfspool`: disks take only the room that is written.
    #[serde(default)]
    pub sparse: bool,
    /// So many copies go at full speed side by side; more of them share what these take.
    #[serde(default = "streams")]
    pub streams: f64,
    /// The nodes that have it; all of them when none is named.
    #[serde(default)]
    pub nodes: Vec<String>,
}
