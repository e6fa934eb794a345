//! The whole program, as a person starts it, against a lab on real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod api_server;
mod common;
#[allow(dead_code, reason = "the soak uses the rest of it")]
#[path = "../soak/rig/mod.rs"]
mod rig;

mod assess;
mod backup;
mod cdrom;
mod contact;
mod crash;
mod crash_later;
mod day0;
mod day4;
mod day6;
mod day6_workers;
mod day7;
mod day8;
mod day9;
mod drills;
mod first_use;
mod form;
mod given;
mod ground;
mod hand_over;
mod hands;
mod inventory;
mod kept_workers;
mod lab_run;
mod leaks;
mod manual;
mod midway;
mod mirrors;
mod node_removal;
mod nodes;
mod observe;
mod session;
mod several_hosts;
mod shared_site;
mod teardown;
mod terminal;
mod two_hosts;
mod verify;
mod watch;
