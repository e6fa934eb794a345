//! An act that a person asks for beside the steps, as facts. The engine holds it to what every act is held to, records it, and
//! knows no kind of it.
use super::notice::Notice;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// `{"kind": "reconcile_release", "name": ...}`: the product's own type, as a screen sends it and the journal keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Errand(Notice);

impl Errand {
    /// `typed` is an enum or a struct that serde writes as an object with a text `kind`; `None` for anything else.
    pub fn of<T: Serialize>(typed: &T) -> Option<Errand> {
        Notice::of(typed).map(Errand)
    }

    /// The typed value; `None` for a kind that `T` does not have.
    pub fn read<T: DeserializeOwned>(&self) -> Option<T> {
        self.0.read()
    }

    /// One word in snake case.
    pub fn kind(&self) -> &str {
        &self.0.kind
    }
}
