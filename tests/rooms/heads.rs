//! Servers whose answer has a head without an end: they are given up while it comes, before much of it is in memory.
use cozyup::base::secret::Secret;
use cozyup::base::tls::Fingerprint;
use cozyup::base::trust::Trust;
use cozyup::proxmox::{self, Target};
use cozyup::{kubernetes, proxmox::Error};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// What the socket and both ends keep in their buffers counts too.
const MOST: usize = 16 << 20;

struct Flood {
    url: String,
    leaf: Fingerprint,
    authority: String,
    sent: Arc<AtomicUsize>,
}

/// Answers with `first`, and then with `again` until the client hangs up.
async fn flood(first: &'static str, again: &'static str) -> Flood {
    cozyup::base::tls::install_provider();
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = ca.self_signed(&ca_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_string()]).unwrap();
    let leaf = leaf.signed_by(&key, &Issuer::from_params(&ca, &ca_key)).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let sent = Arc::<AtomicUsize>::default();
    let counted = sent.clone();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (acceptor, counted) = (acceptor.clone(), counted.clone());
            tokio::spawn(async move {
                let Ok(mut tls) = acceptor.accept(tcp).await else { return };
                if tls.read(&mut [0; 8192]).await.is_err() || tls.write_all(first.as_bytes()).await.is_err() {
                    return;
                }
                let piece = again.repeat((64 << 10) / again.len());
                while tls.write_all(piece.as_bytes()).await.is_ok() {
                    // A client that reads for ever ends the test, not the machine.
                    if counted.fetch_add(piece.len(), Ordering::SeqCst) > 8 * MOST {
                        return;
                    }
                }
            });
        }
    });
    Flood { url, leaf: Fingerprint::of(leaf.der()), authority, sent }
}

const FLOODS: [(&str, &str); 5] = [
    ("HTTP/1.1 200 OK\r\n", "X-A: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n"),
    ("HTTP/1.1 200 OK\r\nX-A: ", "b"),
    ("HTTP/1.1 500 ", "b"),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;", "b"),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", "X-A: bbbbbbbbbbbbbbbbbb\r\n"),
];

/// harm.md, "header floods"
#[tokio::test]
async fn proxmox_with_a_head_without_an_end_is_given_up() {
    for (first, again) in FLOODS {
        let server = flood(first, again).await;
        let (reader, _) = proxmox::connect(Target {
            url: server.url.parse().unwrap(),
            token_id: "a@pve!t".into(),
            secret: Secret::new("0b1d5ec7-1111-2222-3333-444455556666".into()),
            trust: Trust::Leaf(server.leaf.clone()),
        })
        .unwrap();
        let error = reader.version().await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. } | Error::Answer { .. }), "{first:?}: {error:?}");
        let sent = server.sent.load(Ordering::SeqCst);
        assert!(sent < MOST, "{first:?}: {sent} bytes were taken");
    }
}

/// harm.md, "header floods", of Kubernetes.
#[tokio::test]
async fn kubernetes_with_a_head_without_an_end_is_given_up() {
    for (first, again) in FLOODS {
        let server = flood(first, again).await;
        let config = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "k", "cluster": {"server": server.url,
                "certificate-authority-data": base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &server.authority)}}],
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
            "users": [{"name": "u", "user": {"token": "hush"}}],
        });
        let (reader, _) = kubernetes::connect(&Secret::new(config.to_string()), None).unwrap();
        let error = reader.version().await.unwrap_err();
        let sent = server.sent.load(Ordering::SeqCst);
        assert!(sent < MOST, "{first:?}: {sent} bytes were taken ({error})");
    }
}
