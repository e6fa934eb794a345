//! Watching: hearing of a change, and keeping a list true by the changes heard.
use super::error::Error;
use super::kind::Kind;
use super::reader::{self, Listed, MOST, all_pages};
use super::rows::{Metadata, Row};
use super::wire::{DEADLINE, Wire, with_query, within};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, stream};
use kube::core::WatchEvent;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

/// Full lists, one after each burst of changes. An error is one item; the stream then tries again by itself, with
/// growing pauses, and never ends. The last list given stays the best knowledge meanwhile.
pub type Snapshots<R> = Pin<Box<dyn Stream<Item = Result<Vec<R>, Error>> + Send>>;

/// Seconds after which the server ends a watch. Short, because a server that vanished ends nothing.
const WATCH_SECONDS: u64 = 60;
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Events taken together into one snapshot.
const BURST: usize = 256;

type Events<T> = BoxStream<'static, Result<WatchEvent<T>, kube::Error>>;

#[derive(Debug, Clone, Deserialize)]
struct Named {
    #[serde(default)]
    metadata: Metadata,
}

async fn open<T: DeserializeOwned + Clone + Send + 'static>(
    wire: &Wire,
    kind: &Kind,
    namespace: Option<&str>,
    field: Option<&str>,
    from: &str,
    seconds: u64,
) -> Result<Events<T>, Error> {
    let target = with_query(
        &kind.path(namespace),
        &[
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("fieldSelector", field.unwrap_or_default()),
            ("resourceVersion", from),
            ("timeoutSeconds", &seconds.to_string()),
        ],
    );
    let asked = format!("GET {target}");
    let request = Wire::watch_request(target)?;
    let events = within(&asked, wire.client().request_events::<T>(request)).await?;
    Ok(events.boxed())
}

/// See [`super::Reader::wait_for_change`].
pub(super) async fn wait_for_change(
    wire: &Wire,
    kind: &Kind,
    namespace: Option<&str>,
    name: Option<&str>,
    since: Option<&str>,
    deadline: Duration,
) -> Result<(), Error> {
    timeout(deadline, change(wire, kind, namespace, name, since)).await.unwrap_or(Ok(()))
}

async fn change(
    wire: &Wire,
    kind: &Kind,
    namespace: Option<&str>,
    name: Option<&str>,
    since: Option<&str>,
) -> Result<(), Error> {
    let mut from = match since {
        Some(version) => version.to_string(),
        None => versions(wire, kind, namespace, name).await?.resource_version,
    };
    let mut gap_before = false;
    loop {
        let opened = Instant::now();
        match hear(wire, kind, namespace, name, &mut from).await {
            Ok(true) => return Ok(()),
            Ok(false) => {
                gap_before = false;
                sleep_until(opened + SHORTEST_PAUSE).await;
            }
            Err(Error::Gone) => match after_gap(wire, kind, namespace, name, since).await? {
                Some(version) => {
                    // Even a fresh version is too old for this server: give it time.
                    if gap_before {
                        sleep(SHORTEST_PAUSE).await;
                    }
                    gap_before = true;
                    from = version;
                }
                None => return Ok(()),
            },
            Err(e) => return Err(e),
        }
    }
}

/// Watches once, until the server or time ends it: whether something was heard. `from` moves on.
async fn hear(
    wire: &Wire,
    kind: &Kind,
    namespace: Option<&str>,
    name: Option<&str>,
    from: &mut String,
) -> Result<bool, Error> {
    let field = name.map(|n| format!("metadata.name={n}"));
    let mut events = open::<Named>(wire, kind, namespace, field.as_deref(), from, WATCH_SECONDS).await?;
    let end = Instant::now() + Duration::from_secs(WATCH_SECONDS) + DEADLINE;
    while let Ok(Some(event)) = timeout_at(end, events.next()).await {
        match event.map_err(Error::of_kube)? {
            WatchEvent::Added(o) | WatchEvent::Modified(o) | WatchEvent::Deleted(o) => {
                // A server that ignores the field selector sends the others' events as well.
                if name.is_none_or(|n| n == o.metadata.name) {
                    return Ok(true);
                }
                *from = o.metadata.resource_version;
            }
            WatchEvent::Bookmark(b) => *from = b.metadata.resource_version,
            WatchEvent::Error(status) => return Err(Error::of_status(&status)),
        }
    }
    Ok(false)
}

/// After a gap in the history: `None` when something did change, or may have; else the version to go on from.
///
/// An object that nobody touched for long has a version older than the history reaches back, so the gap alone is no
/// change; a caller told otherwise would observe in a tight loop.
async fn after_gap(
    wire: &Wire,
    kind: &Kind,
    namespace: Option<&str>,
    name: Option<&str>,
    since: Option<&str>,
) -> Result<Option<String>, Error> {
    let (Some(name), Some(since)) = (name, since) else { return Ok(None) };
    let now = versions(wire, kind, namespace, Some(name)).await?;
    let same = now.items.iter().any(|o| o.metadata.name == name && o.metadata.resource_version == since);
    Ok(same.then_some(now.resource_version))
}

async fn versions(
    wire: &Wire,
    kind: &Kind,
    namespace: Option<&str>,
    name: Option<&str>,
) -> Result<Listed<Named>, Error> {
    let field = name.map(|n| format!("metadata.name={n}"));
    all_pages(wire, kind, namespace, None, field.as_deref(), reader::Kept::Part).await
}

struct Watch<T> {
    events: stream::ReadyChunks<Events<T>>,
    opened: Instant,
    /// It brought something.
    heard: bool,
}

/// The list of one kind, kept true.
struct Kept<R: Row> {
    wire: Wire,
    rows: BTreeMap<(String, String), R>,
    /// Where the next watch begins; `None` asks for a new list.
    version: Option<String>,
    watch: Option<Watch<R::Slim>>,
    /// True from a list on until its watch brought something: a gap meanwhile is answered with a pause.
    fresh: bool,
    pause: Duration,
    failed: bool,
}

pub(super) fn snapshots<R: Row>(wire: Wire) -> Snapshots<R> {
    let kept: Kept<R> = Kept {
        wire,
        rows: BTreeMap::new(),
        version: None,
        watch: None,
        fresh: false,
        pause: SHORTEST_PAUSE,
        failed: false,
    };
    stream::unfold(kept, |mut kept| async move {
        let item = kept.next().await;
        Some((item, kept))
    })
    .boxed()
}

impl<R: Row> Kept<R> {
    async fn next(&mut self) -> Result<Vec<R>, Error> {
        if self.failed {
            sleep(self.pause).await;
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
        let item = self.step().await;
        self.failed = item.is_err();
        if item.is_ok() {
            self.pause = SHORTEST_PAUSE;
        } else {
            // The events before the error in the same burst have not been shown; a new list shows them.
            (self.version, self.watch, self.fresh) = (None, None, false);
        }
        item
    }

    async fn step(&mut self) -> Result<Vec<R>, Error> {
        loop {
            let Some(from) = self.version.clone() else {
                return self.relist().await;
            };
            let Some(watch) = &mut self.watch else {
                match open(&self.wire, &R::KIND, None, R::FIELD, &from, WATCH_SECONDS).await {
                    Ok(events) => {
                        let events = events.ready_chunks(BURST);
                        self.watch = Some(Watch { events, opened: Instant::now(), heard: false });
                    }
                    Err(Error::Gone) => self.version = None,
                    Err(e) => return Err(e),
                }
                continue;
            };
            let end = watch.opened + Duration::from_secs(WATCH_SECONDS) + DEADLINE;
            match timeout_at(end, watch.events.next()).await {
                Ok(Some(burst)) => {
                    watch.heard = true;
                    if self.take(burst)? {
                        return Ok(self.rows.values().cloned().collect());
                    }
                }
                Ok(None) | Err(_) => {
                    // A server that hangs up at once is not asked again at once.
                    if !watch.heard {
                        sleep_until(watch.opened + SHORTEST_PAUSE).await;
                    }
                    self.watch = None;
                }
            }
        }
    }

    async fn relist(&mut self) -> Result<Vec<R>, Error> {
        self.watch = None;
        if std::mem::replace(&mut self.fresh, true) {
            sleep(SHORTEST_PAUSE).await;
        }
        let listed: Listed<R::Slim> = all_pages(&self.wire, &R::KIND, None, None, R::FIELD, reader::Kept::Part).await?;
        self.rows = listed.items.iter().map(|slim| (key::<R>(slim), R::of(slim))).collect();
        self.version = Some(listed.resource_version);
        Ok(self.rows.values().cloned().collect())
    }

    /// Takes events in; true when a row changed.
    fn take(&mut self, burst: Vec<Result<WatchEvent<R::Slim>, kube::Error>>) -> Result<bool, Error> {
        let mut changed = false;
        self.fresh &= burst.iter().all(|event| matches!(event, Err(_) | Ok(WatchEvent::Error(_))));
        for event in burst {
            match event.map_err(Error::of_kube)? {
                WatchEvent::Added(slim) | WatchEvent::Modified(slim) => {
                    self.version = Some(R::metadata(&slim).resource_version.clone());
                    self.rows.insert(key::<R>(&slim), R::of(&slim));
                    changed = true;
                    if self.rows.len() > MOST {
                        let what = format!("more than {MOST} objects, which is no list of this cluster");
                        return Err(Error::Answer { text: format!("{}: {what}", R::KIND.path(None)) });
                    }
                }
                WatchEvent::Deleted(slim) => {
                    self.version = Some(R::metadata(&slim).resource_version.clone());
                    changed |= self.rows.remove(&key::<R>(&slim)).is_some();
                }
                WatchEvent::Bookmark(b) => self.version = Some(b.metadata.resource_version),
                WatchEvent::Error(status) => match Error::of_status(&status) {
                    Error::Gone => self.version = None,
                    e => return Err(e),
                },
            }
        }
        Ok(changed)
    }
}

fn key<R: Row>(slim: &R::Slim) -> (String, String) {
    let metadata = R::metadata(slim);
    (metadata.namespace.clone(), metadata.name.clone())
}
