//! cozyup: from a bare Proxmox VE site to a validated CozyStack cluster.
//! The rooms of the house and who may import whom: `docs/ARCHITECTURE.md`.
pub use cozyup_base as base;
pub use cozyup_lab as lab;

pub mod cli;
pub mod compose;
pub mod cozystack;
pub mod engine;
pub mod kubernetes;
pub mod plan;
pub mod proxmox;
pub mod release;
pub mod report;
pub mod session;
pub mod steps;
pub mod talos;
pub mod tui;
