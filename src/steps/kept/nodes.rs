//! `kept.nodes`: each kept worker is a Ready node with the provider id of its VM, and no other node is of this group.
use crate::engine::step::StepId;
use crate::plan::model::Plan;
use crate::steps::workers::KEPT;
use crate::steps::workers::joined::Joining;

pub const KIND: &str = "kept.nodes";

pub fn step(_plan: &Plan, count: u32) -> Joining {
    Joining::of(StepId::new(KIND), &KEPT, count, |outline| outline.after([StepId::new(super::vms::KIND)]))
}
