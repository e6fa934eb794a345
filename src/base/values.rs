//! JSON from outside as values, within a stated amount of memory.
//!
//! A value takes far more room than its text: `{"a":0}` has seven bytes and becomes some seven hundred. So not only the
//! length of an answer needs a limit, but also what is made of it; reading ends where the limit is reached.
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::cell::Cell;
use std::fmt;

/// A value by itself, and a place of a list beside it.
const VALUE: usize = size_of::<Value>();
/// The first node of a map, which has room for eleven entries.
const MAP: usize = 11 * (VALUE + size_of::<String>()) + 16;
/// The memory that every further entry takes, in nodes that are half full.
const ENTRY: usize = 2 * (VALUE + size_of::<String>());
/// An allocation's own overhead.
const TEXT: usize = 16;

/// Memory that values may still take, in bytes, by a cautious estimate. Several texts can be read out of one.
#[derive(Debug, Clone)]
pub struct Budget(Cell<usize>);

impl Budget {
    pub fn new(bytes: usize) -> Budget {
        Budget(Cell::new(bytes))
    }

    fn take<E: Error>(&self, bytes: usize) -> Result<(), E> {
        let left = self.0.get().checked_sub(bytes);
        self.0.set(left.ok_or_else(|| E::custom("it has far more values than any answer of the API"))?);
        Ok(())
    }
}

/// The value of a whole text.
///
/// # Errors
/// When the text is no JSON, nests deeper than 128 levels, or takes more than the budget. The error never quotes the text.
pub fn read(text: &str, budget: &Budget) -> serde_json::Result<Value> {
    let mut from = serde_json::Deserializer::from_str(text);
    let value = Bounded(budget).deserialize(&mut from)?;
    from.end()?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Bounded<'a>(&'a Budget);

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
        self.0.take(v.len() + TEXT)?;
        Ok(Value::String(v.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = from.next_element_seed(self)? {
            // The list's room is doubled when it is full.
            self.0.take(2 * VALUE)?;
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
            self.0.take(room + key.len() + TEXT)?;
            entries.insert(key, from.next_value_seed(self)?);
        }
        Ok(Value::Object(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// harm.md S8
    #[test]
    fn cheap_and_dear_values_alike_end_where_the_budget_does() {
        for item in ["{\"a\":0},", "[],", "{},", "\"\",", "0,", "[[[[[]]]]],"] {
            let text = format!("[{}0]", item.repeat((4 << 20) / item.len()));
            let error = read(&text, &Budget::new(1 << 20)).unwrap_err();
            assert!(error.to_string().contains("far more values"), "{item}: {error}");
        }
    }

    #[test]
    fn one_budget_counts_over_several_texts() {
        let budget = Budget::new(4000);
        let text = format!("\"{}\"", "x".repeat(1500));
        assert!(read(&text, &budget).is_ok() && read(&text, &budget).is_ok());
        assert!(read(&text, &budget).is_err());
    }

    #[test]
    fn what_nests_without_end_is_refused() {
        assert!(read(&"[".repeat(500_000), &Budget::new(1 << 30)).is_err());
        assert!(read(&"{\"a\":".repeat(500_000), &Budget::new(1 << 30)).is_err());
    }
}
