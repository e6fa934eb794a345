//! A server certificate that nobody has vouched for.
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::Arc;

/// As `config` speaks, with a key and a name of its own; `None` when the crypto library fails.
pub fn strange(host: u8, config: &ServerConfig) -> Option<Arc<ServerConfig>> {
    let key = KeyPair::generate().ok()?;
    let mut params = CertificateParams::new(vec!["localhost".to_string()]).ok()?;
    params.distinguished_name.push(DnType::CommonName, format!("somebody else at .{host}"));
    let certificate = params.self_signed(&key).ok()?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut strange = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .ok()?
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(certificate.der().to_vec())], key)
        .ok()?;
    strange.alpn_protocols.clone_from(&config.alpn_protocols);
    Some(Arc::new(strange))
}
