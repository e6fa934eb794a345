//! No DNS server, or more than three.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "dns-servers",
    severity: Severity::Error,
    overridable: false,
    about: "no DNS server, or more than three",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let count = plan.network.dns.len();
    if (1..=3).contains(&count) {
        return Vec::new();
    }
    let why = "nodes pull every image by name, and resolvers ignore the fourth server on";
    vec![Problem::new("network.dns", format!("names {count} servers"), why, "one to three addresses")]
}
