//! `day6.worker_namespace`: a namespace of the workers' own.
use crate::base::day::Day;
use crate::engine::step::StepId;
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::test_namespace::{Made, TestNamespace};
use crate::steps::workers::OF_DAY_6;

pub const KIND: &str = "day6.worker_namespace";
pub static OF_WORKERS: TestNamespace = TestNamespace {
    name: OF_DAY_6.namespace,
    purpose: "the workers of Cluster API",
    day: Day::Number(6),
    made_by: KIND,
    goes_with: super::worker_removal::KIND,
    kinds: &[
        Kind::PERSISTENT_VOLUME_CLAIM,
        Kind::POD,
        Kind::SERVICE,
        Kind::SECRET,
        Kind::CLUSTER,
        Kind::MACHINE_DEPLOYMENT,
    ],
};

/// The VM that joins nothing is gone before: both take their VMIDs and addresses from the same ranges.
pub fn step(_plan: &Plan) -> Made {
    OF_WORKERS.step().after(StepId::new(super::cleanup::KIND))
}
