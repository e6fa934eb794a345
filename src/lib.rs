//! cozyup: from a bare Proxmox VE site to a validated CozyStack cluster.
//! The rooms of the house and who may import whom: `docs/ARCHITECTURE.md`.
pub mod base;
pub mod cli;
pub mod compose;
pub mod cozystack;
pub mod engine;
pub mod kubernetes;
pub mod lab;
pub mod plan;
pub mod proxmox;
pub mod report;
pub mod session;
pub mod steps;
pub mod talos;
pub mod tui;
