//! An API server that answers as a test tells it, for what no honest cluster does.
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json as value};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

/// Status and body for a path with its query; with status 0 the connection ends in the middle of the body.
type Answers = dyn Fn(&str) -> (u16, Vec<u8>) + Send + Sync;

/// An API server that answers as it is told, on a socket of its own until the test ends.
pub struct Server {
    dir: tempfile::TempDir,
}

impl Server {
    pub fn start(answers: impl Fn(&str) -> (u16, Vec<u8>) + Send + Sync + 'static) -> Server {
        let (tls, ca) = identity();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let at = listener.local_addr().unwrap();
        std::fs::write(dir.path().join("kubeconfig"), kubeconfig(&format!("https://{at}"), &ca, "token: t")).unwrap();
        let answers: Arc<Answers> = Arc::new(answers);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (tls, answers) = (tls.clone(), answers.clone());
                std::thread::spawn(move || serve(stream, tls, &*answers));
            }
        });
        Server { dir }
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.path().join("kubeconfig")
    }
}

pub fn kubeconfig(server: &str, ca: &str, user: &str) -> String {
    let ca = STANDARD.encode(ca);
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: '{server}', certificate-authority-data: {ca}}}}}]\n\
         contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\nusers: [{{name: u, user: {{{user}}}}}]\n"
    )
}

pub fn identity() -> (Arc<rustls::ServerConfig>, String) {
    cozyup::base::tls::install_provider();
    let ca_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&ca_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_string()]).unwrap();
    let leaf = leaf.signed_by(&key, &Issuer::new(params, ca_key)).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![leaf.der().clone()], key);
    (Arc::new(config.unwrap()), ca)
}

/// One connection; whoever hangs up in the middle of an answer has seen enough.
fn serve(mut stream: TcpStream, tls: Arc<rustls::ServerConfig>, answers: &Answers) {
    let mut session = rustls::ServerConnection::new(tls).unwrap();
    let mut tls = rustls::Stream::new(&mut session, &mut stream);
    let mut read = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        while !read.windows(4).any(|w| w == b"\r\n\r\n") {
            match tls.read(&mut chunk) {
                Ok(n) if n > 0 => read.extend_from_slice(&chunk[..n]),
                _ => return,
            }
        }
        let head = String::from_utf8_lossy(&read).to_string();
        read.clear();
        let (code, body) = answers(head.split(' ').nth(1).unwrap_or_default());
        if code == 0 {
            // The connection is lost; whoever asked has a part of the answer.
            let _ = tls.write_all(b"HTTP/1.1 200 x\r\nContent-Type: application/json\r\nContent-Length: 99999\r\n\r\n");
            let _ = tls.write_all(&body);
            return;
        }
        let head =
            format!("HTTP/1.1 {code} x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        if tls.write_all(head.as_bytes()).and_then(|()| tls.write_all(&body)).is_err() {
            return;
        }
    }
}

pub fn ok(body: Value) -> (u16, Vec<u8>) {
    (200, body.to_string().into_bytes())
}

pub fn status(code: u16, message: &str) -> (u16, Vec<u8>) {
    let body = value!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": "x", "code": code});
    (code, body.to_string().into_bytes())
}
