//! A run backwards: every act that can be taken back becomes a step whose goal is that nothing of it is left.
use super::driver::OBSERVE_DEADLINE;
use super::failure::{Failure, too_long};
use super::glance::Glance;
use super::made::Made;
use super::step::{Context, Observed, Outline, Removal, Site, Step, StepId, Undo};
use crate::base::clock::Clock;
use crate::base::day::Day;
use async_trait::async_trait;
use futures::{StreamExt, stream};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

const LOOKS_AT_ONCE: usize = 4;

/// Takes back one step.
pub struct Undoing<S: Site> {
    step: Arc<dyn Step<S>>,
    /// It puts right what another step has disturbed: everything else waits for it.
    is_first: bool,
    /// Outline of the teardown step, whose id is [`undo_id`] of the other's.
    pub outline: Outline,
}

const PREFIX: &str = "undo.";

/// `undo.day1.clone/cp1`
pub fn undo_id(id: &StepId) -> StepId {
    StepId::new(&format!("{PREFIX}{id}"))
}

/// The other way round; `None` for a step that takes nothing back.
pub fn undone(id: &StepId) -> Option<StepId> {
    id.as_str().strip_prefix(PREFIX).map(StepId::new)
}

/// The steps that take `steps` back, last first: each waits for those that take back what stood on it, and what is on
/// the jump host goes last. All are on the day [`Day::Teardown`].
pub fn undoing<S: Site>(steps: &[Arc<dyn Step<S>>]) -> Vec<Undoing<S>> {
    let bases = bases(steps);
    let first: BTreeSet<&StepId> = steps.iter().filter_map(|step| step.outline().put_right_by.as_ref()).collect();
    let removals = || steps.iter().filter_map(|step| Some((step, removal(&**step)?)));
    let mut out: Vec<Undoing<S>> = Vec::new();
    for (step, removal) in removals() {
        let id = &step.outline().id;
        let before = removals().filter(|(other, theirs)| match (removal.is_local(), theirs.is_local()) {
            _ if first.contains(id) => false,
            (false, false) if first.contains(&other.outline().id) => true,
            (true, theirs_is_local) => !theirs_is_local,
            (false, true) => false,
            (false, false) => {
                let later = other.outline().day > step.outline().day;
                later || bases.get(&other.outline().id).is_some_and(|b| b.contains(id))
            }
        });
        let outline = Outline {
            id: undo_id(id),
            day: Day::Teardown,
            title: removal.title(),
            after: before.map(|(other, _)| undo_id(&other.outline().id)).collect(),
            queue: None,
            band: step.outline().band,
            changes: true,
            momentary: false,
            cleanup: false,
            put_right_by: None,
            by_hand: removal.by_hand(),
        };
        out.push(Undoing { step: step.clone(), is_first: first.contains(id), outline });
    }
    out.reverse();
    out.sort_by_key(|undoing| (undoing.is_local(), !undoing.is_first));
    only_direct(&mut out);
    out
}

fn removal<S: Site>(step: &dyn Step<S>) -> Option<&dyn Removal<S>> {
    match step.undo() {
        Undo::By(removal) => Some(removal),
        Undo::With(_) | Undo::Nothing => None,
    }
}

/// Everything that a step depends on, directly or not, per step.
fn bases<S: Site>(steps: &[Arc<dyn Step<S>>]) -> BTreeMap<StepId, BTreeSet<StepId>> {
    let mut all: BTreeMap<StepId, BTreeSet<StepId>> = BTreeMap::new();
    for step in steps {
        let after = &step.outline().after;
        let below = after.iter().filter_map(|id| all.get(id)).flatten();
        let bases = after.iter().chain(below).cloned().collect();
        all.insert(step.outline().id.clone(), bases);
    }
    all
}

/// Leaves out what another one that is waited for waits for anyhow; `steps` stand in the order in which they can run.
fn only_direct<S: Site>(steps: &mut [Undoing<S>]) {
    let all: BTreeMap<StepId, BTreeSet<StepId>> =
        steps.iter().map(|s| (s.outline.id.clone(), s.outline.after.iter().cloned().collect())).collect();
    for step in steps {
        let after = step.outline.after.clone();
        step.outline.after.retain(|id| !after.iter().any(|o| all.get(o).is_some_and(|theirs| theirs.contains(id))));
    }
}

/// One look for every step, some at once; a step that would need its handle is looked at without.
pub async fn survey<S: Site>(
    steps: &[Arc<dyn Step<S>>],
    site: &S::Reading,
    clock: &Clock,
    made: &Arc<Made>,
) -> Vec<(Outline, Result<Observed, Failure>)> {
    let glance = || Glance { clock: clock.clone(), made: made.clone(), handle: None };
    let looks: Vec<_> = steps.iter().map(|step| look(&**step, site, glance())).collect();
    stream::iter(looks).buffered(LOOKS_AT_ONCE).collect().await
}

async fn look<S: Site>(step: &dyn Step<S>, site: &S::Reading, cx: Glance) -> (Outline, Result<Observed, Failure>) {
    let observed = tokio::time::timeout(OBSERVE_DEADLINE, step.observe(&cx, site)).await;
    (step.outline().clone(), observed.unwrap_or_else(|_| Err(too_long("the look at the target", OBSERVE_DEADLINE))))
}

#[async_trait]
impl<S: Site> Step<S> for Undoing<S> {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &S::Reading) -> Result<Observed, Failure> {
        self.removal()?.gone(cx, site).await
    }

    async fn act(&self, cx: &dyn Context, site: &S::Reading, change: &S::Changing) -> Result<(), Failure> {
        self.removal()?.remove(cx, site, change).await
    }

    /// Running the plan again.
    fn undo(&self) -> Undo<'_, S> {
        Undo::Nothing
    }

    async fn changed(&self, cx: &dyn Context, _site: &S::Reading) {
        cx.clock().sleep(Duration::from_secs(1)).await;
    }
}

impl<S: Site> Undoing<S> {
    /// True when the removed thing is on the jump host.
    pub fn is_local(&self) -> bool {
        removal(&*self.step).is_some_and(Removal::is_local)
    }

    /// True when everything else waits for it, since it puts right what another step has disturbed.
    pub fn is_first(&self) -> bool {
        self.is_first
    }

    fn removal(&self) -> Result<&dyn Removal<S>, Failure> {
        removal(&*self.step).ok_or_else(|| Failure::defect(format!("{} can't be taken back", self.outline.id)))
    }
}
