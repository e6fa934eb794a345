//! What may not get out, and what may not get in: secrets in anything that is written, shown or listed, and text that a
//! terminal obeys in anything that a person sees.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod at_rest;
#[path = "../common/mod.rs"]
mod common;
mod echo;
mod meddled;
mod search;
mod site;
mod whole_run;
