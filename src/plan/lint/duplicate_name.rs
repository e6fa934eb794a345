//! A name used by two machines, or by a machine and a template.
use super::repeated;
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "duplicate-name",
    severity: Severity::Error,
    overridable: false,
    about: "a name used by two machines, or by a machine and a template",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let template = ("template.name".to_string(), plan.template.name.clone());
    let copies = plan.templates().into_iter().skip(1).enumerate();
    // Two on one host are a finding of their own.
    let is_first = |i: usize, host: &str| plan.template.copies.iter().position(|copy| copy.host == host) == Some(i);
    let copies = copies
        .filter(|(i, copy)| is_first(*i, &copy.host))
        .map(|(i, copy)| (format!("template.copies[{i}].host"), copy.name));
    let nodes = plan.nodes.iter().enumerate().map(|(i, n)| (format!("nodes[{i}].name"), n.name.clone()));
    repeated(std::iter::once(template).chain(copies).chain(nodes))
        .into_iter()
        .map(|(key, name, first)| {
            let why = "Kubernetes and etcd know a node by its name; Proxmox VE would not refuse the second VM";
            Problem::new(key, format!("`{name}` is {first} already"), why, "a name of its own")
        })
        .collect()
}
