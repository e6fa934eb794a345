//! Each room by itself, from outside: what it promises to the others, and how the house is laid out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod answers;
mod assess;
mod budgets;
mod commands;
mod cozystack;
mod day_6;
mod engine;
mod findings_doc;
mod first_use;
mod forged;
mod heads;
mod layering;
mod named_tests;
mod plan;
mod proxmox;
mod safety_doc;
mod screens;
mod supply_chain;
mod talos;
mod talos_limits;
mod toolchain;
mod wall_clock;
