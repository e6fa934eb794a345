//! The record of one event. The journal holds records in order, screens receive them, and one fold reads them.
use super::course::Course;
use super::failure::Failure;
use super::made::Adopted;
use super::notice::Notice;
use super::proof::{Comparison, Proof};
use super::step::{Outline, StepId};
use super::wait::Wait;
use crate::base::day::Day;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// 1 for the first record of a run, then without gaps.
    pub seq: u64,
    pub at: Timestamp,
    #[serde(flatten)]
    pub event: Event,
}

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

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A process takes up the run, for the first time or again. Steps proven earlier are asked for again.
    Session {
        run: String,
        plan: String,
        /// SHA-256 of the plan file's text.
        plan_digest: String,
        cozyup: String,
        host: String,
        pid: u32,
        course: Course,
        /// The operator who asked for `--take-over`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        take_over: Option<String>,
        /// Things of a run whose journal was lost, which this session takes up on a person's word.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        adopted: Vec<Adopted>,
        steps: Vec<Outline>,
    },
    /// The first change of this day waits for a person.
    GateAsked {
        day: Day,
        /// The values that the person should compare before opening the gate.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        compare: Vec<Comparison>,
    },
    GateOpened {
        day: Day,
        by: String,
    },
    /// The target does not have it yet.
    Absent {
        step: StepId,
        seen: String,
    },
    /// On disk before the act is called.
    Intended {
        step: StepId,
        attempt: u32,
    },
    HandleKept {
        step: StepId,
        handle: String,
    },
    /// The act was accepted; its effect is still to be seen.
    Acted {
        step: StepId,
    },
    Waiting {
        step: StepId,
        wait: Wait,
    },
    Proven {
        step: StepId,
        proof: Proof,
    },
    /// Goes on by itself at `again_at`.
    Failed {
        step: StepId,
        failure: Failure,
        again_at: Timestamp,
    },
    /// Needs a person; the engine looks again at `again_at`.
    Blocked {
        step: StepId,
        failure: Failure,
        again_at: Timestamp,
    },
    /// Was proven earlier and is no longer true.
    Drifted {
        step: StepId,
        why: String,
    },
    Log {
        step: StepId,
        source: String,
        line: String,
    },
    /// Something changed in the target beside the steps.
    Noticed {
        notice: Notice,
    },
    RetryAsked {
        step: StepId,
        by: String,
    },
    StopAsked {
        by: String,
    },
    /// From now on this screen is the one that may ask things of the run.
    ControlTaken {
        by: String,
    },
    Ended {
        outcome: Outcome,
    },
}

impl Event {
    /// True when the record must be on disk before anything else happens.
    pub fn is_durable(&self) -> bool {
        match self {
            Event::Session { .. }
            | Event::GateOpened { .. }
            | Event::Intended { .. }
            | Event::HandleKept { .. }
            | Event::Proven { .. }
            | Event::Drifted { .. }
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
