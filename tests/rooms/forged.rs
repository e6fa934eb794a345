//! Servers that show the very certificate that is trusted, without its key: whoever was shown one can show it again.
use cozyup::base::secret::Secret;
use cozyup::base::tls::Fingerprint;
use cozyup::base::trust::{Authority, Trust};
use cozyup::proxmox::{Target, connect};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::sync::{Arc, Mutex};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl ResolvesServerCert for Shows {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// A server with this certificate, which signs with `key`; its URL, and what came to it.
async fn server(leaf: CertificateDer<'static>, key: &KeyPair) -> (String, Arc<Mutex<Vec<u8>>>) {
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let signs = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
    let shows = Arc::new(Shows(Arc::new(CertifiedKey::new(vec![leaf], signs))));
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_cert_resolver(shows);
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let heard = Arc::<Mutex<Vec<u8>>>::default();
    let kept = heard.clone();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (acceptor, kept) = (acceptor.clone(), kept.clone());
            tokio::spawn(async move {
                let Ok(mut tls) = acceptor.accept(tcp).await else { return };
                let mut bytes = [0; 8192];
                if let Ok(length) = tls.read(&mut bytes).await {
                    kept.lock().unwrap().extend(&bytes[..length]);
                }
            });
        }
    });
    (url, heard)
}

/// harm.md, "not tried": a forged certificate with another key.
#[tokio::test]
async fn the_trusted_certificate_without_its_key_gets_nothing() {
    cozyup::base::tls::install_provider();
    let (ca_key, key, other) =
        (KeyPair::generate().unwrap(), KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = Authority::of_pem(&ca.self_signed(&ca_key).unwrap().pem()).unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_string()]).unwrap();
    let leaf = leaf.signed_by(&key, &Issuer::from_params(&ca, &ca_key)).unwrap();
    let leaf = leaf.der().clone();
    for (signs, is_genuine) in [(&key, true), (&other, false)] {
        for trust in [Trust::Leaf(Fingerprint::of(&leaf)), Trust::Authority(authority.clone())] {
            let (url, heard) = server(leaf.clone(), signs).await;
            let secret = Secret::new("0b1d5ec7-1111-2222-3333-444455556666".to_string());
            let (reader, _) =
                connect(Target { url: url.parse().unwrap(), token_id: "a@pve!t".into(), secret, trust: trust.clone() })
                    .unwrap();
            reader.version().await.unwrap_err();
            assert_eq!(heard.lock().unwrap().is_empty(), !is_genuine, "{trust:?} {is_genuine}");
        }
    }
}
