//! The volumes that day 7 tries.
use super::model::Plan;

impl Plan {
    /// StorageClasses whose volumes day 7 lets grow, moves and restores from snapshots; none when the plan does not want it.
    pub fn day_7(&self) -> &[String] {
        if self.tests.storage { &self.tests.volumes } else { &[] }
    }
}
