//! `day6.worker_nodes`: each worker is a Ready node with the provider id of its VM, Cluster API core has found it, and the
//! CD-ROM that carried the cluster's keys is gone.
use crate::engine::step::StepId;
use crate::plan::model::Plan;
use crate::steps::workers::OF_DAY_6;
use crate::steps::workers::joined::Joining;

pub const KIND: &str = "day6.worker_nodes";

pub fn step(plan: &Plan) -> Joining {
    Joining::of(StepId::new(KIND), &OF_DAY_6, plan.workers(), |outline| {
        outline.after([StepId::new(super::worker_vms::KIND)]).momentary()
    })
}
