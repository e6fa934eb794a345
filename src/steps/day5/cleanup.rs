//! `day5.cleanup`: nothing of the tests is left, neither in Kubernetes nor on the storage of Proxmox.
use super::namespace::OF_TESTS;
use crate::engine::step::StepId;
use crate::plan::model::Plan;
use crate::steps::test_cleanup::Cleanup;

pub const KIND: &str = "day5.cleanup";

pub fn step(_plan: &Plan, tests: Vec<StepId>) -> Cleanup {
    OF_TESTS.emptied(KIND, "the tests are removed and nothing of them is left", tests)
}
