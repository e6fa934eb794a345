//! The one fold: what a run's records add up to. Used live, at recovery, in every view and in the report.
use super::course::Course;
use super::failure::Failure;
use super::made::Made;
use super::proof::{Comparison, Proof};
use super::record::{Event, Outcome, Record};
use super::step::{Outline, StepId};
use super::wait::Wait;
use crate::base::day::Day;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

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
        failure: Failure,
        again_at: Timestamp,
    },
    /// Needs a person, is looked at again.
    Blocked {
        failure: Failure,
        since: Timestamp,
        again_at: Timestamp,
    },
    Proven,
}

#[derive(Debug, Clone)]
pub struct StepState {
    pub outline: Outline,
    pub status: Status,
    /// How often the act was called, over all sessions.
    pub attempt: u32,
    pub handle: Option<String>,
    /// First record of the step in the session that finished it or works on it.
    pub started: Option<Timestamp>,
    pub finished: Option<Timestamp>,
    /// The wait in hand and since when its condition has been waited for.
    pub wait: Option<(Wait, Timestamp)>,
    /// The last evidence, also while it is being asked for again.
    pub proof: Option<Proof>,
    /// When the act was accepted in this session.
    pub acted_at: Option<Timestamp>,
    /// Failures in a row.
    pub failures: u32,
    pub first_failure: Option<Timestamp>,
    /// What it was the last time, until the step gets further.
    pub last_failure: Option<Failure>,
    pub drifted: Option<String>,
    /// It has been blocked since it last got further, and no person has asked for a look since.
    pub known_blocked: bool,
    /// Proven by an earlier session and not yet asked for again in this one.
    pub to_confirm: bool,
    /// The act was called and has neither been accepted nor failed: what it waits for is no progress yet.
    in_act: bool,
}

impl StepState {
    fn new(outline: Outline) -> Self {
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

    fn got_further(&mut self) {
        self.failures = 0;
        self.first_failure = None;
        self.last_failure = None;
        self.known_blocked = false;
    }

    /// Whether the act was called and has neither been accepted nor failed.
    pub fn is_in_act(&self) -> bool {
        self.in_act
    }

    /// Whether the act in hand has begun a task in the target: when it fails now, that task did.
    pub fn acts_in_a_task(&self) -> bool {
        self.in_act && self.handle.is_some()
    }

    pub fn is_proven(&self) -> bool {
        self.status == Status::Proven
    }

    pub fn is_blocked(&self) -> bool {
        matches!(self.status, Status::Blocked { .. })
    }

    /// Why the step can't go on at the moment.
    pub fn failure(&self) -> Option<&Failure> {
        match &self.status {
            Status::Retrying { failure, .. } | Status::Blocked { failure, .. } => Some(failure),
            Status::Pending | Status::Absent | Status::Acting | Status::Acted | Status::Underway | Status::Proven => {
                None
            }
        }
    }

    /// Whether the step holds a place in its queue.
    pub fn holds_queue(&self) -> bool {
        match self.status {
            Status::Acting | Status::Acted | Status::Underway => true,
            Status::Pending | Status::Absent | Status::Retrying { .. } | Status::Blocked { .. } | Status::Proven => {
                false
            }
        }
    }
}

#[derive(Debug, Clone, Default)]
pub struct RunState {
    pub run: String,
    pub plan: String,
    pub plan_digest: String,
    pub host: String,
    pub pid: u32,
    pub course: Course,
    pub sessions: u32,
    pub started: Option<Timestamp>,
    pub last: Option<Timestamp>,
    pub seq: u64,
    pub steps: Vec<StepState>,
    index: HashMap<StepId, usize>,
    /// What was made, of all sessions.
    pub made: Arc<Made>,
    /// Gates that a person (or `--yes`) opened, with who.
    pub gates: BTreeMap<Day, String>,
    pub gates_asked: BTreeSet<Day>,
    pub stop_asked: Option<String>,
    pub ended: Option<Outcome>,
    /// The journal says that it ended proven, and its own records do not bear that out: somebody changed it.
    pub disputed: bool,
}

impl RunState {
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

    pub fn step(&self, id: &StepId) -> Option<&StepState> {
        self.index.get(id).and_then(|i| self.steps.get(*i))
    }

    /// The steps that this session is to prove.
    pub fn wanted(&self) -> impl Iterator<Item = &StepState> {
        self.steps.iter().filter(|s| self.course.wants(s.outline.day))
    }

    pub fn proven(&self) -> usize {
        self.wanted().filter(|s| s.is_proven()).count()
    }

    /// What the proofs of the day before ask a person to compare before the gate of `day` opens.
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

    /// The gate that waits for a person now, if any.
    pub fn gate_waiting(&self) -> Option<Day> {
        self.gates_asked.iter().copied().find(|day| !self.gates.contains_key(day))
    }

    pub fn apply(&mut self, record: &Record) {
        self.seq = record.seq;
        self.last = Some(record.at);
        let at = record.at;
        if Made::concerns(&record.event) {
            Arc::make_mut(&mut self.made).apply(&record.event);
        }
        match &record.event {
            Event::Session { run, plan, plan_digest, host, pid, course, steps, .. } => {
                // What was agreed to on the way there is no word about the way back, nor the other way round.
                if course.is_back() || self.course.is_back() {
                    self.gates.clear();
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
            }
            Event::GateAsked { day, .. } => {
                self.gates_asked.insert(*day);
            }
            Event::GateOpened { day, by } => {
                self.gates.insert(*day, by.clone());
            }
            Event::Absent { step, .. } => self.on(step, at, |s| {
                s.status = Status::Absent;
                s.wait = None;
                s.acted_at = None;
                s.in_act = false;
            }),
            Event::Intended { step, attempt } => self.on(step, at, |s| {
                // The time at the gate and in the queue is not the step's own.
                if s.status == Status::Absent && s.failures == 0 {
                    s.started = Some(at);
                }
                s.status = Status::Acting;
                s.attempt = *attempt;
                s.handle = None;
                s.wait = None;
                s.in_act = true;
            }),
            Event::HandleKept { step, handle } => self.on(step, at, |s| s.handle = Some(handle.clone())),
            Event::Acted { step } => self.on(step, at, |s| {
                s.status = Status::Acted;
                s.acted_at = Some(at);
                s.in_act = false;
            }),
            Event::Waiting { step, wait } => self.on(step, at, |s| {
                let since = match &s.wait {
                    Some((old, since)) if old.condition == wait.condition => *since,
                    _ => at,
                };
                s.status = Status::Underway;
                s.wait = Some((wait.clone(), since));
                // An act says what it waits for each time that it is tried: it gets further when it is accepted.
                if !s.in_act {
                    s.got_further();
                }
            }),
            Event::Proven { step, proof } => self.on(step, at, |s| {
                s.status = Status::Proven;
                if !s.to_confirm || s.drifted.is_some() {
                    s.finished = Some(at);
                }
                s.proof = Some(proof.clone());
                s.wait = None;
                s.got_further();
                s.drifted = None;
                s.to_confirm = false;
                s.in_act = false;
            }),
            Event::Failed { step, failure, again_at } => self.on(step, at, |s| {
                s.failures += 1;
                s.first_failure.get_or_insert(at);
                s.last_failure = Some(failure.clone());
                s.in_act = false;
                s.status = Status::Retrying { failure: failure.clone(), again_at: *again_at };
            }),
            Event::Blocked { step, failure, again_at } => self.on(step, at, |s| {
                // Between two refusals the step looks and tries again: it has been blocked all the while.
                let since = *s.first_failure.get_or_insert(at);
                s.failures += 1;
                s.last_failure = Some(failure.clone());
                s.known_blocked = true;
                s.in_act = false;
                s.status = Status::Blocked { failure: failure.clone(), since, again_at: *again_at };
            }),
            Event::Drifted { step, why } => self.on(step, at, |s| {
                s.drifted = Some(why.clone());
                s.to_confirm = false;
                // What comes now is no late effect of the act that was proven.
                s.acted_at = None;
                s.started = Some(at);
                s.finished = None;
            }),
            // The lines of a log are for those who listen; the journal has them all.
            Event::Log { .. } => {}
            Event::RetryAsked { step, .. } => self.on(step, at, |s| {
                s.known_blocked = false;
                match &mut s.status {
                    Status::Retrying { again_at, .. } | Status::Blocked { again_at, .. } => *again_at = at,
                    Status::Pending
                    | Status::Absent
                    | Status::Acting
                    | Status::Acted
                    | Status::Underway
                    | Status::Proven => {}
                }
            }),
            Event::StopAsked { by } => self.stop_asked = Some(by.clone()),
            // Who holds control is a matter of the worker that lives, not of the run; a notice tells of the target alone.
            Event::ControlTaken { .. } | Event::Noticed { .. } => {}
            Event::Ended { outcome: Outcome::Proven } if !self.wanted().all(StepState::is_proven) => {
                self.disputed = true
            }
            Event::Ended { outcome } => self.ended = Some(*outcome),
        }
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
        self.steps = outlines
            .iter()
            .map(|outline| match old.remove(&outline.id) {
                None => StepState::new(outline.clone()),
                Some(mut step) => {
                    step.outline = outline.clone();
                    if step.is_proven() && outline.momentary {
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

    /// Changes one step. A record about a step that the session does not have is a no-op: an older journal may name it.
    fn on(&mut self, id: &StepId, at: Timestamp, f: impl FnOnce(&mut StepState)) {
        if let Some(step) = self.index.get(id).and_then(|i| self.steps.get_mut(*i)) {
            step.started.get_or_insert(at);
            f(step);
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::engine::proof::Evidence;
    use crate::engine::wait::Band;

    pub fn outline(id: &str, day: u8, after: &[&str]) -> Outline {
        Outline {
            id: StepId::new(id),
            day: Day::Number(day),
            title: id.into(),
            after: after.iter().map(|a| StepId::new(a)).collect(),
            queue: None,
            band: Band::new(10, 60),
            changes: day > 0,
            momentary: false,
            by_hand: String::new(),
        }
    }

    pub fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    pub fn proof() -> Proof {
        let reading = Evidence {
            system: "test".into(),
            asked: "is it".into(),
            answer: "it is".into(),
            at: at(0),
            by_hand: String::new(),
        };
        Proof::new("it is so", reading)
    }

    pub fn session(steps: Vec<Outline>) -> Event {
        Event::Session {
            run: "r".into(),
            plan: "p".into(),
            plan_digest: String::new(),
            cozyup: "0".into(),
            host: "jump".into(),
            pid: 1,
            course: Course::Forward { until: Day::Number(10) },
            take_over: None,
            adopted: vec![],
            steps,
        }
    }

    /// The same session on another course.
    pub fn on_course(mut event: Event, to: Course) -> Event {
        if let Event::Session { course, .. } = &mut event {
            *course = to;
        }
        event
    }

    pub fn fold(events: Vec<Event>) -> RunState {
        let records: Vec<Record> = events
            .into_iter()
            .enumerate()
            .map(|(i, event)| Record { seq: i as u64 + 1, at: at(i as i64), event })
            .collect();
        RunState::of(&records)
    }

    #[test]
    fn a_second_session_asks_for_every_lasting_proof_again() {
        let a = StepId::new("day1.a");
        let mut lasting = outline("day1.a", 1, &[]);
        let mut moment = outline("day5.b", 5, &[]);
        moment.momentary = true;
        lasting.title = "old title".into();
        let first = session(vec![lasting.clone(), moment.clone()]);
        lasting.title = "new title".into();
        let state = fold(vec![
            first,
            Event::Proven { step: a.clone(), proof: proof() },
            Event::Proven { step: StepId::new("day5.b"), proof: proof() },
            session(vec![lasting, moment]),
        ]);
        let step = state.step(&a).unwrap();
        assert_eq!(step.status, Status::Pending);
        assert!(step.to_confirm && step.proof.is_some());
        assert_eq!(step.outline.title, "new title");
        assert!(state.step(&StepId::new("day5.b")).unwrap().is_proven());
        assert_eq!(state.sessions, 2);
    }

    #[test]
    fn the_same_condition_keeps_its_start_and_another_begins_anew() {
        let step = StepId::new("day1.a");
        let wait =
            |c: &str, seen: &str| Event::Waiting { step: step.clone(), wait: Wait::new(c, seen, Band::new(1, 2)) };
        let state =
            fold(vec![session(vec![outline("day1.a", 1, &[])]), wait("3 members", "1"), wait("3 members", "2")]);
        assert_eq!(state.step(&step).unwrap().wait.as_ref().unwrap().1, at(1));
        let state = fold(vec![session(vec![outline("day1.a", 1, &[])]), wait("3 members", "1"), wait("healthy", "no")]);
        assert_eq!(state.step(&step).unwrap().wait.as_ref().unwrap().1, at(2));
    }

    #[test]
    fn a_step_whose_act_is_refused_again_and_again_has_been_blocked_since_the_first_time() {
        let step = StepId::new("day1.a");
        let refused = || Event::Blocked { step: step.clone(), failure: Failure::refused("no", "ask"), again_at: at(9) };
        let absent = || Event::Absent { step: step.clone(), seen: String::new() };
        let tried = |attempt| Event::Intended { step: step.clone(), attempt };
        let first = session(vec![outline("day1.a", 1, &[])]);
        let state = fold(vec![first, absent(), tried(1), refused(), absent(), tried(2), refused()]);
        let Status::Blocked { since, .. } = state.step(&step).unwrap().status else { panic!("not blocked") };
        assert_eq!(since, at(3));
    }

    /// proxmox.md 2.2: an act that says what it waits for, in each of its tries, is still the same act that fails.
    #[test]
    fn what_an_act_waits_for_in_each_try_is_no_progress() {
        let step = StepId::new("day1.a");
        let waits = || Event::Waiting { step: step.clone(), wait: Wait::new("it is sent", "1 %", Band::new(1, 2)) };
        let tried = |attempt| Event::Intended { step: step.clone(), attempt };
        let failed =
            || Event::Failed { step: step.clone(), failure: Failure::retryable("cut", "again"), again_at: at(9) };
        let absent = || Event::Absent { step: step.clone(), seen: String::new() };
        let mut events = vec![session(vec![outline("day1.a", 1, &[])]), absent()];
        for attempt in 1..=3 {
            events.extend([tried(attempt), waits(), waits(), failed(), absent()]);
        }
        let state = fold(events.clone());
        assert_eq!(state.step(&step).unwrap().failures, 3);
        assert_eq!(state.step(&step).unwrap().first_failure, Some(at(5)));
        // What a look sees on its way, and an accepted act, are progress.
        events.push(waits());
        assert_eq!(fold(events.clone()).step(&step).unwrap().failures, 0);
        events.extend([tried(4), failed(), absent(), tried(5), Event::Acted { step: step.clone() }, waits()]);
        assert_eq!(fold(events).step(&step).unwrap().failures, 0);
    }

    #[test]
    fn a_handle_survives_a_crash_between_intent_and_answer() {
        let step = StepId::new("day1.a");
        let state = fold(vec![
            session(vec![outline("day1.a", 1, &[])]),
            Event::Intended { step: step.clone(), attempt: 1 },
            Event::HandleKept { step: step.clone(), handle: "UPID:x".into() },
            session(vec![outline("day1.a", 1, &[])]),
        ]);
        let s = state.step(&step).unwrap();
        assert_eq!(s.handle.as_deref(), Some("UPID:x"));
        assert_eq!((s.attempt, &s.status), (1, &Status::Pending));
    }

    #[test]
    fn what_was_refused_and_made_by_somebody_else_is_not_the_runs() {
        let made = |events: Vec<Event>| {
            let records =
                events.into_iter().enumerate().map(|(i, event)| Record { seq: i as u64 + 1, at: at(0), event });
            let records = records.collect::<Vec<_>>();
            RunState::of(&records).made.steps().map(ToString::to_string).collect::<Vec<_>>()
        };
        let step = StepId::new("day4.role");
        let there = || session(vec![outline("day4.role", 4, &[])]);
        let intended = || Event::Intended { step: step.clone(), attempt: 1 };
        let refused = || Event::Blocked { step: step.clone(), failure: Failure::refused("no", "ask"), again_at: at(9) };
        let proven = |step: &StepId| Event::Proven { step: step.clone(), proof: proof() };
        assert!(made(vec![there(), intended(), refused(), proven(&step)]).is_empty());
        assert_eq!(
            made(vec![there(), intended(), refused(), intended(), Event::Acted { step: step.clone() }]),
            ["day4.role"]
        );
        // That it is refused later takes nothing away from having made it.
        assert_eq!(made(vec![there(), intended(), Event::Acted { step: step.clone() }, refused()]), ["day4.role"]);
        let back = || on_course(there(), Course::Back { cluster_is_lost: false });
        let asked = StepId::new("teardown.asked");
        assert_eq!(made(vec![there(), intended(), back(), proven(&asked)]), ["day4.role", "teardown.asked"]);
        assert_eq!(made(vec![there(), intended(), back(), proven(&asked), there()]), ["day4.role"]);
        assert!(made(vec![there(), intended(), back(), Event::Ended { outcome: Outcome::Proven }]).is_empty());
    }

    /// harm.md S16
    #[test]
    fn an_end_that_says_more_than_the_records_do_is_no_end() {
        let end = || Event::Ended { outcome: Outcome::Proven };
        let proven = |step: &str| Event::Proven { step: StepId::new(step), proof: proof() };
        let steps = || session(vec![outline("day1.a", 1, &[]), outline("day1.b", 1, &[])]);
        let forged = fold(vec![steps(), proven("day1.a"), end()]);
        assert_eq!((forged.ended, forged.disputed), (None, true));
        let whole = fold(vec![steps(), proven("day1.a"), proven("day1.b"), end()]);
        assert_eq!((whole.ended, whole.disputed), (Some(Outcome::Proven), false));
        assert!(!fold(vec![steps(), end(), steps()]).disputed, "the next session looks at everything again");
        let stopped = fold(vec![steps(), Event::Ended { outcome: Outcome::Stopped }]);
        assert_eq!((stopped.ended, stopped.disputed), (Some(Outcome::Stopped), false));
    }

    #[test]
    fn records_about_unknown_steps_change_nothing() {
        let state = fold(vec![session(vec![]), Event::Acted { step: StepId::new("day9.gone") }]);
        assert!(state.steps.is_empty());
    }
}
