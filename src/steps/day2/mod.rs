//! Day 2, cluster: secrets, machine configs, how each machine gets its own, etcd once, access, nodes.
pub mod access;
pub mod apply;
pub mod boot;
pub mod bootstrap;
pub mod config;
pub mod deliver;
pub mod members;
pub mod nodes;
pub mod secrets;
pub mod seed;
mod seed_file;
pub mod withdraw;

use crate::plan::model::Plan;
use crate::steps::catalogue::Steps;
use crate::steps::day1::start;
use std::sync::Arc;

pub fn steps(plan: &Plan) -> Steps {
    let mut steps: Steps = vec![Arc::new(secrets::step(plan))];
    for node in &plan.nodes {
        steps.push(Arc::new(config::step(plan, node)));
        if plan.by_cdrom() {
            steps.push(Arc::new(seed::step(plan, node)));
            steps.push(Arc::new(start::step(plan, node)));
            steps.push(Arc::new(deliver::step(node)));
            steps.push(Arc::new(withdraw::step(plan, node)));
        } else {
            steps.push(Arc::new(apply::step(node)));
        }
        steps.push(Arc::new(boot::step(plan, node)));
    }
    steps.push(Arc::new(bootstrap::step(plan)));
    steps.push(Arc::new(members::step(plan)));
    steps.push(Arc::new(access::step(plan)));
    steps.push(Arc::new(nodes::step(plan)));
    steps
}
