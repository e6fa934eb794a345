//! Day 2, cluster: secrets, machine configs, how each machine gets its own, etcd once, access, nodes.
pub mod access;
pub mod apply;
pub mod boot;
pub mod bootstrap;
pub mod config;
pub mod deliver;
pub mod disks;
pub mod members;
pub mod nodes;
pub mod secrets;
pub mod seed;
pub mod withdraw;

use crate::engine::step::Checked;
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
            steps.push(Arc::new(Checked(deliver::step(node))));
            steps.push(Arc::new(withdraw::step(plan, node)));
        } else {
            steps.push(Arc::new(apply::step(node)));
        }
        steps.push(Arc::new(Checked(boot::step(plan, node))));
    }
    steps.push(Arc::new(bootstrap::step(plan)));
    steps.push(Arc::new(Checked(members::step(plan))));
    steps.push(Arc::new(access::step(plan)));
    steps.push(Arc::new(Checked(nodes::step(plan))));
    steps.push(Arc::new(Checked(disks::step(plan))));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::step::StepId;
    use crate::plan::defaults::{Defaults, plan};
    use crate::plan::model::{Delivery, Role};
    use std::collections::BTreeSet;

    /// talos.md 1: a worker's API opens only when a bootstrapped control plane holds the VIP. A bootstrap that waited for a
    /// worker would wait for ever.
    #[test]
    fn the_bootstrap_waits_for_no_worker() {
        for (delivery, kind) in [(Delivery::Apply, apply::KIND), (Delivery::Cdrom, deliver::KIND)] {
            let mut plan = plan(&Defaults::default());
            plan.talos.delivery = delivery;
            let Some(last) = plan.nodes.last_mut() else { panic!("a plan without nodes") };
            last.role = Role::Worker;
            let worker = last.name.clone();
            let steps = steps(&plan);
            assert!(steps.iter().any(|s| s.outline().id == StepId::of(kind, &worker)));
            waits_for_no(&steps, &worker);
        }
    }

    fn waits_for_no(steps: &Steps, worker: &str) {
        let mut before = BTreeSet::from([StepId::new(bootstrap::KIND)]);
        loop {
            let more: Vec<StepId> = steps
                .iter()
                .filter(|s| before.contains(&s.outline().id))
                .flat_map(|s| s.outline().after.clone())
                .filter(|id| !before.contains(id))
                .collect();
            if more.is_empty() {
                break;
            }
            before.extend(more);
        }
        assert!(before.len() > 3, "{before:?}");
        assert!(before.iter().all(|id| !id.to_string().ends_with(&format!("/{worker}"))), "{before:?}");
    }
}
