//! Cdi-uploadproxy or vm-exportproxy exposed without KubeVirt.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "expose-without-kubevirt",
    severity: Severity::Error,
    overridable: false,
    about: "cdi-uploadproxy or vm-exportproxy exposed without KubeVirt",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let of_profile = super::release_of(plan).written_for(&plan.cozystack.profile).map(|(_, disabled)| disabled);
    let without = of_profile.into_iter().flatten().chain(&plan.cozystack.disable).any(|name| name == "kubevirt");
    let names = plan.cozystack.expose.iter().enumerate();
    names
        .filter(|(_, name)| without && ["cdi-uploadproxy", "vm-exportproxy"].contains(&name.as_str()))
        .map(|(i, name)| {
            let why = "it belongs to KubeVirt, which this profile leaves out: its ingress would have no backend";
            Problem::new(
                format!("cozystack.expose[{i}]"),
                format!("`{name}` will not exist"),
                why,
                "expose: [api, dashboard], or profile: hybrid",
            )
        })
        .collect()
}
