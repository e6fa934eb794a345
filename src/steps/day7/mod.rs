//! Day 7, storage: a volume of each class as both systems have it, larger, moved with its pod to another node, and restored from a
//! snapshot; a machine off and on again; then nothing of them is left.
pub mod cleanup;
pub mod drill_off;
pub mod drill_on;
pub mod growth;
pub mod moved;
pub mod namespace;
pub mod snapshot;
pub mod volume;

use crate::engine::step::{Step, StepId};
use crate::plan::model::Plan;
use crate::steps::catalogue::Steps;
use crate::steps::site::Installation;
use crate::steps::volumes;
use std::sync::Arc;

pub fn steps(plan: &Plan) -> Steps {
    let (classes, drills) = (plan.day_7(), plan.drills());
    if classes.is_empty() && drills.is_empty() {
        return Steps::new();
    }
    let mut steps: Steps = vec![Arc::new(namespace::step(plan))];
    let mut tests: Vec<Arc<dyn Step<Installation>>> = Vec::new();
    for class in classes {
        let Some(node) = volumes::first_node(plan, class) else { continue };
        tests.push(Arc::new(volume::step(plan, class, node)));
        tests.push(Arc::new(growth::step(plan, class, node)));
        if class != volumes::PROXMOX {
            tests.push(Arc::new(snapshot::step(plan, class, node)));
        }
        if let Some(route) = volumes::route(plan, class) {
            tests.push(Arc::new(moved::step(plan, class, route)));
        }
    }
    let ids = |tests: &[Arc<dyn Step<Installation>>]| tests.iter().map(|step| step.outline().id.clone()).collect();
    // One machine after the other, when nothing else is under way any more.
    for node in drills {
        let after: Vec<StepId> = if tests.is_empty() { vec![StepId::new(namespace::KIND)] } else { ids(&tests) };
        tests.push(Arc::new(drill_off::step(plan, node, after)));
        tests.push(Arc::new(drill_on::step(plan, node)));
    }
    let made: Vec<StepId> = ids(&tests);
    steps.append(&mut tests);
    steps.push(Arc::new(cleanup::step(plan, made)));
    steps
}
