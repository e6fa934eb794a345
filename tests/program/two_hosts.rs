//! Two places that work on one site: they find each other through what stands in the target, and one of them yields.

use crate::common::{Kept, ToItsEnd, cozyup, records, send, text, worker_of};
use rustix::process::Signal;
use std::process::Output;

/// A lab with a run in it, and further state folders from which the same site is worked on.
struct Places {
    first: Kept,
    second: tempfile::TempDir,
}

impl Places {
    fn with_run_until(day: &str) -> Places {
        Places { first: Kept::with_run_until(day), second: tempfile::tempdir().unwrap() }
    }

    fn at_first(&self, day: &str) -> Output {
        self.first.run_until(day, &["--patience", "20s"])
    }

    /// Runs the same plan from the second place.
    fn at_second(&self, more: &[&str]) -> Output {
        let site = self.first.site();
        let plan = site.plan.to_str().unwrap().to_string();
        let arguments = ["run", &plan, "--yes", "--json", "--patience", "20s"];
        let mut command = cozyup(self.second.path(), &[&arguments[..], more].concat());
        command.env("COZYUP_CLOCK", site.clock().spec().unwrap()).ended()
    }

    /// As somebody would who wants to go on elsewhere: the whole state, not the lock.
    fn copy_run(&self) {
        let (from, to) = (self.first.run_folder(), self.second.path().join("runs/standard"));
        for folder in ["", "secrets"] {
            std::fs::create_dir_all(to.join(folder)).unwrap();
            for entry in std::fs::read_dir(from.join(folder)).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_file() && entry.file_name() != "lock" {
                    std::fs::copy(entry.path(), to.join(folder).join(entry.file_name())).unwrap();
                }
            }
        }
    }
}

/// What stopped a run for good.
fn blocked(output: &Output) -> String {
    let summary = records(output).pop().unwrap();
    summary["blocked"]
        .as_array()
        .unwrap()
        .iter()
        .map(|b| format!("{}: {} | {}\n", b["step"], b["what"], b["next"]))
        .collect()
}

fn acts(output: &Output) -> usize {
    records(output).iter().filter(|r| r["event"] == "acted").count()
}

#[test]
fn another_run_of_the_same_plan_is_told_whose_the_machines_are_and_changes_nothing() {
    let site = Places::with_run_until("1");
    let refused = site.at_second(&["--until", "1"]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    let why = blocked(&refused);
    assert!(why.contains("day0.vmids") && why.contains("is of the cozyup run standard."), "{why}");
    assert!(why.contains("worked on from"), "{why}");
    assert_eq!(acts(&refused), 0);
}

#[test]
fn a_copy_of_the_run_yields_to_the_first_place_until_it_is_told_to_take_over_and_then_the_first_yields() {
    let site = Places::with_run_until("1");
    site.copy_run();
    let refused = site.at_second(&["--until", "2"]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    let why = blocked(&refused);
    assert!(why.contains("day0.alone") && why.contains("is worked on from"), "{why}");
    assert!(why.contains("--take-over"), "{why}");
    assert_eq!(acts(&refused), 0);

    let taken = site.at_second(&["--until", "2", "--take-over"]);
    assert_eq!(taken.status.code(), Some(0), "{}", text(&taken));
    let told = records(&taken);
    assert!(told.iter().any(|r| r["take_over"].is_string()), "who asked for it is not recorded");
    let log = told.iter().find(|r| r["source"] == "claim").unwrap_or_else(|| panic!("{}", text(&taken)));
    assert!(log["line"].as_str().unwrap().contains("took the run over from"), "{log}");
    // Having it, it needs not be told again.
    assert_eq!(site.at_second(&["--until", "2"]).status.code(), Some(0));

    let yielded = site.at_first("3");
    assert_eq!(yielded.status.code(), Some(1), "{}", text(&yielded));
    assert!(blocked(&yielded).contains("day0.alone"), "{}", blocked(&yielded));
    assert_eq!(acts(&yielded), 0);
}

/// harm.md: a clone of the jump host has its machine id, its name and the whole folder, but other network cards.
#[test]
fn a_clone_of_the_jump_host_is_another_place_until_it_is_told_to_take_over() {
    let site = Places::with_run_until("1");
    // The same folder, as it is on the clone: its cards are not those that stand in it.
    let place = site.first.run_folder().join("place");
    let kept: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&place).unwrap()).unwrap();
    assert_eq!(site.at_first("1").status.code(), Some(0), "the same machine goes on");
    let cloned = serde_json::json!({"id": kept["id"], "cards": ["0a:00:00:00:00:01"]});
    std::fs::write(&place, cloned.to_string()).unwrap();
    let refused = site.at_first("2");
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(blocked(&refused).contains("is worked on from"), "{}", blocked(&refused));
    assert_eq!(acts(&refused), 0);
    let taken = site.first.run_until("2", &["--patience", "20s", "--take-over"]);
    assert_eq!(taken.status.code(), Some(0), "{}", text(&taken));
    // Back on the first machine, with the folder as it was there.
    std::fs::write(&place, kept.to_string()).unwrap();
    let yielded = site.at_first("3");
    assert_eq!(yielded.status.code(), Some(1), "{}", text(&yielded));
    assert_eq!(acts(&yielded), 0);
}

#[test]
fn a_worker_that_hangs_is_ended_by_a_take_over_and_only_by_that() {
    let site = Places::with_run_until("0");
    let plan = site.first.site().plan.to_str().unwrap().to_string();
    let state = site.second.path();
    let clock = site.first.site().clock().spec().unwrap();
    let run = |more: &[&str]| {
        let mut command = cozyup(state, &[&["run", &plan, "--until", "1"][..], more].concat());
        command.env("COZYUP_CLOCK", &clock).ended()
    };
    // Waits at the gate of day 1.
    assert_eq!(run(&["--detach"]).status.code(), Some(0));
    let worker = worker_of(&state.join("runs/standard")).expect("a worker");
    let answers = run(&["--yes", "--json", "--take-over"]);
    assert_eq!(answers.status.code(), Some(5), "{}", text(&answers));
    assert!(text(&answers).contains("which answers"), "{}", text(&answers));

    send(worker, Signal::STOP).unwrap();
    let silent = run(&["--yes", "--json"]);
    assert_eq!(silent.status.code(), Some(5), "{}", text(&silent));
    assert!(text(&silent).contains("does not answer") && text(&silent).contains("--take-over"), "{}", text(&silent));
    let taken = run(&["--yes", "--json", "--take-over"]);
    assert_eq!(taken.status.code(), Some(0), "{}", text(&taken));
    assert!(records(&taken).iter().any(|r| r["take_over"].is_string()));
}

/// harm.md S6: the folder is lost, the machines are there. The run is taken up by its id, after a question, and its
/// teardown removes what the person saw.
#[test]
fn a_run_whose_folder_was_lost_is_taken_up_by_its_id_and_can_be_taken_back() {
    let site = Places::with_run_until("1");
    let journal = std::fs::read_to_string(site.first.run_folder().join("journal.jsonl")).unwrap();
    let session: serde_json::Value = serde_json::from_str(journal.lines().next().unwrap()).unwrap();
    let id = format!("standard.{}", session["run"].as_str().unwrap());
    let plan = site.first.site().plan.to_str().unwrap().to_string();
    let here = |more: &[&str]| {
        let mut command = cozyup(site.second.path(), more);
        command.env("COZYUP_CLOCK", site.first.site().clock().spec().unwrap()).ended()
    };
    let adopt = |more: &[&str]| here(&[&["run", &plan, "--json", "--until", "1", "--adopt"][..], more].concat());

    for (arguments, why) in [
        (&["standard"][..], "NAME.ID"),
        (&["other.00000000"], "of the plan other"),
        (&["standard.00000000", "--yes"], "the template does not carry cozyup-run=standard.00000000"),
        (&[&id, "--yes"], "is worked on from"),
        (&[&id, "--take-over"], "nobody is here to agree"),
    ] {
        let refused = adopt(arguments);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}: {}", text(&refused));
        assert!(text(&refused).contains(why), "{arguments:?}: {}", text(&refused));
        assert!(!site.second.path().join("runs/standard/journal.jsonl").exists(), "{arguments:?}");
    }
    let taken = here(&["run", &plan, "--lines", "--until", "1", "--adopt", &id, "--take-over", "--yes"]);
    let said = text(&taken);
    assert_eq!(taken.status.code(), Some(0), "{said}");
    assert!(said.contains("vm 9100") && said.contains("vm 1011"), "{said}");
    assert!(said.contains("nobody can administer the cluster"), "{said}");
    assert!(!said.contains("clone cozy-new-cp1 (vm 1001) from template 9100 (attempt"), "{said}");
    let twice = adopt(&[&id, "--take-over", "--yes"]);
    assert_eq!(twice.status.code(), Some(2), "{}", text(&twice));
    assert!(text(&twice).contains("has a run here already"), "{}", text(&twice));

    // Nobody knows whether there ever was a cluster, so that has to be said; what was not seen stays.
    let held = here(&["teardown", &plan, "--confirm", "standard", "--json", "--patience", "10s"]);
    assert_eq!(held.status.code(), Some(1), "{}", text(&held));
    assert!(text(&held).contains("--cluster-is-lost"), "{}", text(&held));
    // Nothing had to be changed so far, so that the template still names the other place.
    let done = here(&["teardown", &plan, "--confirm", "standard", "--json", "--cluster-is-lost", "--take-over"]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    let summary = records(&done).pop().unwrap();
    let left = summary["left_alone"].to_string();
    assert!(left.contains("image local:import/"), "{left}");
}
