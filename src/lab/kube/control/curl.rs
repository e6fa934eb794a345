//! `curl` in the lab's containers: a request to a real socket, made by the lab for the pod.
//!
//! It knows `--config FILE` with `url` and `header`, `--cacert`, `--insecure`, `--output`, `--write-out` with
//! `%{exitcode}` and `%{http_code}`, `--fail`, `--max-time` (a request that nobody answers lasts as long; a real socket has ten
//! seconds on the wall), `--noproxy`,
//! `--silent`, `--show-error` and a URL; its exit statuses are curl's.
use super::shell::Machine;
use cozyup_base::text::clean;
use cozyup_base::tls::{ByLeaf, Judge};
use reqwest::Url;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// On the wall: the server is on this machine.
const DEADLINE: Duration = Duration::from_secs(10);
/// Exit statuses of curl.
const COULD_NOT_CONNECT: i32 = 7;
const HTTP_ERROR: i32 = 22;
pub const TIMED_OUT: i32 = 28;
const NOT_VERIFIED: i32 = 60;
const NO_ANSWER: i32 = 52;
const WRONG_URL: i32 = 3;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    pub url: String,
    pub headers: Vec<String>,
    /// PEM of `--cacert`.
    pub authority: Option<String>,
    pub insecure: bool,
}

/// Status and body, or exit status and words.
pub type Answer = Result<(u16, String), (i32, String)>;
pub type Answers = BTreeMap<Request, Answer>;

#[derive(Default)]
pub struct Asked {
    /// Errors.
    pub lines: Vec<String>,
    /// Standard output.
    pub out: Vec<String>,
    pub code: i32,
    /// Time that passed for nothing.
    pub lasted: Duration,
}

pub fn run(arguments: &[&str], machine: &mut Machine<'_>) -> Asked {
    let mut request = Request { url: String::new(), headers: Vec::new(), authority: None, insecure: false };
    let (mut fail, mut output, mut format, mut most) = (false, None, String::new(), 0.0);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().map(ToString::to_string).unwrap_or_default();
        match *argument {
            "--config" => configured(&machine.read(&value()).unwrap_or_default(), &mut request),
            "--cacert" => request.authority = Some(machine.read(&value()).unwrap_or_default()),
            "--insecure" => request.insecure = true,
            "--output" => output = Some(value()),
            "--write-out" => format = value(),
            "--max-time" => most = value().parse().unwrap_or_default(),
            "--noproxy" => drop(value()),
            "--fail" => fail = true,
            other if other.starts_with("--") => {}
            url => request.url = url.to_string(),
        }
    }
    let Some(answer) = machine.answers.get(&request) else {
        machine.wanted = Some(request);
        return Asked::default();
    };
    let mut asked = Asked::default();
    let status = match answer {
        Ok((status, body)) => {
            if fail && *status >= 400 {
                asked.code = HTTP_ERROR;
                asked.lines.push(format!("curl: (22) The requested URL returned error: {status}"));
            } else if let Some(path) = output {
                machine.write(&path, body.clone());
            } else {
                asked.out.extend(body.lines().map(str::to_string));
            }
            *status
        }
        Err((code, words)) => {
            asked.code = *code;
            if *code == TIMED_OUT {
                asked.lasted = Duration::try_from_secs_f64(most).unwrap_or_default();
            }
            asked.lines.push(format!("curl: ({code}) {words}"));
            0
        }
    };
    let told = format.replace("%{exitcode}", &asked.code.to_string()).replace("%{http_code}", &format!("{status:03}"));
    asked.out.extend(told.replace("\\n", "\n").lines().map(str::to_string));
    asked
}

/// A file of options, one a line: `url = "…"`, `header = "…"`.
fn configured(text: &str, request: &mut Request) {
    for line in text.lines() {
        let Some((key, value)) = line.split_once('=') else { continue };
        let value = value.trim().trim_matches('"').to_string();
        match key.trim() {
            "url" => request.url = value,
            "header" => request.headers.push(value),
            _ => {}
        }
    }
}

/// Asks, as a pod would: with no authorities but those it was given.
pub async fn ask(request: &Request) -> Answer {
    tokio::time::timeout(DEADLINE, asked(request))
        .await
        .unwrap_or_else(|_| Err((TIMED_OUT, format!("Operation timed out after {} seconds", DEADLINE.as_secs()))))
}

async fn asked(request: &Request) -> Answer {
    let url = Url::parse(&request.url).map_err(|e| (WRONG_URL, format!("URL malformed: {e}")))?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_string();
    let port = url.port_or_known_default().unwrap_or(443);
    if let Err(e) = TcpStream::connect((host.as_str(), port)).await {
        return Err((COULD_NOT_CONNECT, format!("Failed to connect to {host} port {port}: {}", clean(&e.to_string()))));
    }
    let client = client(request, &host).ok_or((NO_ANSWER, "no TLS".to_string()))?;
    let mut question = client.get(url);
    for header in &request.headers {
        if let Some((name, value)) = header.split_once(':') {
            question = question.header(name.trim(), value.trim());
        }
    }
    match question.send().await {
        Ok(response) => {
            let status = response.status().as_u16();
            Ok((status, response.text().await.unwrap_or_default()))
        }
        // A moment ago there was a server.
        Err(e) if e.is_connect() => {
            Err((NOT_VERIFIED, "SSL certificate problem: unable to verify the certificate".into()))
        }
        Err(_) => Err((NO_ANSWER, "Empty reply from server".into())),
    }
}

fn client(request: &Request, host: &str) -> Option<reqwest::Client> {
    cozyup_base::tls::install_provider();
    let judge = Given { authority: request.authority.clone(), insecure: request.insecure, host: host.to_string() };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .dangerous()
        .with_custom_certificate_verifier(ByLeaf::new(judge))
        .with_no_client_auth();
    reqwest::Client::builder().no_proxy().http1_only().tls_backend_preconfigured(tls).build().ok()
}

/// Takes a server that the given authorities vouch for, or that shows one of the given certificates itself.
#[derive(Debug)]
struct Given {
    authority: Option<String>,
    insecure: bool,
    host: String,
}

impl Judge for Given {
    fn judge(&self, leaf: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        let unknown = || rustls::Error::General("unknown authority".to_string());
        if self.insecure {
            return Ok(());
        }
        let pem = self.authority.as_deref().unwrap_or_default();
        let given: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(pem.as_bytes()).flatten().collect();
        if given.iter().any(|one| one == leaf) {
            return Ok(());
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(given);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let name = ServerName::try_from(self.host.clone()).map_err(|_| unknown())?;
        verifier.map_err(|_| unknown())?.verify_server_cert(leaf, &[], &name, &[], UnixTime::now()).map(drop)
    }
}
