//! From HTTP to a call: path, query and body, with the limits and quirks that Proxmox's own server has.
use super::call::{Failure, Params};
use super::reply::Reply;
use axum::body::Body;
use futures::StreamExt;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::timeout;

/// Largest body of anything but an upload, in bytes.
const BODY_LIMIT: usize = 512 << 10;
/// The time in which the next piece of a body must come (wall time: the socket is real).
pub const BODY_PATIENCE: Duration = Duration::from_secs(60);

/// The form of the answer that the client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Json,
    /// Always status 200, the outcome inside.
    Extjs,
}

/// The target of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Style and decoded path segments of `/api2/json/nodes/pve`.
    Call(Style, Vec<String>),
    /// `/api2/xml/...`: no answer is written in this format.
    NoFormatter { format: String, path: String },
    /// `/api2/` alone.
    NoUri,
    /// Outside of the API.
    File(String),
}

pub fn target(uri: &str) -> Target {
    let Some(rest) = uri.strip_prefix("/api2") else { return Target::File(decode(uri)) };
    let rest = rest.trim_start_matches('/');
    let (format, path) = rest.split_once('/').unwrap_or((rest, ""));
    let plain = format.len() > 1
        && format.starts_with(|c: char| c.is_ascii_lowercase())
        && format.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let style = match format {
        "json" => Style::Json,
        "extjs" => Style::Extjs,
        _ if plain => return Target::NoFormatter { format: format.into(), path: format!("/{}", decode(path)) },
        _ => return Target::NoUri,
    };
    Target::Call(style, path.split('/').filter(|s| !s.is_empty()).map(decode).collect())
}

/// The refusals of Proxmox's server that come before it asks who calls.
pub fn readable(parts: &Parts) -> Result<(), Reply> {
    let method = parts.method.as_str();
    if !matches!(method, "GET" | "POST" | "PUT" | "DELETE") {
        return Err(Reply::Bare(Failure::new(501, format!("method '{method}' not available"))));
    }
    match parts.headers.get(TRANSFER_ENCODING).map(|v| v.to_str().unwrap_or_default()) {
        Some(te) if te.eq_ignore_ascii_case("chunked") => {
            Err(Reply::Plain(Failure::new(501, "chunked transfer encoding not supported")))
        }
        Some(te) => Err(Reply::Plain(Failure::new(501, format!("Unknown transfer encoding '{te}'")))),
        None => Ok(()),
    }
}

pub fn content_length(parts: &Parts) -> usize {
    parts.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok()).unwrap_or(0)
}

pub fn content_type(parts: &Parts) -> &str {
    parts.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default()
}

/// The parameters that came with a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Given {
    pub params: Params,
    /// Names of those that came as a list.
    pub lists: BTreeSet<String>,
}

/// Parameters of query and body; the query wins.
///
/// # Errors
/// A body that is out of place, too large, of another type, or no JSON: told without JSON.
pub async fn given(parts: &Parts, body: Body) -> Result<Given, Failure> {
    let length = content_length(parts);
    let method = parts.method.as_str();
    let full_type = content_type(parts);
    let media = full_type.split([';', ',']).next().unwrap_or_default().trim();
    if length > 0 {
        if !matches!(method, "PUT" | "POST") {
            return Err(Failure::new(501, format!("Unexpected content for method '{method}'")));
        }
        if length > BODY_LIMIT {
            return Err(Failure::new(501, "for data too large"));
        }
        if !matches!(media, "" | "application/x-www-form-urlencoded" | "application/json") {
            return Err(Failure::new(506, format!("upload 'Content-Type '{full_type}' not implemented")));
        }
    }
    let mut given = match (method, media) {
        ("PUT" | "POST", "application/json") => json(&read(body).await?)?,
        ("PUT" | "POST", _) => form(&String::from_utf8_lossy(&read(body).await?)),
        _ => Given::default(),
    };
    given.take(form(parts.uri.query().unwrap_or_default()));
    // Browsers add this parameter so that nothing answers from a cache.
    given.params.remove("_dc");
    Ok(given)
}

impl Given {
    fn take(&mut self, other: Given) {
        self.lists.retain(|name| !other.params.contains_key(name));
        self.params.extend(other.params);
        self.lists.extend(other.lists);
    }

    fn add(&mut self, name: String, value: String) {
        if let Some(old) = self.params.get_mut(&name) {
            old.push(',');
            old.push_str(&value);
            self.lists.insert(name);
        } else {
            self.params.insert(name, value);
        }
    }
}

async fn read(body: Body) -> Result<Vec<u8>, Failure> {
    let mut pieces = body.into_data_stream();
    let mut all = Vec::new();
    while let Some(piece) =
        timeout(BODY_PATIENCE, pieces.next()).await.map_err(|_| Failure::new(408, "Request Timeout"))?
    {
        let piece = piece.map_err(|_| Failure::new(400, "connection lost"))?;
        all.extend_from_slice(&piece);
        if all.len() > BODY_LIMIT {
            return Err(Failure::new(501, "for data too large"));
        }
    }
    Ok(all)
}

/// Pairs are split at `&` and `;`, a pair at its first two `=`: what stands behind a second raw `=` is lost.
fn form(text: &str) -> Given {
    let mut given = Given::default();
    for pair in text.split(['&', ';']).filter(|p| !p.is_empty()) {
        let mut parts = pair.split('=');
        let name = decode_form(parts.next().unwrap_or_default());
        given.add(name, decode_form(parts.next().unwrap_or_default()));
    }
    given
}

fn json(bytes: &[u8]) -> Result<Given, Failure> {
    // The words of Perl's parser; where it stumbles, ours may see it elsewhere.
    let malformed = |at: usize, before: &str| {
        let what = "malformed JSON string, neither tag, array, object, number, string or atom";
        Failure::died(format!("{what}, at character offset {at} (before \"{before}\")"))
    };
    if bytes.is_empty() {
        return Err(malformed(0, "(end of string)"));
    }
    let value: Value = serde_json::from_slice(bytes).map_err(|e| malformed(e.column().saturating_sub(1), "..."))?;
    let Value::Object(map) = value else { return Err(Failure::died("Not a HASH reference")) };
    let mut given = Given::default();
    for (name, value) in map {
        if value.is_array() {
            given.lists.insert(name.clone());
        }
        given.params.extend(scalar(&value).map(|v| (name, v)));
    }
    Ok(given)
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Bool(b) => Some(if *b { "1" } else { "0" }.into()),
        Value::Number(n) => Some(n.to_string()),
        Value::String(s) => Some(s.clone()),
        Value::Array(items) => Some(items.iter().filter_map(scalar).collect::<Vec<_>>().join(",")),
        Value::Object(_) => Some(value.to_string()),
    }
}

/// Percent escapes undone.
pub fn decode(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut ahead = bytes.clone();
        let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
        match (digit(ahead.next()), digit(ahead.next())) {
            (Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                bytes = ahead;
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn decode_form(text: &str) -> String {
    decode(&text.replace('+', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raw_semicolon_or_equals_sign_truncates_a_form_value_and_an_escaped_one_does_not() {
        let cut = form("boot=order=scsi0;ide2&name=a+b").params;
        assert_eq!(cut["boot"], "order");
        assert_eq!(cut["name"], "a b");
        assert!(cut.contains_key("ide2"));
        assert_eq!(form("boot=order%3Dscsi0%3Bide2").params["boot"], "order=scsi0;ide2");
    }

    #[test]
    fn json_booleans_become_one_and_zero_and_null_is_left_out() {
        let params = json(br#"{"full":true,"newid":101,"name":"a","pool":null}"#).unwrap().params;
        assert_eq!(params["full"], "1");
        assert_eq!(params["newid"], "101");
        assert!(!params.contains_key("pool"));
        let empty = json(b"").unwrap_err().message;
        assert!(empty.ends_with("at character offset 0 (before \"(end of string)\")"), "{empty}");
    }

    #[test]
    fn what_comes_twice_or_as_a_json_list_is_a_list() {
        let twice = form("roles=A&path=%2F&roles=B");
        assert_eq!((twice.params["roles"].as_str(), twice.lists.contains("roles")), ("A,B", true));
        assert_eq!(json(br#"{"roles":["A","B"]}"#).unwrap(), form("roles=A&roles=B"));
        let mut over = form("a=1&a=2");
        over.take(form("a=3"));
        assert_eq!((over.params["a"].as_str(), over.lists.len()), ("3", 0), "the query's word counts");
    }

    #[test]
    fn the_path_is_decoded_segment_by_segment() {
        let call = |style, segments: &[&str]| Target::Call(style, segments.iter().map(ToString::to_string).collect());
        let task = target("/api2/json/nodes/pve/tasks/UPID%3Apve%3A1/status");
        assert_eq!(task, call(Style::Json, &["nodes", "pve", "tasks", "UPID:pve:1", "status"]));
        assert_eq!(target("/api2/extjs"), call(Style::Extjs, &[]));
        assert_eq!(target("/pve2/x"), Target::File("/pve2/x".into()));
        assert_eq!(target("/api2/"), Target::NoUri);
        assert_eq!(target("/api2/xml/a"), Target::NoFormatter { format: "xml".into(), path: "/a".into() });
    }
}
