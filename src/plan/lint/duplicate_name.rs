//! A name used by two machines, or by a machine and the template.
use super::repeated;
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "duplicate-name",
    severity: Severity::Error,
    overridable: false,
    about: "a name used by two machines, or by a machine and the template",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let template = ("template.name".to_string(), plan.template.name.as_str());
    let nodes = plan.nodes.iter().enumerate().map(|(i, n)| (format!("nodes[{i}].name"), n.name.as_str()));
    repeated(std::iter::once(template).chain(nodes))
        .into_iter()
        .map(|(key, name, first)| {
            let why = "Kubernetes and etcd know a node by its name; Proxmox VE would not refuse the second VM";
            Problem::new(key, format!("`{name}` is {first} already"), why, "a name of its own")
        })
        .collect()
}
