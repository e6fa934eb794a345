//! A node's or a template's name that is no DNS label.
use super::{Plan, Problem, Rule, Severity};
use crate::plan::names::is_dns_label;

pub const RULE: Rule = Rule {
    id: "guest-name",
    severity: Severity::Error,
    overridable: false,
    about: "a node's or a template's name that is no DNS label",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let template = ("template.name".to_string(), plan.template.name.clone());
    let nodes = plan.nodes.iter().enumerate().map(|(i, n)| (format!("nodes[{i}].name"), n.name.clone()));
    // A host that is no label is a finding of its own, and the template's name one about all of them.
    let copies = plan.templates().into_iter().skip(1).enumerate();
    let copies =
        copies.filter(|(_, copy)| is_dns_label(&copy.host.to_ascii_lowercase()) && is_dns_label(&plan.template.name));
    let copies = copies.map(|(i, copy)| (format!("template.copies[{i}].host"), copy.name));
    let why = "Proxmox VE answers 400 `value does not look like a valid DNS name`, and Kubernetes takes lower case only (RFC 1123)";
    std::iter::once(template)
        .chain(copies)
        .chain(nodes)
        .filter(|(_, name)| !is_dns_label(name))
        .map(|(key, name)| {
            let what = format!("`{name}` is no DNS label");
            Problem::new(key, what, why, "a-z, 0-9 and dashes, 1 to 63 characters, no dash at either end")
        })
        .collect()
}
