//! `kept.cleanup`: the namespace of the kept workers is gone.
use super::namespace::OF_KEPT;
use crate::plan::model::Plan;
use crate::steps::test_namespace::Gone;

pub const KIND: &str = "kept.cleanup";

pub fn step(_plan: &Plan) -> Gone {
    OF_KEPT.cleanup(KIND, super::removal::KIND)
}
