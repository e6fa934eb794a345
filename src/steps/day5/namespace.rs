//! `day5.namespace`: a namespace of the tests' own.
use crate::base::day::Day;
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::objects::NAMESPACE;
use crate::steps::test_namespace::{Made, TestNamespace};

pub const KIND: &str = "day5.namespace";
pub static OF_TESTS: TestNamespace = TestNamespace {
    name: NAMESPACE,
    purpose: "the tests",
    day: Day::Number(5),
    made_by: KIND,
    goes_with: super::cleanup::KIND,
    kinds: &[Kind::PERSISTENT_VOLUME_CLAIM, Kind::POD, Kind::SERVICE],
};

pub fn step(_plan: &Plan) -> Made {
    OF_TESTS.step()
}
