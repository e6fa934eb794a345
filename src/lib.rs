//! cozyup: from a bare Proxmox VE site to a validated CozyStack cluster.
//! The rooms (top-level modules), and which of them may import which: `docs/ARCHITECTURE.md`.
pub use cozyup_base as base;
pub use cozyup_lab as lab;

pub mod assess;
pub mod backup;
pub mod cli;
pub mod compose;
pub mod cozystack;
#[warn(missing_docs)]
pub mod engine;
pub mod integrity;
pub mod inventory;
#[warn(missing_docs)]
pub mod kubernetes;
pub mod observe;
pub mod observed;
#[warn(missing_docs)]
pub mod plan;
#[warn(missing_docs)]
pub mod proxmox;
pub mod release;
pub mod report;
#[warn(missing_docs)]
pub mod session;
pub mod steps;
#[warn(missing_docs)]
pub mod talos;
pub mod tui;
