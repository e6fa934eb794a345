//! Values on their way out of this process and into it, with every text in them made safe.
use super::text;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Longest text in a record, in bytes.
const TEXT_LIMIT: usize = 16 * 1024;

/// `value` without secrets, without what a terminal obeys, and with every text short enough to be kept.
pub fn tidied<T: Serialize + DeserializeOwned>(value: T) -> T {
    let Ok(mut json) = serde_json::to_value(&value) else { return value };
    if !change(&mut json, &|raw| text::lines(raw, TEXT_LIMIT)) {
        return value;
    }
    // It has the same form as before, so this does not fail.
    serde_json::from_value(json).unwrap_or(value)
}

/// Reads what another process wrote, or a hand that meddled with a file: with every text cleaned.
///
/// # Errors
/// When it is no JSON, or not that of a `T`.
pub fn read<T: DeserializeOwned>(line: &[u8]) -> serde_json::Result<T> {
    if is_plain(line) {
        return serde_json::from_slice(line);
    }
    let mut json = serde_json::from_slice(line)?;
    clean(&mut json);
    serde_json::from_value(json)
}

/// Cleans every text in `json`.
pub fn clean(json: &mut Value) {
    change(json, &text::clean_lines);
}

/// True when there is nothing in it to clean: printable ASCII, and no escape but those of `"`, `\`, `/` and the line
/// break.
fn is_plain(line: &[u8]) -> bool {
    let printable = line.iter().all(|b| (b' '..=b'~').contains(b) || *b == b'\n');
    printable && !line.windows(2).any(|w| matches!(w, [b'\\', b'u' | b'b' | b'f' | b'r' | b't']))
}

/// Says whether anything is other than before.
fn change(json: &mut Value, to: &impl Fn(&str) -> String) -> bool {
    match json {
        Value::String(raw) => {
            let made = to(raw);
            let is_other = made != *raw;
            *raw = made;
            is_other
        }
        Value::Array(items) => items.iter_mut().fold(false, |any, item| change(item, to) | any),
        Value::Object(entries) => entries.values_mut().fold(false, |any, value| change(value, to) | any),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn every_text_at_any_depth_is_tidied_and_the_rest_is_left_alone() {
        let secret = Secret::new("d41d8cd9-8f00-b204-json".to_string());
        let value = json!({"a": [1, true, null, {"b": format!("x \u{1b}[31m {} y", secret.expose())}], "long": "z".repeat(1 << 20)});
        let tidy = tidied(value);
        assert_eq!(tidy["a"], json!([1, true, null, {"b": "x [31m [secret] y"}]));
        assert!(tidy["long"].as_str().unwrap().len() <= TEXT_LIMIT);
        let harmless = json!({"two": "lines\n  and an indent", "n": u64::MAX});
        assert_eq!(tidied(harmless.clone()), harmless);
    }

    proptest! {
        #[test]
        fn what_is_read_has_nothing_in_it_that_a_terminal_obeys(raw in any::<String>()) {
            let text: String = read(&serde_json::to_vec(&raw).unwrap()).unwrap();
            prop_assert_eq!(text, text::clean_lines(&raw));
        }
    }
}
