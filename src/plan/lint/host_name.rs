//! A Proxmox node name that is no DNS label.
use super::{Plan, Problem, Rule, Severity};
use crate::plan::names::is_dns_label;

pub const RULE: Rule = Rule {
    id: "host-name",
    severity: Severity::Error,
    overridable: false,
    about: "a Proxmox node name that is no DNS label",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let label = |name: &str| is_dns_label(&name.to_ascii_lowercase());
    let template = ("template.host".to_string(), &plan.template.host);
    let nodes = plan.nodes.iter().enumerate().map(|(i, n)| (format!("nodes[{i}].host"), &n.host));
    let copies = plan.template.copies.iter().enumerate();
    let copies = copies.map(|(i, copy)| (format!("template.copies[{i}].host"), &copy.host));
    std::iter::once(template)
        .chain(copies)
        .chain(nodes)
        .filter(|(_, host)| !label(host))
        .map(|(key, host)| {
            let why = "Proxmox VE knows a node by its short name, without the domain";
            Problem::new(
                key,
                format!("`{host}` is no Proxmox node name"),
                why,
                "the name that `pvecm nodes` or the GUI's tree shows",
            )
        })
        .collect()
}
