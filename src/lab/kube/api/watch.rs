//! watch: what changes, as lines of JSON, for as long as the client stays.
use super::kinds::Kind;
use super::path::{Query, Target};
use super::read::unparsed;
use super::refusal::{Cause, Refusal};
use super::selector::Filter;
use super::table::table;
use super::view::{Form, Shown};
use crate::kube::store::{Change, Store};
use crate::world::{Lab, World};
use axum::body::Body;
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::watch::Receiver;
use tokio::time::Instant;

/// Of a watch that names no timeout; the real server takes 30 to 60 minutes. Wall time, like the client's own.
const LONGEST: Duration = Duration::from_secs(2700);
/// Between bookmarks: lab time, but no more often than this on the wall.
const BOOKMARK: Duration = Duration::from_secs(60);
const BOOKMARK_AT_LEAST: Duration = Duration::from_secs(1);

/// The beginning of a watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// After this version.
    After(u64),
    /// With everything that is there now.
    WithAll,
}

struct Watch {
    lab: Lab,
    changed: Receiver<u64>,
    kind: &'static Kind,
    filter: Filter,
    form: Form,
    start: Start,
    bookmarks: bool,
    next_bookmark: Instant,
    end: Instant,
    /// The first table carries the columns.
    header: bool,
    over: bool,
}

#[derive(Serialize)]
struct Line<T> {
    r#type: &'static str,
    object: T,
}

pub fn watch(lab: &Lab, target: &Target, query: &Query, form: Form) -> Result<Body, Refusal> {
    let bookmarks = query.flag("allowWatchBookmarks");
    let seconds = query.number("timeoutSeconds")?.filter(|s| *s > 0);
    let now = Instant::now();
    let mut watch = Watch {
        changed: lab.watch(),
        kind: target.kind,
        filter: Filter::of(target, query)?,
        form,
        start: start(query)?,
        bookmarks,
        next_bookmark: now,
        end: now + seconds.map_or(LONGEST, Duration::from_secs).min(LONGEST),
        header: true,
        over: false,
        lab: lab.clone(),
    };
    watch.next_bookmark = now + watch.bookmark_interval();
    Ok(Body::from_stream(futures::stream::unfold(watch, |mut watch| async move {
        let lines = watch.next().await?;
        Some((Ok::<Bytes, Infallible>(lines), watch))
    })))
}

fn start(query: &Query) -> Result<Start, Refusal> {
    let mut causes = Vec::new();
    let matching = query.get("resourceVersionMatch");
    if !query.get("sendInitialEvents").is_empty() {
        if matching != "NotOlderThan" {
            let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            causes.push(Cause::forbidden("resourceVersionMatch", why));
        }
        // The gate is off by default in Kubernetes 1.33.
        let why = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
        causes.push(Cause::forbidden("sendInitialEvents", why));
    } else if !matching.is_empty() {
        let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
        causes.push(Cause::forbidden("resourceVersionMatch", why));
    }
    if !causes.is_empty() {
        return Err(Refusal::Options { options: "ListOptions", causes });
    }
    match query.get("resourceVersion") {
        "" | "0" => Ok(Start::WithAll),
        version => version.parse().map(Start::After).map_err(|_| Refusal::Unexpected(unparsed(version))),
    }
}

impl Watch {
    fn bookmark_interval(&self) -> Duration {
        self.lab.clock().wall(BOOKMARK).max(BOOKMARK_AT_LEAST)
    }

    /// The lines that are due next; `None` at the end of the watch.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.over {
                return None;
            }
            self.changed.borrow_and_update();
            let lab = self.lab.clone();
            let lines = lab.look(|world| self.collect(world));
            if !lines.is_empty() {
                return Some(lines.into());
            }
            tokio::select! {
                changed = self.changed.changed() => self.over = changed.is_err(),
                () = tokio::time::sleep_until(self.next_bookmark), if self.bookmarks => {
                    self.next_bookmark = Instant::now() + self.bookmark_interval();
                    let mut lines = Vec::new();
                    lab.look(|world| self.bookmark(world, &mut lines));
                    return Some(lines.into());
                }
                () = tokio::time::sleep_until(self.end) => return None,
            }
        }
    }

    fn collect(&mut self, world: &World) -> Vec<u8> {
        let mut lines = Vec::new();
        let Some(cluster) = &world.cluster else {
            self.over = true;
            return lines;
        };
        let store = &cluster.store;
        match self.start {
            Start::WithAll => {
                let resource = self.kind.resource();
                let all = store.list(&resource, self.filter.namespace());
                let found: Vec<&Value> = all.filter(|(k, o)| self.filter.matches(k, o)).map(|(_, o)| o).collect();
                for object in found {
                    self.event("ADDED", object, world, &mut lines);
                }
                self.start = Start::After(store.version());
            }
            Start::After(version) => match self.changes(version, store) {
                Some(changes) => {
                    for (kind, object) in changes {
                        self.event(kind, &object, world, &mut lines);
                    }
                    self.start = Start::After(version.max(store.version()));
                }
                None => {
                    let message = format!("too old resource version: {version} ({})", store.version());
                    write(&mut lines, "ERROR", &Refusal::Expired { message, onward: String::new() }.status());
                    self.over = true;
                }
            },
        }
        lines
    }

    /// The changes that the selection saw after `version`; `None` when the history does not reach back so far.
    fn changes<'a>(&self, version: u64, store: &'a Store) -> Option<Vec<(&'static str, Cow<'a, Value>)>> {
        let resource = self.kind.resource();
        let events = store.since(version)?.filter(|e| e.key.resource == resource);
        let seen = events.filter_map(|event| {
            let was = event.previous.as_deref().filter(|o| self.filter.matches(&event.key, o));
            let gone = event.change == Change::Deleted;
            let is = Some(event.object.as_ref()).filter(|o| !gone && self.filter.matches(&event.key, o));
            match (was, is) {
                (None, None) => None,
                (None, Some(object)) => Some(("ADDED", Cow::Borrowed(object))),
                (Some(_), Some(object)) => Some(("MODIFIED", Cow::Borrowed(object))),
                (Some(_), None) if gone => Some(("DELETED", Cow::Borrowed(event.object.as_ref()))),
                (Some(last), None) => {
                    // It left the selection: as it was last seen, under the version of the change.
                    let mut last = last.clone();
                    last["metadata"]["resourceVersion"] = event.object["metadata"]["resourceVersion"].clone();
                    Some(("DELETED", Cow::Owned(last)))
                }
            }
        });
        Some(seen.collect())
    }

    fn event(&mut self, kind: &'static str, object: &Value, world: &World, lines: &mut Vec<u8>) {
        let shown = |metadata_only| Shown { object, kind: self.kind, metadata_only, typed: true };
        match self.form {
            Form::Whole => write(lines, kind, &shown(false)),
            Form::Metadata => write(lines, kind, &shown(true)),
            Form::Table(include) => {
                let metadata = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
                let row = std::iter::once(object);
                write(lines, kind, &table(self.kind, row, metadata, include, self.header, world.now));
                self.header = false;
            }
        }
    }

    fn bookmark(&mut self, world: &World, lines: &mut Vec<u8>) {
        let (Start::After(version), Some(_)) = (self.start, &world.cluster) else { return };
        let metadata = json!({"resourceVersion": version.to_string(), "creationTimestamp": null});
        match self.form {
            Form::Whole | Form::Metadata => {
                let object = json!({"metadata": metadata});
                let metadata_only = self.form == Form::Metadata;
                write(lines, "BOOKMARK", &Shown { object: &object, kind: self.kind, metadata_only, typed: true });
            }
            Form::Table(include) => {
                let none = std::iter::empty();
                write(lines, "BOOKMARK", &table(self.kind, none, metadata, include, self.header, world.now));
                self.header = false;
            }
        }
    }
}

fn write(lines: &mut Vec<u8>, kind: &'static str, object: &impl Serialize) {
    // Serialising plain JSON into memory cannot fail; a line that did would be left out.
    if let Ok(line) = serde_json::to_vec(&Line { r#type: kind, object }) {
        lines.extend_from_slice(&line);
        lines.push(b'\n');
    }
}
