//! Day 6, VM creation: Cluster API makes a VM, Proxmox VE shows it, and nothing of it is left; then workers that join the
//! cluster.
pub mod cleanup;
pub mod lone_machines;
pub mod machine;
pub mod namespace;
pub mod removal;
pub mod vm;
pub mod worker_cleanup;
pub mod worker_namespace;
pub mod worker_nodes;
pub mod worker_pods;
pub mod worker_removal;
pub mod worker_scaling;
pub mod worker_vms;
pub mod workers;

use crate::engine::step::Checked;
use crate::plan::model::Plan;
use crate::steps::catalogue::Steps;
use std::sync::Arc;

pub fn steps(plan: &Plan) -> Steps {
    if plan.day_6().is_none() {
        return Steps::new();
    }
    let mut steps: Steps = vec![
        Arc::new(Checked(lone_machines::step(plan))),
        Arc::new(namespace::step(plan)),
        Arc::new(machine::step(plan)),
        Arc::new(Checked(vm::step(plan))),
        Arc::new(removal::step(plan)),
        Arc::new(cleanup::step(plan)),
    ];
    if plan.workers() > 0 {
        steps.push(Arc::new(worker_namespace::step(plan)));
        steps.push(Arc::new(workers::step(plan)));
        steps.push(Arc::new(Checked(worker_vms::step(plan))));
        steps.push(Arc::new(worker_nodes::step(plan)));
        steps.push(Arc::new(worker_pods::step(plan)));
        steps.push(Arc::new(worker_scaling::step(plan)));
        steps.push(Arc::new(worker_removal::step(plan)));
        steps.push(Arc::new(worker_cleanup::step(plan)));
    }
    steps
}
