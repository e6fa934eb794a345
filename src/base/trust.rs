//! The ways to tell a server from an impostor: the system's authorities, its one certificate, or one authority.
use super::tls::Fingerprint;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex};
use x509_parser::prelude::{FromDer, X509Certificate};

/// The certificate or authority by which a client recognises a server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Trust {
    /// The authorities of this system; a renewed certificate passes.
    #[default]
    System,
    /// This leaf certificate and no other.
    Leaf(Fingerprint),
    /// Whatever this authority signed for the server's name or address and has not expired.
    Authority(Authority),
}

/// The certificates of an authority of the site's own: Proxmox VE's `pve-root-ca.pem`, or a company's.
#[derive(Clone, PartialEq, Eq)]
pub struct Authority(Vec<CertificateDer<'static>>);

/// More than that is a bundle of somebody else's authorities.
const MOST: usize = 8;
/// Longest file of an authority, in bytes.
const LONGEST: u64 = 64 << 10;

impl Authority {
    /// # Errors
    /// When the text is no PEM, holds no certificate or more than eight, or one that is no authority's (a server's own
    /// certificate goes by its fingerprint).
    pub fn of_pem(pem: &str) -> Result<Self, String> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
        let found = found.map_err(|_| "it is no certificate in PEM")?;
        if found.is_empty() {
            return Err("it holds no certificate".to_string());
        }
        if found.len() > MOST {
            return Err(format!("it holds {} certificates: leave only the authority of this site in it", found.len()));
        }
        for der in &found {
            let (_, certificate) = X509Certificate::from_der(der).map_err(|_| "a certificate in it can't be read")?;
            if !certificate.is_ca() {
                return Err(
                    "it is a server's certificate and no authority's: pin that one by its fingerprint".to_string()
                );
            }
        }
        let authority = Authority(found);
        authority.verifier()?;
        Ok(authority)
    }

    /// [`Authority::of_pem`] of a file that nobody but its owner, who is this user or root, may change: whoever writes
    /// to it decides which servers are trusted.
    ///
    /// # Errors
    /// As a sentence without the file's name.
    pub fn of_file(path: &Path) -> Result<Self, String> {
        let said = |e: io::Error| e.to_string();
        // Without waiting for somebody to write, should it be a pipe.
        let file =
            File::options().read(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed()).open(path);
        let file = file.map_err(said)?;
        let found = file.metadata().map_err(said)?;
        if !found.is_file() {
            return Err("it is no regular file".to_string());
        }
        let us = rustix::process::geteuid().as_raw();
        if found.uid() != us && found.uid() != 0 {
            return Err(format!("it belongs to user {}, who could change whom cozyup trusts", found.uid()));
        }
        if found.mode() & 0o022 != 0 {
            return Err(format!("others may write to it (mode {:o}): chmod go-w", found.mode() & 0o777));
        }
        let mut text = String::new();
        file.take(LONGEST + 1).read_to_string(&mut text).map_err(said)?;
        if text.len() as u64 > LONGEST {
            return Err(format!("it is longer than {} KiB", LONGEST >> 10));
        }
        Authority::of_pem(&text)
    }

    /// In PEM, lines of 64 characters.
    pub fn pem(&self) -> String {
        let mut out = String::new();
        for der in &self.0 {
            out.push_str("-----BEGIN CERTIFICATE-----\n");
            let text = STANDARD.encode(der);
            let mut rest = text.as_str();
            while !rest.is_empty() {
                // Base64 is ASCII: every byte is a character.
                let (line, after) = rest.split_at(rest.len().min(64));
                out.push_str(line);
                out.push('\n');
                rest = after;
            }
            out.push_str("-----END CERTIFICATE-----\n");
        }
        out
    }

    /// Of the first certificate.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.0.first().map_or(&[][..], |der| der.as_ref()))
    }

    fn verifier(&self) -> Result<Arc<WebPkiServerVerifier>, String> {
        let mut roots = RootCertStore::empty();
        for der in &self.0 {
            roots.add(der.clone()).map_err(|e| format!("the authority's certificate can't be used: {e}"))?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().map_err(|e| e.to_string())
    }

    /// Checks that this authority signed the certificate `leaf` (DER) for `host`, a name or an address, and that it is
    /// valid now.
    ///
    /// # Errors
    /// The reason why it does not pass.
    pub fn vouches(&self, leaf: &[u8], host: &str) -> Result<(), Distrust> {
        let other = |e: String| Distrust::Other(e);
        let name = ServerName::try_from(host.to_string()).map_err(|e| other(e.to_string()))?;
        let verifier = self.verifier().map_err(other)?;
        let verified = verifier.verify_server_cert(&CertificateDer::from(leaf), &[], &name, &[], UnixTime::now());
        verified.map(drop).map_err(|e| Distrust::of(&e))
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({})", self.fingerprint())
    }
}

/// The reason why a certificate is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// Another certificate than the pinned one.
    #[error("it is another one")]
    Another,
    #[error("no authority that is trusted signed it")]
    UnknownIssuer,
    #[error("it has expired, or the clock of this machine is wrong")]
    Expired,
    #[error("it is not valid yet, or the clock of this machine is wrong")]
    NotYet,
    #[error("it is for other names than the one in the URL")]
    OtherName,
    /// In the library's words.
    #[error("{0}")]
    Other(String),
}

impl Distrust {
    pub fn of(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(why) => match why {
                // One with the authority's name that another key signed.
                CertificateError::UnknownIssuer | CertificateError::BadSignature => Distrust::UnknownIssuer,
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => Distrust::Expired,
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Distrust::NotYet,
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    Distrust::OtherName
                }
                // The library has no variant for it, only its debug output.
                other if other.to_string().contains("CaUsedAsEndEntity") => Distrust::Other(
                    "the server shows an authority's own certificate: pin that one by its fingerprint".to_string(),
                ),
                other => Distrust::Other(super::tls::without_manual(&other.to_string()).to_string()),
            },
            other => Distrust::Other(super::tls::without_manual(&other.to_string()).to_string()),
        }
    }
}

/// Notes the leaf certificate (DER) that a server showed, and leaves the judgement to the verifier inside.
#[derive(Debug)]
pub struct Noting {
    inside: Arc<dyn ServerCertVerifier>,
    seen: Seen,
}

/// The leaf certificate (DER) last seen.
pub type Seen = Arc<Mutex<Option<Vec<u8>>>>;

impl Noting {
    pub fn new(inside: Arc<dyn ServerCertVerifier>) -> (Arc<Self>, Seen) {
        let seen = Seen::default();
        (Arc::new(Noting { inside, seen: seen.clone() }), seen)
    }

    /// Of an authority.
    ///
    /// # Errors
    /// When its certificate can't be used.
    pub fn by_authority(authority: &Authority) -> Result<(Arc<Self>, Seen), String> {
        Ok(Noting::new(authority.verifier()?))
    }
}

impl ServerCertVerifier for Noting {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Ok(mut seen) = self.seen.lock() {
            *seen = Some(end_entity.to_vec());
        }
        self.inside.verify_server_cert(end_entity, intermediates, server_name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inside.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inside.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inside.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

    fn signed(name: &str, until: i32) -> (String, Vec<u8>, String) {
        let key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_pem = ca.self_signed(&key).unwrap().pem();
        let issuer = Issuer::from_params(&ca, &key);
        let mut leaf = CertificateParams::new(vec![name.to_string()]).unwrap();
        leaf.not_before = date_time_ymd(2001, 1, 1);
        leaf.not_after = date_time_ymd(until, 1, 1);
        let leaf = leaf.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
        (ca_pem, leaf.der().to_vec(), leaf.pem())
    }

    #[test]
    fn an_authority_vouches_for_what_it_signed_for_the_name_and_has_not_expired() {
        let (pem, leaf, leaf_pem) = signed("192.0.2.7", 2100);
        let authority = Authority::of_pem(&pem).unwrap();
        assert_eq!(authority.vouches(&leaf, "192.0.2.7"), Ok(()));
        assert_eq!(authority.vouches(&leaf, "192.0.2.8"), Err(Distrust::OtherName));
        // Of another authority, with the same name.
        let (_, strange, _) = signed("192.0.2.7", 2100);
        assert_eq!(authority.vouches(&strange, "192.0.2.7"), Err(Distrust::UnknownIssuer));
        let (old_pem, old, _) = signed("192.0.2.7", 2002);
        assert_eq!(Authority::of_pem(&old_pem).unwrap().vouches(&old, "192.0.2.7"), Err(Distrust::Expired));
        assert_eq!(Authority::of_pem(&authority.pem()).unwrap(), authority);
        assert!(Authority::of_pem(&leaf_pem).unwrap_err().contains("no authority's"));
        assert!(Authority::of_pem("x").unwrap_err().contains("no certificate"));
        // What `openssl req -x509` makes is an authority and a server at once.
        let mut both = CertificateParams::new(vec!["192.0.2.7".to_string()]).unwrap();
        both.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let both = both.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let why = Authority::of_pem(&both.pem()).unwrap().vouches(both.der(), "192.0.2.7").unwrap_err();
        assert!(why.to_string().contains("pin that one by its fingerprint"), "{why}");
    }
}
