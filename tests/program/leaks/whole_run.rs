//! A whole run against a site that says everything back.
use super::echo;
use super::search::{Secrets, must_be_harmless};
use super::site::{Site, Watch};
use crate::common::{ToItsEnd, text, until};
use serde_json::Value;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::process::Stdio;

/// Somebody else's guests and a chart whose names and words are made to hurt.
const SCENARIO: &str = r#"
extends: standard
name: hostile
about: Everything that can carry a text carries a bad one.
faults:
  - fault: release_stuck
    release: cert-manager
    message: "SAID-BACK \e[2J\e]0;owned\a\u009b31m\u202e\u2066\u200b\U000e0041 failed\r\nsecond line"
    heal_s: 120
"#;

fn scenario(dir: &Path) -> String {
    let path = dir.join("hostile.yaml");
    std::fs::write(&path, SCENARIO).unwrap();
    path.display().to_string()
}

/// Every file and folder below `dir` with its mode; sockets too.
fn modes(dir: &Path, into: &mut Vec<(String, u32)>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let found = entry.metadata().unwrap();
        into.push((entry.path().display().to_string(), found.permissions().mode() & 0o777));
        if found.is_dir() {
            modes(&entry.path(), into);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_run_shows_no_secret_and_nothing_hostile_whatever_the_site_says() {
    let scenarios = tempfile::tempdir().unwrap();
    let site = Site::new(&scenario(scenarios.path()));
    let echo = echo::before(&site.url).await;
    let plan = std::fs::read_to_string(&site.plan).unwrap();
    let plan = plan.replace(&site.url, &echo.url).replace(&site.fingerprint, &echo.fingerprint);
    std::fs::write(&site.plan, plan).unwrap();
    let token = site.token();
    // Only from the environment.
    std::fs::remove_file(site.plan.with_file_name("token")).unwrap();

    let watch = Watch::begin(site.state.path());
    let mut run = site.run(&["--json"]);
    run.env("COZYUP_PROXMOX_TOKEN", &token).stdout(Stdio::piped()).stderr(Stdio::piped());
    let run = run.spawn().unwrap();
    until("the worker works", || site.journal().contains("\"proven\"").then_some(()));
    let socket = std::fs::symlink_metadata(site.folder().join("socket")).unwrap();
    assert!(socket.file_type().is_socket() && socket.permissions().mode() & 0o777 == 0o600);
    let lines = site.cozyup(&["attach", "--lines", "--read-only"]).ended();
    let run = run.wait_with_output().unwrap();
    let status = site.cozyup(&["status"]).ended();
    let status_json = site.cozyup(&["status", "--json"]).ended();
    let processes = watch.end();
    assert_eq!(run.status.code(), Some(0), "{}", text(&run).lines().last().unwrap_or_default());

    let mut secrets = Secrets::default();
    secrets.add("the installer's token", &token);
    secrets.add_folder(&site.folder().join("secrets"));
    assert!(secrets.len() > 1000, "only {} pieces to look for", secrets.len());
    let read = |name: &str| std::fs::read(site.folder().join(name)).unwrap();
    let (journal, log) = (read("journal.jsonl"), read("worker.log"));
    let places = [
        ("the journal", &journal),
        ("the JSON output", &run.stdout),
        ("the lines", &lines.stdout),
        ("the status", &status.stdout),
        ("the status as JSON", &status_json.stdout),
        ("the plan's copy", &read("plan.yaml")),
    ];
    for (place, bytes) in places {
        must_be_harmless(place, bytes);
        secrets.must_not_be_in(place, std::str::from_utf8(bytes).unwrap());
    }
    for (place, bytes) in
        [("the worker's log", &log), ("the errors", &run.stderr), ("the screen's errors", &lines.stderr)]
    {
        must_be_harmless(place, bytes);
        secrets.must_not_be_in(place, &format!("{place}: {}", String::from_utf8_lossy(bytes)));
    }
    let told = String::from_utf8(journal).unwrap();
    for (what, least) in [("SAID-BACK", 40), ("[secret]", 40), ("nobody's business", 0)] {
        let count = told.matches(what).count();
        assert!(count >= least && (least > 0 || count == 0), "`{what}` is {count} times in the journal");
    }
    assert!(
        told.contains("SAID-BACK [2J ]0;owned 31m  failed second line"),
        "the chart's words are told, made harmless"
    );
    for line in told.lines().chain(String::from_utf8_lossy(&run.stdout).lines()) {
        serde_json::from_str::<Value>(line).unwrap();
        assert!(line.len() < 100 * 1024, "a record of {} bytes: {:.200}", line.len(), line);
    }

    for role in [" run ", " worker ", " attach ", " lab serve "] {
        assert!(processes.iter().any(|(words, _)| words.contains(role)), "no process `{role}` was seen");
    }
    for (words, environment) in &processes {
        secrets.must_not_be_in("a command line", words);
        // What the test itself put there, it finds there.
        if !words.contains(" run ") {
            secrets.must_not_be_in("an environment", &format!("{words}: {environment}"));
        }
    }

    let mut all = Vec::new();
    modes(&site.folder(), &mut all);
    assert!(all.len() > 12, "{all:?}");
    let open: Vec<_> = all.iter().filter(|(_, mode)| mode & 0o077 != 0).collect();
    assert!(open.is_empty(), "others may look at {open:?}");
}

#[test]
fn a_worker_that_is_killed_by_a_fault_leaves_no_memory_on_the_disk() {
    let site = Site::new("standard");
    let started = site.run(&["--detach", "--until", "1"]).ended();
    assert!(started.status.success(), "{}", text(&started));
    let worker = site.worker().expect("a worker");
    let limits = std::fs::read_to_string(format!("/proc/{worker}/limits")).unwrap();
    let core = limits.lines().find(|l| l.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
    let pid = rustix::process::Pid::from_raw(i32::try_from(worker).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::ABORT).unwrap();
    until("the worker is gone", || site.worker().is_none().then_some(()));
    let mut all = Vec::new();
    modes(site.state.path(), &mut all);
    assert!(!all.iter().any(|(path, _)| path.contains("/core")), "{all:?}");
}
