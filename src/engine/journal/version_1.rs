//! Lines of version 1, as cozyup wrote them until November 2026, in the form of today's records.
//!
//! A session said `until` (the last day) and `backwards` (a teardown), and the day of a teardown was 255.
use crate::base::json;
use crate::engine::record::Record;
use serde_json::{Value, json};

const TEARDOWN: u64 = 255;

/// # Errors
/// When the line is no record of version 1.
pub fn read(line: &[u8]) -> serde_json::Result<Record> {
    let mut value: Value = json::read(line)?;
    let event = value.get("event").and_then(Value::as_str).unwrap_or_default().to_string();
    match event.as_str() {
        "session" => session(&mut value),
        "gate_asked" | "gate_opened" => day(&mut value),
        _ => {}
    }
    serde_json::from_value(value)
}

fn session(record: &mut Value) {
    let Some(fields) = record.as_object_mut() else { return };
    let until = fields.remove("until").unwrap_or(Value::Null);
    let backwards = fields.remove("backwards") == Some(Value::Bool(true));
    // Version 1 did not keep whether the cluster was lost; that says nothing of what was made.
    let course = match backwards {
        true => json!({"back": {"cluster_is_lost": false}}),
        false => json!({"forward": {"until": until}}),
    };
    fields.insert("course".to_string(), course);
    fields.get_mut("steps").and_then(Value::as_array_mut).into_iter().flatten().for_each(day);
}

fn day(holder: &mut Value) {
    if let Some(day) = holder.get_mut("day")
        && day.as_u64() == Some(TEARDOWN)
    {
        *day = json!("teardown");
    }
}
