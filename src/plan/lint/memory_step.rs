//! Memory that is no multiple of 8 MiB.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "memory-step",
    severity: Severity::Error,
    overridable: false,
    about: "memory that is no multiple of 8 MiB",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let odd = plan.nodes.iter().enumerate().filter(|(_, n)| !n.memory_mib.is_multiple_of(8));
    odd.map(|(i, node)| {
        let what = format!("{} MiB is no multiple of 8", node.memory_mib);
        let why = "capmox takes memoryMiB in steps of 8 (capmox v0.7.4, ProxmoxMachine), so later machines could not be alike";
        let write = format!("memory_mib: {}", node.memory_mib.div_ceil(8).saturating_mul(8));
        Problem::new(format!("nodes[{i}].memory_mib"), what, why, write)
    })
    .collect()
}
