//! YAML as Go's decoder reads it: ordered maps, no nulls, multi-line text as literal blocks, nothing folded.
use serde::Serialize;
use serde_yaml::{Mapping, Value};

/// An ordered map. An entry whose value is null is left out: Talos takes null entries for mistakes.
pub fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Value)>) -> Value {
    let kept = entries.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (Value::String(k.into()), v));
    Value::Mapping(kept.collect::<Mapping>())
}

pub fn list(items: impl IntoIterator<Item = Value>) -> Value {
    Value::Sequence(items.into_iter().collect())
}

/// A list of strings.
pub fn words<T: ToString>(items: impl IntoIterator<Item = T>) -> Value {
    list(items.into_iter().map(|i| Value::String(i.to_string())))
}

/// The text of one document.
///
/// # Errors
/// The writer's own words, which name types and never values.
pub fn text(value: &impl Serialize) -> Result<String, String> {
    let mut options = serde_saphyr::SerializerOptions::default();
    options.indent_step = 4;
    options.compact_list_indent = false;
    // Base64 stays on its line, as talosctl writes it.
    options.folded_wrap_chars = usize::MAX;
    serde_saphyr::to_string_with_options(value, options).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_number_but_is_text_is_quoted_and_null_is_left_out() {
        let long = "A".repeat(300);
        let value = map([
            ("number", Value::from("4096")),
            ("date", "123456.0123456789012345".into()),
            ("yes", "yes".into()),
            ("gone", Value::Null),
            ("long", long.as_str().into()),
            ("lines", "a {\n b = 0\n}\n".into()),
        ]);
        let text = text(&value).unwrap();
        let back: Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!(back, value, "{text}");
        assert!(text.contains(&format!("long: {long}\n")), "{text}");
        assert!(text.contains("lines: |\n"), "{text}");
        assert!(!text.contains("number: 4096") && !text.contains("yes: yes"), "{text}");
    }
}
