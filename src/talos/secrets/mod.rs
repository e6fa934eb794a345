//! The secrets of one cluster: made once, kept by us alone, in the form that `talosctl` reads and writes.
mod access;
mod authority;
mod bundle;
mod talosconfig;

pub use authority::{Authority, CLIENT_VALID, ClientCertificate};
pub use bundle::Bundle;
pub use talosconfig::{Access, Unreadable};

/// The reason why secrets can't be made, read or written. No text quotes a secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cryptographic library refused; the text names the act.
    #[error("{what}")]
    Crypto {
        /// The failure in a few words: "can't make a key", "no randomness".
        what: &'static str,
    },
    /// The certificate library refused.
    #[error("can't make or read a certificate")]
    Certificate(#[source] rcgen::Error),
    /// A leaf signed with the authority's key does not verify against its certificate.
    #[error("the {name} CA's certificate and key do not belong together")]
    Unfit {
        /// The authority: `etcd`, `kubernetes`, `aggregator` or `os`.
        name: &'static str,
    },
    /// The text is no secrets bundle; the reason never quotes a value.
    #[error("the secrets bundle can't be read: {what}")]
    Form {
        /// The fault, with the key of the bundle at which it is.
        what: String,
    },
    /// The YAML writer refused a value.
    #[error("can't write YAML: {what}")]
    Yaml {
        /// The YAML writer's words.
        what: String,
    },
}

#[cfg(test)]
mod tests;
