//! What the token of the plan may do on Proxmox VE, what it has to be allowed, and how an administrator allows it.
pub mod grant;
pub mod needs;
pub mod network;
