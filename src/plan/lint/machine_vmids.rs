//! VMIDs of day 6 that the plan gives to a machine of its own, or too few or too many of them.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "machine-vmids",
    severity: Severity::Error,
    overridable: false,
    about: "a range of day 6's VMIDs that holds a template or a machine of the plan, or that is no 2 to 1000 VMIDs long",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let key = "tests.machine_vmids";
    let Some(range) = plan.tests.machine_vmids else { return Vec::new() };
    let mut problems = Vec::new();
    if !(2..=1000).contains(&range.count()) {
        let why = "capmox sometimes clones a machine twice, and whatever lies in the range is counted";
        problems.push(Problem::new(
            key,
            format!("{range} is {} VMIDs long", range.count()),
            why,
            "2 to 1000, e.g. 9500-9509",
        ));
    }
    let own =
        plan.template_vmids().chain(plan.nodes.iter().enumerate().map(|(i, n)| (format!("nodes[{i}].vmid"), n.vmid)));
    for (owner, vmid) in own.filter(|(_, vmid)| range.contains(*vmid)) {
        let why = "VMs of this range are made and removed by Cluster API";
        problems.push(Problem::new(key, format!("{range} holds {vmid}, which is {owner}"), why, "a range of its own"));
    }
    problems
}
