//! Answers as evidence: what may be kept of an object, and how a person asks the same.
use super::kind::Kind;
use crate::base::answer::RAW_LIMIT;
use serde::Serialize;
use serde_json::Value;

const REDACTED: &str = "[redacted]";
const LAST_APPLIED: &str = "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration";

/// The object without bookkeeping, and without the contents of a Secret. What it is, `kind` says: an item of a list does
/// not say so itself.
pub(super) fn redacted(kind: &Kind, object: &Value) -> Value {
    let mut kept = object.clone();
    if let Some(Value::Object(metadata)) = kept.get_mut("metadata") {
        metadata.remove("managedFields");
    }
    if *kind == Kind::SECRET {
        // kubectl keeps a copy of what it applied, values included.
        if let Some(copy) = kept.pointer_mut(LAST_APPLIED) {
            *copy = REDACTED.into();
        }
        for field in ["data", "stringData"] {
            if let Some(Value::Object(entries)) = kept.get_mut(field) {
                entries.values_mut().for_each(|v| *v = REDACTED.into());
            }
        }
    }
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
}
