//! Day 9, tenancy: a tenant's Kubernetes, with a control plane by Kamaji and machines that Cluster API makes in Proxmox VE; then
//! nothing of it is left.
pub mod cleanup;
pub mod control_plane;
pub mod nodes;
pub mod removal;
pub mod tenant;
pub mod worker_vms;
pub mod workers;

use crate::engine::step::Checked;
use crate::plan::model::Plan;
use crate::steps::catalogue::Steps;
use std::sync::Arc;

pub fn steps(plan: &Plan) -> Steps {
    if plan.day_9().is_none() {
        return Steps::new();
    }
    vec![
        Arc::new(tenant::step(plan)),
        Arc::new(control_plane::step(plan)),
        Arc::new(workers::step(plan)),
        Arc::new(Checked(worker_vms::step(plan))),
        Arc::new(Checked(nodes::step(plan))),
        Arc::new(removal::step(plan)),
        Arc::new(cleanup::step(plan)),
    ]
}
