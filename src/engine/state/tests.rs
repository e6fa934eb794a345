use super::*;
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::wait::{Band, Wait};

pub fn outline(id: &str, day: u8, after: &[&str]) -> Outline {
    Outline {
        id: StepId::new(id),
        day: Day::Number(day),
        title: id.into(),
        after: after.iter().map(|a| StepId::new(a)).collect(),
        queue: None,
        band: Band::new(10, 60),
        changes: day > 0,
        momentary: false,
        cleanup: false,
        put_right_by: None,
        by_hand: String::new(),
    }
}

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub fn proof() -> Proof {
    let reading = Evidence {
        system: "test".into(),
        asked: "is it".into(),
        answer: "it is".into(),
        at: at(0),
        by_hand: String::new(),
    };
    Proof::new("it is so", reading)
}

pub fn session(steps: Vec<Outline>) -> Event {
    Event::Session {
        run: "r".into(),
        plan: "p".into(),
        plan_digest: String::new(),
        cozyup: "0".into(),
        host: "jump".into(),
        pid: 1,
        course: Course::Forward { until: Day::Number(10) },
        take_over: None,
        adopted: vec![],
        steps,
    }
}

/// The same session on another course.
pub fn on_course(mut event: Event, to: Course) -> Event {
    if let Event::Session { course, .. } = &mut event {
        *course = to;
    }
    event
}

pub fn fold(events: Vec<Event>) -> RunState {
    let records: Vec<Record> = events
        .into_iter()
        .enumerate()
        .map(|(i, event)| Record { seq: i as u64 + 1, at: at(i as i64), event })
        .collect();
    RunState::of(&records)
}

/// Two steps of one day: the first disturbs, the second puts it right.
pub fn drill() -> Vec<Outline> {
    let mut off = outline("day7.off", 7, &[]);
    (off.momentary, off.put_right_by) = (true, Some(StepId::new("day7.on")));
    vec![outline("day1.start", 1, &[]), off, outline("day7.on", 7, &["day7.off"])]
}

/// The machine of [`drill`] is off.
pub fn disturbed() -> Vec<Event> {
    let off = StepId::new("day7.off");
    vec![
        session(drill()),
        Event::Proven { step: StepId::new("day1.start"), proof: proof() },
        Event::GateOpened { day: Day::Number(7), by: "ann".into() },
        Event::Intended { step: off.clone(), attempt: 1 },
        Event::HandleKept { step: off, handle: "stop".into() },
    ]
}

#[test]
fn what_a_step_disturbs_stays_so_from_its_first_handle_until_who_puts_it_right_is_proven() {
    let off = StepId::new("day7.off");
    let mut events = disturbed();
    let before = events.pop().unwrap();
    assert!(!fold(events.clone()).made.has_disturbed(&off));
    events.push(before);
    assert!(fold(events.clone()).made.has_disturbed(&off));
    // Another session, and a teardown, know it too; a plan without the step has nothing to put right.
    events.push(session(drill()));
    let state = fold(events.clone());
    assert_eq!(state.first().iter().map(|s| s.outline.id.as_str()).collect::<Vec<_>>(), ["day7.on"]);
    let back = on_course(session(vec![outline("undo.day7.on", 1, &[])]), Course::Back { cluster_is_lost: false });
    let state = fold(events.iter().cloned().chain([back.clone()]).collect());
    assert!(state.made.has_disturbed(&off) && state.first().is_empty());
    let undone = Event::Proven { step: StepId::new("undo.day7.on"), proof: proof() };
    assert!(!fold(events.iter().cloned().chain([back, undone]).collect()).made.has_disturbed(&off));
    let without = session(vec![outline("day1.start", 1, &[])]);
    assert!(!fold(events.iter().cloned().chain([without]).collect()).made.has_disturbed(&off));
    events.push(Event::Proven { step: StepId::new("day7.on"), proof: proof() });
    let state = fold(events.clone());
    assert!(!state.made.has_disturbed(&off) && state.first().is_empty());
    assert_eq!(state.step(&off).unwrap().handle, None, "it tells nothing any more");
    // Disturbed once more, it is to be put right once more.
    events.extend(disturbed().split_off(3));
    assert!(!fold(events).step(&StepId::new("day7.on")).unwrap().is_proven());
}

#[test]
fn a_second_session_asks_for_every_lasting_proof_again() {
    let a = StepId::new("day1.a");
    let mut lasting = outline("day1.a", 1, &[]);
    let mut moment = outline("day5.b", 5, &[]);
    moment.momentary = true;
    lasting.title = "old title".into();
    let first = session(vec![lasting.clone(), moment.clone()]);
    lasting.title = "new title".into();
    let state = fold(vec![
        first,
        Event::Proven { step: a.clone(), proof: proof() },
        Event::Proven { step: StepId::new("day5.b"), proof: proof() },
        session(vec![lasting, moment]),
    ]);
    let step = state.step(&a).unwrap();
    assert_eq!(step.status, Status::Pending);
    assert!(step.to_confirm && step.proof.is_some());
    assert_eq!(step.outline.title, "new title");
    assert!(state.step(&StepId::new("day5.b")).unwrap().is_proven());
    assert_eq!(state.sessions, 2);
}

/// A test whose parts build on each other: what was made in its first part may be gone when the second goes on.
#[test]
fn a_proof_of_a_moment_is_asked_for_again_while_what_stands_on_it_is_open_and_nothing_takes_it_away() {
    let (made, used, gone) = (StepId::new("day6.made"), StepId::new("day6.used"), StepId::new("day6.gone"));
    let steps = || {
        let moment = |id, after: &[&str]| Outline { momentary: true, ..outline(id, 6, after) };
        let cleanup = Outline { cleanup: true, ..moment("day6.gone", &["day6.used"]) };
        vec![moment("day6.made", &[]), moment("day6.used", &["day6.made"]), cleanup]
    };
    let proven = |step: &StepId| Event::Proven { step: step.clone(), proof: proof() };
    let begun = |step: &StepId| Event::Intended { step: step.clone(), attempt: 1 };
    let stands = |between: &[Event], step| {
        let events = [vec![session(steps())], between.to_vec(), vec![session(steps())]].concat();
        fold(events).step(step).unwrap().is_proven()
    };
    assert!(!stands(&[proven(&made), begun(&used)], &made));
    assert!(!stands(&[proven(&made), proven(&used)], &used), "the cleanup is open, and has not begun");
    assert!(stands(&[proven(&made), proven(&used), begun(&gone)], &made));
    assert!(stands(&[proven(&made), proven(&used), proven(&gone)], &made));
}

#[test]
fn the_same_condition_keeps_its_start_and_another_begins_anew() {
    let step = StepId::new("day1.a");
    let wait = |c: &str, seen: &str| Event::Waiting { step: step.clone(), wait: Wait::new(c, seen, Band::new(1, 2)) };
    let state = fold(vec![session(vec![outline("day1.a", 1, &[])]), wait("3 members", "1"), wait("3 members", "2")]);
    assert_eq!(state.step(&step).unwrap().wait.as_ref().unwrap().1, at(1));
    let state = fold(vec![session(vec![outline("day1.a", 1, &[])]), wait("3 members", "1"), wait("healthy", "no")]);
    assert_eq!(state.step(&step).unwrap().wait.as_ref().unwrap().1, at(2));
}

#[test]
fn a_step_whose_act_is_refused_again_and_again_has_been_blocked_since_the_first_time() {
    let step = StepId::new("day1.a");
    let refused = || Event::Blocked { step: step.clone(), failure: Failure::refused("no", "ask"), again_at: at(9) };
    let absent = || Event::Absent { step: step.clone(), seen: String::new() };
    let tried = |attempt| Event::Intended { step: step.clone(), attempt };
    let first = session(vec![outline("day1.a", 1, &[])]);
    let state = fold(vec![first, absent(), tried(1), refused(), absent(), tried(2), refused()]);
    let Status::Blocked { since, .. } = state.step(&step).unwrap().status else { panic!("not blocked") };
    assert_eq!(since, at(3));
}

/// proxmox.md 2.2: an act that says what it waits for, in each of its tries, is still the same act that fails.
#[test]
fn what_an_act_waits_for_in_each_try_is_no_progress() {
    let step = StepId::new("day1.a");
    let waits = || Event::Waiting { step: step.clone(), wait: Wait::new("it is sent", "1 %", Band::new(1, 2)) };
    let tried = |attempt| Event::Intended { step: step.clone(), attempt };
    let failed = || Event::Failed { step: step.clone(), failure: Failure::retryable("cut", "again"), again_at: at(9) };
    let absent = || Event::Absent { step: step.clone(), seen: String::new() };
    let mut events = vec![session(vec![outline("day1.a", 1, &[])]), absent()];
    for attempt in 1..=3 {
        events.extend([tried(attempt), waits(), waits(), failed(), absent()]);
    }
    let state = fold(events.clone());
    assert_eq!(state.step(&step).unwrap().failures, 3);
    assert_eq!(state.step(&step).unwrap().first_failure, Some(at(5)));
    // A look that sees something under way, and an accepted act, are progress.
    events.push(waits());
    assert_eq!(fold(events.clone()).step(&step).unwrap().failures, 0);
    events.extend([tried(4), failed(), absent(), tried(5), Event::Acted { step: step.clone() }, waits()]);
    assert_eq!(fold(events).step(&step).unwrap().failures, 0);
}

#[test]
fn a_handle_survives_a_crash_between_intent_and_answer() {
    let step = StepId::new("day1.a");
    let state = fold(vec![
        session(vec![outline("day1.a", 1, &[])]),
        Event::Intended { step: step.clone(), attempt: 1 },
        Event::HandleKept { step: step.clone(), handle: "UPID:x".into() },
        session(vec![outline("day1.a", 1, &[])]),
    ]);
    let s = state.step(&step).unwrap();
    assert_eq!(s.handle.as_deref(), Some("UPID:x"));
    assert_eq!((s.attempt, &s.status), (1, &Status::Pending));
}

#[test]
fn what_was_refused_and_made_by_somebody_else_is_not_the_runs() {
    let made = |events: Vec<Event>| {
        let records = events.into_iter().enumerate().map(|(i, event)| Record { seq: i as u64 + 1, at: at(0), event });
        let records = records.collect::<Vec<_>>();
        RunState::of(&records).made.steps().map(ToString::to_string).collect::<Vec<_>>()
    };
    let step = StepId::new("day4.role");
    let there = || session(vec![outline("day4.role", 4, &[])]);
    let intended = || Event::Intended { step: step.clone(), attempt: 1 };
    let refused = || Event::Blocked { step: step.clone(), failure: Failure::refused("no", "ask"), again_at: at(9) };
    let proven = |step: &StepId| Event::Proven { step: step.clone(), proof: proof() };
    assert!(made(vec![there(), intended(), refused(), proven(&step)]).is_empty());
    assert_eq!(
        made(vec![there(), intended(), refused(), intended(), Event::Acted { step: step.clone() }]),
        ["day4.role"]
    );
    // That it is refused later takes nothing away from having made it.
    assert_eq!(made(vec![there(), intended(), Event::Acted { step: step.clone() }, refused()]), ["day4.role"]);
    let back = || on_course(there(), Course::Back { cluster_is_lost: false });
    let asked = StepId::new("teardown.asked");
    assert_eq!(made(vec![there(), intended(), back(), proven(&asked)]), ["day4.role", "teardown.asked"]);
    assert_eq!(made(vec![there(), intended(), back(), proven(&asked), there()]), ["day4.role"]);
    assert!(made(vec![there(), intended(), back(), Event::Ended { outcome: Outcome::Proven }]).is_empty());
}

/// harm.md S16
#[test]
fn an_end_that_says_more_than_the_records_do_is_no_end() {
    let end = || Event::Ended { outcome: Outcome::Proven };
    let proven = |step: &str| Event::Proven { step: StepId::new(step), proof: proof() };
    let steps = || session(vec![outline("day1.a", 1, &[]), outline("day1.b", 1, &[])]);
    let forged = fold(vec![steps(), proven("day1.a"), end()]);
    assert_eq!((forged.ended, forged.disputed), (None, true));
    let whole = fold(vec![steps(), proven("day1.a"), proven("day1.b"), end()]);
    assert_eq!((whole.ended, whole.disputed), (Some(Outcome::Proven), false));
    assert!(!fold(vec![steps(), end(), steps()]).disputed, "the next session looks at everything again");
    let stopped = fold(vec![steps(), Event::Ended { outcome: Outcome::Stopped }]);
    assert_eq!((stopped.ended, stopped.disputed), (Some(Outcome::Stopped), false));
}

#[test]
fn records_about_unknown_steps_change_nothing() {
    let state = fold(vec![session(vec![]), Event::Acted { step: StepId::new("day9.gone") }]);
    assert!(state.steps.is_empty());
}
