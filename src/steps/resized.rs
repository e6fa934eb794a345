//! A machine that is there in another size than the plan's. Nothing is changed in place once it carries a part of a cluster.
use super::day3::installer;
use super::site::Reading;
use crate::engine::failure::Failure;
use crate::engine::step::StepId;
use crate::plan::model::NodePlan;

/// The failure that names both sizes (`differences`) and the way from one to the other; `before` is what can be done while
/// there is no cluster.
pub fn failure(site: &Reading, node: &NodePlan, differences: &str, before: String) -> Failure {
    of(site.made(&StepId::new(installer::KIND)), node, differences, before)
}

fn of(has_cluster: bool, node: &NodePlan, differences: &str, before: String) -> Failure {
    let what = format!("vm {} ({}) is there with other values than the plan's: {differences}", node.vmid, node.name);
    let next = match has_cluster {
        true => format!(
            "to replace it by one of the plan's size: cozyup teardown PLAN --node {}, then cozyup run PLAN, one machine at a \
             time; or give the plan the values that the VM has",
            node.name
        ),
        false => before,
    };
    Failure::person(what, next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::day0::tests::plan;

    #[test]
    fn a_machine_of_a_cluster_is_replaced_and_one_that_carries_nothing_yet_is_set() {
        let plan = plan();
        let failure = |has_cluster| of(has_cluster, &plan.nodes[1], "cores is 8 instead of 12", "set it".into());
        let replaced = failure(true);
        assert!(replaced.what.contains("vm 1002 (cp2)") && replaced.what.contains("8 instead of 12"), "{replaced:?}");
        assert!(replaced.next.contains("cozyup teardown PLAN --node cp2, then cozyup run PLAN"), "{replaced:?}");
        assert_eq!(failure(false).next, "set it");
    }
}
