//! Performs effects and feeds the answers back: the only await loop of the engine.
mod beside;

use super::context::{Note, StepContext};
use super::course::Course;
use super::decide::{Effect, Rules, Verb, decide};
use super::doubt::{Doubting, Outside, Verdict, resting};
use super::errand::Errand;
use super::failure::{Class, Failure, too_long};
use super::journal::{Journal, JournalError};
use super::made::Adopted;
use super::pace::{BACKOFF_S, LOOK_AGAIN, LOOK_LATER, LOOKS, TASK_BACKOFF_S, TRIES, TRY_LATER, nth, silence};
use super::record::{Event, Outcome, Record};
use super::request::{Asked, Request};
use super::state::{RunState, Status};
use super::step::{Observed, Outline, Site, Step, StepId};
use super::wait::Wait;
use super::wall_clock::WallClock;
use crate::base::clock::{Clock, add, between};
use crate::base::{json, text};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

/// One look at the target may take this long on the wall.
pub(super) const OBSERVE_DEADLINE: Duration = Duration::from_secs(90);
/// One act may take this long on the wall; it returns when the change is accepted, so this is for uploads.
const ACT_DEADLINE: Duration = Duration::from_secs(3 * 3600);
/// Log lines kept per step.
const LOG_LIMIT: u32 = 400;

/// The identity of this session, for its first record.
#[derive(Debug, Clone)]
pub struct Session {
    /// Id of the run, drawn once; marks in the target are `PLAN.ID`.
    pub run: String,
    /// The plan's `name`.
    pub plan: String,
    /// SHA-256 of the plan's text, in hexadecimal.
    pub plan_digest: String,
    /// Host name of this machine.
    pub host: String,
    /// The course: forward to the end of a day, back, or verify.
    pub course: Course,
    /// The operator who asked for `--take-over`.
    pub take_over: Option<String>,
    /// Things of a run whose journal was lost, which this session takes up.
    pub adopted: Vec<Adopted>,
}

/// A session that is ready to run: its steps, what they work on, and where it records.
pub struct Driver<S: Site> {
    /// All steps of the catalogue, in an order in which they can run; the course decides which are wanted.
    pub steps: Vec<Arc<dyn Step<S>>>,
    /// The reading half of the target, which every verb is handed.
    pub reading: Arc<S::Reading>,
    /// The changing half of the target, which only acts are handed.
    pub changing: Arc<S::Changing>,
    /// The clock that dates records and measures bands and pauses.
    pub clock: Clock,
    /// The run's journal, locked by this process.
    pub journal: Journal,
    /// The state that the records of earlier sessions add up to.
    pub state: RunState,
    /// Gates and patience.
    pub rules: Rules,
    /// The notices and doubts of an observer of the target.
    pub outside: Outside<S::Fact>,
    /// Receives every new record, after it is in the journal.
    pub feed: mpsc::UnboundedSender<Arc<Record>>,
}

enum Answer {
    Observed(Result<Observed, Failure>),
    Acted(Result<(), Failure>),
}

struct Loop<S: Site> {
    driver: Driver<S>,
    by_id: HashMap<StepId, Arc<dyn Step<S>>>,
    running: BTreeMap<StepId, Verb>,
    aborts: HashMap<StepId, AbortHandle>,
    tasks: JoinSet<(StepId, Answer)>,
    errands: JoinSet<(Errand, Result<(), Failure>)>,
    task_steps: HashMap<tokio::task::Id, StepId>,
    notes: mpsc::UnboundedSender<Note>,
    stopping: Arc<AtomicBool>,
    log_lines: HashMap<StepId, u32>,
    /// When a blocked step's failure was recorded last, and for how long it is no news from then on.
    told: HashMap<StepId, (jiff::Timestamp, Duration)>,
    doubting: Doubting,
    wall_clock: WallClock,
}

impl<S: Site> Driver<S> {
    /// Runs until everything is proven, blocked for too long, or stopped. `requests` may be closed.
    ///
    /// # Errors
    /// When the journal can't be written: nothing is acted on after that.
    pub async fn run(
        self,
        session: Session,
        mut requests: mpsc::UnboundedReceiver<Asked>,
    ) -> Result<(Outcome, RunState), JournalError> {
        let (notes, mut inbox) = mpsc::unbounded_channel();
        let by_id = self.steps.iter().map(|s| (s.outline().id.clone(), s.clone())).collect();
        let mut this = Loop {
            driver: self,
            by_id,
            running: BTreeMap::new(),
            aborts: HashMap::new(),
            tasks: JoinSet::new(),
            errands: JoinSet::new(),
            task_steps: HashMap::new(),
            notes,
            stopping: Arc::new(AtomicBool::new(false)),
            log_lines: HashMap::new(),
            told: HashMap::new(),
            doubting: Doubting::default(),
            wall_clock: WallClock::default(),
        };
        this.begin(session)?;
        let (mut open, mut watched) = (true, true);
        loop {
            let wake = match this.advance()? {
                Next::Wait(wake) => wake,
                Next::Ended(outcome) => return Ok((outcome, this.driver.state)),
            };
            let clock = this.driver.clock.clone();
            tokio::select! {
                Some(joined) = this.tasks.join_next_with_id() => this.joined(joined)?,
                Some(note) = inbox.recv() => this.note(note)?,
                Some(ended) = this.errands.join_next() => this.errand_ended(ended)?,
                request = requests.recv(), if open => match request {
                    Some(asked) => this.request(asked)?,
                    None => open = false,
                },
                Some(notice) = this.driver.outside.notices.recv() => this.record(Event::Noticed { notice })?,
                changed = this.driver.outside.doubts.changed(), if watched => match changed {
                    Ok(()) => this.doubt(),
                    Err(_) => watched = false,
                },
                error = this.driver.journal.displaced() => return Err(error),
                () = until(&clock, wake) => {}
            }
        }
    }
}

/// Returns at `wake`; without one never.
async fn until(clock: &Clock, wake: Option<jiff::Timestamp>) {
    match wake {
        Some(at) => clock.sleep_until(at).await,
        None => std::future::pending().await,
    }
}

enum Next {
    Wait(Option<jiff::Timestamp>),
    Ended(Outcome),
}

type Joined = Result<(tokio::task::Id, (StepId, Answer)), tokio::task::JoinError>;

impl<S: Site> Loop<S> {
    fn begin(&mut self, session: Session) -> Result<(), JournalError> {
        let steps: Vec<Outline> = self.driver.steps.iter().map(|s| s.outline().clone()).collect();
        self.record(Event::Session {
            run: session.run,
            plan: session.plan,
            plan_digest: session.plan_digest,
            cozyup: env!("CARGO_PKG_VERSION").to_string(),
            host: session.host,
            pid: std::process::id(),
            course: session.course,
            take_over: session.take_over,
            adopted: session.adopted,
            steps,
        })
    }

    fn record(&mut self, event: Event) -> Result<(), JournalError> {
        // The one way into journal, state and screens: whatever a step said, nothing secret and nothing hostile gets past.
        let event = json::tidied(event);
        let record = Record { seq: self.driver.journal.next_seq(), at: self.driver.clock.now(), event };
        self.driver.journal.append(&record)?;
        self.driver.state.apply(&record);
        // A screen that went away is no reason to stop.
        let _ = self.driver.feed.send(Arc::new(record));
        Ok(())
    }

    /// Decides and performs until nothing more follows at once.
    fn advance(&mut self) -> Result<Next, JournalError> {
        let now = self.driver.clock.now();
        let effects = decide(&self.driver.state, &self.running, &self.driver.rules, now);
        let mut wake: Option<jiff::Timestamp> = None;
        for effect in effects {
            match effect {
                Effect::Record(event) => self.record(event)?,
                Effect::Start(step, verb) => self.start(step, verb),
                Effect::WakeAt(at) => wake = Some(wake.map_or(at, |w| w.min(at))),
                // A step in doubt is looked at before the run ends as proven.
                Effect::End(Outcome::Proven) if self.doubting.is_open() => {}
                Effect::End(outcome) => {
                    self.tasks.abort_all();
                    self.record(Event::Ended { outcome })?;
                    return Ok(Next::Ended(outcome));
                }
            }
        }
        self.tell_of_the_wall_clock()?;
        Ok(Next::Wait(wake))
    }

    fn tell_of_the_wall_clock(&mut self) -> Result<(), JournalError> {
        let Some(step) = self.running.keys().next().cloned() else { return Ok(()) };
        match self.wall_clock.news(&self.driver.clock) {
            Some(line) => self.record(Event::Log { step, source: "clock".to_string(), line }),
            None => Ok(()),
        }
    }

    fn start(&mut self, id: StepId, verb: Verb) {
        let Some(step) = self.by_id.get(&id).cloned() else { return };
        let context = StepContext {
            step: id.clone(),
            clock: self.driver.clock.clone(),
            handle: std::sync::Mutex::new(self.driver.state.step(&id).and_then(|s| s.handle.clone())),
            made: self.driver.state.made.clone(),
            notes: self.notes.clone(),
            stopping: self.stopping.clone(),
        };
        let reading = self.driver.reading.clone();
        let changing = self.driver.changing.clone();
        let name = id.clone();
        let task = async move {
            let answer = match verb {
                Verb::Observe => Answer::Observed(look(&*step, &context, &reading).await),
                Verb::Watch => {
                    step.changed(&context, &reading).await;
                    Answer::Observed(look(&*step, &context, &reading).await)
                }
                Verb::Act => {
                    let act = async {
                        S::may_act(&context, &reading, &changing).await?;
                        step.act(&context, &reading, &changing).await
                    };
                    let acted = tokio::time::timeout(ACT_DEADLINE, act).await;
                    Answer::Acted(acted.unwrap_or_else(|_| Err(too_long("the act", ACT_DEADLINE))))
                }
            };
            (name, answer)
        };
        let abort = self.tasks.spawn(task);
        self.task_steps.insert(abort.id(), id.clone());
        self.aborts.insert(id.clone(), abort);
        self.running.insert(id, verb);
    }

    fn joined(&mut self, joined: Joined) -> Result<(), JournalError> {
        let (task, id, answer) = match joined {
            Ok((task, (id, answer))) => (task, id, answer),
            Err(error) => {
                let Some(id) = self.task_steps.get(&error.id()).cloned() else { return Ok(()) };
                if error.is_cancelled() {
                    self.forget(error.id(), &id);
                    return Ok(());
                }
                let failure = Failure::defect("the step itself failed (a panic in cozyup)");
                (error.id(), id, Answer::Observed(Err(failure)))
            }
        };
        let current = self.aborts.get(&id).is_some_and(|a| a.id() == task);
        self.forget(task, &id);
        if !current {
            return Ok(());
        }
        let doubted = self.doubting.ends(&id, self.driver.clock.now());
        if doubted && let Answer::Observed(observed) = &answer {
            match self.doubting.judge(&id, observed) {
                Verdict::Stands => return Ok(()),
                Verdict::Drifted(why) => self.record(Event::Drifted { step: id.clone(), why: text::line(&why) })?,
            }
        }
        match answer {
            Answer::Observed(Ok(observed)) => self.observed(id, observed),
            Answer::Acted(Ok(())) => self.record(Event::Acted { step: id }),
            Answer::Observed(Err(failure)) | Answer::Acted(Err(failure)) => self.failed(id, failure),
        }
    }

    /// Looks again at the proven steps that rest on what the target contradicts.
    fn doubt(&mut self) {
        let doubts = self.driver.outside.doubts.borrow_and_update().clone();
        let now = self.driver.clock.now();
        for id in resting(self.by_id.values(), &self.driver.state, &doubts) {
            if !self.running.contains_key(&id) && self.doubting.begins(&id, now) {
                self.start(id, Verb::Observe);
            }
        }
    }

    fn forget(&mut self, task: tokio::task::Id, id: &StepId) {
        self.task_steps.remove(&task);
        if self.aborts.get(id).is_some_and(|a| a.id() == task) {
            self.aborts.remove(id);
            self.running.remove(id);
        }
    }

    fn observed(&mut self, id: StepId, observed: Observed) -> Result<(), JournalError> {
        let Some(step) = self.driver.state.step(&id) else { return Ok(()) };
        match observed {
            Observed::Satisfied(proof) => self.record(Event::Proven { step: id, proof }),
            Observed::Conflict(failure) => {
                if step.to_confirm {
                    self.record(Event::Drifted { step: id.clone(), why: failure.what.clone() })?;
                }
                self.blocked(id, failure)
            }
            Observed::Underway(wait) => self.waits(id, wait),
            Observed::Absent(seen) => self.absent(id, &seen, true),
            Observed::Unfinished(seen) => self.absent(id, &seen, false),
        }
    }

    fn waits(&mut self, id: StepId, wait: Wait) -> Result<(), JournalError> {
        let Some(step) = self.driver.state.step(&id) else { return Ok(()) };
        let same = step.wait.as_ref().is_some_and(|(w, _)| *w == wait) && step.status == Status::Underway;
        if same { Ok(()) } else { self.record(Event::Waiting { step: id, wait }) }
    }

    /// `may_be_late`: what the last act did may not show yet.
    fn absent(&mut self, id: StepId, seen: &str, may_be_late: bool) -> Result<(), JournalError> {
        let Some(step) = self.driver.state.step(&id) else { return Ok(()) };
        let (outline, seen, now) = (&step.outline, text::line(seen), self.driver.clock.now());
        if !outline.changes {
            return self.failed(id, Failure::defect(format!("a check reported something absent: {seen}")));
        }
        if step.to_confirm {
            self.record(Event::Drifted { step: id.clone(), why: seen.clone() })?;
            return self.record(Event::Absent { step: id, seen });
        }
        match step.acted_at.filter(|_| may_be_late) {
            // The act was accepted a moment ago: its effect may take a while to show.
            Some(acted) if between(acted, now) <= Duration::from_secs(outline.band.late_s.min(60)) => {
                let wait = Wait::new(format!("to see it in the target: {}", outline.title), seen, outline.band);
                self.waits(id, wait)
            }
            Some(_) | None => self.record(Event::Absent { step: id, seen }),
        }
    }

    fn failed(&mut self, id: StepId, failure: Failure) -> Result<(), JournalError> {
        let now = self.driver.clock.now();
        let Some(step) = self.driver.state.step(&id) else { return Ok(()) };
        match failure.class {
            Class::Retryable => {
                let lasted = step.first_failure.map_or(Duration::ZERO, |first| between(first, now));
                // A failure that repeats past the step's band has to be seen, not hidden behind retries.
                if step.failures >= 5 && lasted > Duration::from_secs(step.outline.band.late_s.max(120)) {
                    return self.blocked(id, failure);
                }
                let pause = nth(&BACKOFF_S, step.failures);
                self.record(Event::Failed { step: id, failure, again_at: add(now, pause) })
            }
            Class::Person | Class::Refused | Class::Broken => self.blocked(id, failure),
        }
    }

    fn blocked(&mut self, id: StepId, failure: Failure) -> Result<(), JournalError> {
        let now = self.driver.clock.now();
        let Some(step) = self.driver.state.step(&id) else { return Ok(()) };
        let pause = match step.failures {
            failures if step.acts_in_a_task() => nth(&TASK_BACKOFF_S, failures),
            looks if looks < LOOKS => LOOK_AGAIN,
            tries if tries >= TRIES && step.status == Status::Acting => TRY_LATER,
            _ => LOOK_LATER,
        };
        let again_at = add(now, pause);
        let quiet = match (self.told.get(&id), &step.status) {
            (Some((at, quiet)), Status::Blocked { failure: known, .. }) if known.is_like(&failure) => {
                let (quiet, next) = silence(*quiet, *known == failure);
                if between(*at, now) < quiet {
                    self.driver.state.looked_again(&id, again_at);
                    return Ok(());
                }
                next
            }
            _ => LOOK_AGAIN * 2,
        };
        self.told.insert(id.clone(), (now, quiet));
        self.record(Event::Blocked { step: id, failure, again_at })
    }

    fn request(&mut self, Asked { request, by }: Asked) -> Result<(), JournalError> {
        match request {
            Request::OpenGate { day } => {
                if self.driver.state.gates.contains_key(&day) {
                    return Ok(());
                }
                self.record(Event::GateOpened { day, by })
            }
            Request::Retry { step } => {
                // The person who asked wants to hear the result.
                self.told.remove(&step);
                self.record(Event::RetryAsked { step, by })
            }
            Request::Errand { errand } => self.errand(errand, by),
            Request::TakeControl => self.record(Event::ControlTaken { by }),
            Request::Stop => {
                if self.driver.state.stop_asked.is_some() {
                    return Ok(());
                }
                self.stopping.store(true, Ordering::Relaxed);
                self.record(Event::StopAsked { by })?;
                // Looking changes nothing and may be cut off; an act ends at its own safe point.
                for (id, verb) in &self.running {
                    if *verb != Verb::Act
                        && let Some(abort) = self.aborts.get(id)
                    {
                        abort.abort();
                    }
                }
                Ok(())
            }
        }
    }
}

async fn look<S: Site>(step: &dyn Step<S>, context: &StepContext, reading: &S::Reading) -> Result<Observed, Failure> {
    let observed = tokio::time::timeout(OBSERVE_DEADLINE, step.observe(context, reading)).await;
    observed.unwrap_or_else(|_| Err(too_long("the look at the target", OBSERVE_DEADLINE)))
}
