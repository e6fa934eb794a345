//! The record of one event. The journal holds records in order, screens receive them, and one fold reads them.
use super::course::Course;
use super::errand::Errand;
use super::failure::Failure;
use super::made::Adopted;
use super::notice::Notice;
use super::proof::{Comparison, Proof};
use super::step::{Outline, StepId};
use super::wait::Wait;
use crate::base::day::Day;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// An event with its number and its time: one line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// 1 for the first record of a run, then without gaps.
    pub seq: u64,
    /// Time of the event, by the engine's clock.
    pub at: Timestamp,
    /// The event; in JSON its keys stand beside `seq` and `at`.
    #[serde(flatten)]
    pub event: Event,
}

/// The way in which a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every step that was asked for is proven.
    Proven,
    /// A step is blocked and patience is over.
    Blocked,
    /// Somebody asked the run to stop.
    Stopped,
}

/// Everything that can happen in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A process takes up the run, for the first time or again. Steps proven earlier are asked for again.
    Session {
        /// Id of the run, drawn once; marks in the target are `PLAN.ID`.
        run: String,
        /// The plan's `name`.
        plan: String,
        /// SHA-256 of the plan file's text.
        plan_digest: String,
        /// Version of cozyup that runs the session.
        cozyup: String,
        /// Host name of the worker's machine.
        host: String,
        /// Process id of the worker on `host`.
        pid: u32,
        /// The course: forward to the end of a day, back, or verify.
        course: Course,
        /// The operator who asked for `--take-over`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        take_over: Option<String>,
        /// Things of a run whose journal was lost, which this session takes up on a person's word.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        adopted: Vec<Adopted>,
        /// All steps of the catalogue, in an order in which they can run.
        steps: Vec<Outline>,
    },
    /// The first change of this day waits for a person.
    GateAsked {
        /// The day whose first change waits.
        day: Day,
        /// The values that the person should compare before opening the gate.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        compare: Vec<Comparison>,
    },
    /// The changes of this day may begin.
    GateOpened {
        /// The day that was begun.
        day: Day,
        /// The operator, as `ann on pts/3`, or the flag that agreed beforehand.
        by: String,
    },
    /// The target does not have it yet.
    Absent {
        /// The step that has to act.
        step: StepId,
        /// The state that was seen instead, as a lowercase fragment.
        seen: String,
    },
    /// On disk before the act is called.
    Intended {
        /// The step whose act is called next.
        step: StepId,
        /// Number of the call over all sessions, from 1.
        attempt: u32,
    },
    /// An act received something by which a later process can find its work. On disk before the act goes on.
    HandleKept {
        /// The step whose act received it.
        step: StepId,
        /// A UPID or a name; see [`Context::keep_handle`](super::step::Context::keep_handle).
        handle: String,
    },
    /// The act was accepted; its effect is still to be seen.
    Acted {
        /// The step whose act was accepted.
        step: StepId,
    },
    /// A step waits for a condition, or saw something new while it waits.
    Waiting {
        /// The step that waits, in its act or after it.
        step: StepId,
        /// The condition, what was seen last, and the band.
        wait: Wait,
    },
    /// A look showed that the step's statement is true.
    Proven {
        /// The step that is green from now on.
        step: StepId,
        /// The evidence.
        proof: Proof,
    },
    /// Goes on by itself at `again_at`.
    Failed {
        /// The step that failed.
        step: StepId,
        /// The cause and the next action.
        failure: Failure,
        /// Time of the next look.
        again_at: Timestamp,
    },
    /// Needs a person; the engine looks again at `again_at`.
    Blocked {
        /// The step that can't go on.
        step: StepId,
        /// The cause and what a person should do.
        failure: Failure,
        /// Time of the next look, whether or not somebody has done it.
        again_at: Timestamp,
    },
    /// Was proven earlier and is no longer true.
    Drifted {
        /// The step that is no longer green.
        step: StepId,
        /// The state that was seen instead, as a lowercase fragment.
        why: String,
    },
    /// A line about a step: from a log in the target, or about this machine's clock.
    Log {
        /// The step at which people see the line.
        step: StepId,
        /// The source of the line: the kind of a task (`qmclone`), `talos`, `clock`.
        source: String,
        /// The line, cleaned and shortened.
        line: String,
    },
    /// Something changed in the target beside the steps.
    Noticed {
        /// The change as facts.
        notice: Notice,
    },
    /// Somebody asked for a look at a step before its time.
    RetryAsked {
        /// The step to look at.
        step: StepId,
        /// The operator, as `ann on pts/3`.
        by: String,
    },
    /// Somebody asked for an act beside the steps. On disk before the act is called.
    ErrandAsked {
        /// The act, as facts of the product.
        errand: Errand,
        /// The operator, as `ann on pts/3`.
        by: String,
    },
    /// The act that was asked for has ended; without this record nobody knows how.
    ErrandEnded {
        /// The act, as facts of the product.
        errand: Errand,
        /// The reason why it was refused, or failed; without one the target has taken it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    /// Somebody asked the run to end at its next safe point.
    StopAsked {
        /// The operator, or the signal.
        by: String,
    },
    /// From now on this screen is the one that may ask things of the run.
    ControlTaken {
        /// The operator at that screen.
        by: String,
    },
    /// The session is over; every session that was not killed has this as its last record.
    Ended {
        /// The way in which it ended.
        outcome: Outcome,
    },
}

impl Event {
    /// The step that was looked at, or acted on.
    pub fn step(&self) -> Option<&StepId> {
        match self {
            Event::Absent { step, .. }
            | Event::Intended { step, .. }
            | Event::HandleKept { step, .. }
            | Event::Acted { step }
            | Event::Waiting { step, .. }
            | Event::Proven { step, .. }
            | Event::Failed { step, .. }
            | Event::Blocked { step, .. }
            | Event::Drifted { step, .. } => Some(step),
            Event::Session { .. }
            | Event::GateAsked { .. }
            | Event::GateOpened { .. }
            | Event::Log { .. }
            | Event::Noticed { .. }
            | Event::RetryAsked { .. }
            | Event::ErrandAsked { .. }
            | Event::ErrandEnded { .. }
            | Event::StopAsked { .. }
            | Event::ControlTaken { .. }
            | Event::Ended { .. } => None,
        }
    }

    /// True when the record must be on disk before anything else happens.
    pub fn is_durable(&self) -> bool {
        match self {
            Event::Session { .. }
            | Event::GateOpened { .. }
            | Event::Intended { .. }
            | Event::HandleKept { .. }
            | Event::Proven { .. }
            | Event::Drifted { .. }
            | Event::ErrandAsked { .. }
            | Event::ErrandEnded { .. }
            | Event::StopAsked { .. }
            | Event::Ended { .. } => true,
            Event::GateAsked { .. }
            | Event::Absent { .. }
            | Event::Acted { .. }
            | Event::Waiting { .. }
            | Event::Failed { .. }
            | Event::Blocked { .. }
            | Event::Log { .. }
            | Event::Noticed { .. }
            | Event::RetryAsked { .. }
            | Event::ControlTaken { .. } => false,
        }
    }
}
