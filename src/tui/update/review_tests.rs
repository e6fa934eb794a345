//! What a person found who tried the screen for the first time (screen.md), a test each.
use super::super::message::{Cmd, Msg};
use super::super::model::Screen;
use super::super::model::run::{Full, Row, RunModel};
use super::super::panes::samples::Seen;
use super::super::samples::{Sample, at};
use super::super::session::Typist;
use super::super::theme::Theme;
use crate::base::day::Day;
use crate::engine::failure::Failure;
use crate::engine::record::{Event, Record};
use crate::engine::step::StepId;
use crate::observed::{Backend, Cause, Power};
use crate::plan::defaults::{Defaults, plan};
use crate::session::protocol::{Control, Request};
use std::sync::Arc;
use std::time::Duration;

fn run(sample: &Sample, second: i64) -> Typist {
    let mut typist = Typist::run(sample, Theme::new(false, true));
    typist.clock(second);
    typist
}

fn of(typist: &Typist) -> &RunModel {
    match &typist.model.screen {
        Screen::Run(run) => run,
        Screen::Home(_) | Screen::Cluster(_) => panic!("no run is shown"),
    }
}

fn record(typist: &mut Typist, second: i64, event: Event) {
    typist.send(Msg::Records(vec![Arc::new(Record { seq: 1000, at: at(second), event })]));
}

fn later(typist: &mut Typist, seconds: u64) {
    let wall = typist.model.wall + Duration::from_secs(seconds);
    typist.send(Msg::Clock { now: typist.model.now, wall });
}

fn last_line(typist: &Typist) -> String {
    typist.screen().lines().last().unwrap().to_string()
}

/// B1: `day 2 begins` stood in the place of the keys for an hour and a half, at the next gate too.
#[test]
fn a_notice_goes_after_some_seconds_and_never_covers_the_keys_of_a_gate() {
    let mut typist = run(&Sample::gate(), 10);
    typist.keys("<Enter>");
    assert!(last_line(&typist).contains("day 1 begins"));
    later(&mut typist, 3);
    assert!(last_line(&typist).contains("day 1 begins"));
    later(&mut typist, 2);
    assert!(last_line(&typist).contains("Enter open"), "{}", last_line(&typist));
    typist.keys("w<Esc>x");
    record(&mut typist, 11, Event::GateOpened { day: Day::Number(1), by: "ann".into() });
    typist.send(Msg::Denied("not taken".into()));
    record(&mut typist, 12, Event::GateAsked { day: Day::Number(2), compare: Vec::new() });
    assert!(last_line(&typist).contains("Enter begin the day"), "{}", last_line(&typist));
}

#[test]
fn the_way_to_the_help_and_the_way_out_are_always_seen() {
    for size in [(40, 10), (80, 24), (160, 45)] {
        let mut typist = run(&Sample::late_clone(), 60);
        typist.resize(size);
        let line = last_line(&typist);
        assert!(line.contains("h help") && line.contains("q quit") && line.contains("Enter open"), "{line}");
    }
}

/// B2: the page of one step became that of another one while it was read.
#[test]
fn the_page_of_a_step_stays_with_it_while_something_else_needs_attention() {
    let mut typist = run(&Sample::late_clone(), 60);
    typist.keys("f<Enter>f");
    let here = of(&typist).current();
    assert_eq!(of(&typist).full, Some(Full::Detail));
    let failure = Failure::person("no", "do it");
    record(&mut typist, 61, Event::Blocked { step: StepId::new("day1.clone/cp3"), failure, again_at: at(70) });
    assert_eq!(of(&typist).current(), here);
    typist.shows(&["clone cp1"]);
}

/// B5: a title had 17 columns of 39.
#[test]
fn a_title_has_the_width_of_its_row() {
    let typist = run(&Sample::late_clone(), 60);
    let screen = typist.screen();
    assert!(screen.contains("✓ build template 9100 cozy-talos"), "{screen}");
    assert!(screen.lines().any(|l| l.contains("clone cp2 (vm 1002) from templat")), "{screen}");
}

/// B6: the time at the gate was compared with the usual time of a step that had not begun.
#[test]
fn the_time_at_a_gate_is_neither_the_steps_nor_the_runs() {
    let mut typist = run(&Sample::gate(), 3600);
    typist.keys("<Esc>");
    assert_eq!(of(&typist).current(), Row::Step(StepId::new("day1.template")));
    typist.shows_not("elapsed");
    typist.resize((120, 40));
    typist.shows(&["worked 6s"]);
    record(&mut typist, 3600, Event::GateOpened { day: Day::Number(1), by: "ann".into() });
    typist.clock(3610);
    typist.shows(&["worked 15s"]);
}

/// B8: nothing said how long it takes.
#[test]
fn the_header_estimates_the_end_and_says_when_nobody_knows() {
    let mut typist = run(&Sample::gate(), 10);
    typist.keys("<Esc>");
    typist.resize((120, 40));
    let screen = typist.screen();
    assert!(screen.lines().nth(1).unwrap().contains(" min left"), "{screen}");
    let mut late = run(&Sample::late_clone(), 480);
    late.resize((120, 40));
    late.shows(&["min left or more"]);
}

/// B10: late never got a line, so the log stood still through a wait.
#[test]
fn a_step_that_becomes_late_gets_one_line_in_the_log() {
    let mut typist = run(&Sample::late_clone(), 100);
    typist.shows_not("LATE");
    for second in [480, 500, 600] {
        typist.clock(second);
    }
    typist.keys("l");
    let screen = typist.screen();
    let lines: Vec<&str> = screen.lines().filter(|l| l.contains("! LATE") && l.contains("day1.clone/cp1")).collect();
    assert_eq!(lines.len(), 1, "{screen}");
    assert!(lines[0].contains("00:08:00"), "{lines:?}");
}

/// B9: who worked in another window missed the gate.
#[test]
fn the_title_says_how_far_it_is_and_why_a_person_should_look() {
    let of = |sample: Sample, second| {
        let typist = run(&sample, second);
        (typist.model.title(), typist.model.call())
    };
    assert_eq!(of(Sample::gate(), 10), ("cozyup cozy-new 2/11 GATE".to_string(), Some("GATE")));
    assert_eq!(of(Sample::late_clone(), 60), ("cozyup cozy-new 3/11".to_string(), None));
    assert_eq!(of(Sample::late_clone(), 480).1, Some("LATE"));
    assert_eq!(of(Sample::blocked(), 85).1, Some("BLOCKED"));
    assert_eq!(of(Sample::finished(), 500).1, Some("DONE"));
}

/// B14: the cure stood where the line was cut, and the header counted what the list did not have.
#[test]
fn the_reason_at_a_field_is_whole_and_the_header_counts_what_the_list_has() {
    let mut home = Typist::home(Theme::new(false, true));
    home.keys("<Enter>");
    let Screen::Home(model) = &mut home.model.screen else { panic!("no home") };
    assert!(model.form.as_mut().unwrap().go_to("site.url"));
    home.keys("<Enter><C-u>http://pve<Esc>");
    let Screen::Home(model) = &home.model.screen else { panic!("no home") };
    let form = model.form.as_ref().unwrap();
    let errors = form.count(crate::plan::Severity::Error);
    let reason = form.first_wrong().map(|(_, wrong)| wrong.reason.clone());
    home.shows(&[&format!("{errors} error")]);
    if let Some(reason) = &reason {
        home.shows(&[reason.as_str(), "1 wrong text"]);
    }
    home.keys("<Tab>");
    let Screen::Home(model) = &home.model.screen else { panic!("no home") };
    let form = model.form.as_ref().unwrap();
    let finding = &form.findings[form.finding];
    // A long word is cut where the line ends.
    let dense = |text: &str| text.split_whitespace().collect::<String>();
    assert!(dense(&home.screen()).contains(&dense(&finding.write)), "{}", home.screen());
}

/// B12: the help began with the keys of a run wherever it was asked.
#[test]
fn help_begins_with_the_keys_of_where_it_was_asked() {
    let mut home = Typist::home(Theme::new(false, true));
    home.keys("<Enter>?");
    assert!(home.screen().lines().nth(1).unwrap().contains("The plan form"), "{}", home.screen());
    let mut typist = run(&Sample::gate(), 10);
    typist.keys("?");
    assert!(typist.screen().lines().nth(1).unwrap().contains("The question before a day"), "{}", typist.screen());
}

/// B19: `t` took the run from somebody without a question.
#[test]
fn taking_a_run_from_somebody_asks_first() {
    let mut typist = run(&Sample::late_clone(), 60);
    typist.send(Msg::Control(Control { yours: false, by: Some(("ann on pts/3".into(), at(5))) }));
    typist.keys("t");
    typist.shows(&["Take control?", "ann on pts/3 has control"]);
    typist.keys("<Enter>");
    assert!(typist.commands.is_empty(), "Enter leaves it to her");
    typist.keys("ty");
    assert!(matches!(typist.commands.as_slice(), [Cmd::Ask(Request::TakeControl)]));
    typist.send(Msg::Control(Control { yours: false, by: None }));
    typist.keys("t");
    assert_eq!(typist.commands.len(), 2, "nobody is there to be asked about");
}

/// A1, A2, A3: a stopped VM, a node that went and a system that had been gone for a quarter of an hour never reached the screen.
#[test]
fn the_worst_of_the_site_stands_in_the_header_in_words() {
    let mut typist = run(&Sample::late_clone(), 100);
    let mut seen = Seen::of(&plan(&Defaults::default()), 100);
    typist.send(Msg::Observed(seen.snapshots()));
    typist.resize((120, 40));
    typist.shows(&[
        "release cert-manager failed 3 times: InstallFailed; 2 wait for others",
        "pve ✓ <10s",
        "k8s ✓ <10s",
    ]);
    seen.vm(1).there.as_mut().unwrap().power = Power::Unknown;
    seen.silent("cozy-new-cp2", 40);
    typist.send(Msg::Observed(seen.snapshots()));
    typist.shows(&["cozy-new-cp2 (vm 1002): Talos SILENT", "talos ✗ 1m00"]);
    seen.contacts.failed(&Backend::Proxmox, at(40), Cause::Unreachable);
    typist.send(Msg::Observed(seen.snapshots()));
    typist.shows(&["Proxmox VE is silent since 00:00:40Z (1m00): can't be reached", "pve ✗ 1m00", "2 more"]);
    record(
        &mut typist,
        101,
        Event::Blocked {
            step: StepId::new("day1.clone/cp1"),
            failure: Failure::person("no", "do it"),
            again_at: at(110),
        },
    );
    typist.shows(&["blocked: clone cp1 (vm 1001) from template 9100: no"]);
}
