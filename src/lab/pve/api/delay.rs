//! Calls that begin a task and may be asked to wait for its end: then they answer with nothing instead of its UPID.
use super::call::{Call, Failure, Outcome, done};
use crate::pve::task;
use crate::world::Lab;
use crate::world::World;
use std::time::Duration;

/// The interval at which Proxmox checks whether the task has ended, in lab time.
const PAUSE: Duration = Duration::from_secs(1);

/// The time that a list of storages takes: the server activates, one after the other, each enabled storage that holds
/// one of the wanted contents; a wanted name is looked at only afterwards (measured on 8.4.1).
pub fn of_storages(world: &World, call: &Call) -> Duration {
    let asked = |holds: &dyn Fn(&str) -> bool| call.get("content").is_none_or(|c| c.split(',').any(holds));
    let storages = world.pve.storages.values().filter(|s| !s.disabled && s.is_on(call.node()));
    storages.filter(|s| asked(&|content| s.holds(content))).map(|s| s.latency).sum()
}

/// The time that a caller wants to wait.
pub struct Patience {
    seconds: i64,
    /// The text before the task's words when it fails.
    failed: String,
}

impl Patience {
    pub fn of(call: &Call) -> Option<Self> {
        let changes = call.number("background_delay");
        let failed = changes.map_or_else(String::new, |_| format!("failed to update VM {}: ", call.vmid()));
        changes.or_else(|| call.number("delay")).map(|seconds| Patience { seconds, failed })
    }

    /// The outcome after the wait. A task that takes longer is answered by its UPID as ever.
    pub async fn wait(self, lab: &Lab, outcome: Outcome) -> Outcome {
        let good = outcome?;
        let Some(upid) = good.data.as_str() else { return Ok(good) };
        for _ in 0..self.seconds {
            match lab.look(|world| task::find(world, upid).and_then(|task| task.end.clone())) {
                Some((_, exit)) if exit == "OK" || exit.starts_with("WARNINGS: ") => return done(),
                Some((_, exit)) => return Err(Failure::died(format!("{}{exit}", self.failed))),
                None => lab.clock().sleep(PAUSE).await,
            }
        }
        Ok(good)
    }
}
