//! A second template on one host, or one that no machine is cloned from.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "template-copies",
    severity: Severity::Error,
    overridable: false,
    about: "a second template on one host, or a template of a further host that no machine is cloned from",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (i, copy) in plan.template.copies.iter().enumerate() {
        let key = format!("template.copies[{i}].host");
        let before = plan.template.copies.iter().take(i).any(|other| other.host == copy.host);
        if before || copy.host == plan.template.host {
            let what = format!("{} has a template already", copy.host);
            let why = "the machines of a host are cloned from the one template that is on it";
            problems.push(Problem::new(key, what, why, "one entry per host, and none for template.host"));
        } else if !plan.nodes.iter().any(|node| node.host == copy.host) {
            let what = format!("no machine of the plan is on {}", copy.host);
            let why = "it would be made, kept and removed, and nothing would be cloned from it";
            problems.push(Problem::new(key, what, why, "the host of a machine (nodes[].host), or leave the entry out"));
        }
    }
    problems
}
