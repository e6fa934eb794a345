//! The identity of the caller, by client certificate.
use x509_parser::prelude::{FromDer, X509Certificate};

const MASTERS: &str = "system:masters";
const KNOWN: &str = "system:authenticated";

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// Talos switches anonymous requests off: who shows no certificate gets no answer at all.
    Anonymous,
    User {
        name: String,
        groups: Vec<String>,
    },
}

impl Identity {
    /// Of a certificate that the TLS handshake has verified: CN is the name, each O a group.
    pub fn of_certificate(der: &[u8]) -> Self {
        let Ok((_, certificate)) = X509Certificate::from_der(der) else { return Identity::Anonymous };
        let subject = certificate.subject();
        let Some(name) = subject.iter_common_name().find_map(|n| n.as_str().ok()) else { return Identity::Anonymous };
        let mut groups: Vec<String> =
            subject.iter_organization().filter_map(|o| o.as_str().ok()).map(Into::into).collect();
        groups.push(KNOWN.into());
        Identity::User { name: name.into(), groups }
    }

    pub fn is_master(&self) -> bool {
        match self {
            Identity::Anonymous => false,
            Identity::User { groups, .. } => groups.iter().any(|g| g == MASTERS),
        }
    }
}
