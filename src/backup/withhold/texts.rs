//! Secrets in a text: in a file of a ConfigMap, in a command line, in a URL.
use super::{NAMES, WITHHELD, bare, inside, is_reference, is_secret};
use crate::base::known;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// A shorter text is no file in base64, in characters.
const SHORTEST_BASE64: usize = 24;
/// A text in a text in a text: a file in base64 in a manifest in a ConfigMap.
const DEEPEST: usize = 4;

/// The text with its secrets replaced; `None` when there are none in it.
pub fn without_secrets(text: &str, depth: usize) -> Option<String> {
    if depth >= DEEPEST {
        return None;
    }
    if let Ok(mut document @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str::<Value>(text) {
        let mut places = Vec::new();
        inside(&mut document, "", depth + 1, &mut places);
        return (!places.is_empty()).then(|| document.to_string());
    }
    if holds_one_in_base64(text, depth) {
        return Some(WITHHELD.into());
    }
    let without = assignments(&by_form(text));
    (without != text).then_some(without)
}

fn holds_one_in_base64(text: &str, depth: usize) -> bool {
    let packed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let decoded = (packed.len() >= SHORTEST_BASE64).then(|| STANDARD.decode(packed).ok()).flatten();
    let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.is_some_and(|inside| without_secrets(&inside, depth + 1).is_some())
}

/// Private keys, `Bearer` and signed tokens, and a password in a URL.
fn by_form(text: &str) -> String {
    let mut text = known::hide(text).into_owned();
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| rest.find("://")) {
        let start = from + found + 3;
        let rest = text.get(start..).unwrap_or_default();
        let end = rest.find(|c: char| c.is_whitespace() || "/?#\"'<>`,".contains(c)).unwrap_or(rest.len());
        from = start;
        let authority = rest.get(..end).unwrap_or_default();
        let password = authority.rsplit_once('@').and_then(|(user, _)| user.split_once(':'));
        if let Some((user, password)) = password.filter(|(_, password)| !is_reference(password)) {
            let (a, b) = (start + user.len() + 1, start + user.len() + 1 + password.len());
            text.replace_range(a..b, WITHHELD);
        }
    }
    text
}

/// `password=x`, `"token": "x"`, `secret: x`, wherever they stand in a text.
fn assignments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // The indent of a name whose value stands on the lines below it.
    let mut open: Option<usize> = None;
    for (n, line) in text.split('\n').enumerate() {
        if n > 0 {
            out.push('\n');
        }
        let indent = line.len() - line.trim_start().len();
        if open.is_some_and(|of| indent > of) && !line.trim().is_empty() {
            out.push_str(line.get(..indent).unwrap_or_default());
            out.push_str(WITHHELD);
            continue;
        }
        let (without, is_open) = of_line(line);
        out.push_str(&without);
        if !line.trim().is_empty() {
            open = is_open.then_some(indent);
        }
    }
    out
}

/// The line without its secrets, and whether the value of its last name stands below it.
fn of_line(line: &str) -> (String, bool) {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(['=', ':']) {
        let (before, after) = rest.split_at(at);
        let is_colon = after.starts_with(':');
        let after = after.get(1..).unwrap_or_default();
        out.push_str(before);
        out.push(if is_colon { ':' } else { '=' });
        rest = after;
        if !names_a_secret(before, after, is_colon) {
            continue;
        }
        let (blank, value, behind) = value_of(after);
        if !is_reference(value) {
            out.push_str(blank);
            out.push_str(WITHHELD);
            rest = behind;
        } else if is_colon && matches!(value.trim(), "" | "|" | "|-" | "|+" | ">" | ">-") {
            out.push_str(rest);
            return (out, true);
        }
    }
    out.push_str(rest);
    (out, false)
}

/// What stands before the sign is a name of a secret, and the sign gives it a value: `token-service:v1` does not.
fn names_a_secret(before: &str, after: &str, is_colon: bool) -> bool {
    let name = before.trim_end().trim_end_matches(['"', '\'', '\\']);
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let start = name.char_indices().rev().take_while(|(_, c)| is_part(*c)).last().map_or(name.len(), |(n, _)| n);
    let (path, name) = name.split_at(start);
    let is_word = NAMES.contains(&bare(name).as_str()) && !path.ends_with('/');
    let gives = !is_colon || after.is_empty() || after.starts_with([' ', '\t', '"', '\'', '\\']) || is_word;
    gives && is_secret(name)
}

/// Blanks and a quote; the value; what comes behind it. Without quotes a value goes on to the end of its line.
fn value_of(text: &str) -> (&str, &str, &str) {
    let start = text.len() - text.trim_start_matches([' ', '\t', '\\']).len();
    let opened = text.get(start..).unwrap_or_default();
    let quote = opened.chars().next().filter(|c| matches!(c, '"' | '\''));
    let (start, end) = match quote {
        Some(quote) => {
            let inside = opened.get(1..).unwrap_or_default();
            let mut escaped = false;
            let end = inside.find(|c: char| {
                let ends = c == quote && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            (start + 1, start + 1 + end.unwrap_or(inside.len()))
        }
        None => (start, text.len()),
    };
    (
        text.get(..start).unwrap_or_default(),
        text.get(start..end).unwrap_or_default(),
        text.get(end..).unwrap_or_default(),
    )
}
