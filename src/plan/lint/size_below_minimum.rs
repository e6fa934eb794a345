//! A node below 8 cores, 24 GiB memory, 50 GiB system disk, 100 GiB data disk.
use super::{FLOOR, Plan, Problem, Rule, Severity, too_small};

pub const RULE: Rule = Rule {
    id: "size-below-minimum",
    severity: Severity::Error,
    overridable: true,
    about: "a node below 8 cores, 24 GiB memory, 50 GiB system disk, 100 GiB data disk",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let source = "CozyStack's own end-to-end test uses 8 cores, 24 GiB and 50 GB (hack/e2e-prepare-cluster.bats), its documents ask for a data disk of 100 GB";
    too_small(plan, FLOOR, [8, 24 * 1024, 50, 100], source)
}
