//! Day 4, integration: storage, addresses, the root tenant's services, and the way to Proxmox VE for volumes and machines.
pub mod access;
pub mod address_pool;
pub mod capmox;
pub mod csi;
pub mod expose;
pub mod linstor_pools;
pub mod proxmox_role;
pub mod proxmox_token;
pub mod proxmox_user;
pub mod storage_classes;
pub mod tenant_services;
pub mod topology_labels;

use crate::plan::model::Plan;
use crate::steps::catalogue::Steps;
use std::sync::Arc;

pub fn steps(plan: &Plan) -> Steps {
    let mut steps: Steps = vec![
        Arc::new(linstor_pools::step(plan)),
        Arc::new(storage_classes::step(plan)),
        Arc::new(address_pool::step(plan)),
        Arc::new(tenant_services::step(plan)),
    ];
    if let Some(expose) = expose::step(plan) {
        steps.push(Arc::new(expose));
    }
    for access in access::of(plan) {
        steps.push(Arc::new(proxmox_role::step(access)));
        steps.push(Arc::new(proxmox_user::step(access)));
        steps.push(Arc::new(proxmox_token::step(access)));
    }
    if plan.integration.csi.enabled {
        steps.push(Arc::new(topology_labels::step(plan)));
        steps.push(Arc::new(csi::step(plan)));
    }
    if plan.integration.capmox.enabled {
        steps.push(Arc::new(capmox::step(plan)));
    }
    steps
}
