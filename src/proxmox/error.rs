//! What goes wrong between cozyup and Proxmox VE, told apart by what one does next.
use super::cause::{Cause, TokenFault};
use super::certificate::Certificate;
use super::refusal::forbidden;
use crate::base::trust::{Distrust, Trust};
use std::collections::BTreeMap;

/// Texts are the server's own words, cleaned, without the token's secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The address, the token or an argument can't be used at all; nothing was sent.
    #[error("{what}")]
    Target { what: String },
    /// No answer: no route, refused, cut. A changing call may still have been carried out.
    #[error("can't reach proxmox: {what}")]
    Unreachable { what: String, how: Unreached },
    /// The server showed a certificate that is not trusted; nothing was sent to it.
    #[error("{}", certificate_text(found, trust, why))]
    Certificate { found: Box<Certificate>, trust: Trust, why: Distrust },
    #[error("proxmox does not accept the token: {text}")]
    Unauthorized { text: String, fault: TokenFault },
    /// `path` and `privilege` where the server names them; several privileges are joined by `|`, of which one is enough.
    #[error("{text}")]
    Forbidden { text: String, path: Option<String>, privilege: Option<String> },
    #[error("{}", parameters_text(errors))]
    Parameters { errors: BTreeMap<String, String> },
    #[error("{text}")]
    NotFound { text: String },
    /// The node of the UPID does not know the task: not yet (right after the call), or not any more.
    #[error("no such task on its node")]
    NoSuchTask,
    /// A VM, a storage or the cluster's configuration is held by another task.
    #[error("{text}")]
    Locked { text: String },
    #[error("{text}")]
    Exists { text: String },
    /// The node behind the one that answered is down or slow (595, 596, 599, 502 to 504), the cluster has no quorum,
    /// or our own deadline passed (`status` is `None`). A changing call may still be carried out.
    #[error("{text}")]
    Busy { status: Option<u16>, text: String },
    #[error("proxmox answers {status}: {text}")]
    Server { status: u16, text: String, cause: Cause },
    /// The cluster has no node of the name in the request.
    #[error("{text}")]
    NoSuchNode { text: String },
    /// The node that answered does not believe the certificate of `node`, for which the request is (596).
    #[error("{}", node_certificate_text(node.as_deref(), text))]
    NodeCertificate { node: Option<String>, text: String },
    /// Not Proxmox VE answered but something on the way to it, which calls itself `server`.
    #[error("{}", in_front_text(*status, *front, server.as_deref(), text))]
    InFront { status: u16, front: Front, server: Option<String>, text: String },
    /// An answer that is not what the API promises. Never holds the answer itself.
    #[error("{text}")]
    Answer { text: String },
    /// A file of this machine that was to be uploaded.
    #[error("{what}")]
    File { what: String },
}

/// How a request ended that brought no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreached {
    /// The name of the host leads nowhere.
    Name,
    /// Something listens that speaks no TLS, or none that this program speaks too.
    NoTls,
    /// Nothing listens, or there is no way.
    NoConnection,
    /// The connection was taken and closed before TLS had begun.
    ClosedAtOnce,
    /// The connection broke before the answer was whole.
    Cut,
    /// No answer in time, or whatever else.
    Other,
}

/// What stands in front of Proxmox VE, by what it answered in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Front {
    /// It wants a login of its own.
    Login,
    /// It takes no body of this size.
    BodyLimit,
    RateLimit,
    /// It lets this client or path not pass.
    Denied,
    Redirect,
    /// It does not reach what is behind it.
    NoBackend,
    /// It has no such page: another server, or another path than the API's.
    OtherPlace,
}

impl Error {
    /// True when the same call may well succeed later without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Unreachable { .. } | Error::NoSuchTask | Error::Locked { .. } | Error::Busy { .. } => true,
            Error::Server { cause, .. } => cause.is_passing(),
            Error::InFront { front, .. } => matches!(front, Front::RateLimit | Front::NoBackend),
            Error::Target { .. }
            | Error::Certificate { .. }
            | Error::Unauthorized { .. }
            | Error::Forbidden { .. }
            | Error::Parameters { .. }
            | Error::NotFound { .. }
            | Error::Exists { .. }
            | Error::NoSuchNode { .. }
            | Error::NodeCertificate { .. }
            | Error::Answer { .. }
            | Error::File { .. } => false,
        }
    }

    /// The refusal in these words of Proxmox VE, with object and privilege where they name them.
    pub fn forbidden(text: &str) -> Self {
        forbidden(text.to_string())
    }

    pub(super) fn parameter(name: &str, text: &str) -> Self {
        Error::Parameters { errors: BTreeMap::from([(name.to_string(), text.to_string())]) }
    }
}

/// What is said of a server whose first words are no TLS, or that takes none of our versions and ciphers.
pub(super) fn without_tls(unreachable: Error, tls: &rustls::Error) -> Error {
    match (unreachable, tls) {
        (
            Error::Unreachable { what, .. },
            rustls::Error::InvalidMessage(_) | rustls::Error::PeerIncompatible(_) | rustls::Error::AlertReceived(_),
        ) => Error::Unreachable { what, how: Unreached::NoTls },
        (other, _) => other,
    }
}

fn certificate_text(found: &Certificate, trust: &Trust, why: &Distrust) -> String {
    let shown = &found.fingerprint;
    match (trust, why) {
        (Trust::Leaf(pin), _) => format!("the server's certificate is {shown}, the pinned one is {pin}"),
        (Trust::System | Trust::Authority(_), Distrust::OtherName) if !found.names.is_empty() => {
            format!("the server's certificate {shown} is for {}, not for the host of the URL", found.names.join(", "))
        }
        (Trust::System, _) => format!("the server's certificate {shown} can't be verified: {why}"),
        (Trust::Authority(authority), _) => {
            let pin = authority.fingerprint();
            format!("the server's certificate {shown} does not pass by the pinned authority {pin}: {why}")
        }
    }
}

pub(super) fn parameters_text(errors: &BTreeMap<String, String>) -> String {
    let each: Vec<String> = errors.iter().map(|(name, text)| format!("{name}: {text}")).collect();
    if each.is_empty() { "parameter verification failed".to_string() } else { each.join("; ") }
}

fn node_certificate_text(node: Option<&str>, text: &str) -> String {
    let node = node.map_or_else(|| "another node".to_string(), |node| format!("node {node}"));
    format!("the node that was asked does not believe the certificate of {node}: {text} (596)")
}

fn in_front_text(status: u16, front: Front, server: Option<&str>, text: &str) -> String {
    let who = server.map_or_else(|| "something".to_string(), |server| format!("`{server}`"));
    let does = match front {
        Front::Login => "wants a login of its own",
        Front::BodyLimit => "takes no body of this size",
        Front::RateLimit => "limits requests",
        Front::Denied => "lets this request not pass",
        Front::Redirect => "sends this request somewhere else",
        Front::NoBackend => "does not reach Proxmox VE",
        Front::OtherPlace => "has no such page",
    };
    format!("{who} in front of proxmox {does}: {text} ({status})")
}
