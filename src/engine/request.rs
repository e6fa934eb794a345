//! The requests of a person, a screen or a signal to a run.
use super::errand::Errand;
use super::step::StepId;
use crate::base::day::Day;
use serde::{Deserialize, Serialize};

/// A request as a screen sends it. It does not say who asks: the worker knows that from the screen's greeting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Request {
    /// Let the changes of this day begin.
    OpenGate {
        /// The day whose gate is open from then on; any number of them may be opened beforehand.
        day: Day,
    },
    /// Look at this step now, without waiting for the time of its next look.
    Retry {
        /// A step that is blocked or is being retried; for any other it does nothing.
        step: StepId,
    },
    /// Do something beside the steps, at once.
    Errand {
        /// The act, as facts of the product.
        errand: Errand,
    },
    /// End at the next safe point.
    Stop,
    /// Make the asking screen the one whose requests are taken.
    TakeControl,
}

impl Request {
    /// The request in the name of `who`, as the engine takes and records it.
    pub fn by(self, who: impl Into<String>) -> Asked {
        Asked { request: self, by: who.into() }
    }
}

/// A request and who made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The request as the screen sent it.
    pub request: Request,
    /// For the record: `ann on pts/3`.
    pub by: String,
}
