//! `kept.namespace`: a namespace of the kept workers' own.
use crate::base::day::Day;
use crate::engine::step::StepId;
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::test_namespace::{Made, TestNamespace};
use crate::steps::workers::KEPT;

pub const KIND: &str = "kept.namespace";
pub static OF_KEPT: TestNamespace = TestNamespace {
    name: KEPT.namespace,
    purpose: "the workers that stay",
    day: Day::Workers,
    made_by: KIND,
    goes_with: super::removal::KIND,
    kinds: &[
        Kind::PERSISTENT_VOLUME_CLAIM,
        Kind::POD,
        Kind::SERVICE,
        Kind::SECRET,
        Kind::CLUSTER,
        Kind::MACHINE_DEPLOYMENT,
    ],
};

pub fn step(_plan: &Plan) -> Made {
    OF_KEPT.step().after(StepId::new(super::room::KIND))
}
