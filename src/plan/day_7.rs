//! The volumes that day 7 tries, and the machines that it powers off and on.
use super::model::{NodePlan, Plan};

impl Plan {
    /// StorageClasses whose volumes day 7 lets grow, moves and restores from snapshots; none when the plan does not want it.
    pub fn day_7(&self) -> &[String] {
        if self.tests.storage { &self.tests.volumes } else { &[] }
    }

    /// The machines of the drills, in the order in which they are powered off.
    pub fn drills(&self) -> Vec<&NodePlan> {
        let named = |name: &String| self.nodes.iter().find(|node| node.name == *name);
        self.tests.drills.iter().filter_map(named).collect()
    }
}
