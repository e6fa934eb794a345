//! One object a line, versioned (`"schema": 2`).
use super::summary::Summary;
use crate::engine::record::Record;
use serde::Serialize;
use serde_json::{Value, json};

pub const SCHEMA: u32 = 2;

pub fn record(record: &Record) -> String {
    object("record", record)
}

pub fn summary(summary: &Summary) -> String {
    object("summary", summary)
}

/// `value` with its kind and the version.
pub fn object(kind: &str, value: &impl Serialize) -> String {
    let mut value = serde_json::to_value(value).unwrap_or(Value::Null);
    if let Some(map) = value.as_object_mut() {
        map.insert("schema".into(), json!(SCHEMA));
        map.insert("kind".into(), json!(kind));
    }
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::day::Day;
    use crate::engine::record::Event;
    use crate::engine::state::tests::at;

    #[test]
    fn a_record_carries_schema_and_kind_beside_its_own_keys() {
        let line =
            record(&Record { seq: 7, at: at(1), event: Event::GateAsked { day: Day::Number(2), compare: Vec::new() } });
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["schema"], 2);
        assert_eq!(value["kind"], "record");
        assert_eq!((&value["seq"], &value["event"], &value["day"]), (&json!(7), &json!("gate_asked"), &json!(2)));
    }
}
