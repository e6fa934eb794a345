//! What goes wrong between us and a node.
use std::net::IpAddr;
use tonic::Code;

/// Why a TLS connection is not to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distrust {
    /// The node asks for a client certificate and we showed none: it is configured.
    CertificateAsked,
    /// The node's certificate is not signed by our CA.
    ServerNotOurs,
    /// The node does not accept our client certificate.
    OursRefused,
    /// The node's key is not the one that was pinned.
    OtherKey,
    /// A certificate is not valid by this machine's or the node's time.
    Clocks,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// No answer: no route, connection refused or lost, or the deadline passed.
    #[error("{address} does not answer: {what}")]
    Unreachable { address: IpAddr, what: String },
    /// The node answers but says that it can't serve yet.
    #[error("the node is not ready: {text}")]
    NotReady { text: String },
    #[error("{what}")]
    Untrusted { what: String, why: Distrust },
    /// The node's own words.
    #[error("the node refused ({code:?}): {text}")]
    Refused { code: Code, text: String },
    /// etcd has its data already: this node, or another one, was bootstrapped before.
    #[error("the cluster is bootstrapped already")]
    AlreadyBootstrapped,
    /// The node can't be bootstrapped yet; the text is the node's.
    #[error("too early to bootstrap: {text}")]
    BootstrapTooEarly { text: String },
    /// An answer that we can't read.
    #[error("the answer makes no sense: {text}")]
    Answer { text: String },
}

impl Error {
    /// Whether the same call may work a little later without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            // The node, or what it asks, is overtaxed or stumbled.
            Error::Refused { code: Code::ResourceExhausted | Code::Internal | Code::Aborted, .. } => true,
            Error::Unreachable { .. } | Error::NotReady { .. } | Error::BootstrapTooEarly { .. } => true,
            Error::Untrusted { .. } | Error::Refused { .. } | Error::AlreadyBootstrapped | Error::Answer { .. } => {
                false
            }
        }
    }
}
