//! Two places that work on one site: they find each other through what stands in the target, and one of them yields.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod common;

use common::{Kept, cozyup, records, send, text, worker_of};
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
        command.env("COZYUP_CLOCK", site.clock().spec().unwrap()).output().unwrap()
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

#[test]
fn a_worker_that_hangs_is_ended_by_a_take_over_and_only_by_that() {
    let site = Places::with_run_until("0");
    let plan = site.first.site().plan.to_str().unwrap().to_string();
    let state = site.second.path();
    let clock = site.first.site().clock().spec().unwrap();
    let run = |more: &[&str]| {
        let mut command = cozyup(state, &[&["run", &plan, "--until", "1"][..], more].concat());
        command.env("COZYUP_CLOCK", &clock).output().unwrap()
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
