//! Who asks, by client certificate, and what they may.
use super::kinds::Kind;
use super::path::Target;
use super::refusal::Refusal;
use serde_json::Value;
use x509_parser::prelude::{FromDer, X509Certificate};

const MASTERS: &str = "system:masters";

/// The lab knows two sorts of user: those in `system:masters` may all, the others may look at discovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    Anonymous,
    User { name: String, groups: Vec<String> },
}

impl Identity {
    /// Of a certificate that the TLS handshake has verified: CN is the name, each O a group.
    pub fn of_certificate(der: &[u8]) -> Self {
        let Ok((_, certificate)) = X509Certificate::from_der(der) else { return Identity::Anonymous };
        let subject = certificate.subject();
        let Some(name) = subject.iter_common_name().find_map(|n| n.as_str().ok()) else { return Identity::Anonymous };
        let groups = subject.iter_organization().filter_map(|o| o.as_str().ok()).map(Into::into).collect();
        Identity::User { name: name.into(), groups }
    }

    pub fn is_master(&self) -> bool {
        match self {
            Identity::Anonymous => false,
            Identity::User { groups, .. } => groups.iter().any(|g| g == MASTERS),
        }
    }

    /// Refuses those who may not do `verb` with `target`; `None` is discovery, which every user may see.
    pub fn check(&self, verb: &str, target: Option<&Target>) -> Result<(), Refusal> {
        match (self, target) {
            (Identity::Anonymous, _) => Err(Refusal::Unauthorized),
            (Identity::User { name, .. }, Some(target)) if !self.is_master() => Err(forbidden(name, verb, target)),
            (Identity::User { .. }, _) => Ok(()),
        }
    }
}

fn forbidden(user: &str, verb: &str, target: &Target) -> Refusal {
    let kind: &'static Kind = target.kind;
    let object = target.name.as_ref().map(|n| format!(" \"{n}\"")).unwrap_or_default();
    let place = match target.namespace.as_str() {
        "" => "at the cluster scope".to_string(),
        namespace => format!("in the namespace \"{namespace}\""),
    };
    let message = format!(
        "{kind}{object} is forbidden: User \"{user}\" cannot {verb} resource \"{}\" in API group \"{}\" {place}",
        kind.plural, kind.group
    );
    let name = target.name.clone().unwrap_or_default();
    Refusal::Forbidden { kind: Some(kind), name, message, causes: Value::Null }
}
