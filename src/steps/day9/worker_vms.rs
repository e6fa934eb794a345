//! `day9.worker_vms`: the VMs of the tenant's machines are counted in Proxmox VE: each as it was asked for, made by capmox, and no
//! other.
use crate::engine::step::StepId;
use crate::plan::model::Plan;
use crate::steps::workers::OF_A_TENANT;
use crate::steps::workers::counted::Counted;

pub const KIND: &str = "day9.worker_vms";

pub fn step(plan: &Plan) -> Counted {
    Counted::of(StepId::new(KIND), &OF_A_TENANT, plan, plan.tenant_workers(), |outline| {
        outline.after([StepId::new(super::workers::KIND)]).momentary()
    })
}
