//! One step as the fold knows it.
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::Outline;
use crate::engine::wait::Wait;
use jiff::Timestamp;

/// The state of a step's work in this session, from its last record.
#[derive(Debug, Clone, PartialEq)]
pub enum Status {
    /// Nothing known in this session.
    Pending,
    /// The target does not have it; waits for its gate or its queue.
    Absent,
    /// The act runs.
    Acting,
    /// The act was accepted.
    Acted,
    /// On its way in the target.
    Underway,
    /// Failed, goes on by itself.
    Retrying {
        /// The cause and the next action.
        failure: Failure,
        /// Time of the next try.
        again_at: Timestamp,
    },
    /// Needs a person, is looked at again.
    Blocked {
        /// The cause and what a person should do.
        failure: Failure,
        /// Time of the first failure since the step last got further.
        since: Timestamp,
        /// Time of the next look.
        again_at: Timestamp,
    },
    /// A look of this session proved it, or it is a proof of a moment that an earlier session has.
    Proven,
}

/// A step and what its records add up to.
#[derive(Debug, Clone)]
pub struct StepState {
    /// The outline that the last session recorded.
    pub outline: Outline,
    /// The state of the step's work in this session.
    pub status: Status,
    /// Number of calls of the act, over all sessions.
    pub attempt: u32,
    /// The handle that the last act kept; cleared when the act is called again.
    pub handle: Option<String>,
    /// First record of the step in the session that finished it or works on it.
    pub started: Option<Timestamp>,
    /// Time of the proof; a later session that only confirms it leaves it as it was.
    pub finished: Option<Timestamp>,
    /// The current wait, and when the wait for its condition began.
    pub wait: Option<(Wait, Timestamp)>,
    /// The last evidence, also while it is being asked for again.
    pub proof: Option<Proof>,
    /// When the act was accepted in this session.
    pub acted_at: Option<Timestamp>,
    /// Failures in a row.
    pub failures: u32,
    /// Time of the first of `failures`; `None` when there are none.
    pub first_failure: Option<Timestamp>,
    /// The last failure, until the step gets further.
    pub last_failure: Option<Failure>,
    /// The state that was seen in place of the proven one; `None` once it is proven again.
    pub drifted: Option<String>,
    /// It has been blocked since it last got further, and no person has asked for a look since.
    pub known_blocked: bool,
    /// Proven by an earlier session and not yet asked for again in this one.
    pub to_confirm: bool,
    /// The act was called and has neither been accepted nor failed: what it waits for is no progress yet.
    pub(super) in_act: bool,
}

impl StepState {
    pub(super) fn new(outline: Outline) -> Self {
        StepState {
            outline,
            status: Status::Pending,
            attempt: 0,
            handle: None,
            started: None,
            finished: None,
            wait: None,
            proof: None,
            acted_at: None,
            failures: 0,
            first_failure: None,
            last_failure: None,
            drifted: None,
            known_blocked: false,
            to_confirm: false,
            in_act: false,
        }
    }

    pub(super) fn got_further(&mut self) {
        self.failures = 0;
        self.first_failure = None;
        self.last_failure = None;
        self.known_blocked = false;
    }

    /// The target does not have it.
    pub(super) fn absent(&mut self) {
        self.status = Status::Absent;
        self.wait = None;
        self.acted_at = None;
        self.in_act = false;
    }

    /// The act is about to be called.
    pub(super) fn intended(&mut self, attempt: u32, at: Timestamp) {
        // The time at the gate and in the queue is not the step's own.
        if self.status == Status::Absent && self.failures == 0 {
            self.started = Some(at);
        }
        self.status = Status::Acting;
        self.attempt = attempt;
        self.handle = None;
        self.wait = None;
        self.in_act = true;
    }

    /// What it has proven is disturbed again.
    pub(super) fn disturbed(&mut self) {
        if self.is_proven() {
            *self =
                StepState { attempt: self.attempt, proof: self.proof.take(), ..StepState::new(self.outline.clone()) };
        }
    }

    /// The act was accepted.
    pub(super) fn acted(&mut self, at: Timestamp) {
        self.status = Status::Acted;
        self.acted_at = Some(at);
        self.in_act = false;
    }

    /// A wait for the condition that it waits for already goes on from where it began.
    pub(super) fn waiting(&mut self, wait: &Wait, at: Timestamp) {
        let since = match &self.wait {
            Some((old, since)) if old.condition == wait.condition => *since,
            Some(_) | None => at,
        };
        self.status = Status::Underway;
        self.wait = Some((wait.clone(), since));
        // An act says what it waits for each time that it is tried: it gets further when it is accepted.
        if !self.in_act {
            self.got_further();
        }
    }

    /// A look bore the statement out.
    pub(super) fn proven(&mut self, proof: &Proof, at: Timestamp) {
        self.status = Status::Proven;
        if !self.to_confirm || self.drifted.is_some() {
            self.finished = Some(at);
        }
        self.proof = Some(proof.clone());
        self.wait = None;
        self.got_further();
        self.drifted = None;
        self.to_confirm = false;
        self.in_act = false;
    }

    /// It failed and is tried again by itself.
    pub(super) fn failed(&mut self, failure: &Failure, at: Timestamp, again_at: Timestamp) {
        self.count_failure(failure, at);
        self.status = Status::Retrying { failure: failure.clone(), again_at };
    }

    /// It failed and needs a person. Between two refusals the step looks and tries again: it has been blocked all the while.
    pub(super) fn blocked(&mut self, failure: &Failure, at: Timestamp, again_at: Timestamp) {
        let since = self.count_failure(failure, at);
        self.known_blocked = true;
        self.status = Status::Blocked { failure: failure.clone(), since, again_at };
    }

    /// Counts a failure; returns the time of the first since the step last got further.
    fn count_failure(&mut self, failure: &Failure, at: Timestamp) -> Timestamp {
        self.failures += 1;
        self.last_failure = Some(failure.clone());
        self.in_act = false;
        *self.first_failure.get_or_insert(at)
    }

    /// Its statement, once proven, is not true any more.
    pub(super) fn has_drifted(&mut self, why: &str, at: Timestamp) {
        self.drifted = Some(why.to_string());
        self.to_confirm = false;
        // An effect that is seen from now on is not a late one of the act that was proven.
        self.acted_at = None;
        self.started = Some(at);
        self.finished = None;
    }

    /// A person asked for a look now.
    pub(super) fn retry_asked(&mut self, at: Timestamp) {
        self.known_blocked = false;
        match &mut self.status {
            Status::Retrying { again_at, .. } | Status::Blocked { again_at, .. } => *again_at = at,
            Status::Pending | Status::Absent | Status::Acting | Status::Acted | Status::Underway | Status::Proven => {}
        }
    }

    /// True when the act was called and has neither been accepted nor failed.
    pub fn is_in_act(&self) -> bool {
        self.in_act
    }

    /// True when the running act has begun a task in the target: if the act fails now, the task failed.
    pub fn acts_in_a_task(&self) -> bool {
        self.in_act && self.handle.is_some()
    }

    /// True when the step is green.
    pub fn is_proven(&self) -> bool {
        self.status == Status::Proven
    }

    /// True when the step needs a person now.
    pub fn is_blocked(&self) -> bool {
        matches!(self.status, Status::Blocked { .. })
    }

    /// The reason why the step can't go on at the moment.
    pub fn failure(&self) -> Option<&Failure> {
        match &self.status {
            Status::Retrying { failure, .. } | Status::Blocked { failure, .. } => Some(failure),
            Status::Pending | Status::Absent | Status::Acting | Status::Acted | Status::Underway | Status::Proven => {
                None
            }
        }
    }

    /// True when the step is at what only one act of its queue may do at a time, or may be.
    pub fn begins(&self) -> bool {
        let makes_way = self.wait.as_ref().is_some_and(|(wait, _)| wait.makes_way);
        self.holds_queue() && self.acted_at.is_none() && !makes_way
    }

    /// True when the step holds a place in its queue.
    pub fn holds_queue(&self) -> bool {
        match self.status {
            Status::Acting | Status::Acted | Status::Underway => true,
            Status::Pending | Status::Absent | Status::Retrying { .. } | Status::Blocked { .. } | Status::Proven => {
                false
            }
        }
    }
}
