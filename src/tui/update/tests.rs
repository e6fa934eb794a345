//! Typed sessions: keys in, requests and screens out.
use super::super::message::{Cmd, End, Msg, SaveError};
use super::super::model::Screen;
use super::super::model::home::Place;
use super::super::model::run::{Dialog, Full, Pane, Row, RunModel};
use super::super::samples::{Sample, at};
use super::super::session::Typist;
use super::super::theme::Theme;
use super::super::{HomeChoice, RunEnd};
use crate::base::day::Day;
use crate::engine::record::{Event, Outcome, Record};
use crate::engine::step::StepId;
use crate::session::protocol::{Control, Request};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const PLAIN: Theme = Theme::new(false, true);

fn run(sample: &Sample, second: i64) -> Typist {
    let mut typist = Typist::run(sample, PLAIN);
    typist.clock(second);
    typist
}

fn of(typist: &Typist) -> &RunModel {
    match &typist.model.screen {
        Screen::Run(run) => run,
        Screen::Home(_) | Screen::Cluster(_) => panic!("no run is shown"),
    }
}

fn requests(typist: &Typist) -> Vec<String> {
    let asked = typist.commands.iter().filter_map(|c| if let Cmd::Ask(request) = c { Some(request) } else { None });
    let shown = asked.map(|request| match request {
        Request::OpenGate { day } => format!("gate of {day}"),
        Request::Retry { step } => format!("retry {step}"),
        Request::Errand { errand } => format!("errand {}", errand.kind()),
        Request::Stop => "stop".to_string(),
        Request::TakeControl => "take control".to_string(),
    });
    shown.collect()
}

fn ended(typist: &Typist) -> Option<&End> {
    typist.commands.iter().find_map(|c| if let Cmd::End(end) = c { Some(end) } else { None })
}

fn record(typist: &mut Typist, second: i64, event: Event) {
    typist.send(Msg::Records(vec![Arc::new(Record { seq: 1000, at: at(second), event })]));
}

#[test]
fn enter_at_the_gate_begins_the_day() {
    let mut typist = run(&Sample::gate(), 10);
    assert!(matches!(of(&typist).dialog, Some(Dialog::Gate { day: Day::Number(1), .. })));
    typist.keys("<Enter>");
    assert_eq!(requests(&typist), ["gate of day 1"]);
    assert!(of(&typist).dialog.is_none());
    record(&mut typist, 11, Event::GateOpened { day: Day::Number(1), by: "ann on the screen".into() });
    typist.shows_not("waits for you");
}

#[test]
fn a_gate_that_has_just_come_takes_no_enter_that_was_meant_for_something_else() {
    let mut typist = Typist::run(&Sample::fresh(), PLAIN);
    typist.clock(5);
    record(&mut typist, 6, Event::Absent { step: StepId::new("day1.template"), seen: String::new() });
    record(&mut typist, 6, Event::GateAsked { day: Day::Number(1), compare: Vec::new() });
    typist.keys("<Enter>");
    assert!(requests(&typist).is_empty() && of(&typist).dialog.is_some());
    let wall = typist.model.wall + Duration::from_secs(1);
    typist.send(Msg::Clock { now: at(7), wall });
    typist.keys("<Enter>");
    assert_eq!(requests(&typist), ["gate of day 1"]);
}

#[test]
fn a_gate_put_off_stays_put_off_until_b_asks_again() {
    let mut typist = run(&Sample::gate(), 10);
    typist.keys("<Esc>");
    record(&mut typist, 12, Event::Log { step: StepId::new("day1.template"), source: "a".into(), line: "b".into() });
    assert!(of(&typist).dialog.is_none() && requests(&typist).is_empty());
    typist.keys("k");
    typist.shows(&["day 1 waits for you"]);
    typist.keys("b<Enter>");
    assert_eq!(requests(&typist), ["gate of day 1"]);
}

#[test]
fn a_gate_that_somebody_else_opens_closes_its_question() {
    let mut typist = run(&Sample::gate(), 10);
    record(&mut typist, 11, Event::GateOpened { day: Day::Number(1), by: "bob".into() });
    assert!(of(&typist).dialog.is_none());
    typist.keys("<Enter>");
    assert!(requests(&typist).is_empty());
}

#[test]
fn retry_asks_for_the_blocked_step_and_refuses_others_with_a_reason() {
    let mut typist = run(&Sample::blocked(), 85);
    assert_eq!(of(&typist).current(), Row::Step(StepId::new("day1.clone/cp1")), "the cursor goes to what is blocked");
    typist.keys("r");
    assert_eq!(requests(&typist), ["retry day1.clone/cp1"]);
    typist.keys("<Down>r");
    assert_eq!(requests(&typist).len(), 1);
    typist.shows(&["nothing to retry: day1.clone/cp2 has not failed (queued)"]);
    typist.keys("<Left>r");
    assert_eq!(
        requests(&typist),
        ["retry day1.clone/cp1", "retry day1.clone/cp1"],
        "a day retries all that failed in it"
    );
}

#[test]
fn leaving_a_run_says_that_it_goes_on_and_stopping_it_is_the_other_answer() {
    let mut typist = run(&Sample::late_clone(), 60);
    typist.keys("q");
    typist.shows(&["The run goes on without this screen", "cozyup attach", "leave: the run goes on"]);
    typist.keys("<Esc>");
    assert!(requests(&typist).is_empty() && ended(&typist).is_none() && of(&typist).dialog.is_none());
    typist.keys("q<Enter>");
    assert_eq!(ended(&typist), Some(&End::Run(RunEnd::Left)));
    assert!(requests(&typist).is_empty(), "leaving asks nothing of the run");
    let mut typist = run(&Sample::late_clone(), 60);
    typist.keys("q<Down>");
    typist.shows(&["/state/run", "cozyup run PLAN", "stop the run, then leave"]);
    typist.keys("<Enter>");
    assert_eq!(requests(&typist), ["stop"]);
    assert_eq!(of(&typist).dialog, Some(Dialog::Stopping));
    assert!(ended(&typist).is_none(), "it waits for the acts in hand");
    record(&mut typist, 70, Event::StopAsked { by: "ann".into() });
    record(&mut typist, 71, Event::Ended { outcome: Outcome::Stopped });
    typist.send(Msg::Finished("stopped".into()));
    assert_eq!(ended(&typist), Some(&End::Run(RunEnd::Stopped)));
}

#[test]
fn while_the_run_stops_the_act_in_hand_is_named_and_q_leaves_before_it_has() {
    let sample = Sample::late_clone().then(62, Event::Intended { step: StepId::new("day1.clone/cp2"), attempt: 1 });
    let mut typist = run(&sample, 63);
    typist.keys("qs");
    typist.shows(&["Acts in hand end first", "clone cp2 (vm 1002)", "q leaves now"]);
    typist.keys("q");
    assert_eq!(ended(&typist), Some(&End::Run(RunEnd::Stopped)));
    assert_eq!(requests(&typist), ["stop"]);
}

#[test]
fn control_c_twice_leaves_whatever_is_open_and_the_run_alone() {
    let mut typist = run(&Sample::gate(), 10);
    typist.keys("<C-c>");
    assert!(matches!(of(&typist).dialog, Some(Dialog::Quit { stop: false })));
    typist.keys("<C-c>");
    assert_eq!(ended(&typist), Some(&End::Run(RunEnd::Left)));
    assert!(requests(&typist).is_empty());
}

#[test]
fn a_screen_without_control_looks_on_until_it_takes_it() {
    let mut typist = run(&Sample::gate(), 10);
    let ann = Control { yours: false, by: Some(("ann on pts/3".into(), at(5))) };
    typist.send(Msg::Control(ann.clone()));
    assert!(of(&typist).dialog.is_none(), "the day's question is not this screen's to answer");
    typist.shows(&["LOOKS ON: ann on pts/3 has control"]);
    typist.keys("bsr");
    typist.shows(&["only looks on"]);
    assert!(requests(&typist).is_empty());
    typist.keys("ty");
    assert_eq!(requests(&typist), ["take control"]);
    typist.send(Msg::Control(Control { yours: true, by: None }));
    assert!(matches!(of(&typist).dialog, Some(Dialog::Gate { .. })));
    typist.send(Msg::Control(ann));
    typist.keys("q");
    assert_eq!(ended(&typist), Some(&End::Run(RunEnd::Left)), "who only looks on leaves without a question");
}

#[test]
fn a_run_that_has_ended_is_left_without_a_question() {
    let mut typist = run(&Sample::finished(), 500);
    typist.send(Msg::Finished("proven".into()));
    assert!(matches!(of(&typist).dialog, Some(Dialog::Result { .. })));
    typist.keys("<Esc>s");
    typist.shows(&["the run has ended"]);
    typist.keys("q");
    assert_eq!(ended(&typist), Some(&End::Run(RunEnd::Quit)));
    assert!(requests(&typist).is_empty());
}

#[test]
fn stopping_without_leaving_asks_first_and_shows_the_result() {
    let mut typist = run(&Sample::late_clone(), 60);
    typist.keys("s<Esc>");
    assert!(requests(&typist).is_empty());
    typist.keys("sy");
    assert_eq!(requests(&typist), ["stop"]);
    record(&mut typist, 70, Event::StopAsked { by: "ann".into() });
    typist.keys("s");
    typist.shows(&["stopping already"]);
    record(&mut typist, 71, Event::Ended { outcome: Outcome::Stopped });
    typist.send(Msg::Finished("stopped: 3 of 11".into()));
    typist.shows(&["Stopped", "3 of 11"]);
    typist.keys("q");
    assert_eq!(ended(&typist), Some(&End::Run(RunEnd::Stopped)));
}

#[test]
fn a_lost_terminal_leaves_the_run_alone() {
    let mut typist = run(&Sample::late_clone(), 60);
    typist.send(Msg::Hangup);
    assert!(requests(&typist).is_empty());
    assert_eq!(ended(&typist), Some(&End::Run(RunEnd::Left)));
}

#[test]
fn tab_goes_round_the_panes_and_enter_opens_what_has_the_keyboard() {
    let mut typist = run(&Sample::late_clone(), 60);
    let panes: Vec<Pane> = (0..3)
        .map(|_| {
            typist.keys("<Tab>");
            of(&typist).pane
        })
        .collect();
    assert_eq!(panes, [Pane::Detail, Pane::Log, Pane::Days]);
    typist.keys("<Enter>");
    assert_eq!(of(&typist).full, Some(Full::Detail));
    typist.keys("<Esc>l");
    assert_eq!(of(&typist).full, Some(Full::Log));
    typist.keys("<Esc><BackTab><Enter>");
    assert_eq!(of(&typist).full, Some(Full::Log));
}

#[test]
fn days_fold_and_the_cursor_never_gets_lost() {
    let mut typist = run(&Sample::late_clone(), 60);
    typist.keys("<Left>");
    assert_eq!(of(&typist).current(), Row::Day(Day::Number(1)));
    assert!(!of(&typist).rows().contains(&Row::Step(StepId::new("day1.clone/cp2"))));
    typist.keys("<Enter>");
    typist.shows(&["clone cp2"]);
    typist.keys("<End>");
    assert_eq!(of(&typist).current(), Row::Day(Day::Number(5)));
    typist.keys("<Home><Up><Up>");
    assert_eq!(of(&typist).current(), Row::Day(Day::Number(0)));
}

#[test]
fn the_selection_follows_what_needs_attention_until_a_person_moves_it() {
    let mut typist = run(&Sample::late_clone(), 60);
    assert_eq!(of(&typist).current(), Row::Step(StepId::new("day1.clone/cp1")));
    typist.keys("<Down>");
    let here = of(&typist).current();
    let failure = crate::engine::failure::Failure::person("no", "do it");
    record(&mut typist, 61, Event::Blocked { step: StepId::new("day1.clone/cp3"), failure, again_at: at(70) });
    assert_eq!(of(&typist).current(), here);
    typist.keys("f");
    assert_eq!(of(&typist).current(), Row::Step(StepId::new("day1.clone/cp3")));
}

#[test]
fn the_log_stands_still_while_somebody_reads_back_in_it() {
    let mut typist = run(&Sample::late_clone(), 60);
    let log =
        |n: usize| Event::Log { step: StepId::new("day1.clone/cp1"), source: "t".into(), line: format!("line {n}") };
    for n in 0..50 {
        record(&mut typist, 61, log(n));
    }
    typist.keys("l<PageUp>");
    let seen = typist.screen().lines().nth(5).unwrap().to_string();
    for n in 50..60 {
        record(&mut typist, 62, log(n));
    }
    assert_eq!(typist.screen().lines().nth(5).unwrap(), seen);
    typist.keys("<End>");
    typist.shows(&["line 59"]);
}

#[test]
fn a_hundred_thousand_records_are_folded_in_batches_and_the_log_stays_bounded() {
    let mut typist = run(&Sample::late_clone(), 60);
    let event = Event::Log { step: StepId::new("day1.clone/cp1"), source: "t".into(), line: "l".into() };
    let record = Arc::new(Record { seq: 1, at: at(61), event });
    for _ in 0..50 {
        typist.send(Msg::Records(vec![record.clone(); 2048]));
    }
    assert_eq!(of(&typist).feed.len(), crate::tui::feed::LIMIT);
}

fn form(typist: &Typist) -> &crate::tui::model::form::FormModel {
    match &typist.model.screen {
        Screen::Home(home) => home.form.as_ref().unwrap(),
        Screen::Run(_) | Screen::Cluster(_) => panic!("no home"),
    }
}

/// The form, with the cursor on the API address of the network.
fn at_vip() -> Typist {
    let mut typist = Typist::home(PLAIN);
    typist.keys("<Enter>");
    let Screen::Home(home) = &mut typist.model.screen else { panic!("no home") };
    assert!(home.form.as_mut().unwrap().go_to("network.vip"));
    typist
}

#[test]
fn a_wrong_text_shows_its_reason_while_it_is_typed_and_is_kept() {
    let mut typist = at_vip();
    typist.keys("<Enter><C-u>10.0.0");
    typist.shows(&["`10.0.0` is no IPv4 address", "10.0.0"]);
    typist.keys("<Esc><Left><Down><Right>");
    let vip = form(&typist).first_wrong().unwrap();
    assert_eq!((vip.0.key().as_str(), vip.1.text.as_str()), ("network.vip", "10.0.0"));
    typist.keys("<Esc>");
    typist.shows(&["New plan", "unsaved changes"]);
    typist.keys("<Enter><Left><Up><Right>");
    assert_eq!(form(&typist).first_wrong().unwrap().1.text, "10.0.0", "going back loses nothing");
    typist.keys("s");
    typist.shows(&["`10.0.0` is no IPv4 address"]);
    assert!(form(&typist).prompt.is_none(), "what is no value can't be saved");
    typist.keys("<Enter>.9<Enter>");
    assert!(form(&typist).first_wrong().is_none());
    assert_eq!(form(&typist).plan.network.vip.to_string(), "10.0.0.9");
}

#[test]
fn the_rules_speak_while_the_form_is_filled_in() {
    let mut typist = at_vip();
    typist.keys("<Enter><C-u>192.168.7.7<Enter>");
    typist.shows(&["error"]);
    let found = form(&typist).findings.iter().any(|f| f.rule == "vip-outside-subnet");
    assert!(found, "{:?}", form(&typist).findings.iter().map(|f| &f.rule).collect::<Vec<_>>());
    typist.keys("u");
    assert_eq!(form(&typist).plan.network.vip.to_string(), "10.0.0.200");
    assert!(!form(&typist).findings.iter().any(|f| f.rule == "vip-outside-subnet"));
    assert!(!form(&typist).is_unsaved());
}

#[test]
fn enter_on_a_finding_goes_to_its_field() {
    let mut typist = Typist::home(PLAIN);
    typist.keys("<Enter><Tab><Tab>");
    let at = form(&typist).findings.iter().position(|f| f.key == "image.sha256").unwrap();
    for _ in 0..at {
        typist.keys("<Down>");
    }
    typist.keys("<Enter>");
    assert_eq!(form(&typist).current().unwrap().key(), "image.sha256");
}

#[test]
fn machines_are_added_edited_and_removed_with_their_texts_in_place() {
    let mut typist = Typist::home(PLAIN);
    typist.keys("<Enter>w");
    assert_eq!(form(&typist).plan.nodes.len(), 4);
    assert_eq!(form(&typist).current().unwrap().key(), "nodes[3].name");
    typist.keys("<Enter>-x<Tab>");
    assert_eq!(form(&typist).plan.nodes[3].name, "cozy-new-worker1-x");
    assert_eq!(form(&typist).edit.as_ref().unwrap().0.key(), "nodes[3].role", "Tab edits the next field");
    typist.keys("<C-u>boss<Esc>");
    let Screen::Home(home) = &mut typist.model.screen else { panic!("no home") };
    assert!(home.form.as_mut().unwrap().go_to("nodes[0].vmid"));
    typist.keys("d");
    typist.shows(&["Remove the machine?", "cozy-new-cp1"]);
    typist.keys("n");
    assert_eq!(form(&typist).plan.nodes.len(), 4);
    typist.keys("dy");
    assert_eq!(form(&typist).plan.nodes.len(), 3);
    let wrong = form(&typist).first_wrong().unwrap();
    assert_eq!((wrong.0.key().as_str(), wrong.1.text.as_str()), ("nodes[2].role", "boss"));
}

#[test]
fn saving_never_replaces_a_file_without_a_yes() {
    let mut typist = at_vip();
    typist.keys("<Enter><C-u>10.0.0.199<Enter>s");
    typist.shows(&["Save the plan as", "cozy-new.yaml"]);
    typist.keys("<Enter>");
    let Some(Cmd::Save { path, plan, replace: false, .. }) = typist.commands.pop() else { panic!("not saved") };
    assert_eq!(path, PathBuf::from("/home/ann/cozy-new.yaml"));
    typist.send(Msg::Saved { path: path.clone(), plan: plan.clone(), result: Err(SaveError::Exists) });
    typist.shows(&["Replace the file?", "cozy-new.yaml exists"]);
    typist.keys("<Enter>");
    assert!(typist.commands.is_empty(), "Enter is no");
    typist.send(Msg::Saved { path: path.clone(), plan: plan.clone(), result: Err(SaveError::Exists) });
    typist.keys("y");
    assert!(matches!(typist.commands.pop(), Some(Cmd::Save { replace: true, .. })));
    assert!(form(&typist).is_unsaved());
    typist.send(Msg::Saved { path, plan, result: Ok(None) });
    assert!(!form(&typist).is_unsaved());
    typist.shows(&["saved as cozy-new.yaml", "to be mended"]);
}

#[test]
fn a_plan_with_errors_is_not_run_and_one_without_is_read_again_first() {
    let mut typist = Typist::home(PLAIN);
    typist.keys("<Enter>x");
    typist.shows(&["save the plan first"]);
    let Screen::Home(home) = &mut typist.model.screen else { panic!("no home") };
    let form = home.form.as_mut().unwrap();
    form.path = Some("/home/ann/p.yaml".into());
    typist.keys("x");
    typist.shows(&["to mend first"]);
    assert!(typist.commands.is_empty());
    let Screen::Home(home) = &mut typist.model.screen else { panic!("no home") };
    let form = home.form.as_mut().unwrap();
    form.findings.retain(|f| f.severity != crate::plan::Severity::Error);
    typist.keys("x");
    assert!(matches!(typist.commands.pop(), Some(Cmd::Load(path)) if path.ends_with("p.yaml")));
    typist.send(Msg::Loaded { path: "/home/ann/p.yaml".into(), result: Ok(()) });
    assert_eq!(ended(&typist), Some(&End::Home(HomeChoice::Open("/home/ann/p.yaml".into()))));
}

#[test]
fn leaving_with_unsaved_changes_asks() {
    let mut typist = at_vip();
    typist.keys("<Enter><C-u>10.0.0.199<Enter><Esc>q");
    typist.shows(&["Unsaved changes", "stays as a draft"]);
    typist.keys("<Esc>");
    assert!(ended(&typist).is_none());
    typist.keys("<Enter>");
    assert_eq!(form(&typist).plan.network.vip.to_string(), "10.0.0.199");
    typist.keys("qy");
    assert_eq!(ended(&typist), Some(&End::Home(HomeChoice::Quit)));
}

#[test]
fn a_rule_is_set_aside_only_with_a_reason() {
    let mut typist = Typist::home(PLAIN);
    typist.keys("<Enter><Tab><Tab>");
    let overridable = |rule: &str| crate::plan::lint::rule(rule).is_some_and(|r| r.overridable);
    let at = form(&typist).findings.iter().position(|f| overridable(&f.rule)).unwrap();
    let rule = form(&typist).findings[at].rule.clone();
    for _ in 0..at {
        typist.keys("<Down>");
    }
    typist.keys("o<Enter>");
    typist.shows(&["only with a reason"]);
    typist.keys("a small test site<Enter>");
    let set = form(&typist).plan.overrides.first().unwrap();
    assert_eq!((set.rule.as_str(), set.reason.as_str()), (rule.as_str(), "a small test site"));
}

#[test]
fn a_path_is_meant_from_the_current_folder_or_from_home() {
    let mut typist = Typist::home(PLAIN);
    typist.keys("<Down><Enter><Enter>");
    typist.shows(&["type the name"]);
    typist.keys("~/p.yaml<Enter>");
    assert!(matches!(typist.commands.pop(), Some(Cmd::Load(path)) if path == Path::new("/home/ann/p.yaml")));
    typist.send(Msg::Loaded { path: "/home/ann/p.yaml".into(), result: Ok(()) });
    assert_eq!(ended(&typist), Some(&End::Home(HomeChoice::Open("/home/ann/p.yaml".into()))));
}

#[test]
fn a_known_plan_is_one_key_away() {
    let mut typist = Typist::home(PLAIN);
    typist.keys("<End><Enter>");
    assert!(matches!(typist.commands.pop(), Some(Cmd::Load(path)) if path == Path::new("/home/ann/plans/old.yaml")));
}

#[test]
fn the_lab_starts_with_a_scenario_and_a_speed_that_is_one() {
    let mut typist = Typist::home(PLAIN);
    typist.keys("<Down><Down><Enter><Down><C-u>0<Enter>");
    typist.shows(&["`0` is no speed"]);
    assert!(ended(&typist).is_none());
    typist.keys("<C-u>120<Enter>");
    let wanted = HomeChoice::Lab { scenario: "slow".into(), speed: 120.0 };
    assert_eq!(ended(&typist), Some(&End::Home(wanted)));
}

#[test]
fn letters_in_a_text_are_text() {
    let mut typist = Typist::home(PLAIN);
    typist.keys("<Down><Enter>h?q<Space>x");
    let Screen::Home(home) = &typist.model.screen else { panic!("no home") };
    assert_eq!((home.path.text().as_str(), home.place), ("h?q x", Place::Open));
}
