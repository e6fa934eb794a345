//! A small API server for tests: real TLS with its own authority, client certificates required, replies by script.
use crate::base::secret::Secret;
use crate::base::tls::install_provider;
use base64::Engine;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

pub(super) enum Reply {
    Json(u16, Value),
    Text(u16, &'static str),
    /// Events of a watch; the answer then ends.
    Events(Vec<Value>),
    /// Events of a watch that stays open.
    OpenEvents(Vec<Value>),
    /// The beginning, and then the same again and again until the client hangs up.
    Endless(u16, &'static str, &'static str),
}

/// An answer that says what went wrong, as the API server words it.
pub(super) fn status(code: u16, reason: &str, message: &str) -> Reply {
    Reply::Json(code, status_object(code, reason, message))
}

pub(super) fn status_object(code: u16, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code})
}

#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// `GET /path?query`
    pub line: String,
    pub content_type: String,
    pub body: String,
}

pub(super) struct Server {
    pub url: String,
    pub kubeconfig: Secret<String>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

struct Identity {
    certificate: String,
    key: String,
}

struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Authority { certificate, issuer: Issuer::new(params, key) }
    }

    fn issue(&self, purpose: ExtendedKeyUsagePurpose) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_string()]).unwrap();
        params.extended_key_usages = vec![purpose];
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }
}

fn kubeconfig(url: &str, authority: &str, client: &Identity) -> Secret<String> {
    let encoded = |pem: &str| base64::engine::general_purpose::STANDARD.encode(pem);
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "admin@site",
        "clusters": [{"name": "site", "cluster": {"server": url, "certificate-authority-data": encoded(authority)}}],
        "contexts": [{"name": "admin@site", "context": {"cluster": "site", "user": "admin"}}],
        "users": [{"name": "admin", "user": {
            "client-certificate-data": encoded(&client.certificate), "client-key-data": encoded(&client.key)}}],
    });
    Secret::new(config.to_string())
}

/// A kubeconfig of another cluster that names this one's address.
pub(super) fn strange_kubeconfig(url: &str) -> Secret<String> {
    let authority = Authority::new();
    let (certificate, key) = authority.issue(ExtendedKeyUsagePurpose::ClientAuth);
    let client = Identity { certificate: certificate.pem(), key: key.serialize_pem() };
    kubeconfig(url, &authority.certificate.pem(), &client)
}

impl Server {
    /// Answers each request with the next reply of the script, and 500 when it is over.
    pub async fn start(script: Vec<Reply>) -> Server {
        install_provider();
        let authority = Authority::new();
        let (certificate, key) = authority.issue(ExtendedKeyUsagePurpose::ServerAuth);
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let tls = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let (certificate, key) = authority.issue(ExtendedKeyUsagePurpose::ClientAuth);
        let client = Identity { certificate: certificate.pem(), key: key.serialize_pem() };
        let kubeconfig = kubeconfig(&url, &authority.certificate.pem(), &client);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(Mutex::new(VecDeque::from(script)));
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let seen = asked.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, seen, script) = (acceptor.clone(), seen.clone(), script.clone());
                tokio::spawn(async move {
                    // A client that distrusts the server ends the handshake; that is its test, not ours.
                    if let Ok(stream) = acceptor.accept(socket).await {
                        serve(stream, &seen, &script).await;
                    }
                });
            }
        });
        Server { url, kubeconfig, asked }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|a| a.line).collect()
    }
}

async fn serve(
    stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>,
    seen: &Mutex<Vec<Asked>>,
    script: &Mutex<VecDeque<Reply>>,
) {
    let mut stream = BufReader::new(stream);
    while let Some(asked) = read_request(&mut stream).await {
        seen.lock().unwrap().push(asked);
        let reply = script.lock().unwrap().pop_front();
        let reply = reply.unwrap_or_else(|| status(500, "InternalError", "the script is over"));
        let (code, kind, text) = match reply {
            Reply::Json(code, value) => (code, "application/json", value.to_string()),
            Reply::Text(code, text) => (code, "text/plain", text.to_string()),
            Reply::Events(events) => {
                send_events(&mut stream, &events).await;
                stream.write_all(b"0\r\n\r\n").await.unwrap();
                stream.flush().await.unwrap();
                continue;
            }
            Reply::Endless(code, first, again) => return send_endless(&mut stream, code, first, again).await,
            Reply::OpenEvents(events) => {
                send_events(&mut stream, &events).await;
                // Ends when the client hangs up.
                let _ = stream.read_u8().await;
                return;
            }
        };
        let head = format!("HTTP/1.1 {code} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n", text.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
    }
}

async fn send_endless(
    stream: &mut BufReader<tokio_rustls::server::TlsStream<tokio::net::TcpStream>>,
    code: u16,
    first: &str,
    again: &str,
) {
    let head = format!("HTTP/1.1 {code} X\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{first}");
    let again = again.repeat((1 << 16) / again.len());
    let mut sent = stream.write_all(head.as_bytes()).await;
    while sent.is_ok() {
        sent = stream.write_all(again.as_bytes()).await;
    }
}

async fn send_events(stream: &mut BufReader<tokio_rustls::server::TlsStream<tokio::net::TcpStream>>, events: &[Value]) {
    let mut out =
        String::from("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n");
    for event in events {
        let line = format!("{event}\n");
        out.push_str(&format!("{:x}\r\n{line}\r\n", line.len()));
    }
    stream.write_all(out.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
}

async fn read_request<S: tokio::io::AsyncRead + Unpin>(stream: &mut BufReader<S>) -> Option<Asked> {
    let mut first = String::new();
    stream.read_line(&mut first).await.ok().filter(|n| *n > 0)?;
    let (mut length, mut content_type) = (0, String::new());
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        match name.to_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap(),
            "content-type" => content_type = value.trim().to_string(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let line = first.trim().trim_end_matches(" HTTP/1.1").to_string();
    Some(Asked { line, content_type, body: String::from_utf8(body).unwrap() })
}
