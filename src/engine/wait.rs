//! A wait has a name, a band and the last thing seen. Late is derived from band and clock, never stored.
use crate::base::clock::between;
use crate::base::text;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// The usual duration of something and the duration from which it is late, in whole seconds of the engine's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Band {
    /// Usual duration, in seconds.
    pub usual_s: u64,
    /// Duration after which it is late, in seconds; at least `usual_s`.
    pub late_s: u64,
}

impl Band {
    /// `late_s` below `usual_s` is raised to it.
    pub const fn new(usual_s: u64, late_s: u64) -> Self {
        Band { usual_s, late_s: if late_s < usual_s { usual_s } else { late_s } }
    }

    /// True when more than `late_s` have passed since `since`.
    pub fn is_late(&self, since: Timestamp, now: Timestamp) -> bool {
        between(since, now) > Duration::from_secs(self.late_s)
    }
}

/// One named condition that is being waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// E.g. `etcd lists 3 members`. The same text means the same wait: its clock goes on.
    pub condition: String,
    /// The last thing seen, e.g. `2 members: cp1, cp2`.
    pub seen: String,
    /// The usual and the late duration of this wait.
    pub band: Band,
    /// Done and total of whatever is counted, where something can be (`41 of 78 MiB` is `(41, 78, "MiB")`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// The act is past what only one act of its queue may do at a time: the next one may begin.
    #[serde(default, skip_serializing_if = "is_false")]
    pub makes_way: bool,
}

/// A count for a progress bar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The part that is done, in `unit`.
    pub done: u64,
    /// The whole, in `unit`.
    pub total: u64,
    /// The unit, for people: `MiB`, `%`.
    pub unit: String,
}

impl Wait {
    /// A wait without a count; both texts are cleaned and become one line each.
    pub fn new(condition: impl AsRef<str>, seen: impl AsRef<str>, band: Band) -> Self {
        let (condition, seen) = (text::line(condition.as_ref()), text::line(seen.as_ref()));
        Wait { condition, seen, band, progress: None, makes_way: false }
    }

    /// The same wait of an act that lets the next one of its queue begin.
    #[must_use]
    pub fn making_way(mut self) -> Self {
        self.makes_way = true;
        self
    }

    /// The same wait with a count.
    #[must_use]
    pub fn with_progress(mut self, done: u64, total: u64, unit: impl Into<String>) -> Self {
        self.progress = Some(Progress { done, total, unit: unit.into() });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_late_only_past_its_band() {
        let since = Timestamp::from_second(1000).unwrap();
        let band = Band::new(60, 180);
        assert!(!band.is_late(since, Timestamp::from_second(1180).unwrap()));
        assert!(band.is_late(since, Timestamp::from_second(1181).unwrap()));
        assert_eq!(Band::new(60, 10).late_s, 60);
    }
}
