//! A node below 4 cores, 16 GiB memory, 32 GiB system disk.
use super::{FLOOR, Plan, Problem, Rule, Severity, too_small};

pub const RULE: Rule = Rule {
    id: "size-below-floor",
    severity: Severity::Error,
    overridable: false,
    about: "a node below 4 cores, 16 GiB memory, 32 GiB system disk",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let source = "CozyStack's smallest documented lab node has 4 cores, 16 GiB and 32 GB (v0.37, hardware requirements); below it the platform does not come up";
    too_small(plan, [0; 4], FLOOR, source)
}
