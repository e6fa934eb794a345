//! `day6.worker_namespace`: a namespace of the workers' own.
use crate::engine::step::StepId;
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::test_namespace::{Made, TestNamespace};
use crate::steps::workers::NAMESPACE;

pub const KIND: &str = "day6.worker_namespace";
pub static OF_WORKERS: TestNamespace = TestNamespace {
    name: NAMESPACE,
    purpose: "the workers of Cluster API",
    day: 6,
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
