//! Answers that the API itself would not give, in its form.
use super::plan::{Api, Disturbance};
use axum::body::Body;
use hyper::ext::ReasonPhrase;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde_json::json;
use tonic::{Code, Status};

const NONSENSE: &[u8] = b"\x00\xff<html><body>It works!</body></html>\x1b[31m";

pub fn of(api: Api, what: &Disturbance) -> Response<Body> {
    let text = what.text.as_str();
    let body = |usual: String| what.body.clone().unwrap_or(usual);
    match api {
        Api::Talos => Status::new(Code::from_i32(i32::from(what.code)), text).into_http(),
        Api::Kubernetes => {
            let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": text, "reason": reason(what.code), "code": what.code});
            let mut response = plain(what.code, "application/json", body(status.to_string()));
            if what.code == 429 {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            response
        }
        Api::Proxmox => {
            // An answer of the server in front has no body (401 and 595 to 599).
            let bare = what.code == 401 || what.code >= 595;
            let usual = if bare { String::new() } else { json!({"data": null, "message": text}).to_string() };
            let mut response = plain(what.code, "application/json;charset=UTF-8", body(usual));
            if let Ok(reason) = ReasonPhrase::try_from(text.as_bytes()) {
                response.extensions_mut().insert(reason);
            }
            if what.code >= 400 {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            response
        }
        Api::Web => plain(what.code, "text/plain", body(format!("{text}\n"))),
    }
}

pub fn garbage(api: Api) -> Response<Body> {
    match api {
        Api::Talos => plain(200, "application/grpc", NONSENSE),
        Api::Proxmox | Api::Kubernetes | Api::Web => plain(200, "text/html", NONSENSE),
    }
}

fn plain(code: u16, content_type: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn reason(code: u16) -> &'static str {
    match code {
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "",
    }
}
