//! One watch each of releases, nodes, pods and warnings, and a look whether the API still answers: a watch is silent while
//! nothing happens, and while nobody is there.
use super::cluster::{NodesWatch, events, pods};
use super::outlet::{Calls, Source};
use super::releases::ReleasesWatch;
use super::{Around, ClusterOf};
use crate::kubernetes::{Error, Reader, Snapshots};
use crate::observed::{Backend, Cause, View};
use futures::StreamExt;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Between two looks whether the API answers; of the run's clock.
const ALIVE: Duration = Duration::from_secs(10);
/// After it had one snapshot a watch takes the next one; of the wall, since each of them goes through all objects.
const TAKE: Duration = Duration::from_secs(1);
/// For a kubeconfig; of the run's clock.
const ACCESS: Duration = Duration::from_secs(5);

pub async fn run(around: Arc<Around>, cluster: ClusterOf) {
    around.begun(3).await;
    let reader = loop {
        match cluster() {
            Some(reader) => break reader,
            None => around.rest(ACCESS).await,
        }
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(alive(around.clone(), reader.clone()));
    tasks.spawn(releases(around.clone(), reader.clone()));
    tasks.spawn(nodes(around.clone(), reader.clone()));
    let (here, from) = (around.clone(), reader.clone());
    tasks.spawn(
        async move { each(&here, from.watch_pods(), |all| here.outlet.show(View::Pods(pods(&all))), || ()).await },
    );
    tasks.spawn(async move {
        each(&around, reader.watch_warnings(), |all| around.outlet.show(View::Events(events(&all))), || ()).await
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
    each(&around, reader.watch_releases(), take, || outlet.doubt(Source::Releases, BTreeSet::new())).await;
}

async fn nodes(around: Arc<Around>, reader: Reader) {
    let mut watch = NodesWatch::of(around.plan.nodes.iter().map(|node| node.name.clone()));
    let outlet = &around.outlet;
    let take = |all: Vec<_>| {
        let seen = watch.take(&all);
        outlet.show(View::Nodes(seen.nodes));
        seen.notices.into_iter().for_each(|notice| outlet.notify(notice));
        outlet.doubt(Source::Nodes, seen.doubts);
    };
    each(&around, reader.watch_nodes(), take, || outlet.doubt(Source::Nodes, BTreeSet::new())).await;
}

/// Gives every snapshot to `take`, and says `lost` when there is none to be had.
async fn each<R>(around: &Around, mut all: Snapshots<R>, mut take: impl FnMut(Vec<R>), lost: impl Fn()) {
    while let Some(snapshot) = all.next().await {
        Calls::count(&around.calls.kubernetes, 1);
        match snapshot {
            Ok(rows) => take(rows),
            // The kind is not installed yet, which is an answer; and who does not answer has contradicted nothing.
            Err(Error::NotFound) => lost(),
            Err(error) => {
                around.outlet.failed(&Backend::Kubernetes, cause(&error));
                lost();
            }
        }
        tokio::time::sleep(super::pace::attended(TAKE, around.is_watched())).await;
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
