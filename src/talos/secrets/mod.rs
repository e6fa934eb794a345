//! The secrets of one cluster: made once, kept by us alone, in the form that `talosctl` reads and writes.
mod access;
mod authority;
mod bundle;

pub use authority::{Authority, ClientCertificate};
pub use bundle::Bundle;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cryptographic library refused; the text names the act.
    #[error("{what}")]
    Crypto { what: &'static str },
    #[error("can't make or read a certificate")]
    Certificate(#[source] rcgen::Error),
    /// A leaf signed with the authority's key does not verify against its certificate.
    #[error("the {name} CA's certificate and key do not belong together")]
    Unfit { name: &'static str },
    /// The text is no secrets bundle; the reason never quotes a value.
    #[error("the secrets bundle can't be read: {what}")]
    Form { what: String },
    #[error("can't write YAML: {what}")]
    Yaml { what: String },
}

#[cfg(test)]
mod tests;
