//! A token of root@pam.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule =
    Rule { id: "token-of-root", severity: Severity::Warning, overridable: true, about: "a token of root@pam", check };

fn check(plan: &Plan) -> Vec<Problem> {
    if !plan.site.token_id.starts_with("root@pam!") {
        return Vec::new();
    }
    let why = "with privilege separation off it may do everything on every node, and the run needs far less (docs/OPERATOR.md, privileges)";
    vec![Problem::new("site.token_id", "is a token of root@pam", why, "a user of its own, e.g. cozyup@pve!run")]
}
