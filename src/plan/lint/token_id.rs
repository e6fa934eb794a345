//! A token id that is not user@realm!name.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "token-id",
    severity: Severity::Error,
    overridable: false,
    about: "a token id that is not user@realm!name",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let id = plan.site.token_id.as_str();
    let word = |text: &str, more: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    let parts =
        id.split_once('!').and_then(|(user, name)| user.rsplit_once('@').map(|(user, realm)| (user, realm, name)));
    if parts.is_some_and(|(user, realm, name)| word(user, "-_.@+") && word(realm, "-_.") && word(name, "-_.")) {
        return Vec::new();
    }
    // What follows a `=` is the secret, pasted along from a header: it must not be repeated.
    let what = if id.contains('=') {
        "carries more than the id, perhaps the secret".to_string()
    } else {
        format!("`{id}` is no token id")
    };
    let why = "Proxmox VE names a token user@realm!name; its secret belongs in token_file";
    vec![Problem::new("site.token_id", what, why, "user@realm!name, e.g. cozyup@pve!run")]
}
