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
    let nodes = plan.nodes.iter().enumerate().map(|(i, n)| (format!("nodes[{i}].memory_mib"), n.memory_mib));
    let workers = ("tests.worker_memory_mib".to_string(), plan.tests.worker_memory_mib);
    let odd = nodes.chain([workers]).filter(|(_, memory)| !memory.is_multiple_of(8));
    odd.map(|(key, memory)| {
        let what = format!("{memory} MiB is no multiple of 8");
        let why = "capmox takes memoryMiB in steps of 8 (capmox v0.7.4, ProxmoxMachine), so later machines could not be alike";
        let name = key.rsplit('.').next().unwrap_or_default().to_string();
        Problem::new(key, what, why, format!("{name}: {}", memory.div_ceil(8).saturating_mul(8)))
    })
    .collect()
}
