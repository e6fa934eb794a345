//! The client of the cluster: get, list, watch, logs, apply. One half reads, the other changes; both speak JSON over
//! verified TLS and never through a proxy, because a jump host's `HTTPS_PROXY` knows nothing of the site's network.
mod changer;
mod connect;
mod discovery;
mod error;
mod evidence;
mod follow;
mod kind;
mod limit;
mod nodes;
mod pods;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod quantity;
mod quota;
mod reader;
mod rows;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod walk;
mod warnings;
mod wire;

pub use changer::{Changer, Evicted, FIELD_MANAGER};
pub use connect::{Credentials, connect};
pub use discovery::{Discovered, Served};
pub use error::Error;
pub use follow::Snapshots;
pub use kind::Kind;
pub use nodes::NodeStatus;
pub use pods::PodStatus;
pub use quota::Exceeded;
pub use reader::{Listed, Reader, Version};
pub use rows::{ReleaseStatus, Said};
pub use walk::{Bounds, Cut, Pages, Walked};
pub use warnings::EventStatus;
