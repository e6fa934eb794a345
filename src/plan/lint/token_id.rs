//! A token id that is not user@realm!name.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "token-id",
    severity: Severity::Error,
    overridable: false,
    about: "a token id that is not user@realm!name",
    check,
};

/// Longest user name with its realm (pve-access-control, `verify_username`).
const LONGEST: usize = 64;

fn check(plan: &Plan) -> Vec<Problem> {
    let id = plan.site.token_id.as_str();
    let Some(wrong) = wrong(id) else { return Vec::new() };
    // The text behind a `=` is the secret, pasted along from a header: it must not be repeated.
    let what = if id.contains('=') {
        "carries more than the id, perhaps the secret".to_string()
    } else {
        format!("`{id}` is no token id: {wrong}")
    };
    let why = "Proxmox VE names a token user@realm!name; its secret belongs in token_file";
    vec![Problem::new("site.token_id", what, why, "user@realm!name, e.g. cozyup@pve!run")]
}

/// Describes what is wrong with it. Proxmox VE forbids only spaces, `:` and `/` in a user's name: names of an Active
/// Directory have umlauts and backslashes.
fn wrong(id: &str) -> Option<String> {
    if id.contains('=') {
        return Some("it holds `=`".to_string());
    }
    let Some((user, name)) = id.rsplit_once('!') else {
        return Some("no `!` stands before the token's name".to_string());
    };
    let Some((user, realm)) = user.rsplit_once('@') else { return Some("no `@` stands before the realm".to_string()) };
    for (part, what) in [(user, "user"), (realm, "realm"), (name, "token")] {
        if part.is_empty() {
            return Some(format!("it names no {what}"));
        }
    }
    let forbidden = |c: &char| c.is_whitespace() || c.is_control() || [':', '/'].contains(c);
    if let Some(c) = user.chars().find(forbidden) {
        return Some(format!("a user's name holds no {}", named(c)));
    }
    for (part, what) in [(realm, "realm"), (name, "token")] {
        if let Some(c) = part.chars().find(|c| !c.is_ascii_alphanumeric() && !"-_.".contains(*c)) {
            return Some(format!("the name of a {what} holds no {}", named(c)));
        }
    }
    let length = user.chars().count() + 1 + realm.len();
    (length > LONGEST).then(|| format!("user and realm have {length} characters, and Proxmox VE takes {LONGEST}"))
}

fn named(c: char) -> String {
    match c {
        ' ' => "space".to_string(),
        c if c.is_whitespace() || c.is_control() => format!("{}", c.escape_unicode()),
        c => format!("`{c}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// reports.md B22
    #[test]
    fn names_of_any_directory_are_taken_and_the_wrong_character_is_named() {
        for good in ["cozyup@pve!run", "müller@ad!cozy", "CORP\\svc@ad!cozy", "a.b+c@x@ad!cozy", "what!@ad!cozy"] {
            assert_eq!(wrong(good), None, "{good}");
        }
        let long = format!("{}@pve!run", "a".repeat(64));
        for (id, said) in [
            ("cozyup!run", "no `@`"),
            ("cozyup@pve", "no `!`"),
            ("@pve!run", "names no user"),
            ("a b@pve!run", "holds no space"),
            ("a:b@pve!run", "holds no `:`"),
            ("corp/svc@pve!run", "holds no `/`"),
            ("a@p ve!run", "a realm holds no space"),
            ("a@pve!rün", "a token holds no `ü`"),
            ("a@pve!run=1-2", "holds `=`"),
            (long.as_str(), "takes 64"),
        ] {
            let wrong = wrong(id).unwrap();
            assert!(wrong.contains(said), "{id}: {wrong}");
        }
    }
}
