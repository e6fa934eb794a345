//! Calls that begin a task and may be asked to wait for its end: then they answer with nothing instead of its UPID.
use super::call::{Call, Failure, Outcome, done};
use crate::lab::pve::task;
use crate::lab::world::Lab;
use std::time::Duration;

/// How often Proxmox looks whether the task has ended, in lab time.
const PAUSE: Duration = Duration::from_secs(1);

/// How long a caller wants to wait.
pub struct Patience {
    seconds: i64,
    /// What stands before the task's words when it fails.
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
