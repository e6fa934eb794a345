//! In which state a step is shown: what the records say, the clock and the gates, in one word.
use crate::base::clock::between;
use crate::engine::state::{RunState, Status, StepState};
use jiff::Timestamp;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Waits for steps before it.
    Pending,
    /// The target does not have it; its act comes next.
    Ready,
    /// Waits for its place in a queue.
    Queued,
    /// Waits until a person begins the day.
    Gate,
    /// Proven by an earlier session, being asked for again.
    Confirms,
    Acts,
    Waits,
    Retries,
    /// On its way for longer than its band.
    Late,
    /// Needs a person.
    Blocked,
    /// Was proven, is no longer true.
    Drifted,
    /// The run ended while it was on its way.
    Halted,
    Proven,
}

impl Standing {
    pub const ALL: [Standing; 13] = [
        Standing::Pending,
        Standing::Ready,
        Standing::Queued,
        Standing::Gate,
        Standing::Confirms,
        Standing::Acts,
        Standing::Waits,
        Standing::Retries,
        Standing::Late,
        Standing::Blocked,
        Standing::Drifted,
        Standing::Halted,
        Standing::Proven,
    ];

    /// At most eight letters; capitals where a person should look.
    pub fn word(self) -> &'static str {
        match self {
            Standing::Pending => "pending",
            Standing::Ready => "ready",
            Standing::Queued => "queued",
            Standing::Gate => "gate",
            Standing::Confirms => "confirms",
            Standing::Acts => "acts",
            Standing::Waits => "waits",
            Standing::Retries => "retries",
            Standing::Late => "LATE",
            Standing::Blocked => "BLOCKED",
            Standing::Drifted => "DRIFTED",
            Standing::Halted => "halted",
            Standing::Proven => "proven",
        }
    }

    pub fn about(self) -> &'static str {
        match self {
            Standing::Pending => "waits for steps before it, or for its day",
            Standing::Ready => "the target does not have it; its act comes next",
            Standing::Queued => "waits for its place in a queue",
            Standing::Gate => "waits until you begin its day",
            Standing::Confirms => "proven by an earlier session, being asked for again",
            Standing::Acts => "changes the target now",
            Standing::Waits => "on its way in the target",
            Standing::Retries => "failed, tries again by itself",
            Standing::Late => "on its way for longer than it should take",
            Standing::Blocked => "needs you; it goes on by itself when the cause is gone",
            Standing::Drifted => "was proven, is no longer true",
            Standing::Halted => "the run ended while it was on its way",
            Standing::Proven => "read in the target; the reading is kept",
        }
    }

    /// How much it deserves to be looked at; more is more.
    pub fn weight(self) -> u8 {
        match self {
            Standing::Proven => 0,
            Standing::Pending => 1,
            Standing::Queued => 2,
            Standing::Ready => 3,
            Standing::Gate => 4,
            Standing::Confirms => 5,
            Standing::Halted => 6,
            Standing::Waits => 7,
            Standing::Acts => 8,
            Standing::Retries => 9,
            Standing::Drifted => 10,
            Standing::Late => 11,
            Standing::Blocked => 12,
        }
    }
}

/// A run that has ended stands still: its clock is its last record.
pub fn clock_of(state: &RunState, now: Timestamp) -> Timestamp {
    match (state.ended, state.last) {
        (Some(_), Some(last)) => last,
        (Some(_) | None, _) => now,
    }
}

pub fn standing(step: &StepState, state: &RunState, now: Timestamp) -> Standing {
    match &step.status {
        Status::Proven => Standing::Proven,
        Status::Blocked { .. } => Standing::Blocked,
        Status::Retrying { .. } => Standing::Retries,
        Status::Pending if step.to_confirm => Standing::Confirms,
        Status::Pending | Status::Absent if step.drifted.is_some() => Standing::Drifted,
        Status::Pending => Standing::Pending,
        Status::Absent if !state.gates.contains_key(&step.outline.day) => Standing::Gate,
        Status::Absent if step.outline.queue.is_some() => Standing::Queued,
        Status::Absent => Standing::Ready,
        Status::Acting | Status::Acted | Status::Underway if state.ended.is_some() => Standing::Halted,
        Status::Acting | Status::Acted | Status::Underway if late(step, now).is_some() => Standing::Late,
        Status::Acting => Standing::Acts,
        Status::Acted | Status::Underway => Standing::Waits,
    }
}

/// How long a step on its way is over its band: the wait's, or its own where nothing is named that it waits for.
pub fn late(step: &StepState, now: Timestamp) -> Option<Duration> {
    match &step.status {
        Status::Acting | Status::Acted | Status::Underway => {}
        Status::Pending | Status::Absent | Status::Retrying { .. } | Status::Blocked { .. } | Status::Proven => {
            return None;
        }
    }
    let (band, since) = match &step.wait {
        Some((wait, since)) => (wait.band, *since),
        None => (step.outline.band, step.started?),
    };
    band.is_late(since, now).then(|| between(since, now).saturating_sub(Duration::from_secs(band.late_s)))
}

/// How long the step took, or takes so far.
pub fn elapsed(step: &StepState, now: Timestamp) -> Option<Duration> {
    Some(between(step.started?, step.finished.unwrap_or(now)))
}

#[cfg(test)]
mod tests {
    use super::super::samples::{Sample, at};
    use super::*;
    use crate::engine::step::StepId;

    #[test]
    fn late_is_the_time_past_the_band_of_the_wait() {
        let state = Sample::late_clone().state();
        let step = state.step(&StepId::new("day1.clone/cp1")).unwrap();
        let (wait, since) = step.wait.clone().unwrap();
        let edge = crate::base::clock::add(since, Duration::from_secs(wait.band.late_s));
        assert_eq!(late(step, edge), None);
        assert_eq!(late(step, crate::base::clock::add(edge, Duration::from_secs(250))), Some(Duration::from_secs(250)));
        assert_eq!(standing(step, &state, edge), Standing::Waits);
        assert_eq!(standing(step, &state, at(100_000)), Standing::Late);
    }

    #[test]
    fn an_ended_run_is_late_no_more() {
        let state = Sample::stopped().state();
        let step = state.step(&StepId::new("day1.clone/cp1")).unwrap();
        assert_eq!(standing(step, &state, at(100_000)), Standing::Halted);
        assert_eq!(clock_of(&state, at(100_000)), state.last.unwrap());
    }

    #[test]
    fn an_absent_step_says_what_keeps_it() {
        let state = Sample::gate().state();
        let template = state.step(&StepId::new("day1.template")).unwrap();
        assert_eq!(standing(template, &state, at(100)), Standing::Gate);
    }
}
