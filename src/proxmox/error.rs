//! The errors between cozyup and Proxmox VE. Two errors are two values where a person does something else next.
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
    Target {
        /// A sentence that names what can't be used.
        what: String,
    },
    /// No answer: no route, refused, cut. A changing call may still have been carried out.
    #[error("can't reach proxmox: {what}")]
    Unreachable {
        /// The URL and the cause.
        what: String,
        /// The cause as a value, for decisions.
        how: Unreached,
    },
    /// The server showed a certificate that is not trusted; nothing was sent to it.
    #[error("{}", certificate_text(found, trust, why))]
    Certificate {
        /// The certificate that the server showed.
        found: Box<Certificate>,
        /// The pin or the authorities that it was held against.
        trust: Trust,
        /// The reason why it does not pass.
        why: Distrust,
    },
    /// 401: the token is not accepted.
    #[error("proxmox does not accept the token: {text}")]
    Unauthorized {
        /// The reason in the status line.
        text: String,
        /// The token's fault, as far as the server says.
        fault: TokenFault,
    },
    /// `path` and `privilege` where the server names them; several privileges are joined by `|`, of which one is enough.
    #[error("{text}")]
    Forbidden {
        /// The server's words.
        text: String,
        /// Path that the right is missing on, such as `/vms/1001`.
        path: Option<String>,
        /// Privilege that is missing, such as `VM.Clone`.
        privilege: Option<String>,
    },
    /// 400: the server does not take a parameter.
    #[error("{}", parameters_text(errors))]
    Parameters {
        /// The server's words for each parameter that it names; may be empty.
        errors: BTreeMap<String, String>,
    },
    /// The thing that was asked for is not there.
    #[error("{text}")]
    NotFound {
        /// The server's words.
        text: String,
    },
    /// The node of the UPID does not know the task: not yet (right after the call), or not any more.
    #[error("no such task on its node")]
    NoSuchTask,
    /// A VM, a storage or the cluster's configuration is held by another task.
    #[error("{text}")]
    Locked {
        /// The server's words; they name the lock.
        text: String,
    },
    /// The id, name or file is taken.
    #[error("{text}")]
    Exists {
        /// The server's words.
        text: String,
    },
    /// The node behind the one that answered is down or slow (595, 596, 599, 502 to 504), the cluster has no quorum,
    /// or our own deadline passed (`status` is `None`). A changing call may still be carried out.
    #[error("{text}")]
    Busy {
        /// HTTP status; `None` when our own deadline passed.
        status: Option<u16>,
        /// The server's words, or ours.
        text: String,
    },
    /// Every other refusal; mostly status 500.
    #[error("proxmox answers {status}: {text}")]
    Server {
        /// HTTP status.
        status: u16,
        /// The server's words.
        text: String,
        /// The meaning of the words.
        cause: Cause,
    },
    /// The cluster has no node of the name in the request.
    #[error("{text}")]
    NoSuchNode {
        /// The server's words; they name the node.
        text: String,
    },
    /// The node that answered does not believe the certificate of `node`, for which the request is (596).
    #[error("{}", node_certificate_text(node.as_deref(), text))]
    NodeCertificate {
        /// The node whose certificate is not believed; `None` when the request is for no node in particular.
        node: Option<String>,
        /// The words of the node that answered.
        text: String,
    },
    /// Not Proxmox VE answered but something on the way to it, which calls itself `server`.
    #[error("{}", in_front_text(*status, *front, server.as_deref(), text))]
    InFront {
        /// HTTP status.
        status: u16,
        /// The sort of answer that it gave.
        front: Front,
        /// Its `Server` header; `None` when it sent none.
        server: Option<String>,
        /// The status line, or the first words of its page.
        text: String,
    },
    /// An answer that is not what the API promises. Never holds the answer itself.
    #[error("{text}")]
    Answer {
        /// The call, and what is wrong with its answer.
        text: String,
    },
    /// A file of this machine that was to be uploaded.
    #[error("{what}")]
    File {
        /// Path of the file and what is wrong with it.
        what: String,
    },
}

/// The end of a request that brought no answer.
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

/// The sort of thing that stands in front of Proxmox VE, by what it answered in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Front {
    /// It wants a login of its own.
    Login,
    /// It takes no body of this size.
    BodyLimit,
    /// It lets through only so many requests.
    RateLimit,
    /// It lets this client or path not pass.
    Denied,
    /// It sends the request to another address, which is never followed.
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

/// The error for a server whose first words are no TLS, or that takes none of our versions and ciphers.
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
