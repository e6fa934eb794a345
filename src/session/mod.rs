//! A run on this machine: its folder, its lock, what screens may ask of it.
pub mod client;
pub mod folder;
pub mod launch;
pub mod lock;
pub mod order;
mod place;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod protocol;
pub mod socket;
pub mod worker;
