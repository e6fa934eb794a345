//! Tier 2: other people's programs judge our clients and our lab. `tests/peers/run` builds them and runs this; what
//! needs no peer (the lab's half of the conformance suite) runs in tier 1 too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod bridge;
mod definitions;
mod kube_apiserver;
mod kubectl;
mod kubernetes;
mod lab;
mod machined;
mod peer;
mod pki;
mod proxmox;
mod talos;
