//! One request, one answer: paths, deadlines, and the text that came back.
use super::error::{Error, is_too_long};
use super::kind::Kind;
use super::reader::parse;
use crate::base::text;
use hyper::Method;
use hyper::http::Request;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// The time after which a call counts as unanswered. It is wall time: sockets are real at any speed of the clock.
pub(super) const DEADLINE: Duration = Duration::from_secs(15);

/// Lists that are read side by side; each may take [`super::reader::MEMORY`].
const LISTS: usize = 2;

#[derive(Clone)]
pub(super) struct Wire {
    client: kube::Client,
    lists: Arc<Semaphore>,
    /// Requests so far, watches left out.
    calls: Arc<AtomicUsize>,
}

/// The request.
pub(super) struct Ask {
    pub method: Method,
    /// Path and query.
    pub target: String,
    pub content_type: &'static str,
    pub body: Vec<u8>,
}

impl Ask {
    pub fn get(target: String) -> Self {
        Ask { method: Method::GET, target, content_type: "application/json", body: Vec::new() }
    }

    /// `GET /api/v1/nodes`
    pub fn describe(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    fn request(self) -> Result<Request<Vec<u8>>, Error> {
        Request::builder()
            .method(self.method)
            .uri(self.target)
            .header("content-type", self.content_type)
            .header("accept", "application/json")
            .body(self.body)
            .map_err(|e| Error::Invalid { text: text::clean(&e.to_string()) })
    }
}

impl Wire {
    pub fn new(client: kube::Client) -> Self {
        Wire { client, lists: Arc::new(Semaphore::new(LISTS)), calls: Arc::default() }
    }

    /// To be held while a list is read. Without it too many large ones at once would take too much memory.
    pub async fn place_for_a_list(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.lists.acquire().await.ok()
    }

    /// The answer's text.
    pub async fn text(&self, ask: Ask) -> Result<String, Error> {
        let asked = ask.describe();
        let request = ask.request()?;
        self.calls.fetch_add(1, Ordering::Relaxed);
        within(&asked, self.client.request_text(request)).await
    }

    /// The answer's text; `None` when it is longer than an answer may be, so that less can be asked for.
    pub async fn text_that_fits(&self, ask: Ask) -> Result<Option<String>, Error> {
        let asked = ask.describe();
        let request = ask.request()?;
        self.calls.fetch_add(1, Ordering::Relaxed);
        let answered = async {
            match self.client.request_text(request).await {
                Err(e) if is_too_long(&e) => Ok(None),
                answered => answered.map(Some),
            }
        };
        within(&asked, answered).await
    }

    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    pub async fn json<T: DeserializeOwned>(&self, ask: Ask) -> Result<T, Error> {
        let asked = ask.describe();
        parse(&asked, &self.text(ask).await?)
    }

    pub fn client(&self) -> &kube::Client {
        &self.client
    }

    /// The request of a watch; kube reads its events.
    pub fn watch_request(target: String) -> Result<Request<Vec<u8>>, Error> {
        Ask::get(target).request()
    }
}

/// Bounds `work` by [`DEADLINE`] and names it when it is over.
pub(super) async fn within<T>(asked: &str, work: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Error> {
    match tokio::time::timeout(DEADLINE, work).await {
        Ok(done) => done.map_err(Error::of_kube),
        Err(_) => {
            Err(Error::Unreachable { text: format!("{asked}: no answer in {}", text::format_duration(DEADLINE)) })
        }
    }
}

/// The path of one object.
pub(super) fn object_path(kind: &Kind, namespace: Option<&str>, name: &str) -> Result<String, Error> {
    if kind.namespaced && namespace.is_none() {
        return Err(Error::Invalid { text: format!("{} {name} needs a namespace", kind.kind) });
    }
    for part in [namespace.unwrap_or("x"), name] {
        // A name that would leave its place in the path can't be an object's name either.
        if part.is_empty() || part.contains(['/', '?', '#', '%']) || part == "." || part == ".." {
            return Err(Error::Invalid { text: format!("`{}` is not a name", text::clean(part)) });
        }
    }
    Ok(format!("{}/{name}", kind.path(namespace)))
}

/// `base?a=1&b=2`, values percent-encoded, empty values left out.
pub(super) fn with_query(base: &str, pairs: &[(&str, &str)]) -> String {
    let mut out = base.to_string();
    for (i, (key, value)) in pairs.iter().filter(|(_, v)| !v.is_empty()).enumerate() {
        out.push(if i == 0 { '?' } else { '&' });
        out.push_str(key);
        out.push('=');
        for b in value.bytes() {
            match b {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(b)),
                other => out.push_str(&format!("%{other:02X}")),
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_encoded() {
        assert_eq!(
            with_query("/api/v1/pods", &[("limit", "500"), ("continue", ""), ("labelSelector", "a/b=c,d!=e")]),
            "/api/v1/pods?limit=500&labelSelector=a%2Fb%3Dc%2Cd%21%3De"
        );
    }

    #[test]
    fn a_name_that_would_leave_its_path_is_refused() {
        assert!(object_path(&Kind::SECRET, Some("a"), "../b").is_err());
        assert!(object_path(&Kind::SECRET, None, "b").is_err());
        assert_eq!(object_path(&Kind::NODE, None, "cp1").unwrap(), "/api/v1/nodes/cp1");
    }
}
