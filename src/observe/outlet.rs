//! Where everything goes that was observed: the board, the notices, the doubts, the ages of contact.
use super::gate::Gate;
use super::progress::Progress;
use crate::base::clock::{Clock, between};
use crate::engine::doubt::Inside;
use crate::engine::notice::Notice;
use crate::observed::{
    Backend, Board, Cause, Contacts, Fact, Gap, Gaps, Kind, Noticed, Pods, Releases, Snapshot, View,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// A system that is silent for longer is told of; seconds of the run's clock.
const SILENT: Duration = Duration::from_secs(60);

/// Questions asked so far, by system.
#[derive(Debug, Default)]
pub struct Calls {
    pub proxmox: AtomicU64,
    pub talos: AtomicU64,
    /// Watches that were opened, and looks whether the API answers.
    pub kubernetes: AtomicU64,
}

impl Calls {
    pub(super) fn count(of: &AtomicU64, questions: u64) {
        of.fetch_add(questions, Ordering::Relaxed);
    }
}

/// Each contradicts facts of its own kind; what it contradicts is replaced as a whole by its next look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    Site,
    Members,
    Nodes,
    Releases,
}

pub struct Outlet {
    clock: Clock,
    board: Board,
    inside: Inside<Fact>,
    progress: watch::Receiver<Progress>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    contacts: Contacts,
    /// As the board has them.
    shown: Contacts,
    told_silent: BTreeSet<Backend>,
    doubts: BTreeMap<Source, BTreeSet<Fact>>,
    gate: Gate,
    gaps: Gaps,
}

impl Outlet {
    pub fn new(clock: Clock, board: Board, inside: Inside<Fact>, progress: watch::Receiver<Progress>) -> Outlet {
        Outlet { clock, board, inside, progress, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn show(&self, view: View) {
        self.board.put(Snapshot::new(self.clock.now(), view));
    }

    /// The releases as they were shown last.
    pub fn releases(&self) -> Option<Releases> {
        let last = self.board.last(Kind::Releases)?;
        if let View::Releases(releases) = &last.view { Some(releases.clone()) } else { None }
    }

    /// The pods as they were shown last.
    pub fn pods(&self) -> Option<Pods> {
        let last = self.board.last(Kind::Pods)?;
        if let View::Pods(pods) = &last.view { Some(pods.clone()) } else { None }
    }

    /// A kind can't be read, or can be again; `place`: where it stands among the gaps.
    pub fn gap(&self, place: fn(&mut Gaps) -> &mut Option<Gap>, gap: Option<Gap>) {
        let mut state = self.state();
        if std::mem::replace(place(&mut state.gaps), gap) == gap {
            return;
        }
        let gaps = state.gaps;
        drop(state);
        self.show(View::Gaps(gaps));
    }

    /// Records a change. A teardown makes most of them itself, so there only what others do is told.
    pub fn notify(&self, notice: Noticed) {
        if self.progress.borrow().backwards && !matches!(notice, Noticed::ForeignTask { .. }) {
            return;
        }
        let passed = self.state().gate.pass(notice, self.clock.now());
        for notice in passed {
            if let Some(notice) = Notice::of(&notice) {
                // A driver that takes none has ended, or has more than it can record: the run goes before the notice.
                let _ = self.inside.notices.try_send(notice);
            }
        }
    }

    /// Replaces what `source` contradicts. Doubts that last are sent again, so that a look without an answer is repeated.
    pub fn doubt(&self, source: Source, facts: BTreeSet<Fact>) {
        let mut state = self.state();
        let before = state.doubts.insert(source, facts).unwrap_or_default();
        let all: BTreeSet<Fact> = state.doubts.values().flatten().cloned().collect();
        drop(state);
        if !all.is_empty() || !before.is_empty() {
            self.inside.doubts.send_replace(Arc::new(all));
        }
    }

    pub fn answered(&self, backend: &Backend) {
        let now = self.clock.now();
        let mut state = self.state();
        let silent_since = state.contacts.answered(backend, now);
        let told = state.told_silent.remove(backend);
        drop(state);
        self.show_contacts();
        if let (Some(since), true) = (silent_since, told) {
            self.notify(Noticed::BackendAnswers { backend: backend.clone(), after_s: between(since, now).as_secs() });
        }
    }

    /// No answer is a value, and no trouble of the run.
    pub fn failed(&self, backend: &Backend, cause: Cause) {
        let now = self.clock.now();
        let mut state = self.state();
        let lasted = between(state.contacts.failed(backend, now, cause), now);
        let news = lasted >= SILENT && state.told_silent.insert(backend.clone());
        drop(state);
        self.show_contacts();
        if news {
            self.notify(Noticed::BackendSilent { backend: backend.clone(), cause, for_s: lasted.as_secs() });
        }
    }

    fn show_contacts(&self) {
        let mut state = self.state();
        if state.shown.is_news(&state.contacts) {
            state.shown = state.contacts.clone();
            let contacts = state.contacts.clone();
            drop(state);
            self.show(View::Contacts(contacts));
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::base::vmid::Vmid;
    use crate::engine::doubt::Outside;
    use crate::observed::Kind;

    /// An outlet on paused time, and what comes out of it.
    pub fn outlet(backwards: bool) -> (Outlet, Board, Outside<Fact>) {
        let (board, (inside, outside)) = (Board::default(), Outside::channel());
        let progress = watch::Sender::new(Progress { day: Some(3), backwards });
        (Outlet::new(Clock::real(), board.clone(), inside, progress.subscribe()), board, outside)
    }

    fn told(outside: &mut Outside<Fact>) -> Vec<Noticed> {
        std::iter::from_fn(|| outside.notices.try_recv().ok()).filter_map(|n| n.read()).collect()
    }

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_system_that_is_silent_is_shown_at_once_and_told_after_a_minute_once() {
        let (outlet, board, mut outside) = outlet(false);
        outlet.answered(&Backend::Proxmox);
        for _ in 0..20 {
            pass(10).await;
            outlet.failed(&Backend::Proxmox, Cause::Silent);
        }
        let View::Contacts(contacts) = &board.last(Kind::Contacts).unwrap().view else { panic!() };
        assert!(contacts.all[0].silent.is_some() && contacts.all[0].last.is_some());
        outlet.answered(&Backend::Proxmox);
        let told = told(&mut outside);
        assert!(matches!(told[0], Noticed::BackendSilent { for_s: 60, .. }), "{told:?}");
        assert!(matches!(told[1], Noticed::BackendAnswers { after_s: 190, .. }) && told.len() == 2, "{told:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn doubts_of_one_source_are_replaced_and_those_that_last_are_sent_again() {
        let (outlet, _, mut outside) = outlet(false);
        outlet.doubt(Source::Site, BTreeSet::new());
        assert!(!outside.doubts.has_changed().unwrap(), "nothing is doubted");
        outlet.doubt(Source::Site, BTreeSet::from([Fact::VmRunning(Vmid::of(1003))]));
        outlet.doubt(Source::Nodes, BTreeSet::from([Fact::NodeReady("cp3".into())]));
        assert_eq!(outside.doubts.borrow_and_update().len(), 2);
        outlet.doubt(Source::Nodes, BTreeSet::from([Fact::NodeReady("cp3".into())]));
        assert!(outside.doubts.has_changed().unwrap());
        outlet.doubt(Source::Nodes, BTreeSet::new());
        assert_eq!(outside.doubts.borrow_and_update().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_driver_that_takes_nothing_holds_nobody_up_and_a_teardown_tells_what_others_do() {
        let (outlet, _, mut outside) = outlet(false);
        for n in 0..1000 {
            pass(5).await;
            outlet.notify(Noticed::NodeReady { name: format!("n{n}") });
        }
        assert!((10..=64).contains(&told(&mut outside).len()));
        let (outlet, _, mut outside) = super::tests::outlet(true);
        outlet.notify(Noticed::NodeGone { name: "cp1".into() });
        assert!(told(&mut outside).is_empty());
    }
}
