//! Client of the Proxmox VE API (8.0 to 9.x) with an API token: a reading half, a changing half, tasks, errors.
//!
//! Every call has a deadline, TLS is verified or pinned, at most four requests are under way at once, and every
//! text from outside is cleaned before it leaves this room.
mod access;
mod cause;
mod certificate;
mod changer;
mod config;
mod connection;
mod decode;
mod error;
mod evidence;
mod fields;
mod network;
mod overview;
mod path;
#[cfg(any(test, fuzzing))]
pub mod properties;
mod reader;
mod refusal;
mod site;
mod storage;
mod task;
mod token;
mod trust;
mod upid;
mod upload;
mod vm;
mod words;

pub use access::{AclRow, Permissions, TokenRow, UserRow};
pub use cause::{Cause, TokenFault};
pub use certificate::{Certificate, NodeCertificate, ROOT_CA, Shown, Validity, probe_certificate};
pub use changer::{Changer, CloneOptions, Grantee};
pub use config::{Disk, Net, VmConfig};
pub use error::{Error, Front, Unreached};
pub use network::{Bridge, Vnet};
pub use overview::{GuestUse, HostUse, Overview, StorageUse, TaskRow};
pub use reader::Reader;
pub use site::{ClusterNode, ClusterStatus, NodeRow, NodeStatus, Version};
pub use storage::{StorageConfig, StorageRow, Volume};
pub use task::{LogLine, TaskExit, TaskStatus, progress_of, reason_of};
pub use token::{Unreadable, read as read_token};
pub use trust::Anchor;
pub use upid::Upid;
pub use vm::{VmRow, VmStatus};

use crate::base::api_url::ApiUrl;
use crate::base::secret::Secret;
use crate::base::trust::Trust;
use std::sync::Arc;

/// One Proxmox VE node's API and the token to use it with.
#[derive(Debug, Clone)]
pub struct Target {
    /// Always https: the token would travel in the clear otherwise.
    pub url: ApiUrl,
    /// `cozyup@pve!wizard`
    pub token_id: String,
    /// The token's secret, a UUID.
    pub secret: Secret<String>,
    /// The certificate or authority that the server must show; the token is not sent to any other.
    pub trust: Trust,
}

/// The two halves of one connection; both are cheap to clone. Sends nothing yet.
///
/// # Errors
/// [`Error::Target`] when the token can't be used, or when there is neither a pin nor a system
/// certificate authority to verify with.
pub fn connect(target: Target) -> Result<(Reader, Changer), Error> {
    let connection = Arc::new(connection::Connection::new(target)?);
    Ok((Reader::new(connection.clone()), Changer::new(connection)))
}
