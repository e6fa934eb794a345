//! The test of class replicated with fewer than three nodes.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "replicated-needs-three-nodes",
    severity: Severity::Error,
    overridable: true,
    about: "the test of class replicated with fewer than three nodes",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let count = plan.nodes.len();
    if count >= 3 {
        return Vec::new();
    }
    let wanted = plan.tests.volumes.iter().enumerate().filter(|(_, class)| *class == "replicated");
    wanted
        .map(|(i, _)| {
            let why = "the class places three replicas (autoPlace 3, CozyStack v0.37.2 hack/e2e-install-cozystack.bats): its volume would stay Pending";
            let what = format!("needs 3 nodes, the plan has {count}");
            Problem::new(format!("tests.volumes[{i}]"), what, why, "three nodes, or no `replicated` here")
        })
        .collect()
}
