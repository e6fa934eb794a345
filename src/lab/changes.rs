//! Every request that changes something passes here twice: before it acts, and before its answer goes out. A test can have
//! one of them held there, which is how a crash in the middle of an act is made.
use super::world::Lab;
use std::future::{Future, pending};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::{oneshot, watch};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The server has the whole request and has done nothing yet.
    BeforeAct,
    /// It is done, and the caller does not know yet.
    BeforeAnswer,
}

/// Tells by number (from 0, of all that ever came) and name which request is meant.
type Which = Box<dyn Fn(usize, &str) -> bool + Send>;

#[derive(Default)]
struct State {
    seen: Vec<String>,
    hold: Option<(Moment, Which)>,
    /// Those that are held: whether they go on.
    held: Vec<oneshot::Sender<bool>>,
}

pub struct Changes {
    state: Mutex<State>,
    is_held: watch::Sender<bool>,
}

impl Default for Changes {
    fn default() -> Self {
        Changes { state: Mutex::default(), is_held: watch::Sender::new(false) }
    }
}

impl Changes {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The requests so far, in the order in which they came, e.g. `POST /nodes/pve/qemu`.
    pub fn seen(&self) -> Vec<String> {
        self.state().seen.clone()
    }

    /// Holds the next request that is meant at `moment`.
    pub fn hold(&self, moment: Moment, which: impl Fn(usize, &str) -> bool + Send + 'static) {
        self.state().hold = Some((moment, Box::new(which)));
        self.is_held.send_replace(false);
    }

    /// Returns when the request is held.
    pub async fn held(&self) {
        // The sender lives in `self`.
        let _ = self.is_held.subscribe().wait_for(|held| *held).await;
    }

    /// Lets what is held go on, whether or not its caller is still there.
    pub fn go_on(&self) {
        self.decide(true);
    }

    /// Lets what is held end as if it never came: nothing is done, or nobody is told.
    pub fn lose(&self) {
        self.decide(false);
    }

    fn decide(&self, goes_on: bool) {
        for held in self.state().held.drain(..) {
            // A lab that ends has dropped the request.
            let _ = held.send(goes_on);
        }
    }

    /// When the request that begins is to be held.
    fn enter(&self, name: String) -> Option<Moment> {
        let mut state = self.state();
        let number = state.seen.len();
        let moment = state.hold.take_if(|(_, which)| which(number, &name)).map(|(moment, _)| moment);
        state.seen.push(name);
        moment
    }

    /// True when the request may go on.
    async fn pass(&self, here: bool) -> bool {
        if !here {
            return true;
        }
        let (decide, decided) = oneshot::channel();
        self.state().held.push(decide);
        self.is_held.send_replace(true);
        decided.await.unwrap_or(false)
    }
}

impl Lab {
    /// Does `act`, a request called `name`, to its end, as a server does whose caller has gone away meanwhile.
    pub async fn change<R: Send + 'static>(&self, name: String, act: impl Future<Output = R> + Send + 'static) -> R {
        let lab = self.clone();
        let done = tokio::spawn(async move {
            let moment = lab.changes().enter(name);
            if !lab.changes().pass(moment == Some(Moment::BeforeAct)).await {
                return None;
            }
            let result = act.await;
            lab.changes().pass(moment == Some(Moment::BeforeAnswer)).await.then_some(result)
        });
        match done.await {
            Ok(Some(result)) => result,
            Ok(None) | Err(_) => pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;
    use crate::world::World;
    use cozyup_base::clock::Clock;
    use std::net::Ipv4Addr;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    fn lab() -> Lab {
        let clock = Clock::real();
        let scenario = Scenario::load("standard").unwrap();
        Lab::new(World::new(scenario, Ipv4Addr::new(127, 84, 0, 0), clock.now()), clock)
    }

    async fn soon<T>(what: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(10), what).await.unwrap()
    }

    #[tokio::test]
    async fn a_held_request_acts_only_when_it_goes_on_although_its_caller_has_left() {
        let (lab, done) = (lab(), Arc::new(AtomicU32::new(0)));
        let act = |lab: Lab| {
            let done = done.clone();
            async move { lab.change("POST /x".into(), async move { done.fetch_add(1, Ordering::SeqCst) }).await }
        };
        assert_eq!(act(lab.clone()).await, 0);
        lab.changes().hold(Moment::BeforeAct, |number, name| number == 1 && name == "POST /x");
        let caller = tokio::spawn(act(lab.clone()));
        soon(lab.changes().held()).await;
        caller.abort();
        assert_eq!((done.load(Ordering::SeqCst), lab.changes().seen().len()), (1, 2));
        lab.changes().go_on();
        soon(async {
            while done.load(Ordering::SeqCst) < 2 {
                tokio::task::yield_now().await
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_lost_request_does_nothing_and_a_lost_answer_is_never_given() {
        let (lab, done) = (lab(), Arc::new(AtomicU32::new(0)));
        for (number, moment, expected) in [(0, Moment::BeforeAct, 0), (1, Moment::BeforeAnswer, 1)] {
            lab.changes().hold(moment, move |n, _| n == number);
            let (lab2, done2) = (lab.clone(), done.clone());
            let caller = tokio::spawn(async move {
                lab2.change("POST /x".into(), async move { done2.fetch_add(1, Ordering::SeqCst) }).await
            });
            soon(lab.changes().held()).await;
            lab.changes().lose();
            assert!(tokio::time::timeout(Duration::from_millis(20), caller).await.is_err());
            assert_eq!(done.load(Ordering::SeqCst), expected);
        }
    }
}
