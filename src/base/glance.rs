//! A look at a server that nobody trusts: whose certificate it shows is noted, not judged. For reading what a person's
//! browser would get, where nothing secret is sent and nothing that comes back is believed.
use super::text::clean;
use super::tls::{ByLeaf, Judge};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use std::sync::{Arc, Mutex};
use x509_parser::prelude::{FromDer, X509Certificate};

/// The certificate that the server showed last.
#[derive(Debug, Clone, Default)]
pub struct Shown(Arc<Mutex<Option<Vec<u8>>>>);

impl Shown {
    /// `CN=dashboard.example.com by CN=R11,O=Let's Encrypt`; `None` when no server has shown a certificate yet.
    pub fn whose(&self) -> Option<String> {
        let der = self.0.lock().ok()?.clone()?;
        let said = X509Certificate::from_der(&der).map(|(_, c)| format!("{} by {}", c.subject(), c.issuer()));
        Some(clean(&said.unwrap_or_else(|_| "one that can't be read".to_string())))
    }
}

#[derive(Debug)]
struct Noted(Shown);

impl Judge for Noted {
    fn judge(&self, leaf: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        if let Ok(mut shown) = self.0.0.lock() {
            *shown = Some(leaf.to_vec());
        }
        Ok(())
    }
}

/// TLS settings that take any server, and the note of whose certificate it showed.
///
/// # Errors
/// The library's error when its settings do not fit together.
pub fn config() -> Result<(ClientConfig, Shown), rustls::Error> {
    let shown = Shown::default();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(ByLeaf::new(Noted(shown.clone())))
        .with_no_client_auth();
    Ok((config, shown))
}
