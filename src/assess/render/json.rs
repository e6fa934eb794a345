//! One JSON object: every fact as a value, with the sentence that the other forms show.
use crate::assess::Assessment;
use crate::assess::tell::told;
use serde_json::{Value, json};

/// One line.
pub fn json(of: &Assessment) -> String {
    let mut value = serde_json::to_value(of).unwrap_or(Value::Null);
    let shown = value.get_mut("findings").and_then(Value::as_array_mut).into_iter().flatten();
    for (finding, shown) in of.findings.iter().zip(shown) {
        let (says, details) = told(&finding.fact);
        if let Some(shown) = shown.as_object_mut() {
            shown.extend([("says".to_string(), json!(says)), ("details".to_string(), json!(details))]);
        }
    }
    value.to_string()
}
