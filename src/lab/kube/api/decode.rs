//! Makes an object of the right kind and shape of a client's body.
use super::kinds::Kind;
use super::path::Query;
use super::refusal::{Cause, Refusal};
use super::{schema, structural};
use crate::kube::store::Store;
use serde_json::{Value, json};

/// The origin of an object: each way of writing has words of its own for one that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Body,
    Patch,
    Apply,
}

/// The treatment of unknown fields: dropped in silence, with a warning, or refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Validation {
    Ignore,
    Warn,
    Strict,
}

impl Validation {
    fn of(query: &Query, source: Source) -> Result<Self, Refusal> {
        match query.get("fieldValidation") {
            "Ignore" => Ok(Validation::Ignore),
            "" | "Warn" => Ok(Validation::Warn),
            "Strict" => Ok(Validation::Strict),
            other => {
                let options = match source {
                    Source::Body => "CreateOptions",
                    Source::Patch | Source::Apply => "PatchOptions",
                };
                let supported = "\"Ignore\", \"Warn\", \"Strict\"";
                let cause = Cause::unsupported("fieldValidation", &format!("{other:?}"), supported);
                Err(Refusal::options(options, cause))
            }
        }
    }
}

/// The object, and the paths that were dropped with a warning.
pub fn decode(
    kind: &'static Kind,
    mut object: Value,
    source: Source,
    query: &Query,
    store: &Store,
) -> Result<(Value, Vec<String>), Refusal> {
    let validation = Validation::of(query, source)?;
    let sent = object.clone();
    named(kind, &mut object, source)?;
    if let Some(map) = object.as_object_mut() {
        for field in ["metadata", "spec", "status"] {
            if map.get(field).is_some_and(Value::is_null) {
                map.remove(field);
            }
        }
        let meta = map.entry("metadata").or_insert_with(|| json!({}));
        if let Some(meta) = meta.as_object_mut() {
            meta.retain(|_, value| !value.is_null());
        }
    }
    let fitted = match structural::schema(store, kind) {
        _ if !kind.custom => schema::fit(kind, &mut object),
        defined => schema::fit_metadata(&mut object).map(|mut unknown| {
            unknown.extend(defined.map(|schema| structural::fit(schema, &mut object)).unwrap_or_default());
            unknown
        }),
    };
    let unknown = fitted.map_err(|why| misfit(kind, &sent, source, &why))?;
    match validation {
        Validation::Strict | Validation::Warn if source == Source::Apply && !kind.custom && !unknown.is_empty() => {
            let why = unknown.first().cloned().unwrap_or_default();
            Err(untyped(kind, &sent, &format!(".{why}: field not declared in schema")))
        }
        Validation::Strict if !unknown.is_empty() => {
            let all: Vec<String> = unknown.iter().map(|path| format!("unknown field {path:?}")).collect();
            Err(unhandled(kind, &format!("strict decoding error: {}", all.join(", "))))
        }
        Validation::Warn => Ok((object, unknown)),
        Validation::Strict | Validation::Ignore => Ok((object, Vec::new())),
    }
}

/// Types that are not said are those of the URL, but not of custom resources.
fn named(kind: &'static Kind, object: &mut Value, source: Source) -> Result<(), Refusal> {
    let unrecognized =
        |why: &str| Refusal::bad(format!("the object provided is unrecognized (must be of type {}): {why}", kind.kind));
    let version = kind.api_version();
    let shown = object.to_string();
    let Some(map) = object.as_object_mut() else {
        let why = if shown == "null" { "unexpected end of JSON input (<empty>)".to_string() } else { shown };
        return Err(unrecognized(&format!("couldn't get version/kind; json parse error: {why}")));
    };
    let said = |map: &serde_json::Map<String, Value>, field: &str| {
        map.get(field).and_then(Value::as_str).unwrap_or_default().to_string()
    };
    let (given_kind, given_version) = (said(map, "kind"), said(map, "apiVersion"));
    if kind.custom || source == Source::Apply {
        if given_kind.is_empty() {
            return Err(unrecognized(&format!("Object 'Kind' is missing in '{shown}'")));
        }
        if given_version.is_empty() {
            return Err(Refusal::bad(format!("invalid object type: /, Kind={given_kind}")));
        }
    }
    if !given_version.is_empty() && given_version != version {
        return Err(if kind.custom || source == Source::Apply {
            Refusal::bad(format!(
                "the API version in the data ({given_version}) does not match the expected API version ({version})"
            ))
        } else {
            unhandled(
                kind,
                &format!(
                    "no kind {given_kind:?} is registered for version {given_version:?} in scheme \
                     \"pkg/runtime/scheme.go:110\""
                ),
            )
        });
    }
    if !given_kind.is_empty() && given_kind != kind.kind {
        return Err(if kind.custom {
            let name = map.get("metadata").and_then(|m| m["name"].as_str()).unwrap_or_default();
            let why = format!("must be {}", kind.kind);
            Refusal::invalid(kind, name, Cause::invalid("kind", &format!("{given_kind:?}"), &why))
        } else {
            let (version, own) = (kind.version, kind.kind);
            Refusal::bad(format!(
                "{given_kind} in version {version:?} cannot be handled as a {own}: converting ({version}.{given_kind}) \
                 to (core.{own}): unknown conversion"
            ))
        });
    }
    map.insert("apiVersion".into(), json!(version));
    map.insert("kind".into(), json!(kind.kind));
    Ok(())
}

fn unhandled(kind: &Kind, why: &str) -> Refusal {
    Refusal::bad(format!("{} in version {:?} cannot be handled as a {}: {why}", kind.kind, kind.version, kind.kind))
}

fn untyped(kind: &Kind, sent: &Value, why: &str) -> Refusal {
    let text = |field: &str| sent["metadata"][field].as_str().unwrap_or_default();
    Refusal::Unexpected(format!(
        "failed to create typed patch object ({}/{}; {}/{}, Kind={}): {why}",
        text("namespace"),
        text("name"),
        kind.group,
        kind.version,
        kind.kind
    ))
}

fn misfit(kind: &Kind, sent: &Value, source: Source, why: &str) -> Refusal {
    let why = format!("json: {why}");
    match source {
        Source::Body => unhandled(kind, &why),
        Source::Patch => Refusal::Misfit { value: sent.to_string(), why },
        Source::Apply => untyped(kind, sent, &why),
    }
}
