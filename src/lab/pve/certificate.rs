//! The certificate authority and the server certificate of the simulated Proxmox VE, made once per lab.
use cozyup_base::tls::Fingerprint;
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::net::Ipv4Addr;
use std::sync::Arc;

/// First and last year of both certificates.
const VALID: (i32, i32) = (2025, 2035);

pub struct Certificate {
    pub authority_pem: String,
    pub leaf_pem: String,
    leaf_der: Vec<u8>,
    /// HTTP/1.1 without ALPN, as pveproxy offers it.
    pub server: Arc<ServerConfig>,
}

impl Certificate {
    /// Keys come from the operating system's randomness, not from the lab's seed.
    ///
    /// # Errors
    /// The crypto library's; with the built-in provider that does not happen.
    pub fn make(nodes: &[(String, Ipv4Addr)]) -> Result<Self, String> {
        let said = |e: rcgen::Error| e.to_string();
        let authority_key = KeyPair::generate().map_err(said)?;
        let mut authority = params(Vec::new(), "Proxmox Virtual Environment").map_err(said)?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority_certificate = authority.self_signed(&authority_key).map_err(said)?;
        let issuer = Issuer::from_params(&authority, &authority_key);

        let mut names = vec!["localhost".to_string(), Ipv4Addr::LOCALHOST.to_string()];
        for (name, address) in nodes {
            names.extend([name.clone(), format!("{name}.lab.local"), address.to_string()]);
        }
        let common_name = nodes.first().map_or("localhost", |(name, _)| name);
        let leaf_key = KeyPair::generate().map_err(said)?;
        let leaf = params(names, common_name).map_err(said)?.signed_by(&leaf_key, &issuer).map_err(said)?;

        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
        let server = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_no_client_auth()
            .with_single_cert(vec![CertificateDer::from(leaf.der().to_vec())], key)
            .map_err(|e| e.to_string())?;
        Ok(Certificate {
            authority_pem: authority_certificate.pem(),
            leaf_pem: leaf.pem(),
            leaf_der: leaf.der().to_vec(),
            server: Arc::new(server),
        })
    }

    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.leaf_der)
    }
}

fn params(names: Vec<String>, common_name: &str) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, common_name);
    subject.push(DnType::OrganizationName, "cozyup lab");
    params.distinguished_name = subject;
    params.not_before = rcgen::date_time_ymd(VALID.0, 1, 1);
    params.not_after = rcgen::date_time_ymd(VALID.1, 1, 1);
    Ok(params)
}
