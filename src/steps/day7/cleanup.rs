//! `day7.cleanup`: nothing of the volumes is left, neither in Kubernetes nor with LINSTOR nor on the storage of Proxmox.
use super::namespace::OF_VOLUMES;
use crate::engine::step::StepId;
use crate::plan::model::Plan;
use crate::steps::test_cleanup::Cleanup;

pub const KIND: &str = "day7.cleanup";

pub fn step(_plan: &Plan, tests: Vec<StepId>) -> Cleanup {
    OF_VOLUMES.emptied(KIND, "the volumes are removed, and none is left in any system", tests)
}
