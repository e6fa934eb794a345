//! One HTTP client for one node: deadlines, the cap on requests under way, the one repetition of a cut question.
use super::Target;
use super::cause::vanished_meanwhile;
use super::certificate::{describe, system};
use super::decode::{LARGE, ORDINARY, data};
use super::error::{Error, Unreached, without_tls};
use super::evidence::beginning;
use super::path::{Path, asked};
use super::refusal::{Said, refusal};
use super::token::authorization;
use crate::base::api_url::ApiUrl;
use crate::base::secret::Secret;
use crate::base::text::{clean, shorten};
use crate::base::tls::{ByLeaf, Pinned, without_manual};
use crate::base::trust::{Distrust, Noting, Seen, Trust};
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderValue};
use reqwest::{Method, Request, Response, Url};
use serde_json::Value;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// pveproxy itself gives up after 30 s with a 596, which says more than our own deadline would.
const READ_DEADLINE: Duration = Duration::from_secs(35);
const CHANGE_DEADLINE: Duration = Duration::from_secs(60);
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// pveproxy closes an idle connection after 5 s.
const IDLE: Duration = Duration::from_secs(4);
/// pveproxy and pvedaemon have three workers each by default, and the web interface needs them too.
const UNDER_WAY: usize = 4;
/// Of those, so that questions are still answered while images go up.
const UPLOADS: usize = 2;
/// An answer that is longer is read, and made into values, while no other one is.
const SMALL: usize = 256 << 10;

pub(super) struct Connection {
    http: reqwest::Client,
    url: ApiUrl,
    token_id: String,
    secret: Secret<String>,
    authorization: HeaderValue,
    trust: Trust,
    /// The certificate that the server showed last.
    seen: Seen,
    under_way: Semaphore,
    uploads: Semaphore,
    /// One: answers that are not small are read one after the other.
    large: Semaphore,
}

/// A request that brought no answer; `cut` when the connection broke before the answer was whole.
struct Trouble {
    error: Error,
    cut: bool,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as {}", self.url, self.token_id)
    }
}

impl Connection {
    pub(super) fn new(target: Target) -> Result<Self, Error> {
        crate::base::tls::install_provider();
        let unusable = |what: String| Error::Target { what };
        let authorization = authorization(&target.token_id, &target.secret)?;
        let (verifier, seen) = match &target.trust {
            Trust::System => Noting::new(system()?),
            Trust::Leaf(fingerprint) => Noting::new(ByLeaf::new(Pinned::new(fingerprint.clone()))),
            Trust::Authority(authority) => Noting::by_authority(authority).map_err(unusable)?,
        };
        let http = reqwest::Client::builder()
            .no_proxy()
            .http1_only()
            .https_only(true)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_DEADLINE)
            .pool_idle_timeout(IDLE)
            .tls_backend_preconfigured(tls(verifier)?)
            .build()
            .map_err(|e| unusable(format!("can't prepare TLS: {}", deepest(&e))))?;
        Ok(Connection {
            http,
            url: target.url,
            token_id: target.token_id,
            secret: target.secret,
            authorization,
            trust: target.trust,
            seen,
            under_way: Semaphore::new(UNDER_WAY),
            uploads: Semaphore::new(UPLOADS),
            large: Semaphore::new(1),
        })
    }

    pub(super) fn url(&self) -> &ApiUrl {
        &self.url
    }

    pub(super) fn trust(&self) -> &Trust {
        &self.trust
    }

    pub(super) fn token_id(&self) -> &str {
        &self.token_id
    }

    /// `data` of the answer to a question, asked once more when the connection was cut.
    pub(super) async fn get(&self, path: &Path, query: &[(&str, &str)]) -> Result<Value, Error> {
        let _slot = self.under_way.acquire().await.map_err(closed)?;
        let question = async {
            match self.once(self.request(Method::GET, path, query, &[])?).await {
                Err(Trouble { cut: true, .. }) => {
                    self.once(self.request(Method::GET, path, query, &[])?).await.map_err(|t| asked_again(t.error))
                }
                other => other.map_err(|t| asked_again(t.error)),
            }
        };
        within(READ_DEADLINE, &asked("GET", path, query), question).await
    }

    /// `data` of the answer to a change, sent exactly once.
    pub(super) async fn change(
        &self,
        method: Method,
        path: &Path,
        query: &[(&str, &str)],
        form: &[(&str, &str)],
    ) -> Result<Value, Error> {
        let _slot = self.under_way.acquire().await.map_err(closed)?;
        let name = asked(method.as_str(), path, query);
        let request = self.request(method, path, query, form)?;
        within(CHANGE_DEADLINE, &name, async { self.once(request).await.map_err(|t| t.error) }).await
    }

    /// A place among the uploads, and one among all requests. Waits for as long as the others take.
    pub(super) async fn upload_place(&self) -> Result<[SemaphorePermit<'_>; 2], Error> {
        let upload = self.uploads.acquire().await.map_err(closed)?;
        Ok([upload, self.under_way.acquire().await.map_err(closed)?])
    }

    /// Sends a body of known length; the caller holds a place and watches over the time.
    pub(super) async fn send_body(
        &self,
        path: &Path,
        content_type: &str,
        length: u64,
        body: reqwest::Body,
    ) -> Result<Value, Error> {
        let mut request = self.request(Method::POST, path, &[], &[])?;
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        let content_type = HeaderValue::from_str(content_type).map_err(|e| Error::Target { what: e.to_string() })?;
        request.headers_mut().insert(reqwest::header::CONTENT_TYPE, content_type);
        *request.body_mut() = Some(body);
        self.once(request).await.map_err(|t| t.error)
    }

    fn request(
        &self,
        method: Method,
        path: &Path,
        query: &[(&str, &str)],
        form: &[(&str, &str)],
    ) -> Result<Request, Error> {
        let wrong = |e: &dyn fmt::Display| Error::Target { what: format!("{}: {e}", path.shown) };
        let mut url = Url::parse(&format!("{}/api2/json{}", self.url, path.encoded)).map_err(|e| wrong(&e))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.http.request(method.clone(), url).header(AUTHORIZATION, self.authorization.clone());
        if !form.is_empty() {
            request = request.form(form);
        } else if method == Method::POST || method == Method::PUT {
            request = request.header(CONTENT_LENGTH, 0);
        }
        request.build().map_err(|e| wrong(&deepest(&e)))
    }

    async fn once(&self, request: Request) -> Result<Value, Trouble> {
        let (node, limit) = (node_of(request.url()), limit_of(&request));
        let response = match self.http.execute(request).await {
            Ok(response) => response,
            Err(e) => return Err(self.trouble(&e)),
        };
        let status = response.status();
        let reason = response
            .extensions()
            .get::<hyper::ext::ReasonPhrase>()
            .map(|r| self.hidden(&String::from_utf8_lossy(r.as_bytes())));
        let header = |name| response.headers().get(name).and_then(|v| v.to_str().ok()).map(|v| shorten(&clean(v), 80));
        let kind = header(reqwest::header::CONTENT_TYPE);
        let (server, location) = (header(reqwest::header::SERVER), header(reqwest::header::LOCATION));
        let wants_login = response.headers().contains_key(reqwest::header::WWW_AUTHENTICATE);
        let (body, _alone) = match self.whole(response, limit).await {
            Ok((bytes, alone)) => (self.hidden(&String::from_utf8_lossy(&bytes)), alone),
            // The status says what went wrong; its text may be missing.
            Err(_) if !status.is_success() => (String::new(), None),
            Err(Cut::Limit) => {
                let most = limit >> 20;
                return Err(Trouble::answer(format!(
                    "the answer is longer than {most} MiB, which is the most for this question"
                )));
            }
            Err(Cut::Broken(e)) => return Err(self.trouble(&e)),
        };
        if !status.is_success() {
            let canonical = status.canonical_reason().unwrap_or("no reason given");
            let refused = refusal(&Said {
                status: status.as_u16(),
                reason: reason.as_deref(),
                canonical,
                body: &body,
                wants_login,
                server: server.as_deref(),
                location: location.as_deref(),
            });
            return Err(behind(self.url.as_str(), node.as_deref(), refused).into());
        }
        data(&body).map_err(|e| {
            let kind = shorten(&kind.unwrap_or_else(|| "of no stated type".to_string()), 80);
            Trouble::answer(format!("the answer is not what the API sends: {e} ({} bytes, {kind})", body.len()))
        })
    }

    fn trouble(&self, e: &reqwest::Error) -> Trouble {
        let what = self.hidden(&format!("{}: {}", self.url, deepest(e)));
        let unreachable = Error::Unreachable { what: shorten(&clean(&what), 500), how: unreached(e) };
        let Some(tls) = links(e).find_map(|link| link.downcast_ref::<rustls::Error>()) else {
            return Trouble { error: unreachable, cut: links(e).any(is_cut) };
        };
        let seen = self.seen.lock().ok().and_then(|seen| seen.clone()).and_then(|der| describe(&der).ok());
        let why = match (&self.trust, &seen, tls) {
            (Trust::Leaf(pin), Some(seen), _) if seen.fingerprint != *pin => Some(Distrust::Another),
            (Trust::System | Trust::Authority(_), Some(_), rustls::Error::InvalidCertificate(_)) => {
                Some(Distrust::of(tls))
            }
            _ => None,
        };
        let error = match (why, seen) {
            (Some(why), Some(found)) => Error::Certificate { found: Box::new(found), trust: self.trust.clone(), why },
            _ => without_tls(unreachable, tls),
        };
        Trouble { error, cut: false }
    }

    /// The body, and the place of the one large answer when it is not small. Keep that until the values are made.
    async fn whole(&self, mut response: Response, limit: usize) -> Result<(Vec<u8>, Option<SemaphorePermit<'_>>), Cut> {
        let mut body = Vec::new();
        let mut alone = None;
        while let Some(chunk) = response.chunk().await.map_err(Cut::Broken)? {
            let length = body.len() + chunk.len();
            if length > limit {
                return Err(Cut::Limit);
            }
            if length > SMALL && alone.is_none() {
                // Nobody closes it.
                alone = self.large.acquire().await.ok();
            }
            body.extend_from_slice(&chunk);
        }
        Ok((body, alone))
    }

    fn hidden(&self, text: &str) -> String {
        let secret = self.secret.expose();
        if secret.is_empty() { text.to_string() } else { text.replace(secret.as_str(), "[secret]") }
    }

    /// The beginning of the answer as it may be kept and shown.
    pub(super) fn evidence(&self, data: &Value) -> String {
        clean(&self.hidden(&beginning(data)))
    }
}

impl Trouble {
    fn answer(text: String) -> Self {
        Error::Answer { text }.into()
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Trouble { error, cut: false }
    }
}

/// The node that a call is for, whichever one answers it.
fn node_of(url: &Url) -> Option<String> {
    let mut segments = url.path_segments()?.skip_while(|s| *s != "nodes");
    segments.nth(1).map(clean)
}

/// Names the node that the server could not reach for us (595), or that gave it no answer (596 to 599).
fn behind(url: &str, node: Option<&str>, error: Error) -> Error {
    match (error, node) {
        (Error::Busy { status: Some(status @ 595..=599), text }, Some(node)) => {
            let did = if status == 595 { "can't reach" } else { "got no answer from" };
            Error::Busy { status: Some(status), text: format!("{url} {did} node {node}: {text}") }
        }
        (Error::NodeCertificate { text, .. }, Some(node)) => {
            Error::NodeCertificate { node: Some(node.to_string()), text }
        }
        (error, _) => error,
    }
}

/// A question whose subject went away while it was answered is asked again, not a fault of anybody.
fn asked_again(error: Error) -> Error {
    match error {
        Error::Server { status, text, .. } if vanished_meanwhile(&text) => Error::Busy { status: Some(status), text },
        other => other,
    }
}

enum Cut {
    Limit,
    Broken(reqwest::Error),
}

/// The longest answer to a request, in bytes.
fn limit_of(request: &Request) -> usize {
    let path = request.url().path();
    let large =
        ["/cluster/resources", "/content", "/qemu", "/access/permissions", "/access/acl", "/access/users", "/tasks"];
    let is_large = request.method() == Method::GET && large.iter().any(|end| path.ends_with(end));
    if is_large { LARGE } else { ORDINARY }
}

async fn within<T>(deadline: Duration, name: &str, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late = || Error::Busy { status: None, text: format!("{name}: no answer within {} s", deadline.as_secs()) };
    tokio::time::timeout(deadline, work).await.unwrap_or_else(|_| Err(late()))
}

/// TLS 1.2 and 1.3 with this verifier, as every connection to the API is made.
pub(super) fn tls(verifier: Arc<Noting>) -> Result<rustls::ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::Target { what: format!("can't prepare TLS: {e}") })?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(config)
}

fn closed(e: tokio::sync::AcquireError) -> Error {
    Error::Target { what: e.to_string() }
}

/// The error and everything it came from. An `io::Error` hides the error it carries from `source`, so it is opened.
fn links(e: &reqwest::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(Some(e as &(dyn StdError + 'static)), |link| below(*link))
}

fn below<'a>(link: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match link.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inside) => Some(inside),
        None => link.source(),
    }
}

fn deepest(e: &reqwest::Error) -> String {
    let text = links(e).last().map(ToString::to_string).unwrap_or_default();
    without_manual(&text).to_string()
}

/// A name that can't be looked up has no type of its own on the way up; hyper-util calls the step by its name.
fn unreached(e: &reqwest::Error) -> Unreached {
    use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    let io_kind = |kinds: &[io::ErrorKind]| {
        links(e).any(|link| link.downcast_ref::<io::Error>().is_some_and(|io| kinds.contains(&io.kind())))
    };
    if links(e).any(|link| link.to_string().starts_with("dns error")) {
        Unreached::Name
    } else if e.is_connect() && io_kind(&[ConnectionRefused, HostUnreachable, NetworkUnreachable]) {
        Unreached::NoConnection
    } else if e.is_connect() && links(e).any(is_cut) {
        Unreached::ClosedAtOnce
    } else if links(e).any(is_cut) {
        Unreached::Cut
    } else {
        Unreached::Other
    }
}

fn is_cut(link: &(dyn StdError + 'static)) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    link.downcast_ref::<hyper::Error>().is_some_and(|e| e.is_incomplete_message() || e.is_closed())
        || link
            .downcast_ref::<io::Error>()
            .is_some_and(|e| matches!(e.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof))
}

#[cfg(test)]
mod tests;
