//! A data disk of 100 to 255 GiB.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "data-disk-below-recommended",
    severity: Severity::Warning,
    overridable: true,
    about: "a data disk of 100 to 255 GiB",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let small = plan.nodes.iter().enumerate().filter(|(_, n)| (100..256).contains(&n.data_disk_gib));
    small
        .map(|(i, node)| {
            let what = format!("{} GiB; 256 are recommended", node.data_disk_gib);
            let why = "monitoring and logs alone fill a small pool, and every replicated volume is stored three times (CozyStack, hardware requirements)";
            Problem::new(format!("nodes[{i}].data_disk_gib"), what, why, "data_disk_gib: 256")
        })
        .collect()
}
