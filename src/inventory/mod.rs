//! What people have put into a cluster: tenants, databases, machines, volumes, addresses, names; how each comes to another
//! cluster, in which order, what stands against it, and whether anything here still serves. It only reads.
//!
//! `gather` reads page by page into a `stock`, `owners` says what belongs to what, `item` is what comes of it; `compare` puts
//! two of them beside each other, `tell` makes the words.
mod compare;
mod gather;
mod item;
mod known;
mod owners;
mod parts;
mod plain;
mod stock;
mod tell;

pub use compare::{Comparison, Fate, compare};
pub use gather::gather;
pub use item::{Inventory, Readiness, SCHEMA};
pub use tell::{compared_json, compared_markdown, compared_text, csv, json, markdown, text};
