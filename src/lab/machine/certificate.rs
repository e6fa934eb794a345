//! The certificates that machines answer with.
use super::Machine;
use super::config::MachineConfig;
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cozyup_base::secret::Secret;
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ED25519, PublicKeyData,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::{Duration, OffsetDateTime};

/// A server's certificate and key.
pub struct Identity {
    pub certificate: CertificateDer<'static>,
    key: Vec<u8>,
    /// As `talosctl --cert-fingerprint` takes it: base64 of SHA-256 over the public key.
    pub spki_fingerprint: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({})", self.spki_fingerprint)
    }
}

impl Identity {
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()))
    }
}

/// A fresh self-signed certificate, as in maintenance mode.
///
/// # Errors
/// The certificate library's.
pub fn maintenance(machine: &Machine, now: Timestamp) -> Result<Identity, rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ED25519)?;
    let names = vec![machine.address().0.to_string(), "127.0.0.1".into(), "::1".into(), machine.hostname()];
    let mut params = server(names, "maintenance-service.talos.dev", now)?;
    params.distinguished_name.push(DnType::OrganizationName, "talos");
    let certificate = params.self_signed(&key)?;
    Ok(identity(certificate.der().clone(), &key))
}

/// The certificate of a configured machine's API, signed by the cluster's Talos CA.
///
/// # Errors
/// The certificate library's, when the config's CA cannot be read.
pub fn secure(
    machine: &Machine,
    config: &MachineConfig,
    ca_key: &Secret<String>,
    now: Timestamp,
) -> Result<Identity, rcgen::Error> {
    let ca_key = KeyPair::from_pem(ca_key.expose())?;
    let issuer = Issuer::from_ca_cert_pem(&config.os_ca.crt, ca_key)?;
    let mut names = config.cert_sans.clone();
    names.push(machine.address().0.to_string());
    names.extend(machine.vip().filter(|_| machine.vip_held).map(|vip| vip.to_string()));
    names.push(machine.hostname());
    let mut params = server(names, &machine.hostname(), now)?;
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate_for(&PKCS_ED25519)?;
    let certificate = params.signed_by(&key, &issuer)?;
    Ok(identity(certificate.der().clone(), &key))
}

/// An authority of its own for a cluster's API: certificate and key in PEM.
///
/// # Errors
/// The certificate library's.
pub fn authority() -> Result<(String, Secret<String>), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::OrganizationName, "kubernetes");
    Ok((params.self_signed(&key)?.pem(), Secret::new(key.serialize_pem())))
}

/// The owner of a client certificate; a Talos API certificate has no name, only its roles as organizations.
pub struct Client<'a> {
    pub name: Option<&'a str>,
    pub organizations: &'a [String],
    pub lasts: Duration,
}

/// A client certificate and its key in PEM, signed by a CA in PEM.
///
/// # Errors
/// The certificate library's, when the CA cannot be read.
pub fn client(
    ca_crt: &str,
    ca_key: &Secret<String>,
    client: &Client<'_>,
    now: Timestamp,
) -> Result<(String, Secret<String>), rcgen::Error> {
    let issuer = Issuer::from_ca_cert_pem(ca_crt, KeyPair::from_pem(ca_key.expose())?)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for organization in client.organizations {
        params.distinguished_name.push(DnType::OrganizationName, organization);
    }
    if let Some(name) = client.name {
        params.distinguished_name.push(DnType::CommonName, name);
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = validity(now, client.lasts);
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?;
    Ok((certificate.pem(), Secret::new(key.serialize_pem())))
}

fn server(names: Vec<String>, common_name: &str, now: Timestamp) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    (params.not_before, params.not_after) = validity(now, Duration::days(1));
    Ok(params)
}

/// Valid on the lab's clock and on the wall: clients check with the wall's, which a fast lab leaves behind.
fn validity(now: Timestamp, lasts: Duration) -> (OffsetDateTime, OffsetDateTime) {
    let wall = OffsetDateTime::now_utc();
    let lab = OffsetDateTime::from_unix_timestamp(now.as_second()).unwrap_or(wall);
    (wall.min(lab) - Duration::hours(1), wall.max(lab) + lasts)
}

fn identity(certificate: CertificateDer<'static>, key: &KeyPair) -> Identity {
    let spki = digest::digest(&digest::SHA256, &key.subject_public_key_info());
    Identity { certificate, key: key.serialize_der(), spki_fingerprint: STANDARD.encode(spki.as_ref()) }
}
