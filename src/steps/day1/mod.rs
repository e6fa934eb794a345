//! Day 1, machines: image, template, clones, sizes, addresses, disks, start, reached.
pub mod clone;
pub mod configure;
pub mod data_disk;
pub mod fetch;
pub mod image;
pub mod reach;
pub mod resize;
pub mod start;
pub mod template;
pub mod template_vm;

use crate::engine::step::StepId;
use crate::plan::model::{Plan, Template};
use crate::steps::catalogue::Steps;
use std::sync::Arc;

/// `day1.template_vm`, and `day1.template_vm/HOST` for the template of a further host.
pub fn of_template(kind: &str, template: &Template) -> StepId {
    if template.is_copy { StepId::of(kind, &template.host) } else { StepId::new(kind) }
}

pub fn steps(plan: &Plan) -> Steps {
    let mut steps: Steps = vec![Arc::new(fetch::step(plan))];
    for template in plan.templates() {
        if template.has_own_image {
            steps.push(Arc::new(image::step(plan, &template)));
        }
        steps.push(Arc::new(template_vm::step(plan, &template)));
        steps.push(Arc::new(template::step(&template)));
    }
    for node in &plan.nodes {
        steps.push(Arc::new(clone::step(plan, node)));
        steps.push(Arc::new(configure::step(plan, node)));
        steps.push(Arc::new(resize::step(node)));
        steps.push(Arc::new(data_disk::step(plan, node)));
        // By CD-ROM a machine starts only on day 2, with its config in a drive, and is never in maintenance mode.
        if !plan.by_cdrom() {
            steps.push(Arc::new(start::step(plan, node)));
            steps.push(Arc::new(reach::step(node)));
        }
    }
    steps
}
