//! A failure: the error, its class, and what to do next. Every failure has a next action in plain words.
use crate::base::text;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The class of a failure, by what can end it.
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

/// A failure of a verb, or of a condition that a step checks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The class, by which the engine decides when to look again.
    pub class: Class,
    /// A lowercase fragment: what failed, on which object, with the target's own words.
    pub what: String,
    /// The next action, for the person (or for the engine).
    pub next: String,
    /// Acts side by side stood in each other's way, or in somebody else's: the queue of the step lets through one at a time
    /// from now on.
    #[serde(default, skip_serializing_if = "is_false")]
    pub crowded: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Failure {
    fn new(class: Class, what: impl AsRef<str>, next: impl AsRef<str>) -> Self {
        Failure { class, what: text::line(what.as_ref()), next: text::line(next.as_ref()), crowded: false }
    }

    /// The same failure of an act that may have been one of too many at its place.
    #[must_use]
    pub fn crowded(mut self) -> Self {
        self.crowded = true;
        self
    }

    /// A failure that goes away by itself, such as a lost connection.
    pub fn retryable(what: impl AsRef<str>, next: impl AsRef<str>) -> Self {
        Failure::new(Class::Retryable, what, next)
    }

    /// A failure that ends when a person has done `next`.
    pub fn person(what: impl AsRef<str>, next: impl AsRef<str>) -> Self {
        Failure::new(Class::Person, what, next)
    }

    /// A refusal by the target, which must not be forced.
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

    /// A state that should not exist; `next` says how to find out more.
    pub fn broken(what: impl AsRef<str>, next: impl AsRef<str>) -> Self {
        Failure::new(Class::Broken, what, next)
    }

    /// True when both are the same failure of one step. Sizes, times, process ids and task ids may differ between two
    /// looks without anything being new.
    pub fn is_like(&self, other: &Failure) -> bool {
        self.class == other.class && measureless(&self.what) == measureless(&other.what)
    }
}

/// The text without what changes by itself: a task's UPID as a whole, else every run of digits with its fraction.
fn measureless(text: &str) -> String {
    let word = |word: &str| -> String {
        if let Some((before, _)) = word.split_once("UPID:") {
            return format!("{before}UPID");
        }
        let mut out = String::with_capacity(word.len());
        let mut in_number = false;
        for c in word.chars() {
            let digit = c.is_ascii_digit();
            match (digit, in_number) {
                (true, false) => out.push('#'),
                (true, true) => {}
                (false, true) if c == '.' => continue,
                (false, _) => out.push(c),
            }
            in_number = digit;
        }
        out
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

/// Something did not answer within its deadline, of the wall.
pub(super) fn too_long(what: &str, deadline: Duration) -> Failure {
    Failure::retryable(
        format!("{what} gave no answer within {}", text::format_duration(deadline)),
        "check that the target can be reached; cozyup tries again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// proxmox.md 2.6: the same failure is one failure, at whichever moment it is looked at.
    #[test]
    fn a_failure_that_differs_in_numbers_and_task_ids_alone_is_the_same_one() {
        let of = |what: &str| Failure::person(what, "n");
        let like = |a: &str, b: &str| of(a).is_like(&of(b));
        assert!(like("local-lvm has 55.8 GiB free", "local-lvm has 55.75 GiB free"));
        assert!(like("read UPID:pve:0001:AB:qmstart:1:a@pve!b:/log", "read UPID:pve:0002:AC:qmstart:1:a@pve!b:/log"));
        assert!(like("no answer within 10 s", "no answer within 9 s"));
        assert!(!like("no answer within 10 s", "no route within 10 s"));
        assert!(!of("x").is_like(&Failure::refused("x", "n")));
    }
}
