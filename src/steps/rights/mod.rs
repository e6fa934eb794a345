//! The rights of the plan's token on Proxmox VE, those that it needs, and the way in which an administrator gives them.
pub mod grant;
pub mod look;
pub mod needs;
pub mod network;
