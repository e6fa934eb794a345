//! Reading Proxmox VE's JSON: a Perl scalar that was ever used as text comes as text, so `8` and `"8"` are the same.
use crate::base::text::clean;
use serde_json::{Map, Value};

pub(super) struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    pub(super) fn of(value: &'a Value) -> Result<Self, String> {
        value.as_object().map(Fields).ok_or_else(|| "an object was expected".to_string())
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.0.get(key)
    }

    /// Text on one line, cleaned; `None` when missing, null or nested.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.0.get(key).and_then(scalar).map(|s| clean(&s))
    }

    pub(super) fn need_text(&self, key: &str) -> Result<String, String> {
        self.text(key).filter(|t| !t.is_empty()).ok_or_else(|| format!("`{key}` is missing"))
    }

    pub(super) fn number(&self, key: &str) -> Option<u64> {
        self.0.get(key).and_then(whole)
    }

    pub(super) fn need_number(&self, key: &str) -> Result<u64, String> {
        self.number(key).ok_or_else(|| format!("`{key}` is not a number"))
    }

    pub(super) fn float(&self, key: &str) -> Option<f64> {
        self.0.get(key).and_then(|v| v.as_f64().or_else(|| v.as_str()?.trim().parse().ok()))
    }

    /// 1, `"1"` and true are true; missing, 0, `""` and everything else are not.
    pub(super) fn flag(&self, key: &str) -> bool {
        self.0.get(key).is_some_and(|v| v.as_bool().unwrap_or_else(|| whole(v) == Some(1)))
    }

    /// The parts of a text between any of `separators`, without empty ones.
    pub(super) fn parts(&self, key: &str, separators: &[char]) -> Vec<String> {
        let text = self.text(key).unwrap_or_default();
        text.split(separators).map(str::trim).filter(|p| !p.is_empty()).map(str::to_string).collect()
    }

    pub(super) fn inside(&self, key: &str) -> Option<Fields<'a>> {
        self.0.get(key).and_then(|v| Fields::of(v).ok())
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.0.iter()
    }
}

pub(super) fn rows(value: &Value) -> Result<Vec<Fields<'_>>, String> {
    value.as_array().ok_or_else(|| "a list was expected".to_string())?.iter().map(Fields::of).collect()
}

/// A scalar as text: booleans as 1 and 0, the way Perl writes them.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(s) => Some(s.clone()),
        Value::Number(n) => Some(n.to_string()),
        Value::Bool(b) => Some(u8::from(*b).to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A number that is not negative; fractions are cut, texts read.
pub(super) fn whole(value: &Value) -> Option<u64> {
    let float = |f: f64| (f >= 0.0).then_some(f as u64);
    match value {
        Value::Number(n) => n.as_u64().or_else(|| n.as_f64().and_then(float)),
        Value::String(s) => s.trim().parse().ok().or_else(|| s.trim().parse().ok().and_then(float)),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_and_flags_are_read_in_every_form_perl_writes_them() {
        let data = json!({"a": 8, "b": "8", "c": 8.9, "d": "", "e": null, "f": -1, "g": true, "h": "1", "i": "0"});
        let fields = Fields::of(&data).unwrap();
        assert_eq!(["a", "b", "c"].map(|k| fields.number(k)), [Some(8); 3]);
        assert_eq!(["d", "e", "f", "missing"].map(|k| fields.number(k)), [None; 4]);
        assert_eq!(
            ["g", "h", "i", "d", "e", "missing"].map(|k| fields.flag(k)),
            [true, true, false, false, false, false]
        );
        assert!(fields.need_text("d").is_err());
    }
}
