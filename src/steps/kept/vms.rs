//! `kept.vms`: Proxmox VE shows the VMs of the kept workers by their SMBIOS uuids, and no other in the range.
use crate::engine::step::StepId;
use crate::plan::model::Plan;
use crate::steps::workers::KEPT;
use crate::steps::workers::counted::Counted;

pub const KIND: &str = "kept.vms";

pub fn step(plan: &Plan, count: u32) -> Counted {
    Counted::of(StepId::new(KIND), &KEPT, plan, count, |outline| outline.after([StepId::new(super::machines::KIND)]))
}
