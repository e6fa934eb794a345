//! Python's `proxmoxer` uses the lab as it would use a site: with the installer's token and as `root@pam` with a ticket.
//! What the scripts expect are the words of Proxmox VE's own sources. They see TLS verified in every call.
use super::lab::Served;
use super::peer::{cache, say};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Lab seconds in a second of the wall: the longest task, an import, lasts an eighth of a second.
const SPEED: f64 = 200.0;
const DEADLINE: Duration = Duration::from_secs(120);

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/proxmox")
}

/// Runs the tests in `SCRIPT.py` against a lab of their own; a scenario that is not built in is a file beside them.
fn judge(script: &str, scenario: &str) {
    let file = here().join(format!("{scenario}.yaml"));
    let scenario = if file.is_file() { file.to_str().unwrap() } else { scenario };
    judge_in(&Served::start(scenario, SPEED), script);
}

fn judge_in(lab: &Served, script: &str) {
    let mut command = Command::new(cache().join("python/bin/python"));
    command.args(["-B", "-m", "unittest", script]).current_dir(here()).env("COZYUP_LAB", &lab.dir);
    let said = say(&mut command, DEADLINE);
    let all = format!("{}{}", said.out, said.err);
    assert_eq!(said.code, Some(0), "{all}");
    assert!(all.contains("Ran ") && !all.contains("Ran 0 tests"), "{all}");
}

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn proxmoxer_signs_in_with_token_and_with_ticket_and_learns_why_it_can_not() {
    judge("sign_in", "standard");
}

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn proxmoxer_finds_nodes_storages_bridges_and_guests_in_the_shapes_of_proxmox() {
    judge("facts", "standard");
}

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn proxmoxer_uploads_downloads_lists_and_removes_images() {
    judge("images", "standard");
}

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn proxmoxer_takes_machines_through_their_whole_life() {
    judge("guests", "standard");
}

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn proxmoxer_looks_at_work_that_is_under_way_and_stops_it() {
    judge("held", "held");
}

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn proxmoxer_follows_tasks_and_reads_their_logs() {
    judge("tasks", "standard");
}

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn proxmoxer_is_refused_in_the_words_of_proxmox() {
    judge("refusals", "standard");
}

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn proxmoxer_hands_out_rights_and_sees_only_what_it_may() {
    judge("rights", "standard");
}

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn proxmoxer_finds_two_hosts_to_be_a_cluster() {
    judge("cluster", "cluster");
}

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn proxmoxer_finds_an_old_host_to_be_old() {
    judge("old", "old");
}

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn proxmoxer_finds_what_the_product_has_made() {
    let lab = Served::start("standard", SPEED);
    lab.run_until(1);
    judge_in(&lab, "made");
}

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn proxmoxer_meets_locks_full_storages_and_what_others_took() {
    judge("faults", "faults");
}

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn pythons_http_client_meets_the_server_that_proxmox_has() {
    judge("wire", "standard");
}
