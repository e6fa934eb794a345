//! A relative token file, found from another folder or committed by mistake.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "token-file-relative",
    severity: Severity::Warning,
    overridable: true,
    about: "a relative token file, found from another folder or committed by mistake",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let file = plan.site.token_file.as_str();
    if file.starts_with('/') || file.starts_with("~/") {
        return Vec::new();
    }
    let why = "it counts from the folder in which cozyup starts, and a secret beside the plan is soon in a repository";
    vec![Problem::new("site.token_file", format!("`{file}` is a relative path"), why, "~/.config/cozyup/proxmox.token")]
}
