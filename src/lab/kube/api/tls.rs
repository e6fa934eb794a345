//! The server's side of TLS: a certificate from the cluster's CA. Client certificates are taken as they come and judged
//! afterwards, as Go's server does: a strange one is no reason to hang up, but nobody is known by it.
use crate::net::Endpoint;
use crate::world::World;
use cozyup_base::clock::{Clock, add};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose, SanType};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("the cluster's CA certificate is no PEM certificate")]
    Authority(#[source] rustls::pki_types::pem::Error),
    #[error("the cluster's CA key cannot be read")]
    AuthorityKey(#[source] rustls::pki_types::pem::Error),
    #[error("no server certificate could be made from the cluster's CA")]
    Certificate(#[from] rcgen::Error),
    #[error("client certificates cannot be verified against the cluster's CA")]
    Clients(#[from] rustls::server::VerifierBuilderError),
    #[error("the TLS settings do not fit together")]
    Settings(#[from] rustls::Error),
}

/// The inputs of the certificate, read from the world under its lock.
pub struct Material {
    ca_crt_pem: String,
    ca_key_pem: String,
    addresses: BTreeSet<IpAddr>,
    now: jiff::Timestamp,
}

impl Material {
    /// `local` is the address that the client came to. The certificate also has every address on which the
    /// cluster's API listens, the VIP among them.
    pub fn of(world: &World, local: IpAddr) -> Option<Self> {
        let cluster = world.cluster.as_ref()?;
        let mut addresses = BTreeSet::from([local, IpAddr::V4(Ipv4Addr::LOCALHOST)]);
        let serves = world.listeners.iter().filter(|(_, e)| matches!(e, Endpoint::Kubernetes { .. }));
        addresses.extend(serves.map(|(at, _)| at.ip()));
        Some(Material {
            ca_crt_pem: cluster.ca_crt_pem.clone(),
            ca_key_pem: cluster.ca_key_pem.clone(),
            addresses,
            now: world.now,
        })
    }

    pub fn config(self, clock: &Clock) -> Result<(ServerConfig, Judge), TlsError> {
        let ca = CertificateDer::from_pem_slice(self.ca_crt_pem.as_bytes()).map_err(TlsError::Authority)?;
        // Talos keeps EC keys as SEC1 (`EC PRIVATE KEY`); this takes that form as well as PKCS#8.
        let ca_key = PrivateKeyDer::from_pem_slice(self.ca_key_pem.as_bytes()).map_err(TlsError::AuthorityKey)?;
        let issuer = Issuer::from_ca_cert_der(&ca, KeyPair::try_from(&ca_key)?)?;
        let names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"];
        let mut params = CertificateParams::new(names.map(String::from))?;
        params.subject_alt_names.extend(self.addresses.into_iter().map(SanType::IpAddress));
        params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        // The lab's clock can be ahead of the client's, which is on the wall: valid for both.
        const DAY: Duration = Duration::from_secs(86_400);
        params.not_before = date(jiff::Timestamp::now().min(self.now), DAY, false);
        params.not_after = date(jiff::Timestamp::now().max(self.now), 365 * DAY, true);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &issuer)?;

        let mut roots = RootCertStore::empty();
        roots.add(ca)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let judge = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build()?;
        let time = Arc::new(LabTime(clock.clone()));
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_details(provider, time.clone())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(Arc::new(Unjudged(judge.clone())))
            .with_single_cert(vec![certificate.der().clone()], key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok((config, Judge { verifier: judge, time }))
    }
}

/// Tells whether a client's certificate is the cluster's.
pub struct Judge {
    verifier: Arc<dyn ClientCertVerifier>,
    time: Arc<LabTime>,
}

impl Judge {
    pub fn accepts(&self, chain: &[CertificateDer<'_>]) -> bool {
        let (Some((leaf, rest)), Some(now)) = (chain.split_first(), self.time.current_time()) else { return false };
        self.verifier.verify_client_cert(leaf, rest, now).is_ok()
    }
}

/// Takes any certificate whose key the client has, or none.
#[derive(Debug)]
struct Unjudged(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Unjudged {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _rest: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, leaf, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, leaf, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

fn date(at: jiff::Timestamp, distance: Duration, later: bool) -> time::OffsetDateTime {
    let at = if later { add(at, distance) } else { at.checked_sub(distance).unwrap_or(at) };
    time::OffsetDateTime::from_unix_timestamp(at.as_second()).unwrap_or(time::OffsetDateTime::UNIX_EPOCH)
}

/// Client certificates are made inside of the lab, so they are valid by its clock.
#[derive(Debug)]
struct LabTime(Clock);

impl TimeProvider for LabTime {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().as_second()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}
