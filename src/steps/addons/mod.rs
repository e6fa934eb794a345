//! Add-ons that use Proxmox VE: who they are there, how they trust it, whether they reach it, where they come from.
pub mod access;
pub mod grants;
pub mod probe;
pub mod provider_file;
pub mod trust;
