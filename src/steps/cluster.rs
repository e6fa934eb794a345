//! The common part of the steps on Kubernetes: reading conditions, telling the run's objects from others', applying in
//! order.
use super::failures;
use super::site::{Changing, Reading};
use crate::base::answer::Answer;
use crate::cozystack::addons::{MANAGED_BY, Object, RUN_LABEL};
use crate::engine::failure::Failure;
use crate::engine::made::{Origin, Thing};
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Context, Observed, StepId};
use crate::kubernetes::{Kind, Reader};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// The system's name in evidence.
pub const SYSTEM: &str = "Kubernetes";

/// One object, `None` when it or its kind is not there.
///
/// # Errors
/// When the cluster can't be asked.
pub async fn get(
    reader: &Reader,
    kind: &Kind,
    namespace: Option<&str>,
    name: &str,
) -> Result<Option<Answer<Value>>, Failure> {
    let found = reader.get(kind, namespace, name).await;
    found.map_err(|e| failures::kubernetes(&e, &format!("read {}", named(kind, namespace, name))))
}

/// `ConfigMap cozy-system/cozystack`
pub fn named(kind: &Kind, namespace: Option<&str>, name: &str) -> String {
    match namespace {
        Some(namespace) => format!("{} {namespace}/{name}", kind.kind),
        None => format!("{} {name}", kind.kind),
    }
}

/// `kubectl get -n cozy-system configmaps cozystack`
fn command(verb: &str, kind: &Kind, namespace: Option<&str>, name: &str) -> String {
    let place = namespace.map(|n| format!("-n {n} ")).unwrap_or_default();
    format!("kubectl {verb} {place}{} {name}", kind.resource())
}

/// An answer as evidence of the cluster.
pub fn seen<T>(cx: &dyn Context, answer: &Answer<T>) -> Evidence {
    Evidence::of(SYSTEM, cx.clock().now(), answer)
}

/// The part of a long answer that a claim rests on, one row a line: the whole would be cut before it came to it.
pub fn part<T>(answer: &Answer<T>, what: &str, rows: impl IntoIterator<Item = Value>) -> Answer<()> {
    let rows: Vec<String> = rows.into_iter().map(|row| row.to_string()).collect();
    Answer::new(format!("{} ({what})", answer.asked), rows.join("\n"), answer.by_hand.clone(), ())
}

/// Satisfied by these readings.
///
/// # Errors
/// Without any reading, which is a defect of the step.
pub fn proven(summary: impl AsRef<str>, readings: Vec<Evidence>) -> Result<Observed, Failure> {
    let mut readings = readings.into_iter();
    let first = readings.next().ok_or_else(|| Failure::defect("a step found no reading to show"))?;
    Ok(Observed::Satisfied(readings.fold(Proof::new(summary, first), Proof::and)))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition<'a> {
    pub status: &'a str,
    pub reason: &'a str,
    pub message: &'a str,
    /// When it took its present status.
    pub since: Option<Timestamp>,
    /// False while it speaks of an older generation of the object.
    pub current: bool,
}

/// The object's condition `kind`.
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<Condition<'a>> {
    let all = object.pointer("/status/conditions")?.as_array()?;
    let found = all.iter().find(|c| text(c, "/type") == kind)?;
    let generation = number(object, "/metadata/generation").unwrap_or_default();
    // The condition's own word goes before that of the whole status, which some controllers (Flux: -1) write only when
    // they are done.
    let spoken_of = number(found, "/observedGeneration").or_else(|| number(object, "/status/observedGeneration"));
    Some(Condition {
        status: text(found, "/status"),
        reason: text(found, "/reason"),
        message: text(found, "/message"),
        since: text(found, "/lastTransitionTime").parse().ok(),
        current: spoken_of.is_none_or(|n| n >= generation),
    })
}

/// True when the condition is True and was written for the object's current generation.
pub fn is_true(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|c| c.status == "True" && c.current)
}

/// `Ready is False (InstallFailed: timed out)`
pub fn said(object: &Value, kind: &str) -> String {
    let Some(c) = condition(object, kind) else { return format!("no condition {kind} yet") };
    if !c.current {
        return format!("{kind} speaks of an older generation");
    }
    let why: Vec<&str> = [c.reason, c.message].into_iter().filter(|t| !t.is_empty()).collect();
    let why = if why.is_empty() { String::new() } else { format!(" ({})", why.join(": ")) };
    format!("{kind} is {}{why}", c.status)
}

/// True when somebody has deleted the object, which is there until its finalizers are done.
pub fn is_deleting(object: &Value) -> bool {
    !text(object, "/metadata/deletionTimestamp").is_empty()
}

/// The text there, empty when there is none.
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub fn number(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer).and_then(Value::as_i64)
}

pub fn items<'a>(object: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    object.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

/// An object to apply, with this run's labels beside its own.
pub fn ours(run: &str, kind: Kind, namespace: Option<&str>, name: &str, body: Value) -> Object {
    let mut body = body;
    if let Some(fields) = body.as_object_mut()
        && let Some(metadata) = entry(fields, "metadata")
        && let Some(labels) = entry(metadata, "labels")
    {
        for (key, value) in [MANAGED_BY, (RUN_LABEL, run)] {
            labels.insert(key.to_string(), json!(value));
        }
    }
    Object { kind, namespace: namespace.map(String::from), name: name.to_string(), body }
}

/// The object under `key`, made when something else or nothing is there.
fn entry<'a>(fields: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    let value = fields.entry(key.to_string()).or_insert_with(|| json!({}));
    if !value.is_object() {
        *value = json!({});
    }
    value.as_object_mut()
}

/// True when the object carries this run's label.
pub fn is_ours(site: &Reading, object: &Value) -> bool {
    run_of(object) == Some(site.label())
}

fn run_of(object: &Value) -> Option<&str> {
    object.pointer("/metadata/labels")?.get(RUN_LABEL)?.as_str()
}

/// The reason why the object is not this run's own; `None` when it is. A label can be copied, for example when a backup is
/// restored; the uid, which `thing` holds, is drawn anew. `made_by` is the step that makes it.
pub fn strange(
    cx: &dyn Context,
    site: &Reading,
    made_by: &StepId,
    thing: &Thing,
    object: &Value,
) -> Option<&'static str> {
    if !is_ours(site, object) {
        return Some("does not carry this run's label");
    }
    match cx.made().origin(Some(made_by), thing) {
        Origin::Known | Origin::Open => None,
        Origin::Another | Origin::Never => Some("carries this run's label, but is not the one that this run made"),
    }
}

/// The refusal to touch an object that is [`strange`], and why it is.
pub fn not_touched(kind: &Kind, namespace: &str, name: &str, why: &str) -> Failure {
    Failure::refused(
        format!("{} exists and {why}: cozyup does not touch it", named(kind, Some(namespace), name)),
        format!(
            "look whose it is; if nobody needs it, remove it yourself (kubectl delete -n {namespace} {} {name}) and the step \
             goes on",
            kind.resource()
        ),
    )
}

/// The refusal to touch an object that somebody else made.
pub fn foreign(kind: &Kind, namespace: Option<&str>, name: &str, object: &Value) -> Failure {
    let whose = match run_of(object) {
        Some(run) => format!("belongs to the run {run}"),
        None => format!("does not carry the label {RUN_LABEL}"),
    };
    Failure::refused(
        format!("{} exists and {whose}: cozyup does not touch it", named(kind, namespace, name)),
        format!(
            "look whose it is ({} -o yaml); if nobody needs it, remove it yourself ({}) and the step goes on",
            command("get", kind, namespace, name),
            command("delete", kind, namespace, name)
        ),
    )
}

/// The state of one step's objects in the cluster.
#[derive(Debug)]
pub enum Standing {
    /// All are there, ours, and as wanted; in the order given.
    Applied(Vec<Answer<Value>>),
    /// One is missing, or differs in the field named.
    Absent(String),
    /// One is somebody else's.
    Conflict(Failure),
}

/// # Errors
/// When the cluster can't be asked.
pub async fn standing(site: &Reading, objects: &[Object]) -> Result<Standing, Failure> {
    let reader = site.kubernetes()?;
    let mut applied = Vec::new();
    let mut absent = None;
    for object in objects {
        let namespace = object.namespace.as_deref();
        let place = named(&object.kind, namespace, &object.name);
        match get(&reader, &object.kind, namespace, &object.name).await? {
            None => absent = absent.or(Some(format!("there is no {place}"))),
            Some(live) if !is_ours(site, &live.value) => {
                return Ok(Standing::Conflict(foreign(&object.kind, namespace, &object.name, &live.value)));
            }
            Some(live) => match difference(&object.body, &live.value) {
                Some(path) => absent = absent.or(Some(format!("{place} differs at {path}"))),
                None => applied.push(live),
            },
        }
    }
    Ok(absent.map_or(Standing::Applied(applied), Standing::Absent))
}

/// Applies the objects in their order.
///
/// # Errors
/// The first refusal; what was applied before it stays and is applied again by the next try.
pub async fn apply(change: &Changing, objects: &[Object]) -> Result<(), Failure> {
    let changer = change.kubernetes()?;
    for object in objects {
        let namespace = object.namespace.as_deref();
        let done = changer.apply(&object.kind, namespace, &object.name, object.body.clone()).await;
        done.map_err(|e| failures::kubernetes(&e, &format!("apply {}", named(&object.kind, namespace, &object.name))))?;
    }
    Ok(())
}

/// Path of the first field of `wanted` that `live` does not have so; what is only in `live` does not count.
/// Never holds a value, since some are secret.
pub fn difference(wanted: &Value, live: &Value) -> Option<String> {
    let mut wanted = wanted.clone();
    // A Secret takes plain text and gives it back encoded.
    if let Some(fields) = wanted.as_object_mut()
        && let Some(Value::Object(plain)) = fields.remove("stringData")
    {
        let encoded = plain.into_iter().map(|(k, v)| (k, json!(STANDARD.encode(v.as_str().unwrap_or_default()))));
        let encoded: Map<String, Value> = encoded.collect();
        fields.insert("data".to_string(), Value::Object(encoded));
    }
    differs(&wanted, live, "")
}

fn differs(wanted: &Value, live: &Value, path: &str) -> Option<String> {
    let here = || Some(path.trim_start_matches('.').to_string());
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => {
            wanted.iter().find_map(|(k, v)| differs(v, live.get(k).unwrap_or(&Value::Null), &format!("{path}.{k}")))
        }
        (Value::Array(wanted), Value::Array(live)) if wanted.len() == live.len() => {
            wanted.iter().zip(live).enumerate().find_map(|(i, (w, l))| differs(w, l, &format!("{path}.{i}")))
        }
        // The server leaves out what is empty or false.
        (Value::Object(wanted), Value::Null) => {
            wanted.iter().find_map(|(k, v)| differs(v, &Value::Null, &format!("{path}.{k}")))
        }
        (Value::Bool(false), Value::Null) => None,
        (wanted, live) => {
            if wanted == live {
                None
            } else {
                here()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_of_an_older_generation_does_not_count() {
        let object = |observed: i64| {
            json!({"metadata": {"generation": 2}, "status": {"observedGeneration": observed, "conditions": [
                {"type": "Ready", "status": "True", "reason": "Done", "message": "all fine"}]}})
        };
        assert!(is_true(&object(2), "Ready") && !is_true(&object(1), "Ready"));
        assert_eq!(said(&object(2), "Ready"), "Ready is True (Done: all fine)");
        assert_eq!(said(&object(1), "Ready"), "Ready speaks of an older generation");
        assert_eq!(said(&object(2), "Synced"), "no condition Synced yet");
    }

    /// cozystack.md 2.11: until its first success the status of a Flux object speaks of generation -1.
    #[test]
    fn a_condition_with_a_generation_of_its_own_is_believed_before_the_status() {
        let object = json!({"metadata": {"generation": 1}, "status": {"observedGeneration": -1, "conditions": [
            {"type": "Ready", "status": "False", "reason": "InstallFailed", "message": "timed out", "observedGeneration": 1}]}});
        assert_eq!(said(&object, "Ready"), "Ready is False (InstallFailed: timed out)");
    }

    #[test]
    fn what_others_added_is_no_difference_and_what_they_changed_is() {
        let wanted = json!({"spec": {"list": [{"name": "a"}], "x": 1}, "metadata": {"annotations": {}}});
        let live = json!({"spec": {"list": [{"name": "a", "added": true}], "x": 1, "y": 2}, "metadata": {"uid": "u"}});
        assert_eq!(difference(&wanted, &live), None);
        let changed = json!({"spec": {"list": [{"name": "b"}], "x": 1}});
        assert_eq!(difference(&wanted, &changed).as_deref(), Some("spec.list.0.name"));
        assert_eq!(difference(&wanted, &json!({"spec": {"list": [], "x": 1}})).as_deref(), Some("spec.list"));
    }

    #[test]
    fn a_secret_is_compared_as_it_is_stored_and_not_shown() {
        let wanted = json!({"stringData": {"token": "hunter2"}});
        assert_eq!(difference(&wanted, &json!({"data": {"token": "aHVudGVyMg=="}})), None);
        let path = difference(&wanted, &json!({"data": {"token": "b3RoZXI="}}));
        assert_eq!(path.as_deref(), Some("data.token"));
    }

    #[test]
    fn our_labels_stand_beside_those_of_the_manifest() {
        let object = ours("r.1", Kind::NAMESPACE, None, "n", json!({"metadata": {"labels": {"a": "b"}}}));
        assert_eq!(text(&object.body, "/metadata/labels/a"), "b");
        assert_eq!(run_of(&object.body), Some("r.1"));
        assert_eq!(run_of(&ours("r.1", Kind::SERVICE, Some("n"), "s", json!({})).body), Some("r.1"));
    }

    #[test]
    fn the_refusal_names_the_owner_and_the_commands() {
        let failure = foreign(&Kind::CONFIG_MAP, Some("cozy-system"), "cozystack", &json!({}));
        assert!(failure.what.contains("ConfigMap cozy-system/cozystack exists"), "{failure}");
        assert!(failure.next.contains("kubectl get -n cozy-system configmaps cozystack"), "{}", failure.next);
    }
}
