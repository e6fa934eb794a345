//! Proves again what the records say was proven. It stands beside the run: it reads the target, has no act, takes no lock
//! and writes no record (ADR 009).
use super::failure::{Class, Failure, too_long};
use super::glance::Glance;
use super::proof::Proof;
use super::state::{RunState, StepState};
use super::step::{Observed, Outline, Site, Step, StepId};
use crate::base::clock::Clock;
use futures::{StreamExt, stream};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// The number of steps that are looked at side by side.
const LOOKS_AT_ONCE: usize = 8;
/// One look may take this long, in wall time: less than in a run, which has hours.
const LOOK: Duration = Duration::from_secs(30);
/// The pause before a step that gave no clear answer is looked at again, in seconds of the run's clock.
const PAUSE: Duration = Duration::from_secs(2);

/// The bounds of a verification.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// After this long, in wall time, nothing more is asked.
    pub within: Duration,
    /// The number of looks at a step that is under way or whose system does not answer, 1 at the least.
    pub looks: u32,
}

/// What a look has found in place of what was proven, or beside it.
#[derive(Debug)]
pub enum Found {
    /// The statement is true now.
    Holds(Proof),
    /// It is not true now.
    Differs {
        /// The state that is seen instead, as a lowercase fragment.
        seen: String,
        /// The next action, where the step has one of its own.
        next: Option<String>,
    },
    /// The system did not answer, after as many looks as there may be.
    NoAnswer(Failure),
    /// Not looked at, since the step that it stands on got no answer.
    Behind(StepId),
    /// The proof speaks of a moment, so it is not asked again.
    OfAMoment,
    /// The statement is about a session, and none is looked at.
    OfASession,
    /// The plan, as it is now, has no such step.
    NotPlanned,
}

impl Found {
    fn of(observed: Result<Observed, Failure>) -> Found {
        match observed {
            Ok(Observed::Satisfied(proof)) => Found::Holds(proof),
            Ok(Observed::Absent(seen) | Observed::Unfinished(seen)) => Found::Differs { seen, next: None },
            Ok(Observed::Underway(wait)) => {
                Found::Differs { seen: format!("under way, until {}: {}", wait.condition, wait.seen), next: None }
            }
            Err(failure) if failure.class == Class::Retryable => Found::NoAnswer(failure),
            Ok(Observed::Conflict(failure)) | Err(failure) => {
                Found::Differs { seen: failure.what, next: Some(failure.next) }
            }
        }
    }

    /// True when what was proven is not so, or can't be told.
    pub fn is_difference(&self) -> bool {
        match self {
            Found::Differs { .. } | Found::NoAnswer(_) | Found::Behind(_) | Found::NotPlanned => true,
            Found::Holds(_) | Found::OfAMoment | Found::OfASession => false,
        }
    }
}

/// A step that was proven, and what is found of it now.
#[derive(Debug)]
pub struct Looked {
    /// The step as its last session knew it.
    pub outline: Outline,
    /// What was proven.
    pub proven: Proof,
    /// What is found now.
    pub found: Found,
}

/// Every step that some session has proven, in the order of the records. `of_a_session` names the kinds whose statement
/// is about the session that proves it.
pub async fn verify<S: Site>(
    steps: &[Arc<dyn Step<S>>],
    state: &RunState,
    of_a_session: &[&str],
    site: &S::Reading,
    clock: &Clock,
    limits: Limits,
) -> Vec<Looked> {
    let end = Instant::now() + limits.within;
    let by_id: BTreeMap<&StepId, &Arc<dyn Step<S>>> = steps.iter().map(|s| (&s.outline().id, s)).collect();
    let mut found: BTreeMap<StepId, Found> = BTreeMap::new();
    let mut open: Vec<(&StepState, &Arc<dyn Step<S>>)> = Vec::new();
    for step in proven(state) {
        let id = &step.outline.id;
        match by_id.get(id) {
            _ if of_a_session.contains(&id.kind()) => drop(found.insert(id.clone(), Found::OfASession)),
            None => drop(found.insert(id.clone(), Found::NotPlanned)),
            Some(now) if now.outline().momentary => drop(found.insert(id.clone(), Found::OfAMoment)),
            Some(now) => open.push((step, *now)),
        }
    }
    while !open.is_empty() {
        let waiting: BTreeSet<&StepId> = open.iter().map(|(s, _)| &s.outline.id).collect();
        let is_ready = |step: &&StepState| !step.outline.after.iter().any(|id| waiting.contains(id));
        let (ready, later): (Vec<_>, Vec<_>) = open.iter().copied().partition(|(s, _)| is_ready(s));
        // Steps that name each other in a circle are all looked at.
        let (ready, later) = if ready.is_empty() { (later, ready) } else { (ready, later) };
        let looks = ready.into_iter().map(|(before, step)| {
            let silent = silent_root(&found, &before.outline);
            let cx = Glance { clock: clock.clone(), made: state.made.clone(), handle: before.handle.clone() };
            async move {
                let found = match silent {
                    Some(root) => Found::Behind(root),
                    None => settled(&**step, &cx, site, limits.looks, end).await,
                };
                (before.outline.id.clone(), found)
            }
        });
        let looks: Vec<_> = looks.collect();
        let answers: Vec<(StepId, Found)> = stream::iter(looks).buffered(LOOKS_AT_ONCE).collect().await;
        found.extend(answers);
        open = later;
    }
    let looked = proven(state).filter_map(|step| {
        let (proven, found) = (step.proof.clone()?, found.remove(&step.outline.id)?);
        Some(Looked { outline: step.outline.clone(), proven, found })
    });
    looked.collect()
}

/// The steps that a session has proven, also those that have drifted since or are being looked at again.
fn proven(state: &RunState) -> impl Iterator<Item = &StepState> {
    state.steps.iter().filter(|s| s.proof.is_some())
}

/// The step without an answer on which this one stands, directly or through others.
fn silent_root(found: &BTreeMap<StepId, Found>, outline: &Outline) -> Option<StepId> {
    outline.after.iter().find_map(|id| match found.get(id)? {
        Found::NoAnswer(_) => Some(id.clone()),
        Found::Behind(root) => Some(root.clone()),
        Found::Holds(_) | Found::Differs { .. } | Found::OfAMoment | Found::OfASession | Found::NotPlanned => None,
    })
}

/// The answer of one step: the first clear one, or the last that there may be.
async fn settled<S: Site>(step: &dyn Step<S>, cx: &Glance, site: &S::Reading, looks: u32, end: Instant) -> Found {
    let mut looked = 0;
    loop {
        let left = end.saturating_duration_since(Instant::now()).min(LOOK);
        if left.is_zero() {
            let next = "give it more time, or look at the systems that did not answer first";
            return Found::NoAnswer(Failure::retryable("not asked: the time of the verification is over", next));
        }
        let observed = timeout(left, step.observe(cx, site)).await;
        let observed = observed.unwrap_or_else(|_| Err(too_long("the look at the target", left)));
        let is_clear = !matches!(&observed, Ok(Observed::Underway(_)) | Err(Failure { class: Class::Retryable, .. }));
        looked += 1;
        if is_clear || looked >= looks || Instant::now() >= end {
            return Found::of(observed);
        }
        cx.clock.sleep(PAUSE).await;
    }
}
