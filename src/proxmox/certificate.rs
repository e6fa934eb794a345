//! The server's certificate before anybody trusts it, for the question at first contact, and those that a node has.
use super::error::{Error, Unreached};
use super::fields::{Fields, rows};
use crate::base::api_url::ApiUrl;
use crate::base::text::{clean, shorten};
use crate::base::tls::{ByLeaf, Fingerprint, Judge};
use crate::base::trust::{Distrust, Noting};
use jiff::Timestamp;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

const DEADLINE: Duration = Duration::from_secs(15);
/// Names of a certificate that are kept; nobody compares more of them.
const NAMES: usize = 12;
/// The organisation of the authority that `pvecm` makes for every cluster (pve-cluster, `PVE/Cluster/Setup.pm`).
const OWN_AUTHORITY: &str = "PVE Cluster Manager CA";
/// The time before its end from which a certificate is worth a remark. Proxmox VE renews its own two weeks before.
const SOON: Duration = Duration::from_secs(14 * 86_400);

/// A leaf certificate as the server shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-256 of the certificate in DER.
    pub fingerprint: Fingerprint,
    /// Distinguished name of the owner, cleaned and shortened.
    pub subject: String,
    /// Distinguished name of the signer, cleaned and shortened.
    pub issuer: String,
    /// End of its validity.
    pub not_after: Timestamp,
    /// The names and addresses that it is for.
    pub names: Vec<String>,
    der: Vec<u8>,
}

/// The validity of a certificate, seen from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// It is valid for two weeks or longer.
    Good,
    /// Less than two weeks are left.
    EndsSoon,
    /// It is no longer valid.
    Ended,
}

impl Certificate {
    /// True when it says that Proxmox VE's own authority signed it, as is usual. Anybody can write that into a
    /// certificate.
    pub fn names_own_authority(&self) -> bool {
        self.issuer.contains(OWN_AUTHORITY)
    }

    /// The validity at `now`. Its begin is not looked at.
    pub fn validity(&self, now: Timestamp) -> Validity {
        let left = self.not_after.duration_since(now);
        if left.is_negative() || left.is_zero() {
            Validity::Ended
        } else if left.unsigned_abs() < SOON {
            Validity::EndsSoon
        } else {
            Validity::Good
        }
    }

    /// A certificate with this signer and this end, for tests.
    #[cfg(test)]
    pub fn sample(issuer: &str, not_after: Timestamp) -> Self {
        let der = issuer.as_bytes().to_vec();
        let (fingerprint, subject) = (Fingerprint::of(&der), "CN=pve.example.org".to_string());
        Certificate { fingerprint, subject, issuer: issuer.to_string(), not_after, names: Vec::new(), der }
    }

    /// As it travels.
    pub fn der(&self) -> &[u8] {
        &self.der
    }
}

/// The certificate that a server shows to a client that has not sent anything yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The leaf of the chain that the server sent.
    pub certificate: Certificate,
    /// The verdict of this system's authorities.
    pub verified: Result<(), Distrust>,
}

/// Begins a TLS handshake, notes the leaf and breaks off: no request and no token leaves this machine.
///
/// # Errors
/// [`Error::Unreachable`] when no TLS server answers within 15 s, [`Error::Answer`] when what it shows is no certificate.
pub async fn probe_certificate(url: &ApiUrl) -> Result<Shown, Error> {
    tokio::time::timeout(DEADLINE, shown(url)).await.map_err(|_| Error::Unreachable {
        what: format!("{url}: no certificate within {} s", DEADLINE.as_secs()),
        how: Unreached::Other,
    })?
}

async fn shown(url: &ApiUrl) -> Result<Shown, Error> {
    let unreachable =
        |e: &dyn Display| Error::Unreachable { what: clean(&format!("{url}: {e}")), how: Unreached::Other };
    let host = url.name();
    // A machine without any authority trusts nobody, and may pin what it sees all the same.
    let (verifier, seen) = Noting::new(system().unwrap_or_else(|_| ByLeaf::new(Nobody)));
    let config = super::connection::tls(verifier)?;
    let name = ServerName::try_from(host.to_string()).map_err(|e| Error::Target { what: format!("{host}: {e}") })?;
    let tcp = TcpStream::connect((host, url.port())).await.map_err(|e| unreachable(&e))?;
    let shaken = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await;
    let seen = seen.lock().ok().and_then(|mut seen| seen.take());
    let verified = match &shaken {
        Ok(_) => Ok(()),
        Err(e) => match e.get_ref().and_then(|inside| inside.downcast_ref::<rustls::Error>()) {
            Some(why) => Err(Distrust::of(why)),
            None => Err(Distrust::Other(clean(&e.to_string()))),
        },
    };
    match (seen, shaken) {
        (Some(der), _) => Ok(Shown { certificate: describe(&der)?, verified }),
        (None, Err(e)) => Err(unreachable(&e)),
        (None, Ok(_)) => Err(Error::Answer { text: "the server showed no certificate".to_string() }),
    }
}

/// The judgement of this system's authorities.
///
/// # Errors
/// [`Error::Target`] when it has none.
pub(super) fn system() -> Result<Arc<dyn ServerCertVerifier>, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    rustls_platform_verifier::Verifier::new(provider)
        .map(|verifier| Arc::new(verifier) as Arc<dyn ServerCertVerifier>)
        .map_err(|e| Error::Target { what: format!("can't prepare TLS: {e}") })
}

/// Takes no certificate.
#[derive(Debug)]
struct Nobody;

impl Judge for Nobody {
    fn judge(&self, _leaf: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        Err(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer))
    }
}

pub(super) fn describe(der: &[u8]) -> Result<Certificate, Error> {
    let wrong = |e: &dyn Display| Error::Answer { text: format!("the server's certificate can't be read: {e}") };
    let (_, leaf) = X509Certificate::from_der(der).map_err(|e| wrong(&e))?;
    let names = leaf.subject_alternative_name().ok().flatten().map(|names| {
        names.value.general_names.iter().filter_map(name).take(NAMES).map(|n| shorten(&clean(&n), 253)).collect()
    });
    Ok(Certificate {
        fingerprint: Fingerprint::of(der),
        subject: shorten(&clean(&leaf.subject().to_string()), 500),
        issuer: shorten(&clean(&leaf.issuer().to_string()), 500),
        not_after: Timestamp::from_second(leaf.validity().not_after.timestamp()).map_err(|e| wrong(&e))?,
        names: names.unwrap_or_default(),
        der: der.to_vec(),
    })
}

fn name(general: &GeneralName) -> Option<String> {
    match general {
        GeneralName::DNSName(name) => Some((*name).to_string()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|b| std::net::Ipv4Addr::from(b).to_string()),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|b| std::net::Ipv6Addr::from(b).to_string()),
            _ => None,
        },
        _ => None,
    }
}

/// A row of `GET /nodes/{node}/certificates/info`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeCertificate {
    /// `pve-root-ca.pem` (the authority of the cluster), `pve-ssl.pem` (what it signed for the node), or
    /// `pveproxy-ssl.pem` (a certificate of one's own or from ACME, which pveproxy then shows instead).
    pub filename: String,
    /// The certificate, or a chain of several; `None` where the server leaves it out.
    pub pem: Option<String>,
    /// SHA-256 of the first certificate; `None` where it is missing or can't be read.
    pub fingerprint: Option<Fingerprint>,
}

/// The file with the certificate of the cluster's own authority.
pub const ROOT_CA: &str = "pve-root-ca.pem";

pub(super) fn certificates(data: &Value) -> Result<Vec<NodeCertificate>, String> {
    let row = |r: &Fields| {
        Ok(NodeCertificate {
            filename: r.need_text("filename")?,
            // Its line breaks are part of it; whoever uses it reads it as PEM.
            pem: r.get("pem").and_then(Value::as_str).map(crate::base::text::clean_lines),
            fingerprint: r.text("fingerprint").and_then(|f| f.parse().ok()),
        })
    };
    rows(data)?.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_ends_within_two_weeks_is_told_from_one_that_has_ended() {
        let made = rcgen::generate_simple_self_signed(vec!["pve.example.org".to_string()]).unwrap();
        let certificate = describe(made.cert.der()).unwrap();
        assert_eq!(certificate.names, ["pve.example.org"]);
        let at = |days: i64| certificate.not_after - jiff::SignedDuration::from_hours(24 * days);
        assert_eq!(certificate.validity(at(15)), Validity::Good);
        assert_eq!(certificate.validity(at(13)), Validity::EndsSoon);
        assert_eq!(certificate.validity(at(0)), Validity::Ended);
        assert!(!certificate.names_own_authority());
    }

    #[test]
    fn the_certificates_of_a_node_are_read_with_their_lines() {
        let fingerprint = ["AB"; 32].join(":");
        let data = serde_json::json!([{"filename": "pve-root-ca.pem", "pem": "-----BEGIN X-----\nAA\n-----END X-----\n"},
                                      {"filename": "pve-ssl.pem", "fingerprint": fingerprint}]);
        let rows = certificates(&data).unwrap();
        assert_eq!(rows[0].pem.as_deref(), Some("-----BEGIN X-----\nAA\n-----END X-----"));
        assert_eq!((rows[0].filename.as_str(), &rows[1].pem), (ROOT_CA, &None));
        assert!(rows[1].fingerprint.is_some());
    }
}
