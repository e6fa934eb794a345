//! Faults on the way to every API: what the product says, and that it goes on to the same proven end.
//!
//! The whole matrix takes long: `tests/soak/faults-run [API/KIND]`. The tests that everybody runs are a choice of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod account;
mod chosen;
mod kinds;
mod lab;
mod matrix;
