//! `day6.worker_cleanup`: the namespace of the workers is gone.
use super::worker_namespace::OF_WORKERS;
use crate::plan::model::Plan;
use crate::steps::test_namespace::Gone;

pub const KIND: &str = "day6.worker_cleanup";

pub fn step(_plan: &Plan) -> Gone {
    OF_WORKERS.cleanup(KIND, super::worker_removal::KIND)
}
