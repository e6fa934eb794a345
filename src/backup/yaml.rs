//! YAML that a person reads, that every reader reads back as the same value, and that a terminal can show: what it would obey
//! is escaped. Texts of several lines are literal blocks.
use crate::base::text::is_hostile;
use serde_json::{Map, Value};
use std::io::{self, Write};

/// Longest key that readers take before its colon, in characters (YAML 1.2, 7.4.2), with room for escapes.
const LONGEST_KEY: usize = 200;
/// Words that readers of YAML 1.1 take for something else than text.
const WORDS: [&str; 13] =
    ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "infinity", "undefined"];

/// Writes `value` as a block; it ends with a line break.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut dyn Write, value: &Value) -> io::Result<()> {
    match value {
        Value::Object(entries) if !entries.is_empty() => map(out, entries, 0, false),
        Value::Array(items) if !items.is_empty() => list(out, items, 0),
        other => {
            scalar(out, other, 0)?;
            out.write_all(b"\n")
        }
    }
}

fn pad(out: &mut dyn Write, by: usize) -> io::Result<()> {
    write!(out, "{:by$}", "")
}

/// `inline`: the first entry stands behind a dash, on its line.
fn map(out: &mut dyn Write, entries: &Map<String, Value>, by: usize, inline: bool) -> io::Result<()> {
    for (n, (key, value)) in entries.iter().enumerate() {
        if n > 0 || !inline {
            pad(out, by)?;
        }
        if key.len() > LONGEST_KEY {
            write!(out, "? {}\n{:by$}:", quoted(key), "")?;
        } else {
            write!(out, "{}:", if is_plain(key) { key.clone() } else { quoted(key) })?;
        }
        match value {
            Value::Object(inside) if !inside.is_empty() => {
                out.write_all(b"\n")?;
                map(out, inside, by + 2, false)?;
            }
            Value::Array(items) if !items.is_empty() => {
                out.write_all(b"\n")?;
                list(out, items, by + 2)?;
            }
            other => {
                out.write_all(b" ")?;
                scalar(out, other, by + 2)?;
                out.write_all(b"\n")?;
            }
        }
    }
    Ok(())
}

fn list(out: &mut dyn Write, items: &[Value], by: usize) -> io::Result<()> {
    for item in items {
        pad(out, by)?;
        match item {
            Value::Object(inside) if !inside.is_empty() => {
                out.write_all(b"- ")?;
                map(out, inside, by + 2, true)?;
            }
            Value::Array(inside) if !inside.is_empty() => {
                out.write_all(b"-\n")?;
                list(out, inside, by + 2)?;
            }
            other => {
                out.write_all(b"- ")?;
                scalar(out, other, by + 2)?;
                out.write_all(b"\n")?;
            }
        }
    }
    Ok(())
}

/// Without a line break at its end. `by` is the indent of a literal block's lines.
fn scalar(out: &mut dyn Write, value: &Value, by: usize) -> io::Result<()> {
    match value {
        Value::Null => out.write_all(b"null"),
        Value::Bool(b) => write!(out, "{b}"),
        Value::Number(n) => write!(out, "{n}"),
        Value::Object(_) => out.write_all(b"{}"),
        Value::Array(_) => out.write_all(b"[]"),
        Value::String(text) if is_plain(text) => out.write_all(text.as_bytes()),
        Value::String(text) if is_literal(text) => literal(out, text, by.max(2)),
        Value::String(text) => out.write_all(quoted(text).as_bytes()),
    }
}

/// Text that needs no quotes: letters first, no blanks, and no word or number of YAML's own.
fn is_plain(text: &str) -> bool {
    let inside = |b: u8| b.is_ascii_alphanumeric() || b"/._-@+".contains(&b);
    let (first, last) = (text.as_bytes().first(), text.as_bytes().last());
    let begins = first.is_some_and(|b| b.is_ascii_alphabetic() || *b == b'/');
    // A colon in the middle of a word is text, as in an image's name.
    let fits = text.bytes().all(|b| inside(b) || b == b':') && last != Some(&b':');
    begins && fits && text.len() <= 4096 && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

/// Text that is read back the same from a literal block.
fn is_literal(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let harmless = |line: &str| !line.contains(is_hostile) && (line.is_empty() || !line.trim_matches(' ').is_empty());
    let first = body.lines().find(|line| !line.is_empty());
    body.contains('\n')
        && !body.ends_with('\n')
        && first.is_some_and(|line| !line.starts_with(' '))
        && !body.starts_with('\n')
        && body.split('\n').all(harmless)
}

fn literal(out: &mut dyn Write, text: &str, by: usize) -> io::Result<()> {
    let body = text.strip_suffix('\n');
    out.write_all(if body.is_some() { b"|" } else { b"|-" })?;
    for line in body.unwrap_or(text).split('\n') {
        out.write_all(b"\n")?;
        if !line.is_empty() {
            pad(out, by)?;
            out.write_all(line.as_bytes())?;
        }
    }
    Ok(())
}

/// In double quotes, with everything escaped that is invisible or that a terminal obeys.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_hostile(c) => match u32::from(c) {
                n @ 0..=0xff => out.push_str(&format!("\\x{n:02x}")),
                n @ 0x100..=0xffff => out.push_str(&format!("\\u{n:04x}")),
                n => out.push_str(&format!("\\U{n:08x}")),
            },
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// JSON in one line of ASCII, for a comment: nothing in it ends the line for any reader.
pub fn comment(value: &Value) -> String {
    let mut out = String::new();
    for c in value.to_string().chars() {
        if c.is_ascii() && c != '\u{7f}' {
            out.push(c);
        } else {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn text(value: &Value) -> String {
        let mut out = Vec::new();
        write(&mut out, value).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let word = prop_oneof![
            any::<String>(),
            "[a-z:/.0-9 \n#-]{0,40}",
            "( ?[a-z]{0,3}\n?){0,6}",
            Just("yes".into()),
            Just("0123".into()),
            Just("1e3".into()),
            Just("- a: b".into()),
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<i32>().prop_map(|n| Value::from(f64::from(n) / 4.0)),
            word.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(word.clone(), inner, 0..5)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_value_is_read_back_by_two_readers_and_nothing_in_it_is_obeyed(value in any_value()) {
            let written = text(&value);
            prop_assert!(!written.contains(|c| c != '\n' && is_hostile(c)), "{:?}", written);
            let of_one: Value = serde_saphyr::from_str(&written).map_err(|e| TestCaseError::fail(format!("{e}: {written}")))?;
            prop_assert_eq!(&of_one, &value, "{}", written);
            let of_other: Value = serde_yaml::from_str(&written).map_err(|e| TestCaseError::fail(format!("{e}: {written}")))?;
            prop_assert_eq!(&of_other, &value, "{}", written);
            let line = comment(&value);
            prop_assert!(line.bytes().all(|b| (b' '..=b'~').contains(&b)));
            prop_assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), value);
        }
    }

    #[test]
    fn an_object_reads_as_a_person_would_write_it() {
        let value = json!({"apiVersion": "apps/v1", "data": {"a.conf": "one\n  two\n", "n": "10"}, "items": [{"a": 1, "b": []}, "x y", null],
            "image": "ghcr.io/a/b:v1", "e": {}});
        let wanted = "apiVersion: apps/v1\ndata:\n  a.conf: |\n    one\n      two\n  \"n\": \"10\"\ne: {}\nimage: ghcr.io/a/b:v1\nitems:\n  - a: 1\n    b: []\n  - \"x y\"\n  - null\n";
        assert_eq!(text(&value), wanted);
        assert_eq!(text(&json!({"a": "x\u{1b}[2J\u{202e}y"})), "a: \"x\\x1b[2J\\u202ey\"\n");
    }
}
