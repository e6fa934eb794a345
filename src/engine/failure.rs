//! What went wrong, in which class, and what to do next. Every failure has a next action in plain words.
use crate::base::text;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Goes away by itself; the engine tries again with backoff.
    Retryable,
    /// A person has to do something; the engine looks again until it is done.
    Person,
    /// The target says no: a missing right, somebody else's object. The engine looks again too.
    Refused,
    /// Nobody knows how to go on from here: a defect, or a target in a state that should not exist.
    Broken,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    pub class: Class,
    /// A lowercase fragment: what failed, on which object, with the target's own words.
    pub what: String,
    /// What the person (or the engine) does next.
    pub next: String,
}

impl Failure {
    fn new(class: Class, what: impl AsRef<str>, next: impl AsRef<str>) -> Self {
        Failure { class, what: text::line(what.as_ref()), next: text::line(next.as_ref()) }
    }

    pub fn retryable(what: impl AsRef<str>, next: impl AsRef<str>) -> Self {
        Failure::new(Class::Retryable, what, next)
    }

    pub fn person(what: impl AsRef<str>, next: impl AsRef<str>) -> Self {
        Failure::new(Class::Person, what, next)
    }

    pub fn refused(what: impl AsRef<str>, next: impl AsRef<str>) -> Self {
        Failure::new(Class::Refused, what, next)
    }

    /// Something in cozyup itself that must not be.
    pub fn defect(what: impl AsRef<str>) -> Self {
        Failure::new(
            Class::Broken,
            what,
            "this is a defect of cozyup: report it with the run's journal.jsonl, which holds no secret",
        )
    }

    pub fn broken(what: impl AsRef<str>, next: impl AsRef<str>) -> Self {
        Failure::new(Class::Broken, what, next)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}
