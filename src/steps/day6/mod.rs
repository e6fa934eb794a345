//! Day 6, VM creation: Cluster API makes a VM, Proxmox VE shows it, and nothing of it is left.
pub mod cleanup;
pub mod lone_machines;
pub mod machine;
pub mod namespace;
pub mod removal;
pub mod vm;

use crate::plan::model::Plan;
use crate::steps::catalogue::Steps;
use std::sync::Arc;

pub fn steps(plan: &Plan) -> Steps {
    if plan.day_6().is_none() {
        return Steps::new();
    }
    vec![
        Arc::new(lone_machines::step(plan)),
        Arc::new(namespace::step(plan)),
        Arc::new(machine::step(plan)),
        Arc::new(vm::step(plan)),
        Arc::new(removal::step(plan)),
        Arc::new(cleanup::step(plan)),
    ]
}
