//! Everything the API says no with, in the words and the `Status` shape of the real one.
use super::kinds::Kind;
use axum::body::Body;
use hyper::{Response, StatusCode, header};
use serde_json::{Value, json};
use std::fmt;

/// One thing that is wrong with an object: `reason` as in `FieldValueInvalid`, `error` as the real one prints it
/// (`Invalid value: "x": why`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    reason: &'static str,
    error: String,
    field: String,
}

impl Cause {
    /// A value that is there and wrong.
    pub fn invalid(field: &str, value: &str, why: &str) -> Self {
        let error = format!("Invalid value: {value}: {why}");
        Cause { reason: "FieldValueInvalid", error, field: field.into() }
    }

    pub fn required(field: &str, why: &str) -> Self {
        let error = if why.is_empty() { "Required value".into() } else { format!("Required value: {why}") };
        Cause { reason: "FieldValueRequired", error, field: field.into() }
    }

    pub fn forbidden(field: &str, why: &str) -> Self {
        Cause { reason: "FieldValueForbidden", error: format!("Forbidden: {why}"), field: field.into() }
    }

    /// As the schema of a definition says it.
    pub fn mistyped(field: &str, found: &str, wanted: &str) -> Self {
        let error = format!("Invalid value: {found:?}: {field} in body must be of type {wanted}: {found:?}");
        Cause { reason: "FieldValueTypeInvalid", error, field: field.into() }
    }

    pub fn unsupported(field: &str, value: &str, supported: &str) -> Self {
        let error = format!("Unsupported value: {value}: supported values: {supported}");
        Cause { reason: "FieldValueNotSupported", error, field: field.into() }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.error)
    }
}

/// `field: error`, or all of them in brackets.
fn listed(causes: &[Cause]) -> String {
    let all: Vec<String> = causes.iter().map(ToString::to_string).collect();
    if let [one] = all.as_slice() { one.clone() } else { format!("[{}]", all.join(", ")) }
}

/// The texts are Kubernetes' own (`k8s.io/apimachinery/pkg/api/errors` and the handlers that use it).
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("Unauthorized")]
    Unauthorized,
    #[error("{message}")]
    Forbidden { message: String, details: Value },
    #[error("{kind} \"{name}\" not found")]
    NotFound { kind: &'static Kind, name: String },
    /// No such group or version: the real server answers this in plain text.
    #[error("404 page not found")]
    NoPath,
    #[error("the server could not find the requested resource")]
    NoResource,
    #[error("the server does not allow this method on the requested resource")]
    MethodNotAllowed,
    #[error("{kind} \"{name}\" already exists")]
    AlreadyExists { kind: &'static Kind, name: String },
    #[error("Operation cannot be fulfilled on {kind} \"{name}\": {why}")]
    Conflict { kind: &'static Kind, name: String, why: String },
    /// Of a deletion; it names the kind where others name the resource.
    #[error("Operation cannot be fulfilled on {}{} \"{name}\": {why}", kind.kind, dotted(kind.group))]
    Precondition { kind: &'static Kind, name: String, why: String },
    #[error("{message}")]
    ApplyConflict { message: String, causes: Value },
    /// `onward`: a token for the rest of the list, as it is now.
    #[error("{message}")]
    Expired { message: String, onward: String },
    #[error("{message}")]
    BadRequest { message: String },
    #[error("{}{} \"{name}\" is invalid: {}", kind.kind, dotted(kind.group), listed(causes))]
    Invalid { kind: &'static Kind, name: String, causes: Vec<Cause> },
    /// The parameters of the request: `options` is `ListOptions`, `PatchOptions`, …
    #[error("{options}.meta.k8s.io \"\" is invalid: {}", listed(causes))]
    Options { options: &'static str, causes: Vec<Cause> },
    /// A patch after which the object is none of its kind.
    #[error(" \"\" is invalid: patch: Invalid value: {value:?}: {why}")]
    Misfit { value: String, why: String },
    /// An update of a custom resource that does not say what it replaces.
    #[error(
        "{kind} \"{name}\" is invalid: metadata.resourceVersion: Invalid value: 0x0: must be specified for an update"
    )]
    Unversioned { kind: &'static Kind, name: String },
    /// A JSON patch that does not fit.
    #[error("the server rejected our request due to an error in our request")]
    Unprocessable,
    #[error("the body of the request was in an unknown format - accepted media types include: {0}")]
    MediaType(&'static str),
    #[error("415: Unsupported Media Type")]
    PatchMediaType,
    #[error(
        "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, \
             application/vnd.kubernetes.protobuf"
    )]
    NotAcceptable,
    #[error("Timeout: Too large resource version: {wanted}, current: {current}")]
    TooLargeVersion { wanted: u64, current: u64 },
    #[error("the lab's pods have no inside: exec, attach, cp and port-forward are not simulated")]
    NoInside,
    /// An error that the real server lets through from below: a 500 without a reason.
    #[error("{0}")]
    Unexpected(String),
    #[error("Request entity too large: limit is {0}")]
    TooLarge(usize),
    #[error("Cannot evict pod as it would violate the pod's disruption budget.")]
    Disruption { budget: String, wanted: u64, healthy: u64 },
    #[error("{0}")]
    Internal(String),
}

fn dotted(group: &str) -> String {
    if group.is_empty() { String::new() } else { format!(".{group}") }
}

pub const MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

impl Refusal {
    pub fn not_found(kind: &'static Kind, name: &str) -> Self {
        Refusal::NotFound { kind, name: name.into() }
    }

    pub fn bad(message: impl Into<String>) -> Self {
        Refusal::BadRequest { message: message.into() }
    }

    pub fn conflict(kind: &'static Kind, name: &str, why: impl Into<String>) -> Self {
        Refusal::Conflict { kind, name: name.into(), why: why.into() }
    }

    pub fn invalid(kind: &'static Kind, name: &str, cause: Cause) -> Self {
        Refusal::Invalid { kind, name: name.into(), causes: vec![cause] }
    }

    /// Empty parts are left out of what the Status says of its object.
    pub fn forbidden(group: &str, resource: &str, name: &str, message: String) -> Self {
        Refusal::Forbidden { message, details: details(group, name, resource) }
    }

    pub fn options(options: &'static str, cause: Cause) -> Self {
        Refusal::Options { options, causes: vec![cause] }
    }

    fn code_and_reason(&self) -> (u16, &'static str) {
        match self {
            Refusal::Unauthorized => (401, "Unauthorized"),
            Refusal::Forbidden { .. } => (403, "Forbidden"),
            Refusal::NotFound { .. } | Refusal::NoPath | Refusal::NoResource => (404, "NotFound"),
            Refusal::MethodNotAllowed => (405, "MethodNotAllowed"),
            Refusal::AlreadyExists { .. } => (409, "AlreadyExists"),
            Refusal::Conflict { .. } | Refusal::Precondition { .. } | Refusal::ApplyConflict { .. } => {
                (409, "Conflict")
            }
            Refusal::Expired { .. } => (410, "Expired"),
            Refusal::BadRequest { .. } => (400, "BadRequest"),
            Refusal::Invalid { .. }
            | Refusal::Options { .. }
            | Refusal::Misfit { .. }
            | Refusal::Unversioned { .. }
            | Refusal::Unprocessable => (422, "Invalid"),
            Refusal::MediaType(_) | Refusal::PatchMediaType => (415, "UnsupportedMediaType"),
            Refusal::NotAcceptable => (406, "NotAcceptable"),
            Refusal::TooLargeVersion { .. } => (504, "Timeout"),
            Refusal::NoInside => (501, "NotImplemented"),
            Refusal::Unexpected(_) => (500, ""),
            Refusal::TooLarge(_) => (413, "RequestEntityTooLarge"),
            Refusal::Disruption { .. } => (429, "TooManyRequests"),
            Refusal::Internal(_) => (500, "InternalError"),
        }
    }

    fn details(&self) -> Option<Value> {
        let of = |kind: &Kind, name: &str, shown: &str| details(kind.group, name, shown);
        let with = |mut details: Value, causes: &[Cause]| {
            let one = |c: &Cause| json!({"reason": c.reason, "message": c.error, "field": c.field});
            details["causes"] = causes.iter().map(one).collect();
            details
        };
        match self {
            Refusal::NotFound { kind, name }
            | Refusal::AlreadyExists { kind, name }
            | Refusal::Conflict { kind, name, .. } => Some(of(kind, name, kind.plural)),
            Refusal::Precondition { kind, name, .. } => Some(of(kind, name, kind.kind)),
            Refusal::Forbidden { details, .. } => Some(details.clone()),
            Refusal::ApplyConflict { causes, .. } => Some(json!({"causes": causes})),
            Refusal::Invalid { kind, name, causes } => Some(with(of(kind, name, kind.kind), causes)),
            Refusal::Misfit { value, why } => {
                Some(with(json!({}), &[Cause::invalid("patch", &format!("{value:?}"), why)]))
            }
            Refusal::Unversioned { kind, name } => {
                let cause = Cause::invalid("metadata.resourceVersion", "0x0", "must be specified for an update");
                Some(with(of(kind, name, kind.plural), &[cause]))
            }
            Refusal::Options { options, causes } => Some(with(details("meta.k8s.io", "", options), causes)),
            Refusal::TooLargeVersion { .. } => Some(json!({
                "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
                "retryAfterSeconds": 1,
            })),
            Refusal::Disruption { budget, wanted, healthy } => {
                let message =
                    format!("The disruption budget {budget} needs {wanted} healthy pods and has {healthy} currently");
                Some(json!({"causes": [{"reason": "DisruptionBudget", "message": message}]}))
            }
            Refusal::NoResource
            | Refusal::MethodNotAllowed
            | Refusal::Unprocessable
            | Refusal::PatchMediaType
            | Refusal::NotAcceptable => Some(json!({})),
            Refusal::Unauthorized
            | Refusal::NoPath
            | Refusal::Expired { .. }
            | Refusal::BadRequest { .. }
            | Refusal::MediaType(_)
            | Refusal::NoInside
            | Refusal::Unexpected(_)
            | Refusal::TooLarge(_)
            | Refusal::Internal(_) => None,
        }
    }

    pub fn status(&self) -> Value {
        let (code, reason) = self.code_and_reason();
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.to_string(), "code": code,
        });
        if let Refusal::Expired { onward, .. } = self
            && !onward.is_empty()
        {
            status["metadata"]["continue"] = json!(onward);
        }
        if !reason.is_empty() {
            status["reason"] = json!(reason);
        }
        if let Some(details) = self.details() {
            status["details"] = details;
        }
        status
    }

    pub fn response(&self) -> Response<Body> {
        let (code, _) = self.code_and_reason();
        let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if matches!(self, Refusal::NoPath) {
            return reply(code, "text/plain; charset=utf-8", format!("{self}\n"));
        }
        reply(code, "application/json", self.status().to_string())
    }
}

/// The part of a Status about its object; empty values are left out.
fn details(group: &str, name: &str, kind: &str) -> Value {
    let all = [("name", name), ("group", group), ("kind", kind)];
    let said = all.into_iter().filter(|(_, text)| !text.is_empty());
    Value::Object(said.map(|(field, text)| (field.to_string(), json!(text))).collect())
}

pub fn reply(code: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-cache, private"));
    response
}

#[cfg(test)]
mod tests {
    use super::super::kinds::KINDS;
    use super::*;

    #[test]
    fn a_missing_deployment_is_named_with_its_group() {
        let kind = KINDS.iter().find(|k| k.plural == "deployments").unwrap();
        let status = Refusal::not_found(kind, "web").status();
        assert_eq!(status["message"], "deployments.apps \"web\" not found");
        assert_eq!(status["details"], json!({"name": "web", "group": "apps", "kind": "deployments"}));
    }
}
