//! A volume test on a StorageClass that the run does not make.
use super::{Plan, Problem, Rule, Severity};
use crate::plan::model::STORAGE_CLASSES;

pub const RULE: Rule = Rule {
    id: "test-volume-unknown",
    severity: Severity::Error,
    overridable: false,
    about: "a volume test on a StorageClass that the run does not make",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let unknown = plan.tests.volumes.iter().enumerate().filter(|(_, class)| !STORAGE_CLASSES.contains(&class.as_str()));
    unknown
        .map(|(i, class)| {
            let what = format!("`{class}` is no StorageClass of the run");
            let why = "day 4 makes the classes local, replicated and proxmox; a claim on another would stay Pending";
            Problem::new(format!("tests.volumes[{i}]"), what, why, "local, replicated or proxmox")
        })
        .collect()
}
