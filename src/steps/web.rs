//! Asking a release server: redirects are followed here, never from https to http.
use crate::base::text::quoted;
use crate::engine::failure::Failure;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderValue, LAST_MODIFIED, LOCATION};
use reqwest::{Client, Method, Response, StatusCode, Url};
use std::error::Error as _;
use std::time::Duration;

/// From the request to the head of the answer, on the wall.
const DEADLINE: Duration = Duration::from_secs(30);
const REDIRECTS: usize = 5;

/// The successful answer; its body is not read yet.
///
/// # Errors
/// When the server can't be reached (retryable) or answers with no success.
pub async fn ask(http: &Client, method: Method, url: &str) -> Result<Response, Failure> {
    let wrong = |what: String| Failure::person(format!("{method} {url}: {what}"), "correct the URL in the plan");
    let mut next = Url::parse(url).map_err(|e| wrong(e.to_string()))?;
    for _ in 0..=REDIRECTS {
        let asked = http.request(method.clone(), next.clone()).send();
        let response = match tokio::time::timeout(DEADLINE, asked).await {
            Ok(Ok(response)) => response,
            Ok(Err(e)) => return Err(unreachable(&method, url, &cause(&e))),
            Err(_) => return Err(unreachable(&method, url, &format!("no answer within {} s", DEADLINE.as_secs()))),
        };
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        if !status.is_redirection() {
            return Err(refusal(&method, url, status));
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

/// The failure for an answer without success. Release servers answer 403 as well as 429 to clients that ask too often.
fn refusal(method: &Method, url: &str, status: StatusCode) -> Failure {
    let what = format!("the server answers {status}");
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => unreachable(method, url, &what),
        _ if status.is_server_error() => unreachable(method, url, &what),
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => Failure::person(
            format!("{method} {url}: {what}"),
            "it limits requests, or wants a login that cozyup has not: wait, or name a mirror in the plan; the step goes \
             on by itself when it is let in",
        ),
        _ => Failure::person(format!("{method} {url}: {what}"), "correct the URL in the plan"),
    }
}

fn unreachable(method: &Method, url: &str, why: &str) -> Failure {
    Failure::retryable(format!("{method} {url}: {why}"), way_out(|name| std::env::var_os(name).is_some()))
}

/// A proxy that other programs of this machine go through is not used: who expects it has to be told.
fn way_out(is_set: impl Fn(&str) -> bool) -> String {
    let proxy = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"].into_iter().find(|name| is_set(name));
    let unused =
        proxy.map(|name| format!("{name} is set here, and cozyup goes through no proxy: ")).unwrap_or_default();
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
        let http = Client::builder().no_proxy().build().unwrap();
        let failure = ask(&http, Method::GET, &url).await.unwrap_err();
        assert!(failure.what.contains("head is too large"), "{failure}");
        serving.await.unwrap();
    }

    /// reports.md B27
    #[test]
    fn a_proxy_that_is_set_and_not_used_is_named() {
        assert!(way_out(|name| name == "HTTPS_PROXY").starts_with("HTTPS_PROXY is set here"));
        assert!(way_out(|name| name == "all_proxy").starts_with("all_proxy is set here"));
        assert!(way_out(|_| false).starts_with("check the jump host's way out"));
    }
}
