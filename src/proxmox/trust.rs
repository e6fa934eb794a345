//! The means by which a program on another machine can verify this server: the add-ons in the cluster get it from here.
//!
//! The cluster's own authority is `pve-root-ca.pem`, which `GET /nodes/{node}/certificates/info` shows to any user
//! (pve-manager, PVE/API2/Certificates.pm).
use super::certificate;
use super::error::Error;
use super::reader::Reader;
use crate::base::answer::Answer;
use crate::base::text::clean;
use crate::base::tls::Fingerprint;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use std::net::IpAddr;
use std::sync::Arc;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The means by which the server at its URL can be verified from elsewhere, the strongest that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Anchor {
    /// The authority of the Proxmox VE cluster signed the server's certificate for the URL's host.
    Authority {
        /// Certificate of the authority.
        pem: String,
    },
    /// An authority that every system knows.
    Public,
    /// The certificate itself, good for the URL's host until then. Programs written in Go and OpenSSL's with partial
    /// chains, as curl has them, take a certificate in their list of authorities for what it is.
    Leaf {
        /// The server's own certificate.
        pem: String,
        /// End of its validity.
        until: Timestamp,
    },
    /// Nothing: the certificate is out of date or not for the URL's host.
    Nothing {
        /// The reason, as a clause about the server.
        why: String,
    },
}

impl Anchor {
    /// The certificate to put into the list of authorities, in PEM.
    pub fn pem(&self) -> Option<&str> {
        match self {
            Anchor::Authority { pem } | Anchor::Leaf { pem, .. } => Some(pem),
            Anchor::Public | Anchor::Nothing { .. } => None,
        }
    }

    /// True when the server can't be verified from elsewhere.
    pub fn is_nothing(&self) -> bool {
        matches!(self, Anchor::Nothing { .. })
    }
}

impl Reader {
    /// The means by which this reader's server can be verified; `pin` is the fingerprint that the reader insists on,
    /// `node` any node of the cluster.
    ///
    /// # Errors
    /// When the server can't be asked, or shows another certificate than `pin`.
    pub async fn anchor(&self, node: &str, pin: Option<&Fingerprint>) -> Result<Answer<Anchor>, Error> {
        let answer = self.certificates(node).await?;
        let shown = certificate::probe_certificate(self.url()).await?;
        let (leaf, found) = (shown.certificate.der(), &shown.certificate.fingerprint);
        if let Some(pin) = pin.filter(|pin| *pin != found) {
            let text = format!("the server's certificate is {found} now, and not {pin}");
            return Err(Error::Answer { text });
        }
        let host = self.url().name();
        let authority = answer.value.iter().find(|c| c.filename == certificate::ROOT_CA).and_then(|c| c.pem.clone());
        let anchor = match authority.filter(|pem| is_signed_by(leaf, pem, host)) {
            Some(pem) => Anchor::Authority { pem: only_certificates(&pem) },
            None if shown.verified.is_ok() => Anchor::Public,
            None => by_itself(leaf, host, Timestamp::now()),
        };
        Ok(answer.map(|_| anchor))
    }
}

/// The certificates of a PEM file and nothing else that stands in it.
fn only_certificates(pem: &str) -> String {
    CertificateDer::pem_slice_iter(pem.as_bytes()).flatten().map(|der| armour(&der)).collect()
}

fn armour(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// True when a client that knows this authority alone would accept the certificate for `host` now.
fn is_signed_by(leaf: &[u8], authority: &str, host: &str) -> bool {
    let mut roots = RootCertStore::empty();
    let all: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(authority.as_bytes()).flatten().collect();
    roots.add_parsable_certificates(all);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let Ok(verifier) = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build() else {
        return false;
    };
    let Ok(name) = ServerName::try_from(host.to_string()) else { return false };
    let leaf = CertificateDer::from(leaf.to_vec());
    verifier.verify_server_cert(&leaf, &[], &name, &[], UnixTime::now()).is_ok()
}

fn by_itself(leaf: &[u8], host: &str, now: Timestamp) -> Anchor {
    let nothing = |why: String| Anchor::Nothing { why: clean(&why) };
    let Ok((_, certificate)) = X509Certificate::from_der(leaf) else {
        return nothing("its certificate can't be read".to_string());
    };
    let Ok(until) = Timestamp::from_second(certificate.validity().not_after.timestamp()) else {
        return nothing("its certificate can't be read".to_string());
    };
    if until <= now {
        return nothing(format!("its certificate ended at {until}"));
    }
    let names = certificate.subject_alternative_name().ok().flatten();
    let names: Vec<&GeneralName<'_>> = names.iter().flat_map(|names| &names.value.general_names).collect();
    if names.iter().any(|name| is_for(name, host)) {
        return Anchor::Leaf { pem: armour(leaf), until };
    }
    nothing(format!("its certificate is not for {host}"))
}

fn is_for(name: &GeneralName<'_>, host: &str) -> bool {
    match (name, host.parse::<IpAddr>()) {
        (GeneralName::IPAddress(bytes), Ok(IpAddr::V4(address))) => *bytes == address.octets(),
        (GeneralName::IPAddress(bytes), Ok(IpAddr::V6(address))) => *bytes == address.octets(),
        (GeneralName::DNSName(name), Err(_)) => match name.strip_prefix("*.") {
            Some(domain) => host.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(domain)),
            None => name.eq_ignore_ascii_case(host),
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

    /// An authority and a leaf that it signed for these names, both in PEM and the leaf in DER too.
    fn made(names: &[&str]) -> (String, Vec<u8>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key).unwrap();
        let issuer = Issuer::from_params(&params, &key);
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let leaf = CertificateParams::new(names).unwrap().signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
        (authority.pem(), leaf.der().to_vec())
    }

    /// cozystack.md 2.2, 2.3
    #[test]
    fn the_clusters_authority_counts_only_for_a_certificate_that_it_signed_for_this_host() {
        let ((ours, leaf), (other, _)) = (made(&["10.0.0.1", "pve.lan"]), made(&["10.0.0.1"]));
        assert!(is_signed_by(&leaf, &ours, "10.0.0.1") && is_signed_by(&leaf, &ours, "pve.lan"));
        assert!(!is_signed_by(&leaf, &ours, "10.0.0.2") && !is_signed_by(&leaf, &other, "10.0.0.1"));
        assert!(!is_signed_by(&leaf, "no certificate", "10.0.0.1"));
    }

    #[test]
    fn a_certificate_of_its_own_vouches_for_its_names_while_it_lasts() {
        let (_, leaf) = made(&["10.0.0.1", "pve.lan", "*.example.com"]);
        let now = Timestamp::now();
        for host in ["10.0.0.1", "PVE.lan", "a.example.com"] {
            let Anchor::Leaf { pem, .. } = by_itself(&leaf, host, now) else { panic!("{host}") };
            assert_eq!(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().as_ref(), leaf);
        }
        for host in ["10.0.0.2", "example.com", "a.b.example.com", "other.lan"] {
            let anchor = by_itself(&leaf, host, now);
            assert!(matches!(&anchor, Anchor::Nothing { why } if why.contains("is not for")), "{host}: {anchor:?}");
            assert!(anchor.is_nothing() && anchor.pem().is_none());
        }
        let late = "9999-01-01T00:00:00Z".parse().unwrap();
        assert!(matches!(by_itself(&leaf, "pve.lan", late), Anchor::Nothing { .. }));
    }

    #[test]
    fn only_certificates_of_a_file_are_handed_on() {
        let (authority, _) = made(&["a"]);
        let handed =
            only_certificates(&format!("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n{authority}"));
        assert!(!handed.contains("PRIVATE") && handed.starts_with("-----BEGIN CERTIFICATE-----\n"), "{handed}");
    }
}
