//! Day 5, validation: the cluster as it stands, then real pods, volumes, addresses and names, and nothing left of them.
pub mod cleanup;
pub mod dns;
pub mod ingress;
pub mod load_balancer;
pub mod names;
pub mod namespace;
pub mod nodes;
pub mod pod;
pub mod pods;
pub mod releases;
pub mod volume;

use crate::engine::step::{Checked, Step, StepId};
use crate::plan::model::Plan;
use crate::steps::catalogue::Steps;
use crate::steps::site::Installation;
use std::sync::Arc;

pub fn steps(plan: &Plan) -> Steps {
    let tests = &plan.tests;
    let mut steps: Steps = vec![
        Arc::new(Checked(nodes::step(plan))),
        Arc::new(Checked(releases::step(plan))),
        Arc::new(Checked(pods::step(plan))),
    ];
    let mut in_namespace: Vec<Arc<dyn Step<Installation>>> = Vec::new();
    if tests.pod {
        in_namespace.push(Arc::new(pod::step(plan)));
    }
    for class in &tests.volumes {
        in_namespace.push(Arc::new(volume::step(plan, class)));
    }
    if tests.load_balancer {
        in_namespace.push(Arc::new(load_balancer::step(plan)));
    }
    if tests.dns {
        in_namespace.push(Arc::new(dns::step(plan)));
    }
    if tests.ingress {
        steps.push(Arc::new(Checked(ingress::step(plan))));
        steps.push(Arc::new(Checked(names::step(plan))));
    }
    if !in_namespace.is_empty() {
        steps.push(Arc::new(namespace::step(plan)));
        let made: Vec<StepId> = in_namespace.iter().map(|s| s.outline().id.clone()).collect();
        steps.append(&mut in_namespace);
        steps.push(Arc::new(cleanup::step(plan, made)));
    }
    steps
}
