//! Cdi-uploadproxy or vm-exportproxy exposed without KubeVirt.
use super::{Plan, Problem, Rule, Severity};
use crate::plan::release::PROFILE_WITHOUT_KUBEVIRT;

pub const RULE: Rule = Rule {
    id: "expose-without-kubevirt",
    severity: Severity::Error,
    overridable: false,
    about: "cdi-uploadproxy or vm-exportproxy exposed without KubeVirt",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let without =
        plan.cozystack.profile == PROFILE_WITHOUT_KUBEVIRT || plan.cozystack.disable.iter().any(|c| c == "kubevirt");
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
