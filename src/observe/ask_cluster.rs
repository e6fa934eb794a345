//! One watch each of releases, nodes, pods and warnings, and a look whether the API still answers: a watch is silent while
//! nothing happens, and while nobody is there.
use super::cluster::{NodesWatch, events, pods};
use super::outlet::{Calls, Source};
use super::releases::ReleasesWatch;
use super::{Around, ClusterOf};
use crate::kubernetes::{Error, Reader, Snapshots};
use crate::observed::{Backend, Cause, Gap, Gaps, View};
use futures::StreamExt;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

/// Between two looks whether the API answers; of the run's clock.
const ALIVE: Duration = Duration::from_secs(10);
/// After it had one snapshot a watch takes the next one; of the wall, since each of them goes through all objects.
const TAKE: Duration = Duration::from_secs(1);
/// For a kubeconfig; of the run's clock.
const ACCESS: Duration = Duration::from_secs(5);

/// Once there is a cluster; `planned`: the nodes that are expected in it.
pub async fn run(around: Arc<Around>, cluster: ClusterOf, planned: Vec<String>) {
    around.begun(3).await;
    let reader = loop {
        match cluster() {
            Some(reader) => break reader,
            None => around.rest(ACCESS).await,
        }
    };
    ask(around, reader, Some(planned)).await;
}

/// `planned`: the nodes that are expected; `None`: each that was seen.
pub async fn ask(around: Arc<Around>, reader: Reader, planned: Option<Vec<String>>) {
    let mut tasks = JoinSet::new();
    tasks.spawn(alive(around.clone(), reader.clone()));
    tasks.spawn(releases(around.clone(), reader.clone()));
    tasks.spawn(nodes(around.clone(), reader.clone(), planned));
    let (here, from) = (around.clone(), reader.clone());
    tasks.spawn(async move {
        each(&here, GAPS.pods, from.watch_pods(), |all| here.outlet.show(View::Pods(pods(&all))), || ()).await;
    });
    tasks.spawn(super::tails::run(around.clone(), reader.clone()));
    tasks.spawn(async move {
        let take = |all: Vec<_>| around.outlet.show(View::Events(events(&all)));
        each(&around, GAPS.events, reader.watch_warnings(), take, || ()).await;
    });
    while tasks.join_next().await.is_some() {}
}

async fn alive(around: Arc<Around>, reader: Reader) {
    loop {
        Calls::count(&around.calls.kubernetes, 1);
        match reader.version().await {
            Ok(_) => around.outlet.answered(&Backend::Kubernetes),
            Err(error) => around.outlet.failed(&Backend::Kubernetes, cause(&error)),
        }
        around.rest(ALIVE).await;
    }
}

async fn releases(around: Arc<Around>, reader: Reader) {
    let mut watch = ReleasesWatch::default();
    let outlet = &around.outlet;
    let take = |all: Vec<_>| {
        let seen = watch.take(&all);
        outlet.show(View::Releases(seen.releases));
        seen.notices.into_iter().for_each(|notice| outlet.notify(notice));
        outlet.doubt(Source::Releases, seen.doubts);
    };
    each(&around, GAPS.releases, reader.watch_releases(), take, || outlet.doubt(Source::Releases, BTreeSet::new()))
        .await;
}

async fn nodes(around: Arc<Around>, reader: Reader, planned: Option<Vec<String>>) {
    let mut watch = planned.map_or_else(NodesWatch::of_all, NodesWatch::of);
    let outlet = &around.outlet;
    let take = |all: Vec<_>| {
        let seen = watch.take(&all);
        outlet.show(View::Nodes(seen.nodes));
        seen.notices.into_iter().for_each(|notice| outlet.notify(notice));
        outlet.doubt(Source::Nodes, seen.doubts);
    };
    each(&around, GAPS.nodes, reader.watch_nodes(), take, || outlet.doubt(Source::Nodes, BTreeSet::new())).await;
}

/// The place of a kind among the gaps.
type Place = fn(&mut Gaps) -> &mut Option<Gap>;

struct Places {
    releases: Place,
    nodes: Place,
    pods: Place,
    events: Place,
}

const GAPS: Places = Places {
    releases: |gaps| &mut gaps.releases,
    nodes: |gaps| &mut gaps.nodes,
    pods: |gaps| &mut gaps.pods,
    events: |gaps| &mut gaps.events,
};

/// Gives the newest snapshot to `take`, and says `lost` when there is none to be had.
async fn each<R>(around: &Around, place: Place, all: Snapshots<R>, mut take: impl FnMut(Vec<R>), lost: impl Fn()) {
    let mut all = all.fuse();
    let mut newest = None;
    while let Some(snapshot) = match newest.take() {
        Some(snapshot) => Some(snapshot),
        None => all.next().await,
    } {
        Calls::count(&around.calls.kubernetes, 1);
        match snapshot {
            Ok(rows) => {
                around.outlet.gap(place, None);
                take(rows);
            }
            // That the kind is not installed, or not for us, is an answer; and who does not answer has contradicted nothing.
            Err(Error::NotFound) => {
                around.outlet.gap(place, Some(Gap::Absent));
                lost();
            }
            Err(Error::Forbidden { .. }) => {
                around.outlet.gap(place, Some(Gap::Forbidden));
                lost();
            }
            Err(error) => {
                around.outlet.failed(&Backend::Kubernetes, cause(&error));
                lost();
            }
        }
        // What comes meanwhile must not queue up: a busy cluster would be shown as it was minutes ago.
        let end = Instant::now() + super::pace::attended(TAKE, around.is_watched());
        while let Ok(Some(snapshot)) = timeout_at(end, all.next()).await {
            newest = Some(snapshot);
        }
    }
}

fn cause(error: &Error) -> Cause {
    match error {
        Error::Unreachable { .. } => Cause::Unreachable,
        Error::Untrusted { .. } => Cause::Untrusted,
        Error::Unauthorized | Error::Forbidden { .. } | Error::Denied { .. } => Cause::Refused,
        Error::Server { .. } | Error::Webhook { .. } | Error::Gone => Cause::NotReady,
        Error::Answer { .. } => Cause::Answer,
        Error::Kubeconfig { .. } | Error::NotFound | Error::Conflict { .. } | Error::Invalid { .. } => Cause::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::outlet::tests::outlet;
    use super::super::progress::Progress;
    use super::*;
    use crate::base::clock::Clock;
    use crate::observed::Kind;
    use futures::stream;
    use tokio::sync::watch;

    /// The gaps and the contacts after such answers to a question for releases.
    async fn after(answers: Vec<Result<Vec<u8>, Error>>) -> (Option<Gap>, bool, usize) {
        let (outlet, board, _outside) = outlet(false);
        let (progress, screens) = (watch::Sender::new(Progress::default()), watch::Sender::new(1));
        let (progress, screens) = (progress.subscribe(), screens.subscribe());
        let around = Around { clock: Clock::real(), outlet, calls: Arc::default(), progress, screens };
        let mut taken = 0;
        each(&around, GAPS.releases, stream::iter(answers).boxed(), |_| taken += 1, || ()).await;
        let gaps = board.last(Kind::Gaps).map(|s| match s.view {
            View::Gaps(gaps) => gaps,
            ref other => panic!("{other:?}"),
        });
        (gaps.and_then(|gaps| gaps.releases), board.last(Kind::Contacts).is_some(), taken)
    }

    #[tokio::test(start_paused = true)]
    async fn a_kind_that_is_absent_or_forbidden_is_a_gap_and_no_silence_of_the_api() {
        let forbidden = Error::Forbidden { text: "no".into() };
        assert_eq!(after(vec![Err(Error::NotFound)]).await, (Some(Gap::Absent), false, 0));
        assert_eq!(after(vec![Err(forbidden)]).await, (Some(Gap::Forbidden), false, 0));
        assert_eq!(after(vec![Err(Error::NotFound), Ok(vec![1])]).await, (None, false, 1));
        let unreachable = Error::Unreachable { text: "refused".into() };
        assert_eq!(after(vec![Err(unreachable)]).await, (None, true, 0));
    }

    /// A watch brings one event at a time. One snapshot a second was taken of them, so a busy cluster was seen ever later.
    #[tokio::test(start_paused = true)]
    async fn of_many_changes_the_newest_is_shown_and_none_waits_in_a_queue() {
        let (outlet, _board, _outside) = outlet(false);
        let (progress, screens) = (watch::Sender::new(Progress::default()), watch::Sender::new(1));
        let (progress, screens) = (progress.subscribe(), screens.subscribe());
        let around = Around { clock: Clock::real(), outlet, calls: Arc::default(), progress, screens };
        let (event, events) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            for n in 0..1000u64 {
                tokio::time::sleep(Duration::from_millis(10)).await;
                event.send(Ok(vec![n])).unwrap();
            }
        });
        let all = stream::unfold(events, |mut events| async move { events.recv().await.map(|item| (item, events)) });
        let began = Instant::now();
        let mut late = Vec::new();
        let take = |rows: Vec<u64>| late.push(began.elapsed().as_millis() as u64 - 10 * (rows[0] + 1));
        each(&around, GAPS.releases, all.boxed(), take, || ()).await;
        assert!(late.len() >= 9 && late.iter().all(|late| *late <= 1100), "{late:?}");
    }
}
