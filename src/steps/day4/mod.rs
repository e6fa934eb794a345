//! Day 4, integration: storage, addresses, the root tenant's services, and the way to Proxmox VE for volumes and machines.
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
use crate::steps::addons::access;
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
        steps.extend(proxmox_role::steps(access).map(|step| Arc::new(step) as _));
        steps.push(Arc::new(proxmox_user::step(plan, access)));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::Release;
    use crate::steps::day0::tests::plan;
    use crate::steps::day3;
    use std::collections::BTreeSet;

    fn ids(steps: &Steps) -> Vec<String> {
        steps.iter().map(|s| s.outline().id.to_string()).collect()
    }

    #[test]
    fn every_step_waits_only_for_steps_that_stand_before_it_and_no_name_is_used_twice() {
        let plan = plan();
        let release = Release::embedded(&plan.cozystack.version).unwrap();
        let components = release.profile(&plan.cozystack.profile, &[], &[]).unwrap();
        for steps in [day3::steps(&plan, &components), steps(&plan)] {
            let mut before = BTreeSet::new();
            for step in &steps {
                let outline = step.outline();
                for after in &outline.after {
                    assert!(before.contains(after.as_str()), "{} waits for {after}", outline.id);
                }
                assert!(before.insert(outline.id.as_str()), "{} twice", outline.id);
                assert!(!outline.by_hand.is_empty() && !outline.title.is_empty(), "{}", outline.id);
            }
        }
    }

    #[test]
    fn what_the_plan_leaves_out_has_no_steps() {
        let mut plan = plan();
        plan.integration.csi.enabled = false;
        plan.integration.capmox.enabled = false;
        plan.cozystack.expose = vec![" ".to_string()];
        let left = ids(&steps(&plan));
        assert_eq!(left.last().map(String::as_str), Some(tenant_services::KIND));
        assert!(!left.iter().any(|id| id.contains("proxmox") || id.contains("topology")), "{left:?}");
    }
}
