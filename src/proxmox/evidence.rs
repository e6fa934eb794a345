//! The beginning of an answer as it may be kept: without the texts of secret fields, and no longer than is ever shown.
use crate::base::known::HIDDEN;
use crate::base::secret::SECRET_FIELDS;
use serde_json::Value;

/// Far more than is kept of it, in bytes; a list of ten thousand guests is not written out to be thrown away.
const ENOUGH: usize = 32 << 10;

/// JSON that ends somewhere after [`ENOUGH`] bytes.
pub(super) fn beginning(data: &Value) -> String {
    let mut out = String::new();
    write(data, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(entries) => {
            out.push('{');
            for (i, (name, inside)) in entries.iter().enumerate() {
                if out.len() > ENOUGH {
                    return;
                }
                if i > 0 {
                    out.push(',');
                }
                text(name, out);
                out.push(':');
                match inside {
                    Value::String(_) | Value::Number(_) if SECRET_FIELDS.contains(&name.as_str()) => text(HIDDEN, out),
                    other => write(other, out),
                }
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if out.len() > ENOUGH {
                    return;
                }
                if i > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::String(raw) => text(raw, out),
        Value::Null | Value::Bool(_) | Value::Number(_) => out.push_str(&value.to_string()),
    }
}

fn text(raw: &str, out: &mut String) {
    let end = raw.floor_char_boundary(raw.len().min(ENOUGH));
    // A text is always JSON.
    out.push_str(&serde_json::to_string(raw.get(..end).unwrap_or_default()).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secret_fields_are_hidden_and_a_long_answer_is_not_written_to_its_end() {
        let shown = beginning(&json!({"a": [{"cipassword": "hunter2", "n": 1.5}], "b": "x\ny", "token": 7, "z": null}));
        assert_eq!(shown, r#"{"a":[{"cipassword":"[secret]","n":1.5}],"b":"x\ny","token":"[secret]","z":null}"#);
        let long = beginning(&json!(vec!["x".repeat(1000); 10_000]));
        assert!(long.len() < 2 * ENOUGH, "{}", long.len());
        assert!(beginning(&json!("é".repeat(1 << 20))).len() < 2 * ENOUGH);
    }
}
