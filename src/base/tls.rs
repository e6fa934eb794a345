//! TLS as every room uses it: one provider (aws-lc-rs), verified or pinned, never switched off.
use aws_lc_rs::digest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex};

/// Makes aws-lc-rs the process's provider. Call first in `main` and in tests; later calls change nothing.
pub fn install_provider() {
    // The error says only that a provider is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// SHA-256 over the DER of a leaf certificate, written `AA:BB:…` as Proxmox VE's GUI and API show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub fn of(certificate_der: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, certificate_der).as_ref());
        Fingerprint(bytes)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, b) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(":")?;
            }
            write!(f, "{b:02X}")?;
        }
        Ok(())
    }
}

impl FromStr for Fingerprint {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let digits: String = s.chars().filter(|c| *c != ':').collect();
        let wrong = || format!("`{s}` is not a SHA-256 fingerprint: write 32 bytes in hexadecimal, as AA:BB:…");
        if digits.len() != 64 || !digits.is_ascii() {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (i, slot) in bytes.iter_mut().enumerate() {
            *slot = digits.get(2 * i..2 * i + 2).and_then(|d| u8::from_str_radix(d, 16).ok()).ok_or_else(wrong)?;
        }
        Ok(Fingerprint(bytes))
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = String;
    fn try_from(s: String) -> Result<Self, String> {
        s.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(f: Fingerprint) -> String {
        f.to_string()
    }
}

/// Decides about a server by its leaf certificate alone, whatever its names and issuer.
pub trait Judge: fmt::Debug + Send + Sync {
    /// # Errors
    /// When the certificate is not the one that is meant.
    fn judge(&self, leaf: &CertificateDer<'_>) -> Result<(), rustls::Error>;
}

/// A verifier for pinned servers: the [`Judge`] decides about the certificate, and the handshake must still be signed
/// with that certificate's key. The one place where the usual verification is replaced.
#[derive(Debug)]
pub struct ByLeaf<J> {
    pub judge: J,
    provider: Arc<CryptoProvider>,
}

impl<J: Judge> ByLeaf<J> {
    pub fn new(judge: J) -> Arc<Self> {
        Arc::new(ByLeaf { judge, provider: Arc::new(rustls::crypto::aws_lc_rs::default_provider()) })
    }
}

impl<J: Judge> ServerCertVerifier for ByLeaf<J> {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.judge.judge(end_entity).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Accepts exactly one leaf certificate and remembers what it saw.
#[derive(Debug)]
pub struct Pinned {
    pin: Fingerprint,
    seen: Arc<Mutex<Option<Fingerprint>>>,
}

impl Pinned {
    pub fn new(pin: Fingerprint) -> Self {
        Pinned { pin, seen: Arc::default() }
    }

    /// The cell in which the certificate last seen is noted, for the message about a wrong one.
    pub fn seen(&self) -> Arc<Mutex<Option<Fingerprint>>> {
        self.seen.clone()
    }
}

impl Judge for Pinned {
    fn judge(&self, leaf: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        let found = Fingerprint::of(leaf.as_ref());
        if let Ok(mut seen) = self.seen.lock() {
            *seen = Some(found.clone());
        }
        if found == self.pin {
            Ok(())
        } else {
            Err(rustls::Error::General(format!("the server's certificate is {found}, the pinned one is {}", self.pin)))
        }
    }
}

/// The library's text without the address of its own manual, which says nothing to whoever reads an error.
pub fn without_manual(text: &str) -> &str {
    text.split(": https://docs.rs/").next().unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_it_is_printed() {
        let f = Fingerprint::of(b"certificate");
        assert_eq!(f.to_string().parse::<Fingerprint>().unwrap(), f);
        assert!("AA:BB".parse::<Fingerprint>().unwrap_err().contains("32 bytes"));
    }
}
