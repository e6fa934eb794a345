//! Talos machines that are not members yet: the key that maintenance mode shows, the config in a drive, a closed API.
pub mod closed;
pub mod pin;
pub mod seed_file;
