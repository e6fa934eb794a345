//! `kept.pods`: a pod on each kept worker asks the cluster's DNS and is answered.
use crate::engine::step::StepId;
use crate::plan::model::Plan;
use crate::steps::workers::KEPT;
use crate::steps::workers::answered::Answered;

pub const KIND: &str = "kept.pods";

pub fn step(plan: &Plan, count: u32) -> Answered {
    Answered::of(StepId::new(KIND), &KEPT, plan, count, |outline| outline.after([StepId::new(super::nodes::KIND)]))
}
