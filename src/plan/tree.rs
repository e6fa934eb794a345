//! A YAML document as a tree in which every value knows its place.
//!
//! serde-saphyr reads as Talos and Kubernetes do with these options; see `docs/DEPENDENCIES.md`.
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Location, Spanned, from_str_with_options};
use std::fmt;

/// Line and column, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl Place {
    pub const START: Place = Place { line: 1, column: 1 };

    fn of(location: Location) -> Place {
        let whole = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).max(1);
        Place { line: whole(location.line()), column: whole(location.column()) }
    }
}

#[derive(Debug)]
pub struct Node {
    pub place: Place,
    pub value: Value,
}

#[derive(Debug)]
pub enum Value {
    Null,
    Flag(bool),
    Whole(i128),
    /// A number that is not whole.
    Number,
    Text(String),
    List(Vec<Node>),
    /// In the order of the text; a name may come twice.
    Map(Vec<Entry>),
}

#[derive(Debug)]
pub struct Entry {
    pub name: String,
    pub place: Place,
    pub node: Node,
}

/// The reason why a text is not YAML, in the parser's words, with its place.
pub struct NotYaml {
    pub place: Place,
    pub reason: String,
}

/// # Errors
/// The parser's error without its quotes of the text: a secret may stand in it.
pub fn read(text: &str) -> Result<Node, NotYaml> {
    let options = serde_saphyr::options! {
        emit_comments: false,
        strict_booleans: true,
        legacy_octal_numbers: true,
        // Both entries reach the reader, which names the second one.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
    };
    from_str_with_options::<Spanned<Value>>(text, options).map(Node::from).map_err(|error| {
        let place = error.location().map_or(Place::START, Place::of);
        let reason = error.without_snippet().to_string();
        let reason = reason.split(" at line ").next().unwrap_or_default().to_string();
        NotYaml { place, reason }
    })
}

impl From<Spanned<Value>> for Node {
    fn from(spanned: Spanned<Value>) -> Node {
        Node { place: Place::of(spanned.referenced), value: spanned.value }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a YAML value")
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_none<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(Value::Flag(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
                Ok(Value::Whole(value.into()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
                Ok(Value::Whole(value.into()))
            }

            fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
                Ok(Value::Whole(value))
            }

            fn visit_u128<E>(self, value: u128) -> Result<Value, E> {
                Ok(Value::Whole(value.try_into().unwrap_or(i128::MAX)))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
                Ok(Value::Number)
            }

            fn visit_str<E>(self, value: &str) -> Result<Value, E> {
                Ok(Value::Text(value.to_string()))
            }

            fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
                Ok(Value::Text(String::from_utf8_lossy(value).into_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element::<Spanned<Value>>()? {
                    list.push(item.into());
                }
                Ok(Value::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
                let mut map = Vec::new();
                while let Some(name) = entries.next_key::<Spanned<String>>()? {
                    let node = entries.next_value::<Spanned<Value>>()?.into();
                    map.push(Entry { name: name.value, place: Place::of(name.referenced), node });
                }
                Ok(Value::Map(map))
            }
        }
        deserializer.deserialize_any(Any)
    }
}
