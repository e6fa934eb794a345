//! The cluster's certificate authorities and the client certificates that they sign.
//! Forms and extensions: Talos v1.10.6, siderolabs/crypto v0.6.0.
use super::Error;
use crate::base::secret::Secret;
use crate::talos::pem;
use aws_lc_rs::encoding::{AsDer, EcPrivateKeyRfc5915Der, Pkcs8V1Der};
use aws_lc_rs::rand;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SerialNumber, SignatureAlgorithm,
};
use std::fmt;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// Clocks of nodes and jump host differ; a certificate that is valid a little earlier hurts nobody.
const BACKDATED: SignedDuration = HOUR;
const CA_VALID: SignedDuration = SignedDuration::from_hours(87_600);
/// How long the certificate of a client is valid.
pub const CLIENT_VALID: SignedDuration = SignedDuration::from_hours(8_760);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    Ed25519,
    P256,
}

impl KeyKind {
    fn algorithm(self) -> &'static SignatureAlgorithm {
        match self {
            KeyKind::Ed25519 => &PKCS_ED25519,
            KeyKind::P256 => &PKCS_ECDSA_P256_SHA256,
        }
    }

    /// A new key as Talos writes it to its files.
    fn generate(self) -> Result<Secret<String>, Error> {
        let failed = |_| Error::Crypto { what: "can't make a key" };
        Ok(Secret::new(match self {
            KeyKind::Ed25519 => {
                // Version 1 of PKCS#8: older OpenSSL can't read version 2.
                let der = Ed25519KeyPair::generate().and_then(|k| k.to_pkcs8v1()).map_err(failed)?;
                pem::encode(pem::ED25519_KEY, der.as_ref())
            }
            KeyKind::P256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(failed)?;
                let der: EcPrivateKeyRfc5915Der = pair.private_key().as_der().map_err(failed)?;
                pem::encode(pem::EC_KEY, der.as_ref())
            }
        }))
    }
}

/// An RSA-4096 key in PKCS#1. Takes seconds of processor time.
pub fn rsa_4096() -> Result<Secret<String>, Error> {
    let failed = |_| Error::Crypto { what: "can't make an RSA key" };
    let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa4096).map_err(failed)?;
    let pkcs8: Pkcs8V1Der = pair.as_der().map_err(failed)?;
    let inner = pkcs1_of(pkcs8.as_ref()).ok_or(Error::Crypto { what: "can't unpack an RSA key" })?;
    Ok(Secret::new(pem::encode(pem::RSA_KEY, inner)))
}

/// The octets that PKCS#8 wraps: for RSA they are PKCS#1.
fn pkcs1_of(pkcs8: &[u8]) -> Option<&[u8]> {
    use x509_parser::asn1_rs::Any;
    let (_, outer) = Any::from_der(pkcs8).ok()?;
    let (rest, _version) = Any::from_der(outer.data).ok()?;
    let (rest, _algorithm) = Any::from_der(rest).ok()?;
    let (_, key) = Any::from_der(rest).ok()?;
    Some(key.data)
}

/// A certificate authority: certificate and key, both PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Authority {
    /// The authority's own certificate.
    pub certificate: String,
    /// The private key, in the form that Talos writes for this kind of key.
    pub key: Secret<String>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("key", &self.key).finish_non_exhaustive()
    }
}

/// A client certificate with the authority that its server is verified against; all PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Certificate of the authority that signs the certificates of the cluster's Talos APIs.
    pub ca_pem: String,
    /// The client certificate; the organization in it is the role at the Talos API, such as `os:admin`.
    pub crt_pem: String,
    /// The private key of the client certificate.
    pub key_pem: Secret<String>,
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").field("key_pem", &self.key_pem).finish_non_exhaustive()
    }
}

impl Authority {
    /// A self-signed authority, valid for ten years; `organization` empty: an empty subject, as Talos' aggregator has it.
    pub fn generate(kind: KeyKind, organization: &str, now: Timestamp) -> Result<Self, Error> {
        let key = kind.generate()?;
        let mut params = params(now, CA_VALID)?;
        if !organization.is_empty() {
            params.distinguished_name.push(DnType::OrganizationName, organization);
        }
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let signed = params.self_signed(&key_pair(&key)?).map_err(Error::Certificate)?;
        Ok(Authority { certificate: pem::encode(pem::CERTIFICATE, signed.der()), key })
    }

    /// A client certificate for one year, usable for nothing but client authentication.
    pub fn sign_client(
        &self,
        common_name: Option<&str>,
        organization: &str,
        now: Timestamp,
    ) -> Result<ClientCertificate, Error> {
        let authority_key = key_pair(&self.key)?;
        let kind =
            if authority_key.algorithm() == KeyKind::Ed25519.algorithm() { KeyKind::Ed25519 } else { KeyKind::P256 };
        let ca = self.der()?;
        let issuer = Issuer::from_ca_cert_der(&ca.as_slice().into(), authority_key).map_err(Error::Certificate)?;
        let key = kind.generate()?;
        let mut params = params(now, CLIENT_VALID)?;
        params.distinguished_name.push(DnType::OrganizationName, organization);
        if let Some(name) = common_name {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let signed = params.signed_by(&key_pair(&key)?, &issuer).map_err(Error::Certificate)?;
        Ok(ClientCertificate {
            ca_pem: self.certificate.clone(),
            crt_pem: pem::encode(pem::CERTIFICATE, signed.der()),
            key_pem: key,
        })
    }

    /// Signs a leaf and verifies it against the authority's certificate: certificate and key belong together.
    pub fn self_test(&self, name: &'static str) -> Result<(), Error> {
        let wrong = || Error::Unfit { name };
        // The signature is looked at, not the validity: any time will do.
        let leaf = self.sign_client(Some("self-test"), "self-test", Timestamp::UNIX_EPOCH)?;
        let leaf = pem::decode(&leaf.crt_pem).ok_or_else(wrong)?;
        let ca = self.der()?;
        let (_, leaf) = X509Certificate::from_der(&leaf).map_err(|_| wrong())?;
        let (_, ca) = X509Certificate::from_der(&ca).map_err(|_| wrong())?;
        verified(&leaf, &ca).then_some(()).ok_or_else(wrong)
    }

    fn der(&self) -> Result<Vec<u8>, Error> {
        pem::decode(&self.certificate).map(|d| d.to_vec()).ok_or(Error::Crypto { what: "a CA certificate is no PEM" })
    }
}

fn verified(leaf: &X509Certificate<'_>, ca: &X509Certificate<'_>) -> bool {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey, VerificationAlgorithm};
    let algorithm: &'static dyn VerificationAlgorithm = match leaf.signature_algorithm.algorithm.to_id_string().as_str()
    {
        "1.3.101.112" => &ED25519,
        "1.2.840.10045.4.3.2" => &ECDSA_P256_SHA256_ASN1,
        _ => return false,
    };
    let key = UnparsedPublicKey::new(algorithm, ca.public_key().subject_public_key.data.as_ref());
    leaf.issuer().as_raw() == ca.subject().as_raw()
        && key.verify(leaf.tbs_certificate.as_ref(), leaf.signature_value.data.as_ref()).is_ok()
}

/// Reads a private key in any of the forms that Talos writes.
pub fn key_pair(key: &Secret<String>) -> Result<KeyPair, Error> {
    let der = pem::decode(key.expose()).ok_or(Error::Crypto { what: "a private key is no PEM" })?;
    KeyPair::try_from(der.as_slice()).map_err(Error::Certificate)
}

fn params(now: Timestamp, valid: SignedDuration) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.not_before = whole_seconds(now, -BACKDATED)?;
    params.not_after = whole_seconds(now, valid)?;
    let mut serial = [0; 16];
    rand::fill(&mut serial).map_err(|_| Error::Crypto { what: "no randomness" })?;
    if let Some(first) = serial.first_mut() {
        // A serial number is positive.
        *first &= 0x7f;
    }
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(params)
}

fn whole_seconds(now: Timestamp, plus: SignedDuration) -> Result<OffsetDateTime, Error> {
    let at = now.checked_add(plus).map_err(|_| Error::Crypto { what: "no such time" })?;
    OffsetDateTime::from_unix_timestamp(at.as_second()).map_err(|_| Error::Crypto { what: "no such time" })
}
