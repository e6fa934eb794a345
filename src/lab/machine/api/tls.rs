//! The TLS of both modes. Configured machines want a client certificate of their CA whose only use is client
//! authentication; which roles it gives stands in its organization.
use super::super::super::world::{Lab, World};
use super::super::certificate::Identity;
use super::super::{Api, Machine};
use cozyup_base::clock::Clock;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig, SignatureScheme,
};
use std::sync::Arc;
use x509_parser::prelude::{FromDer, X509Certificate};

/// `None` when the machine does not serve this mode now.
pub fn config(lab: &Lab, vmid: u32, secure: bool) -> Option<Arc<ServerConfig>> {
    let (identity, ca) = lab.look(|world| world.machines.get(&vmid).filter(|m| m.on).and_then(|m| of(m, secure)))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().ok()?;
    let builder = match ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).ok()?).ok()?;
            let inner = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().ok()?;
            builder.with_client_cert_verifier(Arc::new(OnlyClients {
                inner,
                clock: lab.clock().clone(),
                ahead_s: lab.with(World::clock_off),
            }))
        }
    };
    let mut config = builder.with_single_cert(vec![identity.certificate.clone()], identity.key()).ok()?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Some(Arc::new(config))
}

/// The identity to show, and when secure the CA that clients must come from.
fn of(machine: &Machine, secure: bool) -> Option<(Arc<Identity>, Option<String>)> {
    match (&machine.api, secure) {
        (Api::Maintenance(identity), false) => Some((identity.clone(), None)),
        (Api::Secure(identity), true) => Some((identity.clone(), Some(machine.config.as_ref()?.os_ca.crt.clone()))),
        (Api::Closed | Api::AwaitingTrustd | Api::Maintenance(_) | Api::Secure(_), _) => None,
    }
}

/// Every organization of a certificate; Talos' roles are among them.
pub fn roles(leaf: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(leaf) else { return Vec::new() };
    certificate.subject().iter_organization().filter_map(|o| o.as_str().ok()).map(str::to_string).collect()
}

#[derive(Debug)]
struct OnlyClients {
    inner: Arc<dyn ClientCertVerifier>,
    clock: Clock,
    /// The difference between the node's clock and the lab's, in seconds.
    ahead_s: i64,
}

impl ClientCertVerifier for OnlyClients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        // The node's clock is the lab's; certificates made by the wall's clock are as good.
        let lab = u64::try_from(self.clock.now().as_second() + self.ahead_s).unwrap_or_default();
        let lab = UnixTime::since_unix_epoch(std::time::Duration::from_secs(lab));
        let verified = self.inner.verify_client_cert(leaf, intermediates, lab).or_else(|e| {
            if self.ahead_s == 0 { self.inner.verify_client_cert(leaf, intermediates, now) } else { Err(e) }
        })?;
        if only_client_auth(leaf) {
            Ok(verified)
        } else {
            Err(Error::InvalidCertificate(CertificateError::BadEncoding))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, leaf, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, leaf, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// apid takes no certificate that is good for anything else (`verifyExtKeyUsage`).
fn only_client_auth(leaf: &CertificateDer<'_>) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(leaf) else { return false };
    certificate.extended_key_usage().ok().flatten().is_some_and(|usage| {
        let usage = usage.value;
        let others = usage.any
            || usage.server_auth
            || usage.code_signing
            || usage.email_protection
            || usage.time_stamping
            || usage.ocsp_signing;
        usage.client_auth && !others && usage.other.is_empty()
    })
}
