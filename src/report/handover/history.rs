//! What the records tell of each step over all sessions. How a step stands is the engine's own fold; this adds what the
//! fold forgets: failures that passed, waits that are over, drifts that were mended, sessions and gates.
use super::{Failed, Gate, Session, Told, Waited};
use crate::base::clock::between;
use crate::base::text;
use crate::engine::failure::Failure;
use crate::engine::proof::{Comparison, Proof};
use crate::engine::record::{Event, Record};
use crate::engine::state::RunState;
use crate::engine::step::{Outline, StepId};
use crate::observed::describe;
use jiff::Timestamp;
use std::collections::HashMap;

/// Failures of one step that are listed.
const FAILURES: usize = 5;
/// Notices that are listed; the journal has them all.
const NOTICES: usize = 200;

/// A step over all sessions.
pub(super) struct History {
    pub outline: Outline,
    pub began: Option<Timestamp>,
    pub proven_at: Option<Timestamp>,
    pub took_s: Option<u64>,
    pub attempts: u32,
    pub proof: Option<Proof>,
    pub is_proven: bool,
    pub waits: Vec<Waited>,
    pub failures: Vec<Failed>,
    pub more_failures: usize,
    pub drifts: Vec<Told>,
    waiting: Option<(String, Timestamp)>,
}

#[derive(Default)]
pub(super) struct Histories {
    pub steps: Vec<History>,
    index: HashMap<StepId, usize>,
    pub sessions: Vec<Session>,
    pub gates: Vec<Gate>,
    pub notices: Vec<Told>,
    asked: Vec<Comparison>,
    pub state: RunState,
}

impl Histories {
    pub fn of(records: &[Record]) -> Histories {
        let mut all = Histories::default();
        for record in records {
            all.take(record);
        }
        if let Some(last) = records.last() {
            all.steps.iter_mut().for_each(|step| step.stops_waiting(last.at));
        }
        all
    }

    fn take(&mut self, record: &Record) {
        let told = describe(record, &self.state);
        self.state.apply(record);
        if let Some(session) = self.sessions.last_mut() {
            session.ended = record.at;
        }
        match &record.event {
            Event::Session { cozyup, host, course, take_over, steps, .. } => {
                self.sessions.push(Session {
                    began: record.at,
                    ended: record.at,
                    outcome: None,
                    course: *course,
                    host: text::line(host),
                    cozyup: text::line(cozyup),
                    take_over: take_over.as_deref().map(text::line),
                });
                self.asked.clear();
                steps.iter().for_each(|outline| self.outline(outline));
            }
            Event::GateAsked { compare, .. } => self.asked.clone_from(compare),
            Event::GateOpened { day, by } => {
                let compared =
                    self.asked.drain(..).map(|c| text::line(&format!("{}: {} with {}", c.of, c.value, c.with)));
                self.gates.push(Gate { day: *day, by: text::line(by), at: record.at, compared: compared.collect() });
            }
            Event::Ended { outcome } => {
                if let Some(session) = self.sessions.last_mut() {
                    session.outcome = Some(*outcome);
                }
            }
            Event::Noticed { .. } | Event::ErrandAsked { .. } | Event::ErrandEnded { .. } => {
                let news = told.into_iter().map(|entry| Told { at: record.at, text: text::line(&entry.text) });
                self.notices.extend(news);
                self.notices.truncate(NOTICES);
            }
            Event::Absent { step, .. }
            | Event::Intended { step, .. }
            | Event::HandleKept { step, .. }
            | Event::Acted { step }
            | Event::Waiting { step, .. }
            | Event::Proven { step, .. }
            | Event::Failed { step, .. }
            | Event::Blocked { step, .. }
            | Event::Drifted { step, .. } => self.of_step(step, record),
            Event::Log { .. } | Event::RetryAsked { .. } | Event::StopAsked { .. } | Event::ControlTaken { .. } => {}
        }
    }

    /// A later session may know a step by another title; its past stays with it.
    fn outline(&mut self, outline: &Outline) {
        match self.index.get(&outline.id).and_then(|at| self.steps.get_mut(*at)) {
            Some(step) => step.outline = outline.clone(),
            None => {
                self.index.insert(outline.id.clone(), self.steps.len());
                self.steps.push(History::new(outline.clone()));
            }
        }
    }

    fn of_step(&mut self, id: &StepId, record: &Record) {
        let Some(step) = self.index.get(id).and_then(|at| self.steps.get_mut(*at)) else { return };
        let folded = self.state.step(id);
        let at = record.at;
        step.began.get_or_insert(at);
        match &record.event {
            Event::Waiting { wait, .. } => step.waits_for(&wait.condition, at),
            Event::Intended { attempt, .. } => step.attempts = step.attempts.max(*attempt),
            Event::Proven { proof, .. } => {
                step.stops_waiting(at);
                step.is_proven = true;
                step.proof = Some(proof.clone());
                // A session that only confirms it leaves both as they were.
                if let Some((began, finished)) = folded.and_then(|s| Some((s.started?, s.finished?))) {
                    (step.began, step.proven_at) = (Some(began), Some(finished));
                    step.took_s = Some(between(began, finished).as_secs());
                }
            }
            Event::Failed { failure, .. } | Event::Blocked { failure, .. } => step.fails(failure, at),
            Event::Drifted { why, .. } => {
                step.stops_waiting(at);
                step.is_proven = false;
                step.drifts.push(Told { at, text: text::line(why) });
            }
            Event::Absent { .. } | Event::Acted { .. } => step.stops_waiting(at),
            Event::HandleKept { .. }
            | Event::Session { .. }
            | Event::GateAsked { .. }
            | Event::GateOpened { .. }
            | Event::Log { .. }
            | Event::Noticed { .. }
            | Event::RetryAsked { .. }
            | Event::ErrandAsked { .. }
            | Event::ErrandEnded { .. }
            | Event::StopAsked { .. }
            | Event::ControlTaken { .. }
            | Event::Ended { .. } => {}
        }
    }
}

impl History {
    fn new(outline: Outline) -> History {
        History {
            outline,
            began: None,
            proven_at: None,
            took_s: None,
            attempts: 0,
            proof: None,
            is_proven: false,
            waits: Vec::new(),
            failures: Vec::new(),
            more_failures: 0,
            drifts: Vec::new(),
            waiting: None,
        }
    }

    fn waits_for(&mut self, condition: &str, at: Timestamp) {
        if self.waiting.as_ref().is_some_and(|(known, _)| known == condition) {
            return;
        }
        self.stops_waiting(at);
        self.waiting = Some((condition.to_string(), at));
    }

    fn stops_waiting(&mut self, at: Timestamp) {
        if let Some((condition, from)) = self.waiting.take() {
            self.waits.push(Waited { for_what: text::line(&condition), from, to: at });
        }
    }

    /// The same failure again is one.
    fn fails(&mut self, failure: &Failure, at: Timestamp) {
        self.stops_waiting(at);
        let told =
            Failed { at, class: failure.class, what: text::line(&failure.what), next: text::line(&failure.next) };
        if self.failures.last().is_some_and(|last| last.what == told.what) {
            return;
        }
        match self.failures.len() < FAILURES {
            true => self.failures.push(told),
            false => self.more_failures += 1,
        }
    }
}
