//! The reading half. Nothing here can change the cluster.
use super::error::Error;
use super::evidence;
use super::follow::{self, Snapshots};
use super::kind::Kind;
use super::nodes::NodeStatus;
use super::pods::PodStatus;
use super::rows::{ReleaseStatus, Row};
use super::warnings::EventStatus;
use super::wire::{Ask, Wire, object_path, with_query};
use crate::base::answer::{Answer, RAW_LIMIT};
use crate::base::text;
use crate::base::values::{self, Budget};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;

/// Objects asked for at once.
pub(super) const PAGE: &str = "250";
/// Objects of one list; a server whose pages never end is asked no further.
pub(super) const MOST: usize = 20_000;
/// All pages of one list, in bytes.
const LIST: usize = 64 << 20;
/// The limit in memory for the values of one answer, or for those that are kept of a list, in bytes.
pub(super) const MEMORY: usize = 64 << 20;

/// The part of a list's objects that is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// All of them: their values add up over the pages.
    Whole,
    /// A few fields; a page's values are gone when it is read.
    Part,
}

/// Reads from the cluster: single calls, whole lists and watches. Cheap to clone: clones share their connections.
#[derive(Clone)]
pub struct Reader {
    pub(super) wire: Wire,
}

/// `GET /version`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// `v1.33.3`
    pub git_version: String,
    /// `linux/amd64`; empty where the server does not say.
    #[serde(default)]
    pub platform: String,
}

/// A list, and the version of the whole from which a watch misses nothing.
#[derive(Debug, Clone)]
pub struct Listed<T> {
    /// All objects of all pages, in the server's order (by namespace and name).
    pub items: Vec<T>,
    /// `metadata.resourceVersion` of the list.
    pub resource_version: String,
}

/// A page as the server sends it.
#[derive(Deserialize)]
pub(super) struct Page<T> {
    pub(super) metadata: PageMetadata,
    // An empty list is `null` when a Go program wrote a nil slice.
    pub(super) items: Option<Vec<T>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PageMetadata {
    resource_version: String,
    #[serde(rename = "continue")]
    pub(super) next: Option<String>,
}

impl Reader {
    pub(super) fn new(wire: Wire) -> Self {
        Reader { wire }
    }

    /// Requests that this client has made so far, watches left out.
    pub fn calls(&self) -> usize {
        self.wire.calls()
    }

    /// # Errors
    /// See [`Error`]; needs no rights beyond being known to the server.
    pub async fn version(&self) -> Result<Answer<Version>, Error> {
        let ask = Ask::get("/version".to_string());
        let asked = ask.describe();
        let raw = self.wire.text(ask).await?;
        let value = parse(&asked, &raw)?;
        Ok(Answer::new(asked, text::clean_lines(&raw), "kubectl version -o yaml", value))
    }

    /// One object; `None` when it, or its kind, does not exist.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn get(&self, kind: &Kind, namespace: Option<&str>, name: &str) -> Result<Option<Answer<Value>>, Error> {
        let ask = Ask::get(object_path(kind, namespace, name)?);
        let asked = ask.describe();
        match self.wire.json::<Value>(ask).await {
            Ok(value) => {
                let by_hand = evidence::by_hand(kind, namespace, name);
                Ok(Some(Answer::new(asked, evidence::raw(kind, &value), by_hand, value)))
            }
            Err(Error::NotFound) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// All objects of a kind, of one namespace or of all, that match a label selector such as `a=b,c!=d`.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::NotFound`] while the kind's definition is not installed.
    pub async fn list(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        selector: Option<&str>,
    ) -> Result<Answer<Vec<Value>>, Error> {
        Ok(self.list_versioned(kind, namespace, selector).await?.map(|l| l.items))
    }

    /// [`Reader::list`] with the list's own resource version, for [`Reader::wait_for_change`].
    ///
    /// # Errors
    /// See [`Reader::list`].
    pub async fn list_versioned(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        selector: Option<&str>,
    ) -> Result<Answer<Listed<Value>>, Error> {
        let listed: Listed<Value> = all_pages(&self.wire, kind, namespace, selector, None, Kept::Whole).await?;
        Ok(Answer::new(
            asked_list(kind, namespace, selector),
            evidence::raw_list(&listed.items, |item| evidence::redacted(kind, item)),
            evidence::by_hand_list(kind, namespace, selector),
            listed,
        ))
    }

    /// The last `tail` lines of a container's log, without control characters.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::Invalid`] while the container has not started.
    pub async fn logs(&self, namespace: &str, pod: &str, container: &str, tail: u32) -> Result<Answer<String>, Error> {
        self.log(namespace, pod, container, tail, false).await
    }

    /// [`Reader::logs`] of the run of the container before the one that it is in.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::Invalid`] where there was none.
    pub async fn logs_before(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        tail: u32,
    ) -> Result<Answer<String>, Error> {
        self.log(namespace, pod, container, tail, true).await
    }

    async fn log(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        tail: u32,
        before: bool,
    ) -> Result<Answer<String>, Error> {
        let base = format!("{}/log", object_path(&Kind::POD, Some(namespace), pod)?);
        let previous = if before { "true" } else { "" };
        let query = [("container", container), ("tailLines", &*tail.to_string()), ("previous", previous)];
        let ask = Ask::get(with_query(&base, &query));
        let asked = ask.describe();
        let log = text::clean_lines(&self.wire.text(ask).await?);
        // Evidence is cut at its end, but the end of a log is what tells.
        let mut start = log.len().saturating_sub(RAW_LIMIT);
        while !log.is_char_boundary(start) {
            start += 1;
        }
        let raw = log.get(start..).unwrap_or_default().to_string();
        let (namespace, pod, name) = (text::quoted(namespace), text::quoted(pod), text::quoted(container));
        let previous = if before { " --previous" } else { "" };
        let by_hand = format!("kubectl logs -n {namespace} {pod} -c {name} --tail={tail}{previous}");
        Ok(Answer::new(asked, raw, by_hand, log))
    }

    /// Returns at the first change after `since`, or when `deadline` (wall time) is over.
    ///
    /// `since` is the resource version of what the caller saw last: of the object when `name` is given, else of the
    /// list ([`Reader::list_versioned`]). Without it, changes from now on count. May return early: observe again.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::NotFound`] while the kind's definition is not installed.
    pub async fn wait_for_change(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        name: Option<&str>,
        since: Option<&str>,
        deadline: Duration,
    ) -> Result<(), Error> {
        follow::wait_for_change(&self.wire, kind, namespace, name, since, deadline).await
    }

    /// All HelmReleases of all namespaces.
    ///
    /// # Errors
    /// See [`Reader::list`].
    pub async fn releases(&self) -> Result<Answer<Vec<ReleaseStatus>>, Error> {
        self.rows(None, None).await
    }

    /// # Errors
    /// See [`Reader::list`].
    pub async fn nodes(&self) -> Result<Answer<Vec<NodeStatus>>, Error> {
        self.rows(None, None).await
    }

    /// # Errors
    /// See [`Reader::list`].
    pub async fn pods(&self, namespace: Option<&str>, selector: Option<&str>) -> Result<Answer<Vec<PodStatus>>, Error> {
        self.rows(namespace, selector).await
    }

    /// All warnings that the cluster keeps.
    ///
    /// # Errors
    /// See [`Reader::list`].
    pub async fn warnings(&self) -> Result<Answer<Vec<EventStatus>>, Error> {
        self.rows(None, None).await
    }

    /// All HelmReleases, again after every change. See [`Snapshots`].
    pub fn watch_releases(&self) -> Snapshots<ReleaseStatus> {
        follow::snapshots(self.wire.clone())
    }

    /// All nodes, again after every change. See [`Snapshots`].
    pub fn watch_nodes(&self) -> Snapshots<NodeStatus> {
        follow::snapshots(self.wire.clone())
    }

    /// All pods, again after every change. See [`Snapshots`].
    pub fn watch_pods(&self) -> Snapshots<PodStatus> {
        follow::snapshots(self.wire.clone())
    }

    /// All warnings that the cluster keeps, again after every change. See [`Snapshots`].
    pub fn watch_warnings(&self) -> Snapshots<EventStatus> {
        follow::snapshots(self.wire.clone())
    }

    async fn rows<R: Row>(&self, namespace: Option<&str>, selector: Option<&str>) -> Result<Answer<Vec<R>>, Error> {
        let listed: Listed<R::Slim> =
            all_pages(&self.wire, &R::KIND, namespace, selector, R::FIELD, Kept::Part).await?;
        Ok(Answer::new(
            asked_list(&R::KIND, namespace, selector),
            evidence::raw_list(&listed.items, |slim| slim.clone()),
            evidence::by_hand_list(&R::KIND, namespace, selector),
            listed.items.iter().map(R::of).collect(),
        ))
    }
}

fn asked_list(kind: &Kind, namespace: Option<&str>, selector: Option<&str>) -> String {
    let query = [("labelSelector", selector.unwrap_or_default())];
    Ask::get(with_query(&kind.path(namespace), &query)).describe()
}

pub(super) fn parse<T: DeserializeOwned>(asked: &str, body: &str) -> Result<T, Error> {
    parse_within(asked, body, &Budget::new(MEMORY))
}

pub(super) fn parse_within<T: DeserializeOwned>(asked: &str, body: &str, budget: &Budget) -> Result<T, Error> {
    let read = values::read(body, budget).and_then(serde_json::from_value);
    read.map_err(|e| Error::Answer { text: format!("{asked}: {}", text::clean(&e.to_string())) })
}

/// Every page of a list. A `continue` token that became too old starts the list over, once.
pub(super) async fn all_pages<T: DeserializeOwned>(
    wire: &Wire,
    kind: &Kind,
    namespace: Option<&str>,
    selector: Option<&str>,
    field: Option<&str>,
    kept: Kept,
) -> Result<Listed<T>, Error> {
    let _place = wire.place_for_a_list().await;
    match pages(wire, kind, namespace, selector, field, kept).await {
        Err(Error::Gone) => pages(wire, kind, namespace, selector, field, kept).await,
        done => done,
    }
}

async fn pages<T: DeserializeOwned>(
    wire: &Wire,
    kind: &Kind,
    namespace: Option<&str>,
    selector: Option<&str>,
    field: Option<&str>,
    kept: Kept,
) -> Result<Listed<T>, Error> {
    let path = kind.path(namespace);
    let mut listed = Listed { items: Vec::new(), resource_version: String::new() };
    let mut next = String::new();
    let mut budget = Budget::new(MEMORY);
    let mut length = 0;
    loop {
        if kept == Kept::Part {
            budget = Budget::new(MEMORY);
        }
        let query = [
            ("labelSelector", selector.unwrap_or_default()),
            ("fieldSelector", field.unwrap_or_default()),
            ("limit", PAGE),
            ("continue", &next),
        ];
        let ask = Ask::get(with_query(&path, &query));
        let asked = ask.describe();
        let body = wire.text(ask).await?;
        length += body.len();
        let page: Page<T> = parse_within(&asked, &body, &budget)?;
        listed.items.extend(page.items.unwrap_or_default());
        let too_long =
            |what: String| Error::Answer { text: format!("{path}: {what}, which is no list of this cluster") };
        if listed.items.len() > MOST {
            return Err(too_long(format!("more than {MOST} objects")));
        }
        if length > LIST {
            return Err(too_long(format!("more than {} MiB", LIST >> 20)));
        }
        listed.resource_version = page.metadata.resource_version;
        match page.metadata.next {
            // The same token again would never end.
            Some(token) if !token.is_empty() && token != next => next = token,
            _ => return Ok(listed),
        }
    }
}
