//! The one fold: what a run's records add up to. Used live, at recovery, in every view and in the report.
mod idle;
mod moments;
mod removing;
mod step_state;
#[cfg(test)]
pub(crate) mod tests;

pub use idle::Idle;
pub use removing::MADE_GOOD_BY;
pub use step_state::{Status, StepState};

use super::course::Course;
use super::failure::Failure;
use super::made::Made;
use super::proof::Comparison;
use super::record::{Event, Outcome, Record};
use super::step::{Outline, Queue, StepId};
use crate::base::day::Day;
use crate::base::label::Label;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// A run and what its records add up to. Empty before the first record.
#[derive(Debug, Clone, Default)]
pub struct RunState {
    /// Id of the run, drawn once; marks in the target are `PLAN.ID`.
    pub run: String,
    /// The plan's `name`.
    pub plan: String,
    /// SHA-256 of the text of the plan that the last session was started with.
    pub plan_digest: String,
    /// Host name of the machine on which the last session runs or ran.
    pub host: String,
    /// Process id of the last session's worker on `host`; it may have ended without a record.
    pub pid: u32,
    /// The course of the last session.
    pub course: Course,
    /// The number of workers that stay, as a person asked for it last; `None` where nobody has.
    pub workers: Option<u32>,
    /// The machine whose removal was begun and has neither ended nor been made good since.
    pub removing: Option<Label>,
    /// Number of sessions so far.
    pub sessions: u32,
    /// Time of the first session's start.
    pub started: Option<Timestamp>,
    /// Time of the last record.
    pub last: Option<Timestamp>,
    /// Number of the last record; 0 before the first.
    pub seq: u64,
    /// The steps of the last session, in its order.
    pub steps: Vec<StepState>,
    index: HashMap<StepId, usize>,
    /// Steps that put right what an earlier session left disturbed: they come before everything else.
    first: BTreeSet<StepId>,
    /// Steps that put something right and whose act was called since it was disturbed.
    tried: BTreeSet<StepId>,
    /// Queues that let through one act at a time since acts side by side failed, in this session or an earlier one.
    pub narrow: BTreeSet<String>,
    /// The things that all sessions together have made.
    pub made: Arc<Made>,
    /// Gates that a person (or `--yes`) opened, with who.
    pub gates: BTreeMap<Day, String>,
    /// Days whose gate was asked for in this session, opened or not.
    pub gates_asked: BTreeSet<Day>,
    /// The time in which it did no work.
    pub idle: Idle,
    /// The operator who asked this session to stop.
    pub stop_asked: Option<String>,
    /// The way in which the last session ended; `None` while it goes on, or when its worker was killed.
    pub ended: Option<Outcome>,
    /// The journal says that it ended proven, and its own records do not bear that out: somebody changed it.
    pub disputed: bool,
}

impl RunState {
    /// The state after these records, which begin with the first of the run.
    pub fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut state = RunState::default();
        for record in records {
            state.apply(record);
        }
        state
    }

    /// The digests that proofs of the run recorded, each as it was recorded first.
    pub fn digests<'a>(records: impl IntoIterator<Item = &'a Record>) -> BTreeMap<String, String> {
        let mut first = BTreeMap::new();
        for record in records {
            if let Event::Proven { proof, .. } = &record.event {
                for (what, sha256) in proof.digests() {
                    first.entry(what.clone()).or_insert_with(|| sha256.clone());
                }
            }
        }
        first
    }

    /// The step of this id; `None` when the last session has none.
    pub fn step(&self, id: &StepId) -> Option<&StepState> {
        self.index.get(id).and_then(|i| self.steps.get(*i))
    }

    /// The steps that this session is to prove.
    pub fn wanted(&self) -> impl Iterator<Item = &StepState> {
        self.steps.iter().filter(|s| self.course.wants(s.outline.day))
    }

    /// Number of wanted steps that are proven.
    pub fn proven(&self) -> usize {
        self.wanted().filter(|s| s.is_proven()).count()
    }

    /// The comparisons that the proofs of the day before ask of a person before the gate of `day` opens.
    pub fn to_compare(&self, day: Day) -> Vec<Comparison> {
        let before = self.steps.iter().filter(|s| s.is_proven() && s.outline.day.next() == Some(day));
        before.filter_map(|s| s.proof.as_ref()?.comparison().cloned()).collect()
    }

    /// The values that each step's last proof asked a person to compare, with when they were read.
    pub fn shown(&self) -> BTreeMap<StepId, (String, Timestamp)> {
        let shown = |s: &StepState| {
            let proof = s.proof.as_ref()?;
            let at = proof.readings().next()?.at;
            Some((s.outline.id.clone(), (proof.comparison()?.value.clone(), at)))
        };
        self.steps.iter().filter_map(shown).collect()
    }

    /// True while no act was called yet and nothing that an act makes was found: the target has nothing of this run.
    pub fn is_untouched(&self) -> bool {
        self.steps.iter().all(|s| s.attempt == 0 && !(s.outline.changes && s.is_proven()))
    }

    /// The gate that waits for a person now, if any.
    pub fn gate_waiting(&self) -> Option<Day> {
        self.gates_asked.iter().copied().find(|day| !self.gates.contains_key(day))
    }

    /// Takes the next record into account.
    pub fn apply(&mut self, record: &Record) {
        self.idle.apply(&record.event, self.last, record.at);
        self.seq = record.seq;
        self.last = Some(record.at);
        let at = record.at;
        if Made::concerns(&record.event) {
            Arc::make_mut(&mut self.made).apply(&record.event);
        }
        match &record.event {
            Event::Session { .. } => self.begin(&record.event, at),
            Event::GateAsked { day, .. } => drop(self.gates_asked.insert(*day)),
            Event::GateOpened { day, by } => drop(self.gates.insert(*day, by.clone())),
            Event::Absent { step, .. } => self.on(step, at, StepState::absent),
            Event::Intended { step, attempt } => {
                self.tried.insert(step.clone());
                self.removes();
                self.on(step, at, |s| s.intended(*attempt, at));
            }
            Event::HandleKept { step, handle } => {
                self.on(step, at, |s| s.handle = Some(handle.clone()));
                self.disturbs(step);
            }
            Event::Acted { step } => self.on(step, at, |s| s.acted(at)),
            Event::Waiting { step, wait } => self.on(step, at, |s| s.waiting(wait, at)),
            Event::Proven { step, proof } => {
                self.on(step, at, |s| s.proven(proof, at));
                self.is_right_again(step);
                self.is_back(step);
            }
            Event::Failed { step, failure, again_at } => {
                self.narrows(step, failure);
                self.on(step, at, |s| s.failed(failure, at, *again_at));
            }
            Event::Blocked { step, failure, again_at } => {
                self.narrows(step, failure);
                self.on(step, at, |s| s.blocked(failure, at, *again_at));
            }
            Event::Drifted { step, why } => self.on(step, at, |s| s.has_drifted(why, at)),
            Event::RetryAsked { step, .. } => self.on(step, at, |s| s.retry_asked(at)),
            Event::StopAsked { by } => self.stop_asked = Some(by.clone()),
            // The lines of a log are for those who listen, control belongs to the living worker, and a notice is about the
            // target alone.
            Event::Log { .. }
            | Event::ControlTaken { .. }
            | Event::Noticed { .. }
            | Event::ErrandAsked { .. }
            | Event::ErrandEnded { .. } => {}
            Event::Ended { outcome } => self.end(*outcome),
        }
    }

    /// The queue that this failure makes narrow, which it was not before.
    pub fn narrowed_by(&self, step: &StepId, failure: &Failure) -> Option<&Queue> {
        let queue = self.step(step).and_then(|s| s.outline.queue.as_ref());
        queue.filter(|q| failure.crowded && q.limit > 1 && !self.narrow.contains(&q.name))
    }

    fn narrows(&mut self, step: &StepId, failure: &Failure) {
        if let Some(name) = self.narrowed_by(step, failure).map(|queue| queue.name.clone()) {
            self.narrow.insert(name);
        }
    }

    /// The number of acts that the queue lets through at once.
    pub fn width(&self, queue: &Queue) -> usize {
        if self.narrow.contains(&queue.name) { 1 } else { queue.limit }
    }

    fn begin(&mut self, session: &Event, at: Timestamp) {
        let Event::Session { run, plan, plan_digest, host, pid, course, steps, .. } = session else { return };
        self.close_gates(*course);
        if let Course::Workers { count } = course {
            self.renumber(*count);
        }
        self.run.clone_from(run);
        self.plan.clone_from(plan);
        self.plan_digest.clone_from(plan_digest);
        self.host.clone_from(host);
        self.pid = *pid;
        self.course = *course;
        self.sessions += 1;
        self.started.get_or_insert(at);
        self.stop_asked = None;
        self.ended = None;
        self.disputed = false;
        self.gates_asked.clear();
        self.take_up(steps);
        self.tried.clear();
        let may_act = self.course != Course::default();
        self.first = self.made.to_put_right().filter(|by| may_act && self.index.contains_key(*by)).cloned().collect();
    }

    /// The step's act has disturbed what another one puts right.
    fn disturbs(&mut self, step: &StepId) {
        let by = self.step(step).and_then(|s| s.outline.put_right_by.clone());
        if let Some(by) = by.filter(|_| self.made.has_disturbed(step)) {
            self.tried.remove(&by);
            if let Some(step) = self.index.get(&by).and_then(|i| self.steps.get_mut(*i)) {
                step.disturbed();
            }
        }
    }

    /// What `by` puts right is as it was: the handle of who disturbed it tells nothing any more.
    fn is_right_again(&mut self, by: &StepId) {
        self.first.remove(by);
        for step in self.steps.iter_mut().filter(|s| s.outline.put_right_by.as_ref() == Some(by) && !s.is_proven()) {
            step.handle = None;
        }
    }

    /// The steps that come before everything else, in the order of the session: see [`Outline::put_right_by`].
    pub fn first(&self) -> Vec<&StepState> {
        self.steps.iter().filter(|s| self.first.contains(&s.outline.id)).collect()
    }

    /// The steps that have still to put something right, and whether their act was called since it was disturbed.
    pub fn to_put_right(&self) -> impl Iterator<Item = (&StepState, bool)> {
        let steps = self.made.to_put_right().filter_map(|by| self.step(by));
        steps.map(|step| (step, self.tried.contains(&step.outline.id)))
    }

    /// A look that found a blocked step as it was: no news for the journal, and so for no other fold of it.
    pub fn looked_again(&mut self, id: &StepId, next: Timestamp) {
        if let Some(step) = self.index.get(id).and_then(|i| self.steps.get_mut(*i))
            && let Status::Blocked { again_at, .. } = &mut step.status
        {
            *again_at = next;
            step.failures += 1;
        }
    }

    /// A new session: outlines may have changed, proofs are to be confirmed, everything else is looked at anew.
    fn take_up(&mut self, outlines: &[Outline]) {
        let mut old: HashMap<StepId, StepState> =
            std::mem::take(&mut self.steps).into_iter().map(|s| (s.outline.id.clone(), s)).collect();
        let course = self.course;
        let needed = moments::needed(outlines, &old, course);
        self.steps = outlines
            .iter()
            .map(|outline| match old.remove(&outline.id) {
                None => StepState::new(outline.clone()),
                Some(mut step) => {
                    step.outline = outline.clone();
                    // What this session does not look at stays as it was known.
                    let stands = !course.wants(outline.day) || (outline.momentary && !needed.contains(&outline.id));
                    if step.is_proven() && stands {
                        return step;
                    }
                    step.to_confirm = step.is_proven();
                    if !step.to_confirm {
                        step.started = None;
                    }
                    step.status = Status::Pending;
                    step.wait = None;
                    step.acted_at = None;
                    step.in_act = false;
                    step.got_further();
                    step
                }
            })
            .collect();
        self.index = self.steps.iter().enumerate().map(|(i, s)| (s.outline.id.clone(), i)).collect();
    }

    /// A gate that was opened on the way forward does not count on the way back, nor the other way round, and each number of
    /// workers and each removal of a machine is agreed to by itself.
    fn close_gates(&mut self, course: Course) {
        if course.is_back() || self.course.is_back() {
            self.gates.clear();
        }
        match course {
            Course::Workers { .. } => drop(self.gates.remove(&Day::Workers)),
            Course::Node { .. } => drop(self.gates.remove(&Day::Teardown)),
            Course::Forward { .. } | Course::Back { .. } => {}
        }
    }

    fn end(&mut self, outcome: Outcome) {
        if outcome == Outcome::Proven && !self.wanted().all(StepState::is_proven) {
            self.disputed = true;
            return;
        }
        self.ended = Some(outcome);
        // What was taken back is not looked for any more.
        if outcome == Outcome::Proven && self.course.is_back() {
            (self.workers, self.removing) = (None, None);
        }
        if let (Outcome::Proven, Course::Node { name }) = (outcome, self.course) {
            self.is_removed(name);
        }
    }

    /// Another number of workers is another goal: what was proven of the former one is no drift from it.
    fn renumber(&mut self, count: u32) {
        if self.workers.replace(count) != Some(count) {
            for step in self.steps.iter_mut().filter(|s| s.outline.day == Day::Workers) {
                step.status = Status::Pending;
            }
        }
    }

    /// Changes one step. A record about a step that the session does not have is a no-op: an older journal may name it.
    fn on(&mut self, id: &StepId, at: Timestamp, f: impl FnOnce(&mut StepState)) {
        if let Some(step) = self.index.get(id).and_then(|i| self.steps.get_mut(*i)) {
            step.started.get_or_insert(at);
            f(step);
        }
    }
}
