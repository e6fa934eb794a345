//! `day6.worker_pods`: a pod on each worker asks the cluster's DNS and is answered, and its log comes back through the node.
use crate::engine::step::StepId;
use crate::plan::model::Plan;
use crate::steps::workers::OF_DAY_6;
use crate::steps::workers::answered::Answered;

pub const KIND: &str = "day6.worker_pods";

pub fn step(plan: &Plan) -> Answered {
    Answered::of(StepId::new(KIND), &OF_DAY_6, plan, plan.workers(), |outline| {
        outline.after([StepId::new(super::worker_nodes::KIND)]).momentary()
    })
}
