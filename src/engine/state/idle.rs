//! The time in which a run did no work: at gates, where it waits for a person, and between its sessions.
use super::RunState;
use crate::base::clock::between;
use crate::engine::record::Event;
use jiff::Timestamp;
use std::time::Duration;

/// The idle time of a run so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Idle {
    /// Since when a gate waits for a person.
    gate_since: Option<Timestamp>,
    time: Duration,
}

impl Idle {
    /// Takes the record of `at` into account; `before` is the time of the one before it.
    pub(super) fn apply(&mut self, event: &Event, before: Option<Timestamp>, at: Timestamp) {
        match event {
            Event::GateAsked { .. } => {
                self.gate_since.get_or_insert(at);
            }
            Event::GateOpened { .. } => self.leave_gate(at),
            Event::Session { .. } => {
                let before = before.unwrap_or(at);
                self.leave_gate(before);
                self.time += between(before, at);
            }
            Event::Absent { .. }
            | Event::Intended { .. }
            | Event::HandleKept { .. }
            | Event::Acted { .. }
            | Event::Waiting { .. }
            | Event::Proven { .. }
            | Event::Failed { .. }
            | Event::Blocked { .. }
            | Event::Drifted { .. }
            | Event::Log { .. }
            | Event::Noticed { .. }
            | Event::RetryAsked { .. }
            | Event::ErrandAsked { .. }
            | Event::ErrandEnded { .. }
            | Event::ControlTaken { .. }
            | Event::StopAsked { .. }
            | Event::Ended { .. } => {}
        }
    }

    fn leave_gate(&mut self, at: Timestamp) {
        if let Some(since) = self.gate_since.take() {
            self.time += between(since, at);
        }
    }
}

impl RunState {
    /// How long the run has worked until `now`, without the idle time. `None` before it began.
    pub fn worked(&self, now: Timestamp) -> Option<Duration> {
        let at_gate = self.idle.gate_since.map_or(Duration::ZERO, |since| between(since, now));
        Some(between(self.started?, now).saturating_sub(self.idle.time + at_gate))
    }
}
