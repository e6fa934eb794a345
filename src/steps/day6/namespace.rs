//! `day6.namespace`: a namespace of day 6's own.
use crate::base::day::Day;
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::cluster_api::NAMESPACE;
use crate::steps::test_namespace::{Made, TestNamespace};

pub const KIND: &str = "day6.namespace";
pub static OF_VMS: TestNamespace = TestNamespace {
    name: NAMESPACE,
    purpose: "the VMs of Cluster API",
    day: Day::Number(6),
    made_by: KIND,
    goes_with: super::removal::KIND,
    kinds: &[Kind::PERSISTENT_VOLUME_CLAIM, Kind::POD, Kind::SERVICE, Kind::SECRET, Kind::CLUSTER],
};

pub fn step(_plan: &Plan) -> Made {
    OF_VMS.step()
}
