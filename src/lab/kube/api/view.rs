//! The form in which an answer is wanted: whole objects, their metadata alone, or the table that `kubectl get` prints.
use super::events;
use super::kinds::Kind;
use super::path::Query;
use super::refusal::Refusal;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Include {
    Nothing,
    Metadata,
    Object,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Whole,
    Metadata,
    Table(Include),
}

impl Form {
    /// The first form of the `Accept` header that the server has; whole objects when there is no header.
    pub fn of(accept: &str, query: &Query) -> Result<Form, Refusal> {
        if accept.is_empty() {
            return Ok(Form::Whole);
        }
        let wanted = accept.split(',').find_map(|alternative| {
            let mut parts = alternative.split(';').map(str::trim);
            let json = matches!(parts.next(), Some("application/json" | "application/yaml" | "application/*" | "*/*"));
            match parts.find_map(|p| p.strip_prefix("as=")) {
                None => json.then_some(Form::Whole),
                Some("PartialObjectMetadata" | "PartialObjectMetadataList") if json => Some(Form::Metadata),
                Some("Table") if json => Some(Form::Table(match query.get("includeObject") {
                    "None" => Include::Nothing,
                    "Object" => Include::Object,
                    _ => Include::Metadata,
                })),
                Some(_) => None,
            }
        });
        wanted.ok_or(Refusal::NotAcceptable)
    }
}

pub const META: &str = "meta.k8s.io/v1";

/// An object as it goes over the wire, written without a copy of it.
pub struct Shown<'a> {
    pub object: &'a Value,
    pub kind: &'static Kind,
    pub metadata_only: bool,
    /// Items of a built-in list carry no types of their own, as from the real server.
    pub typed: bool,
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if self.metadata_only {
            map.serialize_entry("apiVersion", META)?;
            map.serialize_entry("kind", "PartialObjectMetadata")?;
            map.serialize_entry("metadata", &self.object["metadata"])?;
            return map.end();
        }
        if self.typed {
            map.serialize_entry("apiVersion", &self.kind.api_version())?;
            map.serialize_entry("kind", self.kind.kind)?;
        }
        let other_view = events::is_other_view(self.kind);
        for (name, value) in self.object.as_object().into_iter().flatten() {
            if name != "apiVersion" && name != "kind" {
                map.serialize_entry(if other_view { events::shown(name) } else { name }, value)?;
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_form_that_the_server_has_is_taken() {
        let of = |accept: &str| Form::of(accept, &Query::default());
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(of(table).unwrap(), Form::Table(Include::Metadata));
        assert_eq!(of("application/vnd.kubernetes.protobuf, application/json").unwrap(), Form::Whole);
        let metadata = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
        assert_eq!(of(metadata).unwrap(), Form::Metadata);
        assert_eq!(of("").unwrap(), Form::Whole);
        assert!(matches!(of("text/html"), Err(Refusal::NotAcceptable)));
    }
}
