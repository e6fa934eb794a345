//! The standing of a step: its records, the clock and the gates in one word. The screen, the line mode, the
//! status and the reports all show this word; nobody else derives one from the records.
use super::state::{RunState, Status, StepState};
use crate::base::clock::between;
use crate::base::day::Day;
use jiff::Timestamp;
use serde::Serialize;
use std::time::Duration;

/// Serialized as [`Standing::name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
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
    /// Its act runs, and is not late.
    Acts,
    /// Its effect is on its way in the target, and is not late.
    Waits,
    /// Failed, and is tried again by itself.
    Retries,
    /// On its way for longer than its band.
    Late,
    /// Needs a person.
    Blocked,
    /// Was proven, is no longer true.
    Drifted,
    /// The run ended while it was on its way.
    Halted,
    /// Proven in this session, or a proof of a moment that an earlier one has.
    Proven,
}

impl Standing {
    /// Every standing, in the order of the type.
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

    /// For programs: one lower-case word, as in `cozyup status --json`.
    pub fn name(self) -> &'static str {
        match self {
            Standing::Pending => "pending",
            Standing::Ready => "ready",
            Standing::Queued => "queued",
            Standing::Gate => "gate",
            Standing::Confirms => "confirms",
            Standing::Acts => "acts",
            Standing::Waits => "waits",
            Standing::Retries => "retries",
            Standing::Late => "late",
            Standing::Blocked => "blocked",
            Standing::Drifted => "drifted",
            Standing::Halted => "halted",
            Standing::Proven => "proven",
        }
    }

    /// For people: at most eight letters; capitals where a person should look.
    pub fn word(self) -> &'static str {
        match self {
            Standing::Late => "LATE",
            Standing::Blocked => "BLOCKED",
            Standing::Drifted => "DRIFTED",
            Standing::Pending
            | Standing::Ready
            | Standing::Queued
            | Standing::Gate
            | Standing::Confirms
            | Standing::Acts
            | Standing::Waits
            | Standing::Retries
            | Standing::Halted
            | Standing::Proven => self.name(),
        }
    }

    /// An explanation for the help, as a lowercase clause.
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

    /// The urgency of a look at it: the higher, the sooner.
    pub fn severity(self) -> u8 {
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

    /// The same step when no process works on its run: what was on its way stands still.
    #[must_use]
    pub fn without_a_worker(self) -> Standing {
        match self {
            Standing::Acts | Standing::Waits | Standing::Late => Standing::Halted,
            Standing::Pending
            | Standing::Ready
            | Standing::Queued
            | Standing::Gate
            | Standing::Confirms
            | Standing::Retries
            | Standing::Blocked
            | Standing::Drifted
            | Standing::Halted
            | Standing::Proven => self,
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

/// The standing of `step` at `now`. The clock of a run that has ended is [`clock_of`].
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

/// The time by which a running step is over its band: the wait's, or its own when it names nothing that it waits for.
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

/// The time that the step took, or has taken so far.
pub fn elapsed(step: &StepState, now: Timestamp) -> Option<Duration> {
    Some(between(step.started?, step.finished.unwrap_or(now)))
}

impl RunState {
    /// The day in hand: the first one with a step that is not proven.
    pub fn today(&self) -> Option<Day> {
        self.wanted().filter(|s| !s.is_proven()).map(|s| s.outline.day).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::add;
    use crate::base::day::Day;
    use crate::engine::record::{Event, Outcome};
    use crate::engine::state::tests::{at, fold, outline, proof, session};
    use crate::engine::step::StepId;
    use crate::engine::wait::{Band, Wait};

    fn id() -> StepId {
        StepId::new("day1.a")
    }

    fn run(more: Vec<Event>) -> RunState {
        fold([vec![session(vec![outline("day1.a", 1, &[])])], more].concat())
    }

    fn stands(state: &RunState, now: Timestamp) -> Standing {
        standing(state.step(&id()).unwrap(), state, now)
    }

    fn waiting() -> Event {
        Event::Waiting { step: id(), wait: Wait::new("the task ends", "41 %", Band::new(60, 180)) }
    }

    #[test]
    fn late_is_the_time_past_the_band_of_the_wait() {
        let state = run(vec![Event::Intended { step: id(), attempt: 1 }, waiting()]);
        let step = state.step(&id()).unwrap();
        let edge = add(at(2), Duration::from_secs(180));
        assert_eq!((late(step, edge), stands(&state, edge)), (None, Standing::Waits));
        assert_eq!(late(step, add(edge, Duration::from_secs(250))), Some(Duration::from_secs(250)));
        assert_eq!(stands(&state, at(100_000)), Standing::Late);
    }

    #[test]
    fn an_ended_run_is_late_no_more_and_neither_is_one_that_lost_its_worker() {
        let state = run(vec![waiting(), Event::Ended { outcome: Outcome::Stopped }]);
        assert_eq!(stands(&state, at(100_000)), Standing::Halted);
        assert_eq!(clock_of(&state, at(100_000)), state.last.unwrap());
        let lost = run(vec![waiting()]);
        assert_eq!(stands(&lost, at(100_000)).without_a_worker(), Standing::Halted);
    }

    #[test]
    fn an_absent_step_says_what_keeps_it() {
        let absent = || Event::Absent { step: id(), seen: "nothing".into() };
        assert_eq!(stands(&run(vec![absent()]), at(9)), Standing::Gate);
        let opened = Event::GateOpened { day: Day::Number(1), by: "ann".into() };
        assert_eq!(stands(&run(vec![opened, absent()]), at(9)), Standing::Ready);
    }

    #[test]
    fn what_was_proven_and_is_no_longer_true_has_drifted_until_it_acts() {
        let drifted = Event::Drifted { step: id(), why: "it is gone".into() };
        let absent = Event::Absent { step: id(), seen: "nothing".into() };
        let again = session(vec![outline("day1.a", 1, &[])]);
        let events = vec![Event::Proven { step: id(), proof: proof() }, again];
        assert_eq!(stands(&run(events.clone()), at(9)), Standing::Confirms);
        let events = [events, vec![drifted, absent]].concat();
        assert_eq!(stands(&run(events.clone()), at(9)), Standing::Drifted);
        let acts = [events, vec![Event::Intended { step: id(), attempt: 1 }]].concat();
        assert_eq!(stands(&run(acts), at(9)), Standing::Acts);
    }

    #[test]
    fn a_program_reads_the_name_that_the_code_knows() {
        for standing in Standing::ALL {
            assert_eq!(serde_json::to_value(standing).unwrap(), standing.name());
            assert_eq!(standing.word().to_lowercase(), standing.name());
            assert!(standing.word().len() <= 8);
        }
    }
}
