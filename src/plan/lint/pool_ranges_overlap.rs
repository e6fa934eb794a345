//! Two pool ranges that share an address.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "pool-ranges-overlap",
    severity: Severity::Error,
    overridable: false,
    about: "two pool ranges that share an address",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let ranges = &plan.network.address_pool;
    let mut problems = Vec::new();
    for (i, range) in ranges.iter().enumerate() {
        if let Some((first, other)) = ranges.iter().enumerate().take(i).find(|(_, other)| other.overlaps(range)) {
            let what = format!("{range} and {other} of address_pool[{first}] share addresses");
            let why = "MetalLB's webhook refuses overlapping ranges";
            problems.push(Problem::new(format!("network.address_pool[{i}]"), what, why, "ranges that do not touch"));
        }
    }
    problems
}
