//! The generated messages, clients and servers of `assets/proto`, one module per proto package.
#![allow(clippy::all, clippy::pedantic, clippy::unwrap_used, clippy::indexing_slicing, dead_code, missing_docs)]
include!(concat!(env!("OUT_DIR"), "/wire.rs"));
