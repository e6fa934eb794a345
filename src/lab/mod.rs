//! A simulated site: Proxmox VE, Talos and Kubernetes on real sockets in front of one world with one clock.
//! What it does not simulate is listed in `docs/LAB.md`.
#![allow(
    clippy::indexing_slicing,
    reason = "reads of JSON values by key never panic; what is written to is made an object first"
)]
mod built_in;
pub mod changes;
pub mod critical;
pub mod disturb;
pub mod iso;
pub mod kube;
pub mod machine;
mod mirror;
pub mod net;
pub mod old;
pub mod others;
mod proxy;
pub mod pve;
pub mod releases;
pub mod scenario;
pub mod site;
mod time;
pub mod world;
