//! From an HTTP status that is no success to an [`Error`].
//!
//! Since libpve-http-server-perl 5.2.0 (PVE 8.4) the message is in the body; before it was only the reason phrase of
//! the status line, as it still is where pveproxy itself answers (401, 595, 596).
use super::error::Error;
use crate::base::text::{clean, shorten};
use serde_json::Value;
use std::collections::BTreeMap;

const TEXT_LIMIT: usize = 1000;

/// `reason` is the status line's, when it is not the canonical one; `canonical` what HTTP calls the status.
pub(super) fn refusal(status: u16, reason: Option<&str>, canonical: &str, body: &str) -> Error {
    let json: Option<Value> = serde_json::from_str(body).ok();
    let errors = json.as_ref().map(errors_of).unwrap_or_default();
    let text = text_of(json.as_ref(), reason, canonical, body);
    match status {
        401 => Error::Unauthorized { text },
        403 => forbidden(text),
        400 if !errors.is_empty() => parameters(errors),
        429 | 502..=504 | 595..=599 => Error::Busy { status: Some(status), text: format!("{text} ({status})") },
        // The API itself knows no such answer: what is missing it tells with a 400 or a 500.
        404 => Error::Answer { text: format!("{text} (404), which Proxmox VE itself never answers") },
        _ => by_text(status, text),
    }
}

/// With object and privilege where the text names them.
pub(super) fn forbidden(text: String) -> Error {
    let (path, privilege) = missing_right(&text);
    Error::Forbidden { text, path, privilege }
}

fn by_text(status: u16, text: String) -> Error {
    if text.contains("already exists") {
        Error::Exists { text }
    } else if names_a_lock(&text) {
        Error::Locked { text }
    } else if text.contains("no quorum") {
        Error::Busy { status: Some(status), text }
    } else if names_nothing_there(&text) {
        Error::NotFound { text }
    } else {
        Error::Server { status, text }
    }
}

fn parameters(errors: BTreeMap<String, String>) -> Error {
    if let (1, Some((name, text))) = (errors.len(), errors.iter().next()) {
        if name == "upid" && text.contains("no such task") {
            return Error::NoSuchTask;
        }
        if text.contains("already exists") {
            return Error::Exists { text: text.clone() };
        }
        if text.starts_with("No such ") {
            return Error::NotFound { text: text.clone() };
        }
    }
    Error::Parameters { errors }
}

/// True for the texts of flock, cfs-lock and `lock:` in a VM's configuration, in answers and in task ends alike.
pub(super) fn names_a_lock(text: &str) -> bool {
    ["VM is locked", "CT is locked", "can't lock file", "cfs-lock", "got timeout", "got lock request timeout"]
        .iter()
        .any(|t| text.contains(t))
}

fn names_nothing_there(text: &str) -> bool {
    [
        "does not exist",
        "unable to find configuration file",
        "no such user",
        "no such token",
        "no such role",
        "no such cluster node",
        "hostname lookup '",
    ]
    .iter()
    .any(|t| text.contains(t))
}

fn errors_of(json: &Value) -> BTreeMap<String, String> {
    let Some(Value::Object(errors)) = json.get("errors") else { return BTreeMap::new() };
    errors
        .iter()
        .map(|(name, text)| {
            let text = text.as_str().map_or_else(|| text.to_string(), str::to_string);
            (clean(name), shorten(&clean(&text), TEXT_LIMIT))
        })
        .collect()
}

fn text_of(json: Option<&Value>, reason: Option<&str>, canonical: &str, body: &str) -> String {
    let message = json.and_then(|j| j.get("message")).and_then(Value::as_str);
    let plain = (json.is_none() && !body.trim_start().starts_with('<')).then_some(body);
    let text = [message, reason, plain, Some(canonical)].into_iter().flatten().map(clean).find(|t| !t.is_empty());
    shorten(&text.unwrap_or_default(), TEXT_LIMIT)
}

/// `Permission check failed (/vms/101, VM.Config.Disk)` names the object and the privilege; other forms name neither.
fn missing_right(text: &str) -> (Option<String>, Option<String>) {
    let inside = text.split_once("Permission check failed (").and_then(|(_, rest)| rest.rsplit_once(')'));
    match inside.and_then(|(inside, _)| inside.split_once(", ")) {
        Some((path, privilege)) if path.starts_with('/') => {
            let privilege = privilege.split_whitespace().next().unwrap_or_default();
            (Some(path.to_string()), (!privilege.is_empty()).then(|| privilege.to_string()))
        }
        _ => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(status: u16, body: &str) -> Error {
        refusal(status, Some("the reason"), "Canonical", body)
    }

    #[test]
    fn the_text_comes_from_the_body_then_the_status_line_then_http() {
        let text = |reason, body| match refusal(500, reason, "Internal Server Error", body) {
            Error::Server { text, .. } => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            text(Some("first line"), "{\"data\":null,\"message\":\"first line\\nsecond\\n\"}"),
            "first line second"
        );
        assert_eq!(text(Some("only here"), "{\"data\":null}"), "only here");
        assert_eq!(text(None, "plain words\n"), "plain words");
        assert_eq!(text(None, "<html>login</html>"), "Internal Server Error");
        assert_eq!(text(None, ""), "Internal Server Error");
    }

    #[test]
    fn a_missing_right_is_named_where_proxmox_names_it() {
        let right = |text: &str| missing_right(text);
        let some = |a: &str, b: &str| (Some(a.to_string()), Some(b.to_string()));
        assert_eq!(right("Permission check failed (/vms/101, VM.Config.Disk)"), some("/vms/101", "VM.Config.Disk"));
        assert_eq!(
            right("Permission check failed (/storage/local, Datastore.AllocateSpace|Datastore.Audit)"),
            some("/storage/local", "Datastore.AllocateSpace|Datastore.Audit")
        );
        assert_eq!(right("Permission check failed (/, Sys.Modify for modifying tag 'x')"), some("/", "Sys.Modify"));
        assert_eq!(right("Permission check failed"), (None, None));
        assert_eq!(right("Permission check failed (user != root@pam)"), (None, None));
        assert_eq!(right("Permission check failed (pool 'x' does not exist)"), (None, None));
    }

    #[test]
    fn what_proxmox_says_decides_the_kind() {
        let said = |text: &str| refusal(500, Some(text), "", "{\"data\":null}");
        assert!(matches!(
            said("Configuration file 'nodes/a/qemu-server/9.conf' does not exist"),
            Error::NotFound { .. }
        ));
        assert!(matches!(said("VM is locked (clone)"), Error::Locked { .. }));
        assert!(matches!(said("can't lock file '/var/lock/x' - got timeout"), Error::Locked { .. }));
        assert!(matches!(said("cfs-lock 'storage-ceph' error: got lock request timeout"), Error::Locked { .. }));
        assert!(matches!(said("unable to create VM 101: config file already exists"), Error::Exists { .. }));
        assert!(matches!(said("cluster not ready - no quorum?"), Error::Busy { status: Some(500), .. }));
        assert!(matches!(said("VM 101 is running - destroy failed"), Error::Server { status: 500, .. }));
    }

    #[test]
    fn answers_of_something_in_front_of_the_api_are_told_from_its_own() {
        assert!(matches!(of(429, ""), Error::Busy { status: Some(429), .. }));
        assert!(matches!(of(404, "<html>no such page</html>"), Error::Answer { .. }));
        assert!(matches!(of(595, ""), Error::Busy { status: Some(595), text } if text == "the reason (595)"));
    }

    #[test]
    fn parameter_errors_are_kept_by_name_and_known_ones_get_their_own_kind() {
        let errors = "{\"errors\":{\"newid\":\"type check ('integer') failed\",\"name\":\"invalid format - x\\n\"}}";
        let Error::Parameters { errors } = of(400, errors) else { panic!() };
        assert_eq!(errors["name"], "invalid format - x");
        assert_eq!(errors.len(), 2);
        assert_eq!(of(400, "{\"errors\":{\"upid\":\"no such task\"}}"), Error::NoSuchTask);
        assert!(matches!(of(400, "{\"errors\":{\"storage\":\"No such storage.\"}}"), Error::NotFound { .. }));
        assert!(matches!(of(400, "{\"errors\":{\"vmid\":\"VM 101 already exists\"}}"), Error::Exists { .. }));
    }

    proptest! {
        #[test]
        fn no_answer_is_too_strange(status in 300u16..1000, reason in ".*", body in ".*") {
            let error = refusal(status, Some(&reason), "x", &body);
            prop_assert!(!error.to_string().chars().any(char::is_control));
        }

        #[test]
        fn no_permission_text_is_too_strange(inside in ".*") {
            missing_right(&format!("Permission check failed ({inside}"));
        }
    }
}
