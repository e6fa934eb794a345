//! Asking a release server: redirects are followed here, never from https to http.
use crate::base::text::quoted;
use crate::engine::failure::Failure;
use crate::plan::model::Plan;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderValue, LAST_MODIFIED, LOCATION};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use std::error::Error as _;
use std::time::Duration;

/// From the request to the head of the answer, on the wall.
const DEADLINE: Duration = Duration::from_secs(30);
const REDIRECTS: usize = 5;

/// The way to servers outside of the site.
#[derive(Debug, Clone)]
pub struct Web {
    client: Client,
    /// URL of the proxy that the client goes through, but for its exceptions.
    proxy: Option<String>,
}

impl Web {
    /// `client` follows no redirects, and goes through `proxy` by itself where there is one.
    pub fn new(client: Client, proxy: Option<String>) -> Web {
        Web { client, proxy }
    }

    /// A GET that is not followed when it is redirected; its errors are the caller's.
    pub fn get(&self, url: impl reqwest::IntoUrl) -> RequestBuilder {
        self.client.get(url)
    }

    /// `None` without one.
    pub fn proxy(&self) -> Option<&str> {
        self.proxy.as_deref()
    }

    /// The failure for an answer without success. Release servers answer 403 as well as 429 to clients that ask too often.
    fn refusal(&self, method: &Method, url: &str, status: StatusCode) -> Failure {
        let what = format!("the server answers {status}");
        match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => self.unreachable(method, url, &what),
            _ if status.is_server_error() => self.unreachable(method, url, &what),
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => Failure::person(
                format!("{method} {url}: the proxy wants a login ({status})"),
                "let this site's networks through the proxy without one: cozyup and the nodes give no login to it",
            ),
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => Failure::person(
                format!("{method} {url}: {what}"),
                "it limits requests, or wants a login that cozyup has not: wait, or name a mirror in the plan; the step \
                 goes on by itself when it is let in",
            ),
            _ => Failure::person(format!("{method} {url}: {what}"), "correct the URL in the plan"),
        }
    }

    fn unreachable(&self, method: &Method, url: &str, why: &str) -> Failure {
        let by = self.proxy.as_ref().map(|proxy| format!(" (by the proxy {proxy})")).unwrap_or_default();
        let next = way_out(self.proxy.is_some(), |name| std::env::var_os(name).is_some());
        Failure::retryable(format!("{method} {url}{by}: {why}"), next)
    }
}

/// The command by which a person asks for `url` as cozyup does, with these flags of curl.
pub fn curl(plan: &Plan, flags: &str, url: &str) -> String {
    let by = plan.network.proxy.as_ref().map(|proxy| format!(" -x {}", quoted(proxy))).unwrap_or_default();
    format!("curl {flags}{by} {}", quoted(url))
}

/// The successful answer; its body is not read yet.
///
/// # Errors
/// When the server can't be reached (retryable) or answers with no success.
pub async fn ask(web: &Web, method: Method, url: &str) -> Result<Response, Failure> {
    let wrong = |what: String| Failure::person(format!("{method} {url}: {what}"), "correct the URL in the plan");
    let mut next = Url::parse(url).map_err(|e| wrong(e.to_string()))?;
    for _ in 0..=REDIRECTS {
        let asked = web.client.request(method.clone(), next.clone()).send();
        let response = match tokio::time::timeout(DEADLINE, asked).await {
            Ok(Ok(response)) => response,
            Ok(Err(e)) => return Err(web.unreachable(&method, url, &cause(&e))),
            Err(_) => return Err(web.unreachable(&method, url, &format!("no answer within {} s", DEADLINE.as_secs()))),
        };
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        if !status.is_redirection() {
            return Err(web.refusal(&method, url, status));
        }
        let to = response.headers().get(LOCATION).and_then(|l| l.to_str().ok());
        let to = to.and_then(|l| next.join(l).ok()).ok_or_else(|| wrong(format!("{status} leads nowhere")))?;
        if next.scheme() == "https" && to.scheme() != "https" {
            return Err(wrong(format!("{status} leads from https to {}", to.scheme())));
        }
        next = to;
    }
    Err(wrong(format!("more than {REDIRECTS} redirects")))
}

/// The variables by which other programs of this machine find their proxy.
const VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// A proxy that other programs of this machine go through is not used: who expects it has to be told.
fn way_out(by_proxy: bool, is_set: impl Fn(&str) -> bool) -> String {
    if by_proxy {
        return "check network.proxy of the plan (a server that is reached without it belongs into network.no_proxy), and that \
                the proxy lets this machine through to that server; cozyup tries again"
            .to_string();
    }
    let unused = VARIABLES.into_iter().find(|name| is_set(name));
    let unused = unused.map(|name| format!("{name} is set here, and cozyup goes by network.proxy of the plan alone: "));
    let unused = unused.unwrap_or_default();
    format!("{unused}check the jump host's way out, or name a mirror that it reaches in the plan; cozyup tries again")
}

/// # Errors
/// When the answer is a web page, as a login or a proxy shows it: a success, and no file. `key` is the plan's for the URL.
pub fn no_page(response: &Response, url: &str, key: &str) -> Result<(), Failure> {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("text/html") {
        return Ok(());
    }
    Err(Failure::person(
        format!("{url} answers with a web page and not with a file"),
        format!("look at it (curl -sIL {}); correct {key} in the plan, or name a mirror", quoted(url)),
    ))
}

/// The length in the header; the client's own figure is that of the body, which a HEAD has not.
pub fn length(response: &Response) -> Option<u64> {
    response.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A state of a file as a server tells it from the next: ETag and Last-Modified.
pub type Version = [Option<HeaderValue>; 2];

/// `None` when the server tells none of it.
pub fn version(response: &Response) -> Option<Version> {
    let version = [ETAG, LAST_MODIFIED].map(|name| response.headers().get(name).cloned());
    version.iter().any(Option::is_some).then_some(version)
}

/// The deepest cause, without the URL: a redirected one may carry a signature.
pub fn cause(e: &reqwest::Error) -> String {
    let mut source = e.source();
    let mut text = if source.is_none() { "no answer".to_string() } else { String::new() };
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// harm.md, "header floods"
    #[tokio::test]
    async fn a_server_whose_head_never_ends_is_given_up() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        crate::base::tls::install_provider();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/t", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0, "no question");
            let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
            while sent.is_ok() {
                sent = stream.write_all(&b"X-A: bbbbbbbbb\r\n".repeat(4096)).await;
            }
        });
        let web = Web::new(Client::builder().no_proxy().build().unwrap(), None);
        let failure = ask(&web, Method::GET, &url).await.unwrap_err();
        assert!(failure.what.contains("head is too large"), "{failure}");
        serving.await.unwrap();
    }

    /// reports.md B27
    #[test]
    fn a_proxy_that_is_set_and_not_used_is_named() {
        assert!(way_out(false, |name| name == "HTTPS_PROXY").starts_with("HTTPS_PROXY is set here"));
        assert!(way_out(false, |name| name == "all_proxy").starts_with("all_proxy is set here"));
        assert!(way_out(false, |_| false).starts_with("check the jump host's way out"));
        assert!(way_out(true, |_| true).starts_with("check network.proxy of the plan"));
    }
}
