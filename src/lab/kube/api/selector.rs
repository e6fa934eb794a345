//! Label and field selectors: which objects a list, a watch or a deletecollection is about.
use super::events;
use super::kinds::Kind;
use super::path::{Query, Target};
use super::refusal::Refusal;
use crate::kube::store::Key;
use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Needs {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
}

#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Empty: every namespace.
    namespace: String,
    name: Option<String>,
    labels: Vec<(String, Needs)>,
    /// Path, value, and whether they are to be equal.
    fields: Vec<(String, String, bool)>,
}

impl Filter {
    pub fn of(target: &Target, query: &Query) -> Result<Self, Refusal> {
        Ok(Filter {
            namespace: target.namespace.clone(),
            name: target.name.clone(),
            labels: labels(query.get("labelSelector"))?,
            fields: fields(target.kind, query)?,
        })
    }

    pub fn namespace(&self) -> Option<&str> {
        (!self.namespace.is_empty()).then_some(self.namespace.as_str())
    }

    /// True when something besides the URL narrows it down.
    pub fn selects(&self) -> bool {
        !self.labels.is_empty() || !self.fields.is_empty()
    }

    pub fn matches(&self, key: &Key, object: &Value) -> bool {
        (self.namespace.is_empty() || self.namespace == key.namespace)
            && self.name.as_ref().is_none_or(|n| *n == key.name)
            && self.fields.iter().all(|(path, value, equal)| (field(object, path) == *value) == *equal)
            && self.labels.iter().all(|(label, needs)| {
                let found = object["metadata"]["labels"].get(label).and_then(Value::as_str);
                match needs {
                    Needs::In(values) => found.is_some_and(|f| values.iter().any(|v| v == f)),
                    Needs::NotIn(values) => found.is_none_or(|f| values.iter().all(|v| v != f)),
                    Needs::Exists => found.is_some(),
                    Needs::Absent => found.is_none(),
                }
            })
    }
}

fn field(object: &Value, path: &str) -> String {
    match path.split('.').fold(object, |at, name| &at[name]) {
        Value::String(text) => text.clone(),
        Value::Null if path == "spec.unschedulable" => "false".into(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Commas inside of parentheses do not part requirements.
fn requirements(text: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    text.split(move |c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|r| !r.is_empty())
    .collect()
}

fn labels(text: &str) -> Result<Vec<(String, Needs)>, Refusal> {
    let set = |values: &str| {
        let inside = values.trim().strip_prefix('(')?.strip_suffix(')')?;
        Some(inside.split(',').map(|v| v.trim().to_string()).collect::<Vec<_>>())
    };
    let one = |value: &str| vec![value.trim().to_string()];
    requirements(text)
        .into_iter()
        .map(|requirement| {
            let parsed = if let Some((label, values)) = requirement.split_once(" notin ") {
                set(values).map(|v| (label, Needs::NotIn(v)))
            } else if let Some((label, values)) = requirement.split_once(" in ") {
                set(values).map(|v| (label, Needs::In(v)))
            } else if let Some((label, value)) = requirement.split_once("!=") {
                Some((label, Needs::NotIn(one(value))))
            } else if let Some((label, value)) = requirement.split_once("==").or_else(|| requirement.split_once('=')) {
                Some((label, Needs::In(one(value))))
            } else if let Some(label) = requirement.strip_prefix('!') {
                Some((label, Needs::Absent))
            } else {
                Some((requirement, Needs::Exists))
            };
            match parsed.map(|(label, needs)| (label.trim(), needs)) {
                Some((label, needs)) if !label.is_empty() && !label.contains([' ', '(', ')']) => {
                    Ok((label.to_string(), needs))
                }
                _ => Err(Refusal::bad(format!("unable to parse requirement: {}", misread(requirement)))),
            }
        })
        .collect()
}

fn fields(kind: &'static Kind, query: &Query) -> Result<Vec<(String, String, bool)>, Refusal> {
    let selectable = |path: &str| match (kind.group, kind.plural) {
        _ if path == "metadata.name" || (kind.namespaced && path == "metadata.namespace") => true,
        ("", "pods") => {
            matches!(path, "spec.nodeName" | "status.phase" | "spec.restartPolicy" | "spec.schedulerName")
                || matches!(path, "spec.serviceAccountName" | "spec.hostNetwork" | "status.podIP")
        }
        ("", "events") => path.starts_with("involvedObject.") || matches!(path, "reason" | "type" | "source"),
        ("events.k8s.io", "events") => path.starts_with("regarding.") || matches!(path, "reason" | "type"),
        ("", "secrets") => path == "type",
        ("", "namespaces") => path == "status.phase",
        ("", "nodes") => path == "spec.unschedulable",
        ("batch", "jobs") => path == "status.successful",
        _ => false,
    };
    requirements(query.get("fieldSelector"))
        .into_iter()
        .map(|requirement| {
            let (path, value, equal) = if let Some((path, value)) = requirement.split_once("!=") {
                (path, value, false)
            } else if let Some((path, value)) = requirement.split_once("==").or_else(|| requirement.split_once('=')) {
                (path, value, true)
            } else {
                return Err(Refusal::bad(format!(
                    "invalid selector: '{requirement}'; can't understand '{requirement}'"
                )));
            };
            if !selectable(path) {
                return Err(Refusal::bad(unknown_field(kind, path)));
            }
            let stored = if events::is_other_view(kind) { events::stored_path(path) } else { path.to_string() };
            Ok((stored, value.to_string(), equal))
        })
        .collect()
}

/// Resources that select by more than name and namespace say it in words of their own.
fn unknown_field(kind: &Kind, path: &str) -> String {
    match (kind.group, kind.plural) {
        ("", "pods" | "events" | "secrets" | "namespaces" | "nodes")
        | ("events.k8s.io", "events")
        | ("batch", "jobs") => {
            format!("field label not supported: {path}")
        }
        _ if kind.custom => format!("field label not supported: {path}"),
        _ => format!("{path:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""),
    }
}

/// The position at which the real parser stumbles over a requirement of no known form.
fn misread(requirement: &str) -> String {
    let mut words = requirement.split_whitespace().skip(1);
    match (words.next(), words.next()) {
        (Some("in" | "notin"), Some(word)) => format!("found '{word}' expected: '('"),
        (Some(word), _) => format!("found '{word}', expected: in, notin, =, ==, !=, gt, lt"),
        (None, _) => format!("found '{requirement}', expected: identifier"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::kinds::KINDS;
    use super::super::path::Part;
    use super::*;
    use serde_json::json;

    fn pods(query: &str) -> Result<Filter, Refusal> {
        let kind = KINDS.iter().find(|k| k.plural == "pods").unwrap();
        let target = Target { kind, namespace: String::new(), name: None, part: Part::Whole };
        Filter::of(&target, &Query::parse(query))
    }

    fn takes(query: &str, object: &Value) -> bool {
        pods(query).unwrap().matches(&Key::new("", "pods", "default", "p"), object)
    }

    #[test]
    fn label_selectors_of_every_form_are_understood() {
        let pod = json!({"metadata": {"labels": {"app": "web", "tier": "front"}}});
        for yes in ["app=web", "app==web,tier", "app in (db, web)", "!old", "app!=db", "tier notin (back),app"] {
            assert!(takes(&format!("labelSelector={yes}"), &pod), "{yes}");
        }
        for no in ["app=db", "old", "!app", "app in (db)", "app notin (web)", "app!=web"] {
            assert!(!takes(&format!("labelSelector={no}"), &pod), "{no}");
        }
        assert!(pods("labelSelector=app%20in%20web").is_err());
    }

    #[test]
    fn fields_that_the_api_cannot_select_by_are_refused() {
        let pod = json!({"metadata": {"name": "p"}, "spec": {"nodeName": "n1"}, "status": {"phase": "Running"}});
        assert!(takes("fieldSelector=spec.nodeName=n1,status.phase!=Failed", &pod));
        assert!(!takes("fieldSelector=spec.nodeName=n2", &pod));
        assert!(pods("fieldSelector=spec.image=x").unwrap_err().to_string().contains("field label not supported"));
    }
}
