//! The whole of it: `cozyup lab run` as a person starts it, over real sockets, judged by what it prints and leaves behind.

use crate::common::{Kept, ToItsEnd, cozyup, exit, records, send, text, worker_of};
use cozyup::lab::site::Site;
use rustix::process::Signal;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

const SPEED: &str = "240";

fn run(state: &Path, scenario: &str, more: &[&str]) -> Output {
    let mut arguments = vec!["lab", "run", "--json", "--scenario", scenario, "--speed", SPEED];
    arguments.extend(more);
    cozyup(state, &arguments).ended()
}

fn kill_worker(state: &Path) {
    send(worker_of(&state.join("lab/standard/run")).expect("a worker"), Signal::KILL).unwrap();
}

fn summary(output: &Output) -> Value {
    let all = records(output);
    let last = all.last().unwrap_or_else(|| panic!("nothing printed: {}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(last["kind"], "summary", "the last line is no summary: {last}");
    last.clone()
}

fn assert_proven(output: &Output) {
    let summary = summary(output);
    assert_eq!(output.status.code(), Some(0), "{summary:#}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(summary["proven"], summary["steps"], "{summary:#}");
}

/// Texts of every `blocked` and `failed` record, with what to do next.
fn complaints(output: &Output) -> String {
    let all = records(output);
    let told = all.iter().filter(|r| r["event"] == "blocked" || r["event"] == "failed");
    told.map(|r| format!("{}: {} | {}\n", r["step"], r["failure"]["what"], r["failure"]["next"])).collect()
}

#[test]
fn the_standard_site_becomes_a_validated_cluster_and_leaves_its_keys_to_their_owner_only() {
    let state = tempfile::tempdir().unwrap();
    let output = run(state.path(), "standard", &[]);
    assert_proven(&output);
    let summary = summary(&output);
    assert!(summary["steps"].as_u64().unwrap() > 60, "{summary:#}");
    for name in ["kubeconfig", "talosconfig", "secrets"] {
        let path = summary["files"][name].as_str().unwrap_or_else(|| panic!("no {name} in {summary:#}"));
        let mode = std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{path}");
    }
    let lab_seconds = summary["critical_path_s"].as_f64().unwrap();
    let wall = summary["wall_s"].as_f64().unwrap();
    let speed: f64 = SPEED.parse().unwrap();
    // Faster than the critical path is impossible: it would mean that a wait was skipped.
    assert!(wall > lab_seconds / speed * 0.98, "{wall} s is less than the critical path of {lab_seconds} lab seconds");
    let all = records(&output);
    let proven = all.iter().filter(|r| r["event"] == "proven");
    for record in proven {
        let readings = record["proof"]["readings"].as_array().unwrap();
        assert!(!readings.is_empty() && readings.iter().all(|r| r["answer"].is_string()), "{record:#}");
    }
    let acts: Vec<&Value> = all.iter().filter(|r| r["event"] == "intended").collect();
    let mut names: Vec<String> = acts.iter().map(|r| r["step"].to_string()).collect();
    names.sort();
    let mut once = names.clone();
    once.dedup();
    once.iter().for_each(|name| drop(names.remove(names.iter().position(|n| n == name).unwrap())));
    // A row is written by one pod and read by another; a database goes before its tenant.
    assert_eq!(names, ["\"day8.cleanup\"", "\"day8.row\""], "a step acted twice on a site where nothing went wrong");
}

#[test]
fn the_last_patch_of_the_line_is_installed_by_its_own_image_and_the_end_of_the_line_is_told() {
    let state = tempfile::tempdir().unwrap();
    let output = run(state.path(), "later-patch", &["--until", "3"]);
    assert_proven(&output);
    let all = records(&output);
    let proofs = |step: &str| {
        let found = all.iter().find(|r| r["event"] == "proven" && r["step"] == step);
        found.unwrap_or_else(|| panic!("{step} is not proven"))["proof"].clone()
    };
    let remarks = proofs("day0.release")["remarks"].to_string();
    assert!(remarks.contains("no release of v0.37 has come since 2025-12-09"), "{remarks}");
    let installer = proofs("day3.installer").to_string();
    assert!(installer.contains("installer:v0.37.10@sha256:df2e6d4c"), "{installer}");
}

#[test]
fn a_killed_run_goes_on_to_the_same_end_and_makes_nothing_twice() {
    let state = tempfile::tempdir().unwrap();
    // A moment in every phase, told by what the run itself prints: in the middle of an act wherever there is one.
    let moments = [
        r#""event":"intended","kind":"record","schema":2,"seq""#,
        ":qmcreate:",
        ":qmclone:",
        ":qmstart:",
        "day2.bootstrap\"",
        "day3.installer\"",
        "day3.releases/wave-3\"",
        "proxmox-csi",
        "day5.volume/proxmox\"",
    ];
    for moment in moments {
        // Into a file: a pipe that nobody reads would stop the printing.
        let printed = state.path().join("printed");
        let file = std::fs::File::create(&printed).unwrap();
        let mut child = cozyup(state.path(), &["lab", "run", "--json", "--speed", SPEED]).stdout(file).spawn().unwrap();
        let read = || String::from_utf8_lossy(&std::fs::read(&printed).unwrap()).into_owned();
        // The declaration of the steps names them all: only what comes after it counts.
        while !read().lines().skip(1).any(|l| l.contains(moment)) {
            assert!(child.try_wait().unwrap().is_none(), "the run ended before `{moment}`:\n{}", read());
            std::thread::sleep(Duration::from_millis(2));
        }
        kill_worker(state.path());
        assert!(exit(&mut child).is_some(), "it does not end with its worker");
    }
    let output = run(state.path(), "standard", &["--keep"]);
    let _lab = Stops(state.path().join("lab/standard"));
    assert_proven(&output);
    // A worker killed before the record of a task's handle finds the machine by its VMID: the site itself is asked.
    // A clone is listed under the VMID of its template: four machines, and Cluster API's VM and two workers.
    let mut made = making(&Site::of_running(&state.path().join("lab/standard")).expect("the lab serves on"));
    made.sort();
    let expected = [vec!["qmclone 9100"; 4 + 1 + 2], vec!["qmcreate 9100"]].concat();
    assert_eq!(made, expected, "every machine is made once, by one task");
}

/// Ends the lab in this folder with the value.
struct Stops(PathBuf);

impl Drop for Stops {
    fn drop(&mut self) {
        if let Some(site) = Site::of_running(&self.0) {
            // It may have ended in this moment.
            let _ = send(site.pid, Signal::TERM);
        }
    }
}

/// The tasks that made a machine, as the site's own list has them: kind and VMID.
fn making(site: &Site) -> Vec<String> {
    cozyup::base::tls::install_provider();
    let secret = std::fs::read_to_string(&site.token_file).unwrap();
    let client = reqwest::Client::builder().tls_danger_accept_invalid_certs(true).build().unwrap();
    let asked = client
        .get(format!("{}/api2/json/nodes/pve/tasks?limit=1000", site.url))
        .header("Authorization", format!("PVEAPIToken={}={}", site.token_id, secret.trim()));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let answer: Value = runtime.block_on(async { asked.send().await.unwrap().json().await.unwrap() });
    let tasks = answer["data"].as_array().unwrap_or_else(|| panic!("no list of tasks: {answer}"));
    let kind = |t: &Value| t["type"].as_str().unwrap().to_string();
    let making = tasks.iter().filter(|t| matches!(kind(t).as_str(), "qmclone" | "qmcreate"));
    making.map(|t| format!("{} {}", kind(t), t["id"].as_str().unwrap())).collect()
}

#[test]
fn a_missing_right_is_named_with_its_path_and_the_run_goes_on_when_it_is_given() {
    let state = tempfile::tempdir().unwrap();
    let output = run(state.path(), "missing-right", &["--until", "1"]);
    let told = complaints(&output);
    assert!(told.contains("day0.permissions") && told.contains("VM.Clone"), "{told}");
    assert!(told.contains("pveum"), "{told}");
    assert_proven(&output);
}

#[test]
fn a_full_storage_is_named_and_the_run_goes_on_when_there_is_room() {
    let state = tempfile::tempdir().unwrap();
    let output = run(state.path(), "storage-full", &["--until", "1"]);
    let told = complaints(&output);
    assert!(told.contains("day0.storages") && told.contains("local-lvm"), "{told}");
    assert_proven(&output);
}

#[test]
fn a_taken_vmid_is_named_and_the_run_goes_on_when_it_is_free() {
    let state = tempfile::tempdir().unwrap();
    let output = run(state.path(), "vmid-taken", &["--until", "1"]);
    let told = complaints(&output);
    assert!(told.contains("day0.vmids") && told.contains("1002"), "{told}");
    assert_proven(&output);
}

#[test]
fn a_taken_address_is_named_and_the_run_goes_on_when_it_is_free() {
    let state = tempfile::tempdir().unwrap();
    let output = run(state.path(), "address-taken", &["--until", "0"]);
    let told = complaints(&output);
    assert!(told.contains("day0.addresses") && told.contains(".202"), "{told}");
    assert_proven(&output);
}

#[test]
fn a_held_clone_lock_is_told_in_proxmox_words_and_retried_until_it_is_free() {
    let state = tempfile::tempdir().unwrap();
    let output = run(state.path(), "clone-lock", &["--until", "1"]);
    let told = complaints(&output);
    assert!(told.contains("day1.clone") && told.contains("got timeout"), "{told}");
    assert_proven(&output);
    let all = records(&output);
    let crowded = all.iter().position(|r| r["failure"]["crowded"] == true).expect("a clone that was one of too many");
    assert_eq!(most_clones_at_once(&all[..crowded]), 1, "the first one never came as far as to make way");
    assert_eq!(most_clones_at_once(&all[crowded..]), 1, "after a lock's timeout they go one at a time");
}

/// Of the clones' acts in these records.
fn most_clones_at_once(records: &[Value]) -> usize {
    let (mut acting, mut most) = (std::collections::BTreeSet::new(), 0);
    let clones = records.iter().filter(|r| r["step"].as_str().is_some_and(|step| step.starts_with("day1.clone/")));
    for record in clones {
        let step = record["step"].to_string();
        match record["event"].as_str().unwrap_or_default() {
            "intended" => drop(acting.insert(step)),
            "proven" | "failed" | "blocked" => drop(acting.remove(&step)),
            _ => {}
        }
        most = most.max(acting.len());
    }
    most
}

/// The next clone begins when the log of the one before shows that it copies, and no more than three copy at once.
#[test]
fn clones_copy_side_by_side_and_begin_one_behind_the_other() {
    let state = tempfile::tempdir().unwrap();
    // Slower than the others: between the ends of two clones a busy machine stops for seconds of theirs.
    let lines = ["lab", "run", "--json", "--scenario", "standard", "--speed", "40", "--until", "1"];
    let output = cozyup(state.path(), &lines).ended();
    assert_proven(&output);
    let all = records(&output);
    assert_eq!(most_clones_at_once(&all), 3);
    let at = |event: &str, step: &str, more: &dyn Fn(&Value) -> bool| {
        all.iter().position(|r| r["event"] == event && r["step"] == step && more(r)).unwrap()
    };
    // Whichever is looked at first begins first.
    let of_clones =
        |r: &&Value| r["event"] == "intended" && r["step"].as_str().is_some_and(|s| s.starts_with("day1.clone/"));
    let order: Vec<&str> = all.iter().filter(of_clones).filter_map(|r| r["step"].as_str()).collect();
    let [first, second, _, last] = order.as_slice() else { panic!("{order:?}") };
    let begins = at("intended", second, &|_| true);
    let copies = at("waiting", first, &|r| r["wait"]["makes_way"] == true);
    assert!(copies < begins && begins < at("proven", first, &|_| true), "{order:?}");
    // A machine goes on when it is there itself, and not when all are.
    let machine = first.rsplit('/').next().unwrap();
    let configured = at("intended", &format!("day1.configure/{machine}"), &|_| true);
    assert!(configured < at("proven", last, &|_| true), "{order:?}");
}

#[test]
fn a_stuck_release_is_named_as_the_one_that_holds_back_the_others() {
    let state = tempfile::tempdir().unwrap();
    // Slower than the others: what is looked at stays for ten seconds only, and a busy machine stops longer than that.
    let lines = ["lab", "run", "--json", "--scenario", "release-stuck", "--speed", "60", "--until", "3"];
    let output = cozyup(state.path(), &lines).ended();
    let all = records(&output);
    let waits: String = all
        .iter()
        .filter(|r| r["event"] == "waiting")
        .map(|r| format!("{} {}\n", r["step"], r["wait"]["seen"]))
        .collect();
    let told = complaints(&output) + &waits;
    assert!(told.contains("cert-manager") && told.contains("context deadline exceeded"), "{told}");
    assert_proven(&output);
    // cozystack.md 2.10: by the end of the first attempt, and still while the later ones run.
    for words in ["cert-manager failed once (InstallFailed:", "cert-manager failed 2 times", "attempt 3 runs since"] {
        assert!(told.contains(words), "{words} is not in:\n{told}");
    }
    let complaint =
        all.iter().find(|r| r["event"] == "failed" && r["failure"]["what"].to_string().contains("cert-manager"));
    let second = |clock: &str| clock.split(':').fold(0, |all, part| all * 60 + part.parse::<i64>().unwrap());
    let at = |time: &str| second(&time[time.find('T').unwrap() + 1..][..8]);
    let (_, began) = waits.split_once("cert-manager (Progressing since ").unwrap_or_else(|| panic!("{waits}"));
    let took = (at(complaint.unwrap()["at"].as_str().unwrap()) - second(&began[..8])).rem_euclid(86_400);
    assert!(took <= 300 + 90, "told after {took} s: an attempt takes 300 s, a look comes every few seconds");
}

#[test]
fn without_a_cure_the_run_ends_as_blocked_with_exit_code_1() {
    let state = tempfile::tempdir().unwrap();
    let output = run(state.path(), "never-heals", &["--patience", "60s"]);
    assert_eq!(output.status.code(), Some(1));
    let summary = summary(&output);
    assert!(summary["blocked"][0]["what"].to_string().contains("SDN.Use"), "{summary:#}");
    assert!(!summary["blocked"][0]["next"].as_str().unwrap().is_empty());
}

#[test]
fn the_sums_of_a_run_stand_once_and_before_its_first_act() {
    let lab = Kept::new();
    let first = records(&lab.run_until("1", &[]));
    let sums: Vec<usize> = (0..first.len()).filter(|n| first[*n]["kind"] == "review").collect();
    let act = first.iter().position(|record| record["event"] == "intended").unwrap();
    assert!(sums.len() == 1 && sums[0] < act, "{sums:?}, and the first act at {act}");
    let review = &first[sums[0]];
    assert_eq!((&review["hosts"]["pve"]["machines"], &review["hosts"]["pve"]["cores"]), (&4.into(), &32.into()));
    assert_eq!(review["hosts"]["pve"]["disks_gib"]["local-lvm"], 4 * 306);
    assert!(review["vmids"].as_array().unwrap().contains(&1011.into()), "{review:#}");
    assert!(review["left_s"].as_u64().unwrap() > 60, "{review:#}");
    assert!(review["for_a_while"].is_null(), "the session ends before day 6: {review:#}");
    let again = records(&lab.run_until("1", &[]));
    assert!(again.iter().all(|record| record["kind"] != "review"), "there are changes already");
}

#[test]
fn a_run_that_ended_early_is_not_measured_by_the_path_that_it_did_not_walk() {
    let state = tempfile::tempdir().unwrap();
    let lines = ["lab", "run", "--speed", SPEED, "--scenario", "never-heals", "--patience", "60s"];
    let told = text(&cozyup(state.path(), &lines).ended());
    assert!(told.contains("s on the wall") && !told.contains("; critical path"), "{told}");
}
