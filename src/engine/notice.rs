//! A change in the target that was noticed beside the steps, as facts. The engine records it and knows no kind of it.
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `{"kind": "vm_stopped", "vmid": 1003, ...}`: the product's own type, as the journal keeps it. A kind that a reader does
/// not know is kept and not understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The sort of change, one word in snake case, such as `vm_stopped`.
    pub kind: String,
    /// All other keys of the object, as its author wrote them.
    #[serde(flatten)]
    pub facts: Map<String, Value>,
}

impl Notice {
    /// `typed` is an enum or a struct that serde writes as an object with a text `kind`; `None` for anything else.
    pub fn of<T: Serialize>(typed: &T) -> Option<Notice> {
        serde_json::from_value(serde_json::to_value(typed).ok()?).ok()
    }

    /// The typed value; `None` for a kind that `T` does not have.
    pub fn read<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_value(serde_json::to_value(self).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind", rename_all = "snake_case")]
    enum Typed {
        Stopped { vmid: u32 },
    }

    #[test]
    fn a_typed_notice_comes_back_as_it_was_and_an_unknown_one_is_kept() {
        let notice = Notice::of(&Typed::Stopped { vmid: 1003 }).unwrap();
        assert_eq!(serde_json::to_string(&notice).unwrap(), r#"{"kind":"stopped","vmid":1003}"#);
        assert_eq!(notice.read(), Some(Typed::Stopped { vmid: 1003 }));
        let newer: Notice = serde_json::from_str(r#"{"kind":"sang","song":"x"}"#).unwrap();
        assert_eq!((newer.read::<Typed>(), newer.facts.len()), (None, 1));
        assert!(Notice::of(&[1, 2]).is_none());
    }
}
