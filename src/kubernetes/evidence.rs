//! Answers as evidence: what may be kept of an object, and how a person asks the same.
use super::kind::Kind;
use crate::base::answer::RAW_LIMIT;
use crate::base::secret::hide_fields;
use serde::Serialize;
use serde_json::Value;

const REDACTED: &str = "[redacted]";
const LAST_APPLIED: &str = "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration";

/// True when a field, or a variable of an environment, is a secret by its name alone. `token` and `key` are not: here
/// they name references and taints.
fn is_secret(name: &str) -> bool {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    let ends =
        ["password", "passwd", "privatekey", "clientkeydata", "tokensecret", "clientsecret", "accesstoken", "apikey"];
    ends.iter().any(|end| name.ends_with(end))
}

/// `{name: DB_PASSWORD, value: ...}`: a container's environment names its secrets in a field beside them.
fn hide_variables(value: &mut Value) {
    match value {
        Value::Object(entries) => {
            let named = entries.get("name").and_then(Value::as_str).is_some_and(is_secret);
            if let Some(value @ Value::String(_)) = entries.get_mut("value").filter(|_| named) {
                *value = REDACTED.into();
            }
            entries.values_mut().for_each(hide_variables);
        }
        Value::Array(items) => items.iter_mut().for_each(hide_variables),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The object without bookkeeping, without the contents of a Secret, and without what is secret by its name. What it is,
/// `kind` says: an item of a list does not say so itself.
pub(super) fn redacted(kind: &Kind, object: &Value) -> Value {
    let mut kept = object.clone();
    if let Some(Value::Object(metadata)) = kept.get_mut("metadata") {
        metadata.remove("managedFields");
    }
    // kubectl keeps a copy of what it applied, values included.
    if let Some(copy) = kept.pointer_mut(LAST_APPLIED) {
        *copy = REDACTED.into();
    }
    if *kind == Kind::SECRET {
        for field in ["data", "stringData"] {
            if let Some(Value::Object(entries)) = kept.get_mut(field) {
                entries.values_mut().for_each(|v| *v = REDACTED.into());
            }
        }
    }
    hide_fields(&mut kept, &is_secret);
    hide_variables(&mut kept);
    kept
}

pub(super) fn raw(kind: &Kind, object: &Value) -> String {
    redacted(kind, object).to_string()
}

/// The first items of a list as a JSON array; work stops where evidence is cut anyway.
pub(super) fn raw_list<T, S: Serialize>(items: &[T], keep: impl Fn(&T) -> S) -> String {
    let mut out = String::from("[");
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        if out.len() > RAW_LIMIT {
            break;
        }
        out.push_str(&serde_json::to_string(&keep(item)).unwrap_or_default());
    }
    out.push(']');
    out
}

/// `kubectl get -n ns configmaps name -o yaml`
pub(super) fn by_hand(kind: &Kind, namespace: Option<&str>, name: &str) -> String {
    match namespace {
        Some(ns) if kind.namespaced => format!("kubectl get -n {ns} {} {name} -o yaml", kind.resource()),
        _ => format!("kubectl get {} {name} -o yaml", kind.resource()),
    }
}

pub(super) fn by_hand_list(kind: &Kind, namespace: Option<&str>, selector: Option<&str>) -> String {
    let place = match namespace {
        Some(ns) if kind.namespaced => format!(" -n {ns}"),
        _ if kind.namespaced => " -A".to_string(),
        _ => String::new(),
    };
    let selector = selector.map(|s| format!(" -l '{s}'")).unwrap_or_default();
    format!("kubectl get {}{place}{selector} -o yaml", kind.resource())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn evidence_of_a_secret_shows_its_keys_only() {
        let secret = json!({
            "metadata": {"name": "s", "managedFields": [{"manager": "x"}],
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{\"stringData\":{\"k\":\"hunter2\"}}"}},
            "data": {"token": "aHVudGVyMg=="},
            "stringData": {"token": "hunter2"},
        });
        // As an item of a list: the server leaves the kind out there.
        let shown = raw(&Kind::SECRET, &secret);
        assert!(
            !shown.contains("hunter2") && !shown.contains("aHVudGVyMg") && !shown.contains("managedFields"),
            "{shown}"
        );
        assert!(shown.contains("\"token\":\"[redacted]\""), "{shown}");
    }

    #[test]
    fn what_is_secret_by_its_name_is_hidden_in_every_kind() {
        let pod = json!({"spec": {"containers": [{"env": [
            {"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "HOME", "value": "/root"},
            {"name": "OTHER_PASSWORD", "valueFrom": {"secretKeyRef": {"key": "password", "name": "s"}}}]}]},
            "data": {"admin-password": "hunter2", "token": "a reference"},
            "metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{\"value\":\"hunter2\"}"}}});
        let shown = raw(&Kind::POD, &pod);
        assert!(!shown.contains("hunter2"), "{shown}");
        for kept in ["/root", "\"key\":\"password\"", "a reference"] {
            assert!(shown.contains(kept), "{shown}");
        }
    }
}
