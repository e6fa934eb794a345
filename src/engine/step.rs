//! The contract of a step: observe, act, observe again. There is no way to mark a step done.
use super::errand::Errand;
use super::failure::Failure;
use super::made::Made;
use super::proof::Proof;
use super::wait::{Band, Wait};
use crate::base::clock::Clock;
use crate::base::day::Day;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// `day1.clone/cozy-new-cp1`: the file that holds the step, and the subject where there are several.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(String);

impl StepId {
    /// The id of the only step of its kind, or an id that was written before.
    pub fn new(kind: &str) -> Self {
        StepId(kind.to_string())
    }

    /// The id of the step of this kind that is about `subject`.
    pub fn of(kind: &str, subject: &str) -> Self {
        StepId(format!("{kind}/{subject}"))
    }

    /// `day1.clone`
    pub fn kind(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// `cozy-new-cp1`, where the kind has several steps.
    pub fn subject(&self) -> Option<&str> {
        self.0.split_once('/').map(|(_, s)| s)
    }

    /// The whole id, as the journal has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A place where only `limit` acts may go on at once, e.g. clones from one template on one storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// Name of the queue. Steps that name the same one share it.
    pub name: String,
    /// Largest number of acts at once, at least 1.
    pub limit: usize,
    /// At most one of them is at its beginning: the next one is called when the one before has said that it
    /// [makes way](Wait::making_way).
    #[serde(default, skip_serializing_if = "is_false")]
    pub one_begins: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// The metadata of a step, known before anything runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outline {
    /// The step's id, unique in a run.
    pub id: StepId,
    /// The day that the step belongs to.
    pub day: Day,
    /// The statement that the step makes true, for people: `clone cozy-new-cp1 (vm 1001) from template 9100`.
    pub title: String,
    /// Steps that must be proven first.
    pub after: Vec<StepId>,
    /// Held from before the act until the step is proven or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Queue>,
    /// Expected duration of the whole step, for when it waits for nothing that it names.
    pub band: Band,
    /// False for checks, which have no act.
    pub changes: bool,
    /// True when the proof speaks of a moment (a test that ran). A resume asks for it again only while a step that stands on
    /// it is open and no [`cleanup`](Self::cleanup) has begun.
    #[serde(default)]
    pub momentary: bool,
    /// True when the step takes away what the momentary steps before it made.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cleanup: bool,
    /// The step that puts right what this one's act disturbs. From the first handle that the act keeps until that step is proven,
    /// other proofs may fail to hold: they are not doubted. A session that ends in between calls that step's act first, and one
    /// that takes the run up begins with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub put_right_by: Option<StepId>,
    /// The equivalent by hand, one command a line.
    pub by_hand: String,
}

/// The result of one look at the target.
#[derive(Debug)]
pub enum Observed {
    /// Not there; the text says what was seen instead.
    Absent(String),
    /// The act has done a part, and can do the next one now; the text says how far it has come. What is [`Absent`](Self::Absent)
    /// right after an act is given a while to show.
    Unfinished(String),
    /// On its way; look again when something changes.
    Underway(Wait),
    /// True, and here is the evidence.
    Satisfied(Proof),
    /// Something else is in its place; cozyup does not touch it.
    Conflict(Failure),
}

/// The two halves of the outside world. Only `act` is handed the changing half.
#[async_trait]
pub trait Site: Send + Sync + 'static {
    /// Clients that can't change the target.
    type Reading: Send + Sync;
    /// Clients that can.
    type Changing: Send + Sync;
    /// Something that may be true in the target and that an observer can contradict.
    type Fact: Clone + Ord + fmt::Debug + Send + Sync;

    /// Asked right before every act: whether this process is the one that may change the target.
    ///
    /// # Errors
    /// With the reason, when another one may; the act is then not called.
    async fn may_act(cx: &dyn Context, site: &Self::Reading, change: &Self::Changing) -> Result<(), Failure>;

    /// Does what a person asked for beside the steps, right after [`Site::may_act`]. It must refuse what is not provably of this
    /// run, and may be called again after any crash.
    ///
    /// # Errors
    /// When it is refused, here or by the target.
    async fn errand(
        _cx: &dyn Context,
        _site: &Self::Reading,
        _change: &Self::Changing,
        errand: &Errand,
    ) -> Result<(), Failure> {
        let what = format!("there is no act `{}` beside the steps", errand.kind());
        Err(Failure::refused(what, "use the cozyup that started the run"))
    }
}

/// The services that the engine gives to a step while a verb runs.
#[async_trait]
pub trait Context: Send + Sync {
    /// The engine's clock; steps have no other.
    fn clock(&self) -> &Clock;
    /// The handle kept last (a UPID, a name), also by an earlier process.
    fn handle(&self) -> Option<String>;
    /// The things that the run has made so far, as of the moment when the verb began.
    fn made(&self) -> &Made;
    /// Writes a handle durably before it returns; call it right after the call that gave it.
    ///
    /// # Errors
    /// When the journal can't be written; the act must then end at once with this failure.
    async fn keep_handle(&self, handle: &str) -> Result<(), Failure>;
    /// Says on what an act waits, e.g. on the task that it started.
    fn waiting(&self, wait: Wait);
    /// A line for the live log, e.g. of a task log; cleaned, best effort, never a secret.
    fn log(&self, source: &str, line: &str);
    /// True once somebody asked the run to stop: long acts end at their next safe point.
    fn stopping(&self) -> bool;
}

/// Between two looks, where nothing tells of a change.
const LOOK: Duration = Duration::from_secs(2);

/// A step: a statement about the target that it makes true and proves. See the contract in docs/ARCHITECTURE.md.
#[async_trait]
pub trait Step<S: Site>: Send + Sync {
    /// The step's metadata; the same at every call.
    fn outline(&self) -> &Outline;

    /// Reads the target, changes nothing. Quick: one look, no waiting.
    ///
    /// # Errors
    /// When the target can't be read, or when it says that something is wrong.
    async fn observe(&self, cx: &dyn Context, site: &S::Reading) -> Result<Observed, Failure>;

    /// Makes it so. May be called again after any crash: it must bring about exactly one of everything.
    /// Returns when the change is accepted, or when the task that it started has ended (it then says so through
    /// [`Context::waiting`] and ends early when [`Context::stopping`]); waiting for further effects is `observe`'s.
    ///
    /// # Errors
    /// When the target refused or could not be reached.
    async fn act(&self, cx: &dyn Context, site: &S::Reading, change: &S::Changing) -> Result<(), Failure>;

    /// The facts that the step's proof rests on. When an observer sees that one of them no longer holds, the step is
    /// looked at again at once. None by default: then the next session looks.
    fn rests_on(&self) -> Vec<S::Fact> {
        Vec::new()
    }

    /// Declares how the act is taken back. There is no default: whoever writes a step has to say it.
    fn undo(&self) -> Undo<'_, S>;

    /// Returns when it is worth observing again: an event, or a while. Dropped when the run stops.
    async fn changed(&self, cx: &dyn Context, site: &S::Reading) {
        let _ = site;
        cx.clock().sleep(LOOK).await;
    }
}

/// A step that only reads: it can't bring about its statement, and there is nothing to take back.
#[async_trait]
pub trait Check<S: Site>: Send + Sync {
    /// As [`Step::outline`], of a step that does not change anything.
    fn outline(&self) -> &Outline;

    /// As [`Step::observe`].
    ///
    /// # Errors
    /// When the target can't be read, or when it says that something is wrong.
    async fn observe(&self, cx: &dyn Context, site: &S::Reading) -> Result<Observed, Failure>;

    /// As [`Step::rests_on`].
    fn rests_on(&self) -> Vec<S::Fact> {
        Vec::new()
    }

    /// As [`Step::changed`].
    async fn changed(&self, cx: &dyn Context, site: &S::Reading) {
        let _ = site;
        cx.clock().sleep(LOOK).await;
    }
}

/// A check as a step of the catalogue.
pub struct Checked<C>(pub C);

#[async_trait]
impl<S: Site, C: Check<S>> Step<S> for Checked<C> {
    fn outline(&self) -> &Outline {
        self.0.outline()
    }

    async fn observe(&self, cx: &dyn Context, site: &S::Reading) -> Result<Observed, Failure> {
        self.0.observe(cx, site).await
    }

    async fn act(&self, _cx: &dyn Context, _site: &S::Reading, _change: &S::Changing) -> Result<(), Failure> {
        Err(Failure::defect(format!("{} is a check and has no act", self.0.outline().id)))
    }

    fn rests_on(&self) -> Vec<S::Fact> {
        self.0.rests_on()
    }

    fn undo(&self) -> Undo<'_, S> {
        Undo::Nothing
    }

    async fn changed(&self, cx: &dyn Context, site: &S::Reading) {
        self.0.changed(cx, site).await;
    }
}

/// The way in which the effects of an act are taken back.
pub enum Undo<'a, S: Site> {
    /// The step changes nothing that stays.
    Nothing,
    /// The change is inside an object that the steps of this kind made, and goes with that object.
    With(&'static str),
    /// This removal takes the act back.
    By(&'a dyn Removal<S>),
}

/// Takes back what the act of one step brought about, as far as it carries the run's mark.
#[async_trait]
pub trait Removal<S: Site>: Send + Sync {
    /// `destroy vm 1001 (cozy-new-cp1)`
    fn title(&self) -> String;

    /// The equivalent by hand, one command a line.
    fn by_hand(&self) -> String;

    /// True when it is on the jump host. Then it goes last, since everything else may need it.
    fn is_local(&self) -> bool {
        false
    }

    /// One look, as in [`Step::observe`]: `Satisfied` proves that nothing of this run is left of it, also where
    /// something of somebody else stands in its place; `Absent` says what is still there.
    ///
    /// # Errors
    /// When the target can't be read.
    async fn gone(&self, cx: &dyn Context, site: &S::Reading) -> Result<Observed, Failure>;

    /// Removes it. Like [`Step::act`] in everything: it may be called again after any crash.
    ///
    /// # Errors
    /// When the target refused or could not be reached.
    async fn remove(&self, cx: &dyn Context, site: &S::Reading, change: &S::Changing) -> Result<(), Failure>;
}
