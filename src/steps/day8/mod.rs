//! Day 8, tenancy: two tenants by CozyStack's own API, kept apart, limited, reached under a host, with a database; then nothing of
//! them is left.
pub mod cleanup;
pub mod ingress;
pub mod isolation;
pub mod postgres;
pub mod quota;
pub mod row;
pub mod tenant;
pub mod web;

use crate::engine::step::{Step, StepId};
use crate::plan::model::Plan;
use crate::steps::catalogue::Steps;
use crate::steps::site::Installation;
use crate::steps::tenancy;
use std::sync::Arc;

pub fn steps(plan: &Plan) -> Steps {
    if !plan.day_8() {
        return Steps::new();
    }
    let mut steps: Vec<Arc<dyn Step<Installation>>> = Vec::new();
    for tenant in tenancy::ALL {
        steps.push(Arc::new(tenant::step(plan, tenant)));
        steps.push(Arc::new(web::step(plan, tenant)));
    }
    for tenant in tenancy::ALL {
        steps.push(Arc::new(isolation::step(plan, tenant)));
    }
    steps.push(Arc::new(quota::step(plan)));
    steps.push(Arc::new(ingress::step(plan)));
    if plan.database() {
        steps.push(Arc::new(postgres::step(plan)));
        steps.push(Arc::new(row::step(plan)));
    }
    let made: Vec<StepId> = steps.iter().map(|step| step.outline().id.clone()).collect();
    steps.push(Arc::new(cleanup::step(plan, made)));
    steps
}
