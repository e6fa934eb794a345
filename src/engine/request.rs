//! What a person, a screen or a signal asks of a run.
use super::step::StepId;
use crate::base::day::Day;
use serde::{Deserialize, Serialize};

/// A request as a screen sends it. It does not say who asks: the worker knows that from the screen's greeting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Request {
    /// Let the changes of this day begin.
    OpenGate { day: Day },
    /// Look at this step now, without waiting for the time of its next look.
    Retry { step: StepId },
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
    pub request: Request,
    /// For the record: `ann on pts/3`.
    pub by: String,
}
