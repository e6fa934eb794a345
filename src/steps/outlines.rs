//! Short ways to write the outline of a step.
use crate::base::day::Day;
use crate::engine::step::{Outline, Queue, StepId};
use crate::engine::wait::Band;

/// A check of a day of the plan: it reads, and changes nothing.
pub fn check(id: StepId, day: u8, title: impl Into<String>, band: Band, by_hand: impl Into<String>) -> Outline {
    check_on(id, Day::Number(day), title, band, by_hand)
}

/// A check of `day`.
pub fn check_on(id: StepId, day: Day, title: impl Into<String>, band: Band, by_hand: impl Into<String>) -> Outline {
    Outline {
        id,
        day,
        title: title.into(),
        after: Vec::new(),
        queue: None,
        band,
        changes: false,
        momentary: false,
        cleanup: false,
        put_right_by: None,
        by_hand: by_hand.into(),
    }
}

/// A step of a day of the plan that brings something about.
pub fn change(id: StepId, day: u8, title: impl Into<String>, band: Band, by_hand: impl Into<String>) -> Outline {
    change_on(id, Day::Number(day), title, band, by_hand)
}

/// A step of `day` that brings something about.
pub fn change_on(id: StepId, day: Day, title: impl Into<String>, band: Band, by_hand: impl Into<String>) -> Outline {
    Outline { changes: true, ..check_on(id, day, title, band, by_hand) }
}

impl Outline {
    #[must_use]
    pub fn after(mut self, steps: impl IntoIterator<Item = StepId>) -> Self {
        self.after.extend(steps);
        self
    }

    #[must_use]
    pub fn queued(mut self, name: impl Into<String>, limit: usize) -> Self {
        self.queue = Some(Queue { name: name.into(), limit, one_begins: false });
        self
    }

    /// As [`Outline::queued`], and the next one begins when the one before makes way, or is over.
    #[must_use]
    pub fn queued_by_turns(mut self, name: impl Into<String>, limit: usize) -> Self {
        self.queue = Some(Queue { name: name.into(), limit, one_begins: true });
        self
    }

    /// The proof speaks of a moment.
    #[must_use]
    pub fn momentary(mut self) -> Self {
        self.momentary = true;
        self
    }

    /// What the act disturbs is put right by this step.
    #[must_use]
    pub fn put_right_by(mut self, step: StepId) -> Self {
        self.put_right_by = Some(step);
        self
    }

    /// The step takes away what the momentary steps before it made.
    #[must_use]
    pub fn cleanup(mut self) -> Self {
        self.cleanup = true;
        self
    }
}
