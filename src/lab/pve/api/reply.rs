//! From an outcome to HTTP: Proxmox's envelopes, reason phrases and headers.
use super::call::{Failure, Good};
use super::{Outcome, Style};
use crate::pve::Version;
use axum::body::Body;
use hyper::ext::ReasonPhrase;
use hyper::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_TYPE, DATE, EXPIRES, HeaderName, HeaderValue, LOCATION, PRAGMA, SERVER,
};
use hyper::{Request, Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

pub enum Reply {
    Answer(Style, Outcome),
    /// From the server itself, before any handler: the message as text, of no stated type.
    Plain(Failure),
    /// From the server itself with nothing but a status line: bad credentials and what is no method at all.
    Bare(Failure),
    /// The same, its delay over.
    Late(Failure),
    /// Nothing: the connection ends.
    HungUp,
}

/// Marks a response that is never sent: the connection ends in its place.
#[derive(Clone)]
pub struct HungUp;

/// True when error bodies say what went wrong; before libpve-http-server-perl 5.2 only the reason phrase did.
fn explains(version: Version) -> bool {
    version >= Version(8, 4, 0)
}

impl Reply {
    /// Of what a handler came to, here or on another host: of one that does not answer this one there is a status line alone.
    pub fn of(style: Style, outcome: Outcome) -> Reply {
        match outcome {
            Err(failure) if failure.status == 595 => Reply::Bare(failure),
            outcome => Reply::Answer(style, outcome),
        }
    }

    /// True when the server lets the caller wait for it: refused credentials, also refused uploads.
    pub fn is_delayed(&self) -> bool {
        match self {
            Reply::Bare(failure) => matches!(failure.status, 401 | 403),
            Reply::Answer(_, Err(failure)) => failure.status == 401,
            Reply::Plain(_) | Reply::Answer(_, Ok(_)) | Reply::Late(_) | Reply::HungUp => false,
        }
    }

    /// The reply of somebody who has waited already.
    pub fn at_once(self) -> Reply {
        match self {
            Reply::Bare(failure) => Reply::Late(failure),
            other => other,
        }
    }

    /// `now` is the host's time; `keep` says whether the client wants to go on with the connection.
    pub fn into_response(self, version: Version, now: Timestamp, keep: bool) -> Response<Body> {
        let mut response = match self {
            Reply::Bare(failure) | Reply::Late(failure) => {
                respond(failure.status, &failure.message, None, String::new())
            }
            Reply::HungUp => {
                let mut none = respond(500, "", None, String::new());
                none.extensions_mut().insert(HungUp);
                none
            }
            Reply::Plain(failure) => {
                let text = if explains(version) { failure.message.clone() } else { String::new() };
                respond(failure.status, &failure.message, None, text)
            }
            Reply::Answer(Style::Json, Ok(good)) => {
                let mut body = json!({"data": good.data});
                add_total(&mut body, good.total);
                respond(200, "OK", Some(JSON), body.to_string())
            }
            Reply::Answer(Style::Json, Err(failure)) => {
                let mut body = json!({"data": null});
                if explains(version) {
                    body["message"] = json!(failure.text());
                }
                if !failure.errors.is_empty() {
                    body["errors"] = json!(failure.errors);
                }
                respond(failure.status, &failure.message, Some(JSON), body.to_string())
            }
            Reply::Answer(Style::Extjs, outcome) => respond(200, "OK", Some(JSON), extjs(outcome).to_string()),
        };
        let keep = keep && response.status().as_u16() < 400;
        let headers = response.headers_mut();
        let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        if let Ok(date) = HeaderValue::from_str(&date) {
            headers.insert(EXPIRES, date.clone());
            headers.insert(DATE, date);
        }
        headers.insert(CONNECTION, HeaderValue::from_static(if keep { "Keep-Alive" } else { "close" }));
        response
    }
}

const JSON: &str = "application/json;charset=UTF-8";

fn extjs(outcome: Outcome) -> Value {
    match outcome {
        Ok(Good { data, total }) => {
            let mut body = json!({"success": 1, "data": data});
            add_total(&mut body, total);
            body
        }
        Err(failure) => {
            let mut body = json!({"success": 0, "status": failure.status, "message": failure.text(), "data": null});
            if !failure.errors.is_empty() {
                body["errors"] = json!(failure.errors);
            }
            body
        }
    }
}

fn add_total(body: &mut Value, total: Option<usize>) {
    if let Some(total) = total.filter(|t| *t > 0) {
        body["total"] = json!(total);
    }
}

/// The reason phrase is the message's first line.
fn respond(status: u16, message: &str, content_type: Option<&'static str>, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let first = message.lines().next().unwrap_or_default();
    if let Ok(reason) = ReasonPhrase::try_from(first.as_bytes()) {
        response.extensions_mut().insert(reason);
    }
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| headers.insert(name, HeaderValue::from_static(value));
    set(SERVER, "pve-api-daemon/3.0");
    set(CACHE_CONTROL, "max-age=0");
    set(PRAGMA, "no-cache");
    if let Some(content_type) = content_type {
        set(CONTENT_TYPE, content_type);
    }
    response
}

/// Plain HTTP on the HTTPS port is sent to the right scheme.
pub fn to_https<B>(request: &Request<B>) -> Response<Body> {
    let get = request.method() == hyper::Method::GET;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = if get { StatusCode::MOVED_PERMANENTLY } else { StatusCode::PERMANENT_REDIRECT };
    let host = request.headers().get("host").and_then(|h| h.to_str().ok()).unwrap_or("localhost:8006");
    if let Ok(target) = HeaderValue::from_str(&format!("https://{host}{}", request.uri())) {
        response.headers_mut().insert(LOCATION, target);
    }
    response
}
