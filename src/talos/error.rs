//! The errors between cozyup and a node.
use std::net::IpAddr;
use tonic::Code;

/// The reason why a TLS connection can't be made.
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

/// The reason why a call to a node gave no answer that can be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// No answer: no route, connection refused or lost, or the deadline passed.
    #[error("{address} does not answer: {what}")]
    Unreachable {
        /// Address of the node.
        address: IpAddr,
        /// The cause from the connection, or the call that was not answered in time.
        what: String,
    },
    /// The node answers but says that it can't serve yet.
    #[error("the node is not ready: {text}")]
    NotReady {
        /// The node's words.
        text: String,
    },
    /// The TLS connection can't be made, or must not be trusted.
    #[error("{what}")]
    Untrusted {
        /// A sentence for a person that names the node.
        what: String,
        /// The same cause as a value, for decisions.
        why: Distrust,
    },
    /// The node's own words.
    #[error("the node refused ({code:?}): {text}")]
    Refused {
        /// gRPC status code of the answer.
        code: Code,
        /// The node's message.
        text: String,
    },
    /// etcd has its data already: this node, or another one, was bootstrapped before.
    #[error("the cluster is bootstrapped already")]
    AlreadyBootstrapped,
    /// The node can't be bootstrapped yet; the text is the node's.
    #[error("too early to bootstrap: {text}")]
    BootstrapTooEarly {
        /// The node's message.
        text: String,
    },
    /// The node does not know the time yet: neither etcd nor kubelet, trustd or a bootstrap go on before it does.
    #[error("the node has no time from its time servers yet: {text}")]
    TimeNotInSync {
        /// The node's message.
        text: String,
    },
    /// The node has no such disk to install on as the config names.
    #[error("the node refuses the config: {text}")]
    InstallDisk {
        /// The node's message; it names the disk or the selector.
        text: String,
    },
    /// The node does not take the config; its words name the key.
    #[error("the node refuses the config: {text}")]
    ConfigRefused {
        /// The node's message.
        text: String,
    },
    /// The node answers, and hands the call on to an etcd that does not: none runs there, or it hangs.
    #[error("{address} answers, but its etcd has not within {seconds} s: none runs there, or it is stuck")]
    EtcdSilent {
        /// Address of the node.
        address: IpAddr,
        /// The time that its etcd was given, in seconds.
        seconds: u64,
    },
    /// An answer that we can't read.
    #[error("the answer makes no sense: {text}")]
    Answer {
        /// The call or the type of resource, and the fault.
        text: String,
    },
}

impl Error {
    /// True when the same call may work a little later without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            // The node, or what it asks, is overtaxed or stumbled.
            Error::Refused { code: Code::ResourceExhausted | Code::Internal | Code::Aborted, .. } => true,
            Error::Unreachable { .. }
            | Error::NotReady { .. }
            | Error::BootstrapTooEarly { .. }
            | Error::EtcdSilent { .. } => true,
            // Time servers that a node can't reach stay so until somebody does something.
            Error::TimeNotInSync { .. }
            | Error::InstallDisk { .. }
            | Error::ConfigRefused { .. }
            | Error::Untrusted { .. }
            | Error::Refused { .. }
            | Error::AlreadyBootstrapped
            | Error::Answer { .. } => false,
        }
    }
}
