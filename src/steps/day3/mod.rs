//! Day 3, platform: settings, installer, and what it brings up: releases in waves, nodes, API, version, root tenant.
pub mod api_services;
pub mod installer;
pub mod networks;
pub mod nodes_ready;
pub mod releases;
pub mod root_tenant;
pub mod settings;
pub mod version;

use crate::engine::step::Checked;
use crate::plan::model::Plan;
use crate::release::{Component, waves};
use crate::steps::catalogue::Steps;
use std::sync::Arc;

pub fn steps(plan: &Plan, components: &[Component]) -> Steps {
    let mut steps: Steps = vec![Arc::new(settings::step(plan)), Arc::new(installer::step(plan))];
    for (number, names) in (1..).zip(waves(components)) {
        steps.push(Arc::new(Checked(releases::step(number, &names, components))));
    }
    steps.push(Arc::new(Checked(networks::step())));
    steps.push(Arc::new(Checked(nodes_ready::step(plan))));
    steps.push(Arc::new(Checked(api_services::step())));
    steps.push(Arc::new(Checked(version::step(plan))));
    steps.push(Arc::new(Checked(root_tenant::step())));
    steps
}
