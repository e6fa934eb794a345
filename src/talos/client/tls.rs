//! TLS to a Talos node: mutual and verified when it is configured, pinned on first use while it is not.
use crate::base::secret::Secret;
use crate::base::tls::{ByLeaf, Judge};
use crate::talos::error::{Distrust, Error};
use crate::talos::pem;
use crate::talos::secrets::ClientCertificate;
use ::aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};
use x509_parser::prelude::{FromDer, X509Certificate};

/// SHA-256 over a leaf's SubjectPublicKeyInfo, written in base64 as the node's console and
/// `talosctl --cert-fingerprint` have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SpkiFingerprint([u8; 32]);

impl SpkiFingerprint {
    fn of(certificate: &[u8]) -> Option<Self> {
        let (_, leaf) = X509Certificate::from_der(certificate).ok()?;
        let hash = digest::digest(&digest::SHA256, leaf.public_key().raw);
        hash.as_ref().try_into().ok().map(SpkiFingerprint)
    }
}

impl fmt::Display for SpkiFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl FromStr for SpkiFingerprint {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let bytes = STANDARD.decode(s).ok().and_then(|b| b.try_into().ok());
        bytes.map(SpkiFingerprint).ok_or_else(|| format!("`{s}` is not a fingerprint: write 32 bytes in base64"))
    }
}

impl TryFrom<String> for SpkiFingerprint {
    type Error = String;
    fn try_from(s: String) -> Result<Self, String> {
        s.parse()
    }
}

impl From<SpkiFingerprint> for String {
    fn from(f: SpkiFingerprint) -> String {
        f.to_string()
    }
}

/// Accepts the key it is told, or the first one that it sees and from then on no other.
#[derive(Debug)]
pub struct FirstUse {
    pin: OnceLock<SpkiFingerprint>,
}

impl FirstUse {
    pub fn verifier(pin: Option<SpkiFingerprint>) -> Arc<ByLeaf<Self>> {
        let slot = OnceLock::new();
        if let Some(pin) = pin {
            // The slot is empty.
            let _ = slot.set(pin);
        }
        ByLeaf::new(FirstUse { pin: slot })
    }

    pub fn pin(&self) -> Option<&SpkiFingerprint> {
        self.pin.get()
    }
}

impl Judge for FirstUse {
    fn judge(&self, leaf: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        let found =
            SpkiFingerprint::of(leaf).ok_or(rustls::Error::InvalidCertificate(CertificateError::BadEncoding))?;
        if self.pin.get_or_init(|| found.clone()) == &found {
            Ok(())
        } else {
            Err(rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }
}

/// For a node in maintenance: no client certificate, the server's key pinned.
pub fn maintenance(verifier: Arc<ByLeaf<FirstUse>>) -> Result<ClientConfig, Error> {
    let config = builder()?.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    Ok(h2(config))
}

/// For a configured node: both sides verified against the cluster's OS CA.
pub fn mutual(certificate: &ClientCertificate) -> Result<ClientConfig, Error> {
    let unfit = |what: &str| Error::Untrusted { what: format!("our own {what}"), why: Distrust::OursRefused };
    let der = |text: &str, what: &str| pem::decode(text).ok_or_else(|| unfit(what));
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from(der(&certificate.ca_pem, "CA certificate is no PEM")?.to_vec()))
        .map_err(|_| unfit("CA certificate can't be read"))?;
    let leaf = CertificateDer::from(der(&certificate.crt_pem, "client certificate is no PEM")?.to_vec());
    let key = private_key(&certificate.key_pem).ok_or_else(|| unfit("client key can't be read"))?;
    let config = builder()?
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![leaf], key)
        .map_err(|_| unfit("client key does not fit its certificate"))?;
    Ok(h2(config))
}

fn private_key(text: &Secret<String>) -> Option<PrivateKeyDer<'static>> {
    // By its bytes, not by its label: rustls does not know Talos' one.
    PrivateKeyDer::try_from(pem::decode(text.expose())?.to_vec()).ok()
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, Error> {
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::Answer { text: format!("TLS can't be set up: {e}") })
}

fn h2(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// The meaning of a TLS error for trust; `None` when it says nothing about it.
pub fn distrust(error: &rustls::Error, showed_certificate: bool) -> Option<Distrust> {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure) => Some(Distrust::OtherKey),
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }
            | CertificateError::Expired
            | CertificateError::ExpiredContext { .. },
        )
        | rustls::Error::AlertReceived(AlertDescription::CertificateExpired) => Some(Distrust::Clocks),
        rustls::Error::InvalidCertificate(_) => Some(Distrust::ServerNotOurs),
        rustls::Error::AlertReceived(alert) => match alert {
            AlertDescription::CertificateRequired => Some(Distrust::CertificateAsked),
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError
            | AlertDescription::HandshakeFailure => {
                Some(if showed_certificate { Distrust::OursRefused } else { Distrust::CertificateAsked })
            }
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_disagree_are_told_from_a_stranger() {
        let told = |e: rustls::Error| distrust(&e, true);
        let certificate = |e: CertificateError| told(rustls::Error::InvalidCertificate(e));
        assert_eq!(certificate(CertificateError::NotValidYet), Some(Distrust::Clocks));
        assert_eq!(certificate(CertificateError::Expired), Some(Distrust::Clocks));
        let alert = AlertDescription::CertificateExpired;
        assert_eq!(told(rustls::Error::AlertReceived(alert)), Some(Distrust::Clocks));
        assert_eq!(certificate(CertificateError::UnknownIssuer), Some(Distrust::ServerNotOurs));
    }
}
