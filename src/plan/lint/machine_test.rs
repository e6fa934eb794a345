//! VMs by Cluster API that are asked for by half.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "machine-test",
    severity: Severity::Error,
    overridable: false,
    about: "VMs of day 6 with VMIDs and no addresses, or with addresses and no VMIDs",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let why = "day 6 needs both to let Cluster API make a VM";
    let tests = &plan.tests;
    match (tests.machine_vmids, tests.machine_addresses) {
        (None, None) => Vec::new(),
        (Some(_), None) => {
            vec![Problem::new(
                "tests.machine_vmids",
                "there are VMIDs and no addresses",
                why,
                "set tests.machine_addresses too, or leave both out",
            )]
        }
        (None, Some(_)) => {
            vec![Problem::new(
                "tests.machine_addresses",
                "there are addresses and no VMIDs",
                why,
                "set tests.machine_vmids too, or leave both out",
            )]
        }
        // Without capmox day 6 has no steps, whatever is kept for it.
        (Some(_), Some(_)) => Vec::new(),
    }
}
