//! `day6.worker_vms`: the workers' VMs are counted in Proxmox VE: each as it was asked for, made by capmox, and no other.
use crate::engine::step::StepId;
use crate::plan::model::Plan;
use crate::steps::workers::OF_DAY_6;
use crate::steps::workers::counted::Counted;

pub const KIND: &str = "day6.worker_vms";

pub fn step(plan: &Plan) -> Counted {
    Counted::of(StepId::new(KIND), &OF_DAY_6, plan, plan.workers(), |outline| {
        outline.after([StepId::new(super::workers::KIND)]).momentary()
    })
}
