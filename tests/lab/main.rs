//! The lab at its sockets, asked as a real site is asked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod cluster_api;
mod control;
mod kube_api;
mod machine;
mod pve;
