//! What goes wrong between cozyup and Proxmox VE, told apart by what one does next.
use crate::base::tls::Fingerprint;
use std::collections::BTreeMap;

/// Texts are the server's own words, cleaned, without the token's secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The address, the token or an argument can't be used at all; nothing was sent.
    #[error("{what}")]
    Target { what: String },
    /// No answer: no route, refused, cut. A changing call may still have been carried out.
    #[error("can't reach proxmox: {what}")]
    Unreachable { what: String },
    /// The server showed another certificate than the pinned one, or one no authority of this system vouches for.
    #[error("{}", certificate_text(found, pinned.as_ref(), why))]
    Certificate { found: Fingerprint, pinned: Option<Fingerprint>, why: String },
    #[error("proxmox does not accept the token: {text}")]
    Unauthorized { text: String },
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
    Server { status: u16, text: String },
    /// An answer that is not what the API promises. Never holds the answer itself.
    #[error("{text}")]
    Answer { text: String },
    /// A file of this machine that was to be uploaded.
    #[error("{what}")]
    File { what: String },
}

impl Error {
    /// True when the same call may well succeed later without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Unreachable { .. } | Error::NoSuchTask | Error::Locked { .. } | Error::Busy { .. } => true,
            Error::Target { .. }
            | Error::Certificate { .. }
            | Error::Unauthorized { .. }
            | Error::Forbidden { .. }
            | Error::Parameters { .. }
            | Error::NotFound { .. }
            | Error::Exists { .. }
            | Error::Server { .. }
            | Error::Answer { .. }
            | Error::File { .. } => false,
        }
    }

    pub(super) fn parameter(name: &str, text: &str) -> Self {
        Error::Parameters { errors: BTreeMap::from([(name.to_string(), text.to_string())]) }
    }
}

fn certificate_text(found: &Fingerprint, pinned: Option<&Fingerprint>, why: &str) -> String {
    match pinned {
        Some(pinned) => format!("the server's certificate is {found}, the pinned one is {pinned}"),
        None => format!("the server's certificate {found} can't be verified: {why}"),
    }
}

fn parameters_text(errors: &BTreeMap<String, String>) -> String {
    let each: Vec<String> = errors.iter().map(|(name, text)| format!("{name}: {text}")).collect();
    if each.is_empty() { "parameter verification failed".to_string() } else { each.join("; ") }
}
