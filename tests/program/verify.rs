//! `cozyup verify` as a person and as monitoring starts it: against a run that is as it was proven, and against one to
//! which somebody has done something since.
use crate::common::{ToItsEnd, cozyup, text};
use crate::rig::worker::{Death, End, live};
use crate::rig::{Rig, Shape};
use cozyup::base::secret::Secret;
use cozyup::base::trust::Trust;
use cozyup::engine::record::Outcome;
use cozyup::kubernetes::{self, Kind};
use cozyup::lab::pve::lifecycle;
use cozyup::proxmox::{self, Target};
use serde_json::{Value, json};
use std::process::{Command, Output};

/// A run of the small site to the end of `until`, and the site, which lives on in this process.
fn run(until: u8) -> Rig {
    cozyup::base::tls::install_provider();
    let shape = Shape { scenario: "small", until, teardown: false, speed: 240.0 };
    let rig = Rig::new(&shape);
    let life = live(&rig, shape.course(), &Death::Never, false, |work| work);
    assert!(matches!(life.end, End::Ended(Outcome::Proven)), "{:?}", life.end);
    rig
}

fn verify(rig: &Rig, more: &[&str]) -> Command {
    let plan = rig.plan().display().to_string();
    let mut command = cozyup(&rig.state(), &[&["verify", &plan], more].concat());
    command.env("COZYUP_CLOCK", rig.site().clock().spec().unwrap()).env("COZYUP_NAMES", &rig.site().names);
    command
}

fn answer(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(output)))
}

/// The ids of `part` with this result.
fn with<'a>(answer: &'a Value, part: &str, result: &str) -> Vec<&'a str> {
    let all = answer[part].as_array().unwrap().iter().filter(|row| row["result"] == result);
    all.map(|row| row["id"].as_str().unwrap()).collect()
}

fn journal(rig: &Rig) -> Vec<u8> {
    std::fs::read(rig.folder().join("journal.jsonl")).unwrap()
}

#[test]
fn a_run_that_is_as_it_was_proven_is_verified_and_no_changing_request_reaches_the_site() {
    let rig = run(5);
    let (changes, records) = (rig.lab().changes().seen().len(), journal(&rig));
    let output = verify(&rig, &["--json"]).ended();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let answer = answer(&output);
    assert_eq!((&answer["ok"], &answer["kind"]), (&json!(true), &json!("verification")));
    assert_eq!(answer["checks"].as_array().unwrap().len(), 50);
    for days in ["day0.proxmox", "day1.start/cp1", "day2.members", "day3.releases/wave-1", "day4.capmox", "day5.pods"] {
        assert!(with(&answer, "steps", "holds").contains(&days), "{days}: {answer:#}");
    }
    assert!(with(&answer, "steps", "of_a_moment").contains(&"day5.dns"), "a test is not run again");
    for check in ["kubernetes.nodes", "cluster_api.bootstrap", "network.cilium", "security.accounts", "proxmox.nodes"] {
        assert!(with(&answer, "checks", "holds").contains(&check), "{check}: {answer:#}");
    }
    assert!(!text(&output).contains("PRIVATE KEY"));
    let line = verify(&rig, &["--line"]).ended();
    let printed = text(&line);
    assert!(
        printed.starts_with("COZYUP OK - ") && printed.contains("| steps_hold=") && printed.lines().count() == 1,
        "{printed}"
    );
    let metrics = text(&verify(&rig, &["--metrics"]).ended());
    assert!(metrics.contains("\ncozyup_verify_ok{plan=\"small\"} 1\n"), "{metrics}");
    assert_eq!(rig.lab().changes().seen()[changes..], [] as [String; 0], "it only reads");
    assert!(journal(&rig) == records, "the record is not written to");
}

/// One after the other on one site, from the mildest on; each is named, and those before it stay named.
#[test]
fn what_somebody_did_to_a_run_since_is_a_difference_and_exit_4() {
    let rig = run(4);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let kubeconfig = Secret::new(std::fs::read_to_string(rig.folder().join("secrets/kubeconfig")).unwrap());
    let apply = |kind: &Kind, namespace: Option<&str>, name: &str, body: Value| {
        runtime.block_on(async {
            let (_, changer) = kubernetes::connect(&kubeconfig, None).unwrap();
            changer.apply(kind, namespace, name, body).await.unwrap();
        });
    };
    let differences = |part: &str| -> Vec<String> {
        let output = verify(&rig, &["--json"]).ended();
        assert_eq!(output.status.code(), Some(4), "{}", text(&output));
        let answer = answer(&output);
        assert!(!with(&answer, "steps", "holds").iter().any(|id| id.starts_with("day5")), "day 5 was never proven");
        with(&answer, part, "differs").into_iter().map(String::from).collect()
    };

    apply(&Kind::NODE, None, "cp1", json!({"spec": {"unschedulable": true}}));
    assert_eq!(differences("checks"), ["kubernetes.nodes"]);

    apply(&Kind::HELM_RELEASE, Some("cozy-metallb"), "metallb", json!({"spec": {"suspend": true}}));
    let steps = differences("steps");
    assert!(steps.iter().any(|id| id.starts_with("day3.releases/")), "{steps:?}");

    runtime.block_on(async {
        let secret = Secret::new(std::fs::read_to_string(&rig.site().token_file).unwrap().trim().to_string());
        let (url, token_id) = (rig.site().url.clone(), rig.site().token_id.clone());
        let trust = Trust::Leaf(rig.site().fingerprint.parse().unwrap());
        let (_, changer) = proxmox::connect(Target { url, token_id, secret, trust }).unwrap();
        changer.delete_token("kubernetes-csi@pve", "csi").await.unwrap();
    });
    let steps = differences("steps");
    assert!(steps.iter().any(|id| id == "day4.proxmox_token/csi"), "{steps:?}");

    rig.lab().with(|world| drop(lifecycle::stop(world, 1001, "qmstop", "root@pam")));
    let output = verify(&rig, &[]).ended();
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    let printed = text(&output);
    let stopped = printed.split("day1.start/cp1: ").nth(1).unwrap_or_default();
    assert!(stopped.starts_with("vm 1001 is stopped"), "{printed}");
    assert!(stopped.lines().nth(1).unwrap().contains("proven: "), "what was proven stands beside it: {printed}");
    assert!(printed.contains("NO ANSWER  "), "{printed}");
    let line = text(&verify(&rig, &["--line"]).ended());
    assert!(line.starts_with("COZYUP CRITICAL - small: "), "{line}");
}

#[test]
fn what_can_not_be_verified_is_refused_with_the_reason_and_the_next_action() {
    let rig = run(0);
    let refused = |command: &mut Command, words: &str| {
        let output = command.ended();
        let printed = text(&output);
        assert_eq!(output.status.code(), Some(2), "{printed}");
        assert!(printed.contains(words) && printed.contains("next: "), "{printed}");
    };
    let elsewhere = tempfile::tempdir().unwrap();
    let plan = rig.plan().display().to_string();
    refused(&mut cozyup(elsewhere.path(), &["verify", &plan]), "was never run here");

    let whole = journal(&rig);
    let other = String::from_utf8(whole.clone()).unwrap();
    let mut lines: Vec<&str> = other.lines().collect();
    let damaged = lines[1].replace("\"event\"", "\"evenX\"");
    lines[1] = &damaged;
    std::fs::write(rig.folder().join("journal.jsonl"), lines.join("\n") + "\n").unwrap();
    refused(&mut verify(&rig, &[]), "is damaged at line 2");
    std::fs::write(rig.folder().join("journal.jsonl"), &whole).unwrap();

    let text_of = std::fs::read_to_string(rig.plan()).unwrap();
    let moved = rig.state().join("runs/other");
    std::fs::rename(rig.folder(), &moved).unwrap();
    let other_plan = rig.plan().with_file_name("other.yaml");
    std::fs::write(&other_plan, text_of.replace("name: small\n", "name: other\n")).unwrap();
    refused(
        &mut cozyup(&rig.state(), &["verify", &other_plan.display().to_string()]),
        "is of the plan small, not of other",
    );
    std::fs::rename(&moved, rig.folder()).unwrap();

    // The token was taken away: no refusal, but a difference that names it.
    std::fs::write(&rig.site().token_file, "00000000-0000-4000-8000-000000000000").unwrap();
    let output = verify(&rig, &["--json"]).ended();
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    let found = answer(&output);
    assert!(with(&found, "steps", "differs").contains(&"day0.proxmox"), "{found:#}");
    assert!(with(&found, "checks", "differs").contains(&"proxmox.authentication"), "{found:#}");
}
