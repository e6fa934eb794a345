//! From HTTP to a call: path, query and body, with the limits and quirks that Proxmox's own server has.
use super::call::{Failure, Params};
use axum::body::Body;
use futures::StreamExt;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use serde_json::Value;
use std::time::Duration;
use tokio::time::timeout;

/// Largest body of anything but an upload, in bytes.
const BODY_LIMIT: usize = 512 << 10;
/// How long a client may take for the next piece of a body (wall time: the socket is real).
pub const BODY_PATIENCE: Duration = Duration::from_secs(60);

/// Which of the two answers the client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Json,
    /// Always status 200, the outcome inside.
    Extjs,
}

/// Style and decoded path segments of `/api2/json/nodes/pve`.
pub fn path(uri: &str) -> Option<(Style, Vec<String>)> {
    let rest = uri.strip_prefix("/api2/")?;
    let (style, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let style = match style {
        "json" => Style::Json,
        "extjs" => Style::Extjs,
        _ => return None,
    };
    Some((style, rest.split('/').filter(|s| !s.is_empty()).map(decode).collect()))
}

/// What Proxmox's server refuses before it looks at the path. Plain text, no JSON.
///
/// # Errors
/// The refusal.
pub fn acceptable(parts: &Parts) -> Result<(), Failure> {
    if parts.headers.contains_key(TRANSFER_ENCODING) {
        return Err(Failure::new(501, "chunked transfer encoding not supported"));
    }
    let method = parts.method.as_str();
    if matches!(method, "GET" | "DELETE") && content_length(parts) > 0 {
        return Err(Failure::new(501, format!("Unexpected content for method '{method}'")));
    }
    Ok(())
}

pub fn content_length(parts: &Parts) -> usize {
    parts.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok()).unwrap_or(0)
}

pub fn content_type(parts: &Parts) -> &str {
    parts.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default()
}

/// Parameters of query and body; the query wins.
///
/// # Errors
/// A body that is too large, of another type, or no JSON.
pub async fn params(parts: &Parts, body: Body) -> Result<Params, Failure> {
    let length = content_length(parts);
    if length > BODY_LIMIT {
        return Err(Failure::new(501, "for data too large"));
    }
    let full_type = content_type(parts);
    let media = full_type.split(';').next().unwrap_or_default().trim();
    let mut params = match media {
        "" | "application/x-www-form-urlencoded" => form(&String::from_utf8_lossy(&read(body).await?)),
        "application/json" if matches!(parts.method.as_str(), "GET" | "DELETE") => Params::new(),
        "application/json" => json(&read(body).await?)?,
        _ => return Err(Failure::new(506, format!("upload 'Content-Type '{full_type}' not implemented"))),
    };
    params.extend(form(parts.uri.query().unwrap_or_default()));
    Ok(params)
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
fn form(text: &str) -> Params {
    let mut params = Params::new();
    for pair in text.split(['&', ';']).filter(|p| !p.is_empty()) {
        let mut parts = pair.split('=');
        let name = decode_form(parts.next().unwrap_or_default());
        let value = decode_form(parts.next().unwrap_or_default());
        params
            .entry(name)
            .and_modify(|old: &mut String| {
                old.push(',');
                old.push_str(&value);
            })
            .or_insert(value);
    }
    params
}

fn json(bytes: &[u8]) -> Result<Params, Failure> {
    let malformed = |e: &dyn std::fmt::Display| Failure::died(format!("malformed JSON string: {e}"));
    let value: Value = serde_json::from_slice(bytes).map_err(|e| malformed(&e))?;
    let Value::Object(map) = value else { return Err(malformed(&"not an object")) };
    Ok(map.into_iter().filter_map(|(name, value)| scalar(&value).map(|v| (name, v))).collect())
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
        let cut = form("boot=order=scsi0;ide2&name=a+b");
        assert_eq!(cut["boot"], "order");
        assert_eq!(cut["name"], "a b");
        assert!(cut.contains_key("ide2"));
        assert_eq!(form("boot=order%3Dscsi0%3Bide2")["boot"], "order=scsi0;ide2");
    }

    #[test]
    fn json_booleans_become_one_and_zero_and_null_is_left_out() {
        let params = json(br#"{"full":true,"newid":101,"name":"a","pool":null}"#).unwrap();
        assert_eq!(params["full"], "1");
        assert_eq!(params["newid"], "101");
        assert!(!params.contains_key("pool"));
        assert!(json(b"").unwrap_err().message.starts_with("malformed JSON string"));
    }

    #[test]
    fn the_path_is_decoded_segment_by_segment() {
        let (style, segments) = path("/api2/json/nodes/pve/tasks/UPID%3Apve%3A1/status").unwrap();
        assert_eq!(style, Style::Json);
        assert_eq!(segments, ["nodes", "pve", "tasks", "UPID:pve:1", "status"]);
        assert!(path("/pve2/x").is_none());
    }
}
