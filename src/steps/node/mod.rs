//! One machine of the plan is taken out of the cluster and removed, and the cluster stays whole: nothing of it is begun
//! that the cluster could not bear, and each part is proven before the next (docs/adr/017).
pub mod back;
pub mod bearing;
pub mod drain;
pub mod etcd;
pub mod object;
pub mod rest;
pub mod storage;

use super::catalogue::Steps;
use super::day1::{self, clone, image, start, template, template_vm};
use super::day2;
use crate::engine::step::{Checked, Step, StepId};
use crate::engine::undo::{Undoing, undo_id, undoing};
use crate::plan::model::{NodePlan, Plan, Role};
use crate::steps::site::Installation;
use std::sync::Arc;

/// The steps after which there is nothing of the machine, in the order in which they may begin.
pub fn steps(plan: &Plan, node: &NodePlan) -> Steps {
    let id = |kind: &str| StepId::of(kind, &node.name);
    let mut steps: Steps =
        vec![Arc::new(Checked(bearing::step(node))), Arc::new(drain::step(node, [id(bearing::KIND)]))];
    let mut last = id(drain::KIND);
    if node.role == Role::ControlPlane {
        steps.push(Arc::new(etcd::step(node, [last])));
        last = id(etcd::KIND);
    }
    let stopped = undo_id(&id(start::KIND));
    let destroyed = undo_id(&id(clone::KIND));
    let mut removals = of_machine(plan, node);
    for removal in &mut removals {
        let outline = &mut removal.outline;
        // Everything that is not the VM itself goes when the VM is gone.
        let after = match &outline.id {
            id if *id == stopped => last.clone(),
            id if *id == destroyed => StepId::of(storage::KIND, &node.name),
            _ => destroyed.clone(),
        };
        outline.after = vec![after];
    }
    let all: Vec<StepId> = removals.iter().map(|removal| removal.outline.id.clone()).collect();
    let (stop, others): (Vec<_>, Vec<_>) = removals.into_iter().partition(|removal| removal.outline.id == stopped);
    steps.extend(stop.into_iter().map(|removal| Arc::new(removal) as Arc<dyn Step<Installation>>));
    // A kubelet that starts anew registers its node again, so the machine is off before.
    steps.push(Arc::new(object::step(node, [stopped])));
    steps.push(Arc::new(Checked(storage::step(node, [id(object::KIND)]))));
    steps.extend(others.into_iter().map(|removal| Arc::new(removal) as Arc<dyn Step<Installation>>));
    steps.push(Arc::new(Checked(rest::step(node, all))));
    steps
}

/// The removals of what days 1 and 2 made of this machine alone: the VM, its CD-ROM and its config on the jump host.
fn of_machine(plan: &Plan, node: &NodePlan) -> Vec<Undoing<Installation>> {
    let days = day1::steps(plan).into_iter().chain(day2::steps(plan));
    let of_it = |step: &Arc<dyn Step<Installation>>| {
        let id = &step.outline().id;
        // A host, whose template these are about, may have a machine's name.
        let is_of_a_host = [image::KIND, template_vm::KIND, template::KIND].contains(&id.kind());
        id.subject() == Some(&node.name) && !is_of_a_host
    };
    let mut removals = undoing(&days.filter(of_it).collect::<Steps>());
    removals.sort_by_key(|removal| removal.outline.id.kind() != format!("undo.{}", start::KIND));
    removals.sort_by_key(Undoing::is_local);
    removals
}

/// The step after which a machine whose removal was given up takes pods again.
pub fn made_good(node: &NodePlan) -> Arc<dyn Step<Installation>> {
    Arc::new(back::step(node))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::day::Day;
    use crate::steps::day0::tests::plan;
    use std::collections::BTreeSet;

    fn ids(plan: &Plan, name: &str) -> Vec<String> {
        let node = plan.nodes.iter().find(|node| node.name == name).unwrap();
        steps(plan, node).iter().map(|step| step.outline().id.to_string()).collect()
    }

    #[test]
    fn a_control_plane_leaves_etcd_before_its_vm_is_stopped_and_the_disks_go_last() {
        let ids = ids(&plan(), "cp2");
        let at = |id: &str| ids.iter().position(|other| other == id).unwrap_or_else(|| panic!("no {id} in {ids:?}"));
        let order = [
            "node.bearing/cp2",
            "node.drain/cp2",
            "node.etcd/cp2",
            "undo.day1.start/cp2",
            "node.object/cp2",
            "node.storage/cp2",
            "undo.day1.clone/cp2",
            "node.rest/cp2",
        ];
        assert!(order.windows(2).all(|pair| at(pair[0]) < at(pair[1])), "{ids:?}");
        assert!(ids.iter().all(|id| id.ends_with("/cp2")), "something else goes with it: {ids:?}");
    }

    #[test]
    fn every_step_waits_for_one_before_it_and_a_worker_has_no_etcd() {
        let mut plan = plan();
        plan.nodes[2].role = Role::Worker;
        let name = plan.nodes[2].name.clone();
        let steps = steps(&plan, &plan.nodes[2]);
        let mut before = BTreeSet::new();
        for step in &steps {
            let outline = step.outline();
            assert!(outline.after.iter().all(|id| before.contains(id)), "{outline:?}");
            assert_eq!(outline.day, Day::Teardown);
            before.insert(outline.id.clone());
        }
        assert!(!before.contains(&StepId::of(etcd::KIND, &name)) && steps.len() >= 7);
    }
}
