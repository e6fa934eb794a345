//! Talos machines: the key that maintenance mode shows, the config in a drive, a closed API, and the names of their disks.
pub mod closed;
pub mod disks;
pub mod pin;
pub mod seed_file;
