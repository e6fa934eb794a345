//! Everything the API says no with, in the words and the `Status` shape of the real one.
use super::kinds::Kind;
use axum::body::Body;
use hyper::{Response, StatusCode, header};
use serde_json::{Value, json};

/// The texts are Kubernetes' own (`k8s.io/apimachinery/pkg/api/errors` and the handlers that use it).
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("Unauthorized")]
    Unauthorized,
    #[error("{message}")]
    Forbidden { kind: Option<&'static Kind>, name: String, message: String, causes: Value },
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
    #[error("{message}")]
    ApplyConflict { message: String, causes: Value },
    #[error("{message}")]
    Expired { message: String },
    #[error("{message}")]
    BadRequest { message: String },
    /// `error` is the field error as the real one prints it: `Invalid value: "x": why`.
    #[error("{}{} \"{name}\" is invalid: {field}: {error}", kind.kind, dotted(kind.group))]
    Invalid { kind: &'static Kind, name: String, field: String, cause: &'static str, error: String },
    #[error("the server rejected our request due to an error in our request: {0}")]
    Unprocessable(String),
    #[error("the body of the request was in an unknown format - accepted media types include: {0}")]
    MediaType(&'static str),
    #[error("Request entity too large: limit is {0}")]
    TooLarge(usize),
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

    /// A value that is there and wrong.
    pub fn invalid(kind: &'static Kind, name: &str, field: &str, value: &str, why: &str) -> Self {
        let error = format!("Invalid value: {value}: {why}");
        Refusal::Invalid { kind, name: name.into(), field: field.into(), cause: "FieldValueInvalid", error }
    }

    /// A value that is missing.
    pub fn required(kind: &'static Kind, name: &str, field: &str, why: &str) -> Self {
        let error = format!("Required value: {why}");
        Refusal::Invalid { kind, name: name.into(), field: field.into(), cause: "FieldValueRequired", error }
    }

    fn code_and_reason(&self) -> (u16, &'static str) {
        match self {
            Refusal::Unauthorized => (401, "Unauthorized"),
            Refusal::Forbidden { .. } => (403, "Forbidden"),
            Refusal::NotFound { .. } | Refusal::NoPath | Refusal::NoResource => (404, "NotFound"),
            Refusal::MethodNotAllowed => (405, "MethodNotAllowed"),
            Refusal::AlreadyExists { .. } => (409, "AlreadyExists"),
            Refusal::Conflict { .. } | Refusal::ApplyConflict { .. } => (409, "Conflict"),
            Refusal::Expired { .. } => (410, "Expired"),
            Refusal::BadRequest { .. } => (400, "BadRequest"),
            Refusal::Invalid { .. } | Refusal::Unprocessable(_) => (422, "Invalid"),
            Refusal::MediaType(_) => (415, "UnsupportedMediaType"),
            Refusal::TooLarge(_) => (413, "RequestEntityTooLarge"),
            Refusal::Internal(_) => (500, "InternalError"),
        }
    }

    fn details(&self) -> Option<Value> {
        let of = |kind: &Kind, name: &str, shown: &str| {
            let mut details = json!({"name": name, "kind": shown});
            if !kind.group.is_empty() {
                details["group"] = json!(kind.group);
            }
            details
        };
        match self {
            Refusal::NotFound { kind, name }
            | Refusal::AlreadyExists { kind, name }
            | Refusal::Conflict { kind, name, .. } => Some(of(kind, name, kind.plural)),
            Refusal::Forbidden { kind, name, causes, .. } => {
                let mut details = kind.map_or_else(|| json!({}), |kind| of(kind, name, kind.plural));
                if name.is_empty()
                    && let Some(details) = details.as_object_mut()
                {
                    details.remove("name");
                }
                if !causes.is_null() {
                    details["causes"] = causes.clone();
                }
                Some(details)
            }
            Refusal::ApplyConflict { causes, .. } => Some(json!({"causes": causes})),
            Refusal::Invalid { kind, name, field, cause, error } => {
                let mut details = of(kind, name, kind.kind);
                details["causes"] = json!([{"reason": cause, "message": error, "field": field}]);
                Some(details)
            }
            Refusal::NoResource | Refusal::MethodNotAllowed => Some(json!({})),
            Refusal::Unauthorized
            | Refusal::NoPath
            | Refusal::Expired { .. }
            | Refusal::BadRequest { .. }
            | Refusal::Unprocessable(_)
            | Refusal::MediaType(_)
            | Refusal::TooLarge(_)
            | Refusal::Internal(_) => None,
        }
    }

    pub fn status(&self) -> Value {
        let (code, reason) = self.code_and_reason();
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.to_string(), "reason": reason, "code": code,
        });
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
