//! Proofs that an observation contradicts: which steps are looked at again at once, and what such a look decides.
use super::failure::{Class, Failure};
use super::notice::Notice;
use super::state::RunState;
use super::step::{Observed, Site, Step, StepId};
use crate::base::clock::between;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// After a look that still proved the step, the same doubt does not ask again before this; in seconds of the engine's
/// clock. What is observed may be older than the look.
const AGAIN: Duration = Duration::from_secs(10);
/// Notices on their way to the driver. An observer drops what has no room.
const NOTICES: usize = 64;

/// The driver's end of the way from an observer of the target.
pub struct Outside<F> {
    /// Changes that were noticed; the driver writes them into the journal.
    pub notices: mpsc::Receiver<Notice>,
    /// The facts that the target contradicts now; sent anew with every observation that still contradicts one.
    pub doubts: watch::Receiver<Arc<BTreeSet<F>>>,
}

/// The watcher's end of [`Outside`].
pub struct Inside<F> {
    /// Takes changes that were noticed. It holds 64; `try_send` fails when it is full.
    pub notices: mpsc::Sender<Notice>,
    /// Takes all facts that the target contradicts now; each value replaces the one before.
    pub doubts: watch::Sender<Arc<BTreeSet<F>>>,
}

impl<F: Ord> Outside<F> {
    /// Both ends of the way from a watcher to the driver.
    pub fn channel() -> (Inside<F>, Outside<F>) {
        let (notices_in, notices) = mpsc::channel(NOTICES);
        let (doubts_in, doubts) = watch::channel(Arc::new(BTreeSet::new()));
        (Inside { notices: notices_in, doubts: doubts_in }, Outside { notices, doubts })
    }

    /// Nobody watches.
    pub fn nobody() -> Outside<F> {
        Outside::channel().1
    }
}

/// The settled steps whose proof rests on a fact in doubt; none once the run is to end.
pub(super) fn resting<'a, S: Site>(
    steps: impl Iterator<Item = &'a Arc<dyn Step<S>>>,
    state: &RunState,
    doubts: &BTreeSet<S::Fact>,
) -> Vec<StepId> {
    // While a step keeps the target disturbed, what its act brought about contradicts others' proofs.
    let is_disturbed = state.made.to_put_right().next().is_some();
    if doubts.is_empty() || is_disturbed || state.stop_asked.is_some() || state.ended.is_some() {
        return Vec::new();
    }
    // A proof of a moment speaks of that moment alone.
    let is_settled = |id: &StepId| {
        state.step(id).is_some_and(|s| s.is_proven() && !s.outline.momentary && state.course.wants(s.outline.day))
    };
    let rests = |step: &dyn Step<S>| step.rests_on().iter().any(|fact| doubts.contains(fact));
    let doubted = steps.filter(|step| is_settled(&step.outline().id) && rests(&***step));
    doubted.map(|step| step.outline().id.clone()).collect()
}

/// The looks that doubts asked for.
#[derive(Debug, Default)]
pub(super) struct Doubting {
    under_way: BTreeSet<StepId>,
    /// When the last such look ended.
    looked: BTreeMap<StepId, Timestamp>,
    /// The steps whose last such look had no answer.
    unanswered: BTreeSet<StepId>,
}

/// The result of a look at a doubted step.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The proof holds, or the look had no answer: the step stays as it is.
    Stands,
    /// The proof no longer holds; the text is what was seen instead.
    Drifted(String),
}

impl Doubting {
    /// True when the step is to be looked at now; it counts as looked at from here on.
    pub fn begins(&mut self, step: &StepId, now: Timestamp) -> bool {
        let is_due = self.looked.get(step).is_none_or(|at| between(*at, now) >= AGAIN);
        is_due && self.under_way.insert(step.clone())
    }

    /// True while a proven step is being looked at again: the run must not end on what is in doubt.
    pub fn is_open(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// True when the look that ended was one that a doubt asked for.
    pub fn ends(&mut self, step: &StepId, now: Timestamp) -> bool {
        let was = self.under_way.remove(step);
        if was {
            self.looked.insert(step.clone(), now);
        }
        was
    }

    pub fn judge(&mut self, step: &StepId, answer: &Result<Observed, Failure>) -> Verdict {
        match answer {
            Ok(Observed::Satisfied(_)) => {
                self.unanswered.remove(step);
                Verdict::Stands
            }
            // A system that gave no answer has contradicted nothing. The observer doubts again when it has an answer.
            Err(failure) if failure.class == Class::Retryable && self.unanswered.insert(step.clone()) => {
                self.looked.remove(step);
                Verdict::Stands
            }
            Ok(Observed::Underway(wait)) => self.drifted(step, &wait.seen),
            Ok(Observed::Absent(seen) | Observed::Unfinished(seen)) => self.drifted(step, seen),
            Ok(Observed::Conflict(failure)) | Err(failure) => self.drifted(step, &failure.what),
        }
    }

    fn drifted(&mut self, step: &StepId, why: &str) -> Verdict {
        self.unanswered.remove(step);
        // When it is proven again, the next doubt is a new one.
        self.looked.remove(step);
        Verdict::Drifted(why.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::state::tests::{at, proof};
    use crate::engine::wait::{Band, Wait};

    fn id() -> StepId {
        StepId::new("day1.start/cp1")
    }

    fn looked(doubting: &mut Doubting, second: i64, answer: Result<Observed, Failure>) -> bool {
        assert!(doubting.begins(&id(), at(second)), "no look at {second}");
        assert!(doubting.is_open() && !doubting.begins(&id(), at(second)), "one look at a time");
        assert!(doubting.ends(&id(), at(second)) && !doubting.is_open());
        matches!(doubting.judge(&id(), &answer), Verdict::Drifted(_))
    }

    #[test]
    fn a_proof_that_holds_is_not_asked_for_again_at_once_by_an_old_observation() {
        let mut doubting = Doubting::default();
        assert!(!looked(&mut doubting, 100, Ok(Observed::Satisfied(proof()))));
        assert!(!doubting.begins(&id(), at(109)));
        assert!(looked(&mut doubting, 110, Ok(Observed::Absent("vm 1001 is stopped".into()))));
        assert!(!doubting.ends(&id(), at(111)), "other looks are none of a doubt");
    }

    #[test]
    fn one_look_without_an_answer_contradicts_nothing_and_a_doubt_that_lasts_does() {
        let mut doubting = Doubting::default();
        let silent = || Err(Failure::retryable("no answer", "cozyup tries again"));
        assert!(!looked(&mut doubting, 100, silent()));
        assert!(looked(&mut doubting, 101, silent()), "the observer was answered meanwhile, and doubts it still");
        assert!(!looked(&mut doubting, 102, silent()), "a new doubt begins anew");
        assert!(!looked(&mut doubting, 103, Ok(Observed::Satisfied(proof()))));
        assert!(!looked(&mut doubting, 113, silent()));
    }

    #[test]
    fn whatever_is_not_a_proof_is_drift() {
        let wait = Wait::new("4 nodes are Ready", "cp3 is not Ready", Band::new(1, 2));
        for answer in [
            Ok(Observed::Underway(wait)),
            Ok(Observed::Conflict(Failure::refused("another", "look"))),
            Err(Failure::person("release a is suspended", "resume it")),
        ] {
            assert!(looked(&mut Doubting::default(), 1, answer));
        }
    }
}
