//! A run on this machine: its folder, its lock, what screens may ask of it.
pub mod folder;
pub mod lock;
pub mod protocol;
