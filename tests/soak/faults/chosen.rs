//! The choice of the matrix that everybody runs: a fault over a step of each day, and the refusals that a person acts on.
use crate::account::defects;
use crate::lab::{Lab, Ran};
use cozyup::lab::disturb::Disturbance;
use cozyup::lab::scenario::Scenario;
use std::collections::BTreeSet;
use std::process::{Command, Stdio};

/// `STEP (CLASS): WHAT | NEXT` of every failure and refusal.
fn complaints(ran: &Ran) -> String {
    let told = ran.events(&["failed", "blocked"]).map(|r| {
        let failure = &r["failure"];
        format!("{} ({}): {} | {}\n", r["step"], failure["class"], failure["what"], failure["next"])
    });
    told.collect()
}

fn assert_clean(ran: &Ran) {
    ran.proven().unwrap_or_else(|why| panic!("{why}\n{}", complaints(ran)));
    assert_eq!(defects(ran), Vec::<String>::new());
}

#[test]
fn a_run_goes_on_to_the_same_end_through_a_fault_over_a_step_of_each_day() {
    let disturbances = Scenario::load("bad-line").unwrap().disturbances;
    let lab = Lab::of("extends: bad-line\n");
    let ran = lab.run("10");
    assert_clean(&ran);
    let told = complaints(&ran);
    for part in ["a webhook refuses it: admission webhook", "a webhook did not answer"] {
        assert!(told.contains(part), "{part} is not told:\n{told}");
    }
    let account = lab.account();
    let met: BTreeSet<u64> =
        account.iter().filter(|m| m["disturbed"] == true).map(|m| m["number"].as_u64().unwrap()).collect();
    // A watch lasts as long as a pause of the lab at most: on a busy machine the pause may be over before it is opened.
    let unmet = |(number, what): (usize, &Disturbance)| {
        (!met.contains(&(number as u64)) && !what.matching.contains("?watch")).then(|| what.matching.clone())
    };
    let unmet: Vec<String> = disturbances.iter().enumerate().filter_map(unmet).collect();
    assert_eq!(unmet, Vec::<String>::new(), "disturbances that nobody met");
    // Far fewer questions than a loop without pauses would ask: 24 faults of at most 50 s of the lab.
    assert!(account.len() < 2000, "{} requests while something was disturbed", account.len());
    // What was proven behind the bad line holds when it is asked for again on a good one.
    let again = lab.run("10");
    assert_clean(&again);
    let changed: Vec<_> = again.events(&["drifted", "intended"]).collect();
    assert!(changed.is_empty(), "{changed:#?}");
}

#[test]
fn a_certificate_that_changes_and_a_token_that_expires_are_refused_with_what_to_do_until_they_are_right_again() {
    let lab = Lab::disturbed(&[
        "api: proxmox, kind: certificate, match: GET /api2/json/version, times: 6".to_string(),
        "api: proxmox, kind: answer, code: 401, text: \"token 'installer' access expired\", match: /config, for_s: 30"
            .into(),
    ]);
    let ran = lab.run("1");
    let told = complaints(&ran);
    let line = |parts: [&str; 3]| told.lines().any(|l| parts.iter().all(|p| l.contains(p)));
    assert!(line(["day0.proxmox\" (\"refused\")", "the pinned one is", "pvenode cert info"]), "{told}");
    assert!(line(["day0.alone\" (\"person\")", "access expired", "pveum user token modify"]), "{told}");
    assert_clean(&ran);
}

#[test]
fn while_nobody_can_tell_whether_a_task_runs_nothing_is_done_beside_it() {
    let task = "qmclone%3A9100%3Acozyup%40pve%21installer%3A/status";
    // Counted in questions: how many of them fit into a minute of the lab depends on how busy this machine is. A clone
    // that lasts longer than anybody asks in vain for it.
    let lab = Lab::of(&format!(
        "latency: {{ clone_s: 300 }}\ndisturbances:\n  - {{ api: proxmox, kind: answer, code: 595, text: No route to host, \
         match: '{task}', times: 26 }}\n"
    ));
    let ran = lab.run("1");
    let told = complaints(&ran);
    assert!(told.contains("can't reach node pve: No route to host (595)"), "{told}");
    // To unlock or to destroy what is being written would be the worst advice.
    assert!(!told.contains("qm destroy"), "{told}");
    assert_clean(&ran);
    let acts = ran.events(&["intended"]).filter(|r| r["step"].to_string().contains("day1.clone")).count();
    assert_eq!(acts, 4, "a clone was begun again beside the one that runs");
}

#[test]
fn a_clock_that_is_two_hours_off_is_named_with_how_to_set_it() {
    let lab = Lab::of("faults: [{ fault: clock_off, seconds: -7200, heal_s: 60 }]\n");
    let ran = lab.run("0");
    let told = complaints(&ran);
    // What passes between question and answer is taken off: on a busy machine some seconds of the lab.
    let off = told.split("the clock of pve is ").nth(1).and_then(|rest| rest.split_once(" s behind"));
    let off: u32 = off.and_then(|(seconds, _)| seconds.parse().ok()).unwrap_or_else(|| panic!("{told}"));
    assert!((7000..=7200).contains(&off), "{told}");
    assert!(told.contains("timedatectl"), "{told}");
    assert_clean(&ran);
}

#[test]
fn a_release_server_whose_name_is_unknown_is_told_as_that() {
    let lab = Lab::of("");
    let plan = lab.serve();
    let text = std::fs::read_to_string(&plan.file).unwrap();
    let image = text.lines().find(|l| l.contains("nocloud-amd64.raw.xz")).unwrap();
    std::fs::write(&plan.file, text.replace(image, "  url: http://releases.invalid/nocloud-amd64.raw.xz")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_cozyup"))
        .arg("--state-dir")
        .arg(lab.state())
        .args(["run", "--yes", "--json", "--until", "0", "--patience", "30s"])
        .arg(&plan.file)
        .env("COZYUP_CLOCK", &plan.clock)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{told}");
    let line = told.lines().rev().find(|l| l.contains("\"summary\"")).unwrap_or_default();
    assert!(line.contains("releases.invalid") && line.contains("lookup") && line.contains("mirror"), "{line}");
}
