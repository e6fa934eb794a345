//! A VMID used twice, templates included.
use super::repeated;
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "duplicate-vmid",
    severity: Severity::Error,
    overridable: false,
    about: "a VMID used twice, templates included",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let nodes = plan.nodes.iter().enumerate().map(|(i, n)| (format!("nodes[{i}].vmid"), n.vmid));
    repeated(plan.template_vmids().chain(nodes))
        .into_iter()
        .map(|(key, vmid, first)| {
            let why = "a VMID is unique in a Proxmox VE cluster; a second clone to it would be refused";
            Problem::new(key, format!("{vmid} is {first} already"), why, "a free number, e.g. from 1001 on")
        })
        .collect()
}
