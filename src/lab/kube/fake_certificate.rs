//! The certificate that ingress-nginx shows for names without one of their own.
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::{Arc, OnceLock};

/// First and last year of it.
const VALID: (i32, i32) = (2025, 2035);

/// HTTP/1.1 with that certificate, made once per process; `None` when the library can't make one.
pub fn server() -> Option<Arc<ServerConfig>> {
    static SERVER: OnceLock<Option<Arc<ServerConfig>>> = OnceLock::new();
    SERVER.get_or_init(|| make().ok().map(Arc::new)).clone()
}

fn make() -> Result<ServerConfig, Box<dyn std::error::Error>> {
    let mut params = CertificateParams::new(vec!["ingress.local".to_string()])?;
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "Acme Co");
    name.push(DnType::CommonName, "Kubernetes Ingress Controller Fake Certificate");
    params.distinguished_name = name;
    params.not_before = rcgen::date_time_ymd(VALID.0, 1, 1);
    params.not_after = rcgen::date_time_ymd(VALID.1, 1, 1);
    let key = KeyPair::generate()?;
    let leaf = params.self_signed(&key)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(leaf.der().to_vec())], key)?;
    Ok(config)
}
