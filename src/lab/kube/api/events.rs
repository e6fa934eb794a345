//! Events: one object, served by two groups. The store has it as the core group writes it; the names of the fields differ
//! (pkg/apis/core/v1/conversion.go and pkg/apis/events/v1/conversion.go of Kubernetes).
use super::kinds::Kind;
use serde_json::Value;
use std::borrow::Cow;

pub const GROUP: &str = "events.k8s.io";
pub const PLURAL: &str = "events";

/// Names in `events.k8s.io` and in the core group.
const NAMES: [(&str, &str); 7] = [
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];

/// True when this kind shows the core group's events under other names.
pub fn is_other_view(kind: &Kind) -> bool {
    kind.is(GROUP, PLURAL)
}

/// The name that a field of the stored event has in `events.k8s.io`.
pub fn shown(field: &str) -> &str {
    NAMES.iter().find(|(_, core)| *core == field).map_or(field, |(own, _)| own)
}

/// The path in the stored event of a path in `events.k8s.io`.
pub fn stored_path(path: &str) -> String {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let core = NAMES.iter().find(|(own, _)| *own == first).map_or(first, |(_, core)| core);
    if rest.is_empty() { core.to_string() } else { format!("{core}.{rest}") }
}

fn renamed(event: Value, name: impl Fn(String) -> String) -> Value {
    match event {
        Value::Object(fields) => fields.into_iter().map(|(field, value)| (name(field), value)).collect(),
        other => other,
    }
}

/// The object as it is stored, of one that a client of this kind wrote.
pub fn stored(kind: &Kind, object: Value) -> Value {
    if is_other_view(kind) { to_core(object) } else { object }
}

/// The stored object as a client of this kind knows it.
pub fn seen<'a>(kind: &Kind, object: &'a Value) -> Cow<'a, Value> {
    if is_other_view(kind) { Cow::Owned(from_core(object.clone())) } else { Cow::Borrowed(object) }
}

/// As `events.k8s.io` shows it.
fn from_core(event: Value) -> Value {
    renamed(event, |field| shown(&field).to_string())
}

/// As it is stored.
fn to_core(event: Value) -> Value {
    renamed(event, |field| stored_path(&field))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_comes_back_from_the_other_group_as_it_went() {
        let core = json!({"involvedObject": {"name": "p"}, "message": "m", "count": 2, "source": {"component": "c"},
            "reason": "R", "metadata": {"name": "e"}});
        let other = from_core(core.clone());
        assert_eq!((&other["regarding"]["name"], &other["note"]), (&json!("p"), &json!("m")));
        assert_eq!((&other["deprecatedCount"], &other["reason"]), (&json!(2), &json!("R")));
        assert_eq!(to_core(other), core);
        assert_eq!(stored_path("regarding.kind"), "involvedObject.kind");
    }
}
