//! From the bytes of an answer to values, within a stated amount of memory.
//!
//! A JSON value takes far more room than its text: `{"a":0}` has seven bytes and becomes some seven hundred. So not only the
//! length of an answer has a limit, but also what is made of it, and reading ends where that is reached.
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::cell::Cell;
use std::fmt;

/// Longest answer to most questions and to every change, in bytes.
pub(super) const ORDINARY: usize = 4 << 20;
/// Longest answer to the few questions about everything there is: guests of a cluster, volumes of a storage, rights. Five
/// thousand guests are some 3 MiB.
pub(super) const LARGE: usize = 16 << 20;
/// What the values of one answer may take in memory, in bytes: some fifteen thousand guests.
const MEMORY: usize = 48 << 20;
/// A value by itself, and a place of a list beside it.
const VALUE: usize = size_of::<Value>();
/// The first node of a map, which has room for eleven entries.
const MAP: usize = 11 * (VALUE + size_of::<String>()) + 16;
/// What every further entry takes, in nodes that are half full.
const ENTRY: usize = 2 * (VALUE + size_of::<String>());
/// An allocation's own overhead.
const TEXT: usize = 16;

/// `data` of an answer. Never quotes the body: it may hold a secret.
pub(super) fn data(body: &str) -> Result<Value, String> {
    match value(body, MEMORY) {
        Ok(Value::Object(mut answer)) => answer.remove("data").ok_or_else(|| "it has no `data`".to_string()),
        Ok(_) => Err("it is no object".to_string()),
        Err(e) => Err(e.to_string()),
    }
}

fn value(body: &str, memory: usize) -> serde_json::Result<Value> {
    let left = Cell::new(memory);
    let mut from = serde_json::Deserializer::from_str(body);
    let value = Bounded(&left).deserialize(&mut from)?;
    from.end()?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Bounded<'a>(&'a Cell<usize>);

impl Bounded<'_> {
    fn take<E: Error>(self, bytes: usize) -> Result<(), E> {
        let left = self.0.get().checked_sub(bytes);
        self.0.set(left.ok_or_else(|| E::custom("it has far more values than any answer of the API"))?);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: Error>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_i64<E: Error>(self, v: i64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_u64<E: Error>(self, v: u64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_f64<E: Error>(self, v: f64) -> Result<Value, E> {
        Ok(Number::from_f64(v).map_or(Value::Null, Value::Number))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_str<E: Error>(self, v: &str) -> Result<Value, E> {
        self.take(v.len() + TEXT)?;
        Ok(Value::String(v.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = from.next_element_seed(self)? {
            // The list's room is doubled when it is full.
            self.take(2 * VALUE)?;
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut entries = Map::new();
        while let Some(key) = from.next_key::<String>()? {
            let room = if entries.is_empty() {
                MAP
            } else if entries.len() < 11 {
                0
            } else {
                ENTRY
            };
            self.take(room + key.len() + TEXT)?;
            entries.insert(key, from.next_value_seed(self)?);
        }
        Ok(Value::Object(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_an_object_with_data_is_an_answer() {
        assert_eq!(data("{\"data\":null}"), Ok(Value::Null));
        for wrong in ["", "{\"data\":", "[]", "{}", "<html>", "{\"data\":1} x"] {
            assert!(data(wrong).is_err(), "{wrong}");
        }
    }

    /// harm.md S8: reading stops at the limit, whatever comes behind it.
    #[test]
    fn values_that_take_more_memory_than_an_answer_may_are_not_made() {
        for item in ["{\"a\":0},", "[],", "{},", "\"\",", "0,", "[[[[[]]]]],"] {
            let mut body = String::from("{\"data\":[");
            body.push_str(&item.repeat((31 << 20) / item.len()));
            body.push_str("0]}");
            if !item.starts_with("{\"a") {
                // Cheap ones fit into less text; what counts is that the bound is kept.
                assert!(value(&body, 8 << 20).is_err(), "{item}");
                continue;
            }
            let error = data(&body).unwrap_err();
            assert!(error.contains("far more values"), "{error}");
            let column: usize = error.rsplit("column ").next().unwrap().parse().unwrap();
            assert!(column < 1 << 20, "read on to {column}");
        }
    }

    #[test]
    fn the_guests_of_a_large_cluster_fit() {
        let row = r#"{"id":"qemu/100","vmid":100,"node":"pve1","type":"qemu","name":"some-longer-name-of-a-guest","status":"running","template":0,"tags":"a;b;c","maxcpu":8,"maxmem":25769803776,"maxdisk":53687091200,"cpu":0.0312,"mem":12884901888,"disk":0,"diskread":123456789,"diskwrite":123456789,"netin":123456789,"netout":123456789,"uptime":1234567,"pool":"production"},"#;
        let body = format!("{{\"data\":[{}0]}}", row.repeat(8000));
        assert!(body.len() < LARGE);
        assert!(data(&body).is_ok());
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_serde_reads(text in ".*", n in any::<f64>(), i in any::<i64>()) {
            let json = serde_json::json!({"data": {"a": [text, n, i, null, true, {"b": {}}]}}).to_string();
            let plain: Value = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(&data(&json).unwrap(), &plain["data"]);
        }
    }
}
