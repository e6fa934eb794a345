//! `day6.cleanup`: the namespace of day 6 is gone.
use super::namespace::OF_VMS;
use crate::plan::model::Plan;
use crate::steps::test_namespace::Gone;

pub const KIND: &str = "day6.cleanup";

pub fn step(_plan: &Plan) -> Gone {
    OF_VMS.cleanup(KIND, super::removal::KIND)
}
