//! The observer: reads what the days that have begun have made, beside the steps and never in their way. It changes nothing.
//!
//! ```text
//! Proxmox VE  every 2 to 5 s   ---\                    /--> board: snapshots for every screen
//! Talos       every 5 s        ----> watches (pure) ---+--> notices: records of the journal
//! Kubernetes  four watches     ---/                    \--> doubts: facts that proofs rest on and that are not so
//! ```
//! Each system is asked by a task of its own, so that one that hangs holds up nothing else.
mod answers;
mod ask_cluster;
mod ask_machines;
mod ask_site;
mod cluster;
mod gate;
mod machines;
mod outlet;
mod pace;
mod progress;
mod releases;
mod site;
mod tails;
mod tasks;

pub use answers::asker_of;
pub use outlet::Calls;
pub use progress::Progress;

use crate::base::clock::Clock;
use crate::engine::doubt::{Inside, Outside};
use crate::observed::{Board, Fact, Noticed, Notices, Snapshot, View};
use crate::plan::model::Plan;
use crate::talos::secrets::ClientCertificate;
use crate::{kubernetes, proxmox};
use outlet::Outlet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The administrator's certificate, once the cluster's secrets exist.
pub type AdminOf = Arc<dyn Fn() -> Option<ClientCertificate> + Send + Sync>;
/// A client of the cluster, once there is a kubeconfig.
pub type ClusterOf = Arc<dyn Fn() -> Option<kubernetes::Reader> + Send + Sync>;

/// The inputs of an observer.
pub struct Parts {
    pub plan: Arc<Plan>,
    pub clock: Clock,
    /// A connection of its own: what hangs here takes no place from the steps.
    pub proxmox: proxmox::Reader,
    pub admin: AdminOf,
    pub cluster: ClusterOf,
    pub inside: Inside<Fact>,
    /// The progress of earlier sessions.
    pub progress: Progress,
}

pub struct Observer {
    parts: Parts,
    progress: watch::Sender<Progress>,
    calls: Arc<Calls>,
}

/// The things that each task of the observer works with.
struct Around {
    clock: Clock,
    outlet: Outlet,
    calls: Arc<Calls>,
    progress: watch::Receiver<Progress>,
    screens: watch::Receiver<usize>,
}

impl Observer {
    pub fn new(parts: Parts) -> Observer {
        let progress = watch::Sender::new(parts.progress);
        Observer { parts, progress, calls: Arc::default() }
    }

    /// Hears of every record: what a record tells of the run's progress goes in here.
    pub fn progress(&self) -> watch::Sender<Progress> {
        self.progress.clone()
    }

    /// Number of questions that were asked so far.
    pub fn calls(&self) -> Arc<Calls> {
        self.calls.clone()
    }

    /// Observes until it is dropped. `screens`: how many are attached now.
    pub async fn run(self, screens: watch::Receiver<usize>, board: Board) {
        let Observer { parts, progress, calls } = self;
        let Parts { plan, clock, proxmox, admin, cluster, inside, progress: _ } = parts;
        let outlet = Outlet::new(clock.clone(), board, inside, progress.subscribe());
        let progress = progress.subscribe();
        let around = Arc::new(Around { clock, outlet, calls, progress, screens });
        let mut tasks = JoinSet::new();
        let planned = plan.nodes.iter().map(|node| node.name.clone()).collect();
        tasks.spawn(ask_site::run(around.clone(), proxmox, plan.clone()));
        tasks.spawn(ask_machines::run(around.clone(), admin, plan));
        tasks.spawn(ask_cluster::run(around, cluster, planned));
        while tasks.join_next().await.is_some() {}
    }
}

/// Observes a cluster that no plan and no run speaks of, for one screen, until it is dropped.
pub async fn cluster(reader: kubernetes::Reader, clock: Clock, board: Board) {
    let (inside, outside) = Outside::channel();
    let telling = tell(outside, clock.clone(), board.clone());
    let progress = watch::Sender::new(Progress::default());
    let outlet = Outlet::new(clock.clone(), board, inside, progress.subscribe());
    let screens = watch::Sender::new(1);
    let (progress, screens) = (progress.subscribe(), screens.subscribe());
    let around = Around { clock, outlet, calls: Arc::default(), progress, screens };
    tokio::join!(telling, ask_cluster::ask(Arc::new(around), reader, None));
}

/// There is no run that could record a notice or look again: the newest go to the screen.
async fn tell(mut outside: Outside<Fact>, clock: Clock, board: Board) {
    let mut notices = Notices::default();
    while let Some(notice) = outside.notices.recv().await {
        if let Some(notice) = notice.read::<Noticed>() {
            notices.add(clock.now(), notice);
            board.put(Snapshot::new(clock.now(), View::Notices(notices.clone())));
        }
    }
}

impl Around {
    /// Returns once a step of `day` has been looked at, in this session or an earlier one.
    async fn begun(&self, day: u8) {
        let mut progress = self.progress.clone();
        if progress.wait_for(|p| p.day.is_some_and(|begun| begun >= day)).await.is_err() {
            // Nobody tells of progress any more: what has not begun does not begin.
            std::future::pending::<()>().await;
        }
    }

    fn is_watched(&self) -> bool {
        *self.screens.borrow() > 0
    }

    /// Waits `pause` of the run's clock, twice that when no screen is attached.
    async fn rest(&self, pause: Duration) {
        tokio::time::sleep(pace::on_the_wall(&self.clock, pace::attended(pause, self.is_watched()))).await;
    }
}

#[cfg(test)]
mod tests {
    use super::outlet::tests::outlet;
    use super::*;

    /// Seconds that a pause of five lasts with so many screens.
    async fn rested(screens: usize) -> u64 {
        let progress = watch::Sender::new(Progress::default());
        let around = Around {
            clock: Clock::real(),
            outlet: outlet(false).0,
            calls: Arc::default(),
            progress: progress.subscribe(),
            screens: watch::Sender::new(screens).subscribe(),
        };
        let began = tokio::time::Instant::now();
        around.rest(Duration::from_secs(5)).await;
        began.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn two_screens_cost_no_more_questions_than_one_and_none_costs_half_as_many() {
        assert_eq!((rested(0).await, rested(1).await, rested(2).await), (10, 5, 5));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_about_a_day_waits_until_the_day_has_begun() {
        let progress = watch::Sender::new(Progress::default());
        let around = Around {
            clock: Clock::real(),
            outlet: outlet(false).0,
            calls: Arc::default(),
            progress: progress.subscribe(),
            screens: watch::Sender::new(1).subscribe(),
        };
        let day = Duration::from_secs(86_400);
        assert!(tokio::time::timeout(day, around.begun(1)).await.is_err());
        progress.send_replace(Progress { day: Some(2), backwards: false });
        around.begun(1).await;
        around.begun(2).await;
        assert!(tokio::time::timeout(day, around.begun(3)).await.is_err());
    }
}
