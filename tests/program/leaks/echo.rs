//! A server before the lab's Proxmox VE that says back what it must not: the caller's credentials in refusals, status lines,
//! headers, contents and logs, amid everything that could upset a terminal.
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, Response, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cozyup::base::tls::Fingerprint;
use hyper::ext::ReasonPhrase;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::server::TlsStream;

/// Stands in every text that the server makes up.
pub const MARK: &str = "SAID-BACK";
const LARGE: usize = 64 << 20;
const MEGABYTE: usize = 1 << 20;
/// So many answers carry a line of a megabyte.
const LONG_ONES: u32 = 6;

pub struct Echo {
    pub url: String,
    pub fingerprint: String,
}

#[derive(Clone)]
struct Behind {
    url: String,
    client: reqwest::Client,
    hits: Arc<Mutex<HashMap<String, u32>>>,
    long: Arc<AtomicU32>,
}

struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            if let Ok((stream, from)) = self.listener.accept().await
                && let Ok(stream) = self.acceptor.accept(stream).await
            {
                return (stream, from);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// Serves until the runtime ends.
pub async fn before(url: &str) -> Echo {
    cozyup::base::tls::install_provider();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_string()]).unwrap().self_signed(&key).unwrap();
    let fingerprint = Fingerprint::of(certificate.der()).to_string();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let chain = vec![CertificateDer::from(certificate.der().to_vec())];
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url_here = format!("https://{}", listener.local_addr().unwrap());
    let client = reqwest::Client::builder().danger_accept_invalid_certs(true).no_proxy().build().unwrap();
    let behind = Behind { url: url.to_string(), client, hits: Arc::default(), long: Arc::default() };
    let router = Router::new().fallback(answer).with_state(behind);
    let tls = Tls { listener, acceptor: TlsAcceptor::from(Arc::new(config)) };
    tokio::spawn(async move { axum::serve(tls, router).await });
    Echo { url: url_here, fingerprint }
}

/// The caller's secret, plain and encoded, in the middle of what a terminal would obey.
fn said_back(authorization: &str) -> String {
    let secret = authorization.rsplit('=').next().unwrap_or_default();
    let encoded = STANDARD.encode(format!("user:{secret}"));
    format!(
        "\u{1b}[2J\u{1b}]52;c;ZXZpbA==\u{7}\u{9b}31m\u{202e}\u{2066}\u{200b}\u{e0041}\0\r\n{MARK} {authorization} Basic {encoded} \
         {secret}\u{1b}]8;;https://evil\u{1b}\\"
    )
}

async fn answer(State(behind): State<Behind>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, LARGE).await.unwrap_or_default();
    let authorization = head.headers.get("authorization").and_then(|v| v.to_str().ok()).unwrap_or_default().to_string();
    let echo = said_back(&authorization);
    let target = head.uri.path_and_query().map_or("/", |p| p.as_str()).to_string();
    let long =
        || if behind.long.fetch_add(1, Ordering::Relaxed) < LONG_ONES { "x".repeat(MEGABYTE) } else { String::new() };
    let is_question = head.method == Method::GET;
    let hit = {
        let mut hits = behind.hits.lock().unwrap();
        let hit = hits.entry(format!("{} {}", head.method, head.uri.path())).or_insert(0);
        *hit += 1;
        *hit
    };
    if is_question && hit == 1 {
        return refusal(&authorization, &format!("{echo}{}", long()));
    }
    if is_question && hit == 2 && head.uri.path().ends_with("/version") {
        let kind = HeaderValue::from_str(&format!("text/html; said=\"{authorization}\"")).unwrap();
        return Response::builder().header("content-type", kind).body(Body::from(format!("<html>{echo}"))).unwrap();
    }
    let mut passed = behind.client.request(head.method, format!("{}{target}", behind.url)).body(body);
    for name in ["authorization", "content-type"] {
        if let Some(value) = head.headers.get(name) {
            passed = passed.header(name, value);
        }
    }
    let Ok(answered) = passed.send().await else { return refusal(&authorization, &echo) };
    let mut response = Response::builder().status(answered.status()).header("x-said-back", authorization.as_str());
    if let Some(kind) = answered.headers().get("content-type") {
        response = response.header("content-type", kind);
    }
    if let Some(reason) = answered.extensions().get::<ReasonPhrase>() {
        response = response.extension(reason.clone());
    }
    let bytes = answered.bytes().await.unwrap_or_default();
    let bytes = match serde_json::from_slice::<Value>(&bytes) {
        Ok(mut json) if is_question && !target.contains("/permissions") => {
            if let Some(data) = json.get_mut("data") {
                disturb(data, &echo, &long);
            }
            serde_json::to_vec(&json).unwrap()
        }
        Ok(_) | Err(_) => bytes.to_vec(),
    };
    response.body(Body::from(bytes)).unwrap()
}

/// In body and status line; Proxmox VE does either.
fn refusal(authorization: &str, echo: &str) -> Response<Body> {
    let reason = ReasonPhrase::try_from(format!("{MARK} \u{9b}1m {authorization}").into_bytes()).unwrap();
    let body = json!({"data": null, "message": echo}).to_string();
    let mut response = Response::builder().status(StatusCode::INTERNAL_SERVER_ERROR).body(Body::from(body)).unwrap();
    response.extensions_mut().insert(reason);
    response
}

/// A further field in every object, and more words where people write freely.
fn disturb(data: &mut Value, echo: &str, long: &impl Fn() -> String) {
    match data {
        Value::Array(rows) => rows.iter_mut().for_each(|row| disturb(row, echo, long)),
        Value::Object(fields) => {
            for name in ["description", "comment", "t"] {
                if let Some(Value::String(text)) = fields.get_mut(name) {
                    text.push_str(&format!(" {echo}"));
                }
            }
            if fields.contains_key("t") && fields.get("n").is_some_and(|n| n == 1) {
                fields.insert("t".into(), format!("{echo} {}", long()).into());
            }
            fields.insert("zz-note".into(), echo.into());
            fields.insert("password".into(), "a password that is nobody's business".into());
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
