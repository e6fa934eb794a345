//! The server's certificate before anybody trusts it, for the question at first contact.
use super::error::{Error, Unreached};
use crate::base::text::clean;
use crate::base::tls::{ByLeaf, Fingerprint, Judge};
use jiff::Timestamp;
use reqwest::Url;
use rustls::pki_types::{CertificateDer, ServerName};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpStream;
use x509_parser::prelude::{FromDer, X509Certificate};

const DEADLINE: Duration = Duration::from_secs(15);

/// A leaf certificate nobody has trusted yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    pub fingerprint: Fingerprint,
    pub subject: String,
    pub issuer: String,
    pub not_after: Timestamp,
}

/// Begins a TLS handshake, notes the leaf and breaks off: no request and no token leaves this machine.
///
/// # Errors
/// [`Error::Target`] for an address that can't be used, [`Error::Unreachable`] when no TLS server answers within
/// 15 s, [`Error::Answer`] when what it shows is no certificate.
pub async fn probe_certificate(url: &str) -> Result<Certificate, Error> {
    let url = super::connection::base_url(url)?;
    let der = tokio::time::timeout(DEADLINE, leaf(&url)).await.map_err(|_| Error::Unreachable {
        what: format!("{url}: no certificate within {} s", DEADLINE.as_secs()),
        how: Unreached::Other,
    })??;
    describe(&der)
}

async fn leaf(url: &Url) -> Result<Vec<u8>, Error> {
    let unreachable =
        |e: &dyn std::fmt::Display| Error::Unreachable { what: clean(&format!("{url}: {e}")), how: Unreached::Other };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = url.port_or_known_default().unwrap_or(8006);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let witness = ByLeaf::new(Witness::default());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| unreachable(&e))?
        .dangerous()
        .with_custom_certificate_verifier(witness.clone())
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_string()).map_err(|e| Error::Target { what: format!("{host}: {e}") })?;
    let tcp = TcpStream::connect((host, port)).await.map_err(|e| unreachable(&e))?;
    let shaken = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await;
    let seen = witness.judge.0.lock().ok().and_then(|mut seen| seen.take());
    match (seen, shaken) {
        (Some(der), _) => Ok(der),
        (None, Err(e)) => Err(unreachable(&e)),
        (None, Ok(_)) => Err(Error::Answer { text: "the server showed no certificate".to_string() }),
    }
}

fn describe(der: &[u8]) -> Result<Certificate, Error> {
    let wrong =
        |e: &dyn std::fmt::Display| Error::Answer { text: format!("the server's certificate can't be read: {e}") };
    let (_, leaf) = X509Certificate::from_der(der).map_err(|e| wrong(&e))?;
    Ok(Certificate {
        fingerprint: Fingerprint::of(der),
        subject: clean(&leaf.subject().to_string()),
        issuer: clean(&leaf.issuer().to_string()),
        not_after: Timestamp::from_second(leaf.validity().not_after.timestamp()).map_err(|e| wrong(&e))?,
    })
}

/// Notes the leaf and refuses it, whatever it is.
#[derive(Debug, Default)]
struct Witness(Mutex<Option<Vec<u8>>>);

impl Judge for Witness {
    fn judge(&self, leaf: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        if let Ok(mut seen) = self.0.lock() {
            *seen = Some(leaf.to_vec());
        }
        Err(rustls::Error::General("only looking".to_string()))
    }
}
