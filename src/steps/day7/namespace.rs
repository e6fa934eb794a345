//! `day7.namespace`: a namespace of the storage tests' own.
use crate::base::day::Day;
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::test_namespace::{Made, TestNamespace};

pub const KIND: &str = "day7.namespace";
pub const NAMESPACE: &str = "cozyup-storage";
pub static OF_VOLUMES: TestNamespace = TestNamespace {
    name: NAMESPACE,
    purpose: "the volumes",
    day: Day::Number(7),
    made_by: KIND,
    goes_with: super::cleanup::KIND,
    kinds: &[Kind::PERSISTENT_VOLUME_CLAIM, Kind::POD, Kind::SERVICE, Kind::SECRET],
};

pub fn step(_plan: &Plan) -> Made {
    OF_VOLUMES.step()
}
