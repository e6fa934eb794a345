//! Client of the Talos API, the cluster's secrets and the machine configs.
//!
//! A node is read through [`Maintenance`] (no config yet) or [`Secure`] (configured); only [`Changer`] changes it.
pub mod client;
pub mod config;
pub mod error;
mod pem;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod secrets;
pub mod seed;
pub mod state;
pub mod watch;
pub use cozyup_talos_wire as wire;

pub use client::changer::Changer;
pub use client::tls::SpkiFingerprint;
pub use client::{Maintenance, Secure};
pub use error::{Distrust, Error};
pub use state::{NodeState, state_of};
