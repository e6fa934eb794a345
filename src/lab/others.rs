//! What happens at a site beside a run, as a scenario says: people who work on it too, data that grow, a service that hangs. Each
//! happens once, so long after its occasion.
use super::machine;
use super::pve::{filling, hand};
use super::world::World;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Other {
    #[serde(flatten)]
    pub deed: Deed,
    /// The occasion: the VM with this id is started, at its first time.
    #[serde(default)]
    pub once_runs: Option<u32>,
    /// The occasion: the node of this name is Ready, at its first time.
    #[serde(default)]
    pub once_ready: Option<String>,
    /// Lab seconds from the occasion on.
    pub after_s: f64,
    /// The occasion has been; it happens once.
    #[serde(skip)]
    pub begun: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "does", rename_all = "snake_case")]
pub enum Deed {
    /// Somebody types a command on a host: `qm stop 1002` (`pve/hand.rs`).
    Types { command: String, by: String },
    /// Data of others fill the storage over `over_s` lab seconds, and are removed `for_s` later.
    Fills { storage: String, percent: u64, over_s: f64, for_s: f64 },
    /// The kubelet of a node hangs for so many lab seconds: its node is NotReady, and nobody did it.
    KubeletHangs { node: String, for_s: f64 },
}

/// Something that has happened now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion<'a> {
    Runs(u32),
    Ready(&'a str),
}

impl Other {
    fn waits_for(&self, occasion: &Occasion<'_>) -> bool {
        match occasion {
            Occasion::Runs(vmid) => self.once_runs == Some(*vmid),
            Occasion::Ready(node) => self.once_ready.as_deref() == Some(node),
        }
    }
}

/// Whatever the scenario says of this occasion is to happen.
pub fn begin(world: &mut World, occasion: &Occasion<'_>) {
    let due = world.scenario.others.iter_mut().filter(|other| !other.begun && other.waits_for(occasion));
    let due: Vec<(f64, Deed)> = due
        .map(|other| {
            other.begun = true;
            (other.after_s, other.deed.clone())
        })
        .collect();
    for (seconds, deed) in due {
        world.after(seconds, move |world| happen(world, deed));
    }
}

fn happen(world: &mut World, deed: Deed) {
    match deed {
        // A VM that is gone by then is nobody's any more.
        Deed::Types { command, by } => drop(hand::type_as(world, &command, &by)),
        Deed::Fills { storage, percent, over_s, for_s } => filling::fill(world, storage, percent, over_s, for_s),
        Deed::KubeletHangs { node, for_s } => machine::hang(world, &node, for_s),
    }
}
