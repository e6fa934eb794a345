//! A verification beside a run: what it asks, what it makes of the answers, and that it comes to an end.
use super::{Make, Shared, TestSite, boxed, make};
use cozyup::base::clock::Clock;
use cozyup::base::day::Day;
use cozyup::engine::course::Course;
use cozyup::engine::failure::Failure;
use cozyup::engine::proof::{Evidence, Proof};
use cozyup::engine::record::{Event, Record};
use cozyup::engine::state::RunState;
use cozyup::engine::step::{Outline, Step, StepId};
use cozyup::engine::verify::{Found, Limits, Looked, verify};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

const LIMITS: Limits = Limits { within: Duration::from_secs(300), looks: 3 };

fn chain() -> Vec<Make> {
    let mut moment = make("day5.test", 5, &["day1.b"]);
    moment.outline.momentary = true;
    vec![make("day1.a", 1, &[]), make("day1.b", 1, &["day1.a"]), make("day1.c", 1, &[]), moment, make("day6.z", 6, &[])]
}

/// What a run leaves that has proven the steps of these names.
fn proven(steps: &[Arc<dyn Step<TestSite>>], names: &[&str]) -> RunState {
    let reading = |step: &StepId| Evidence {
        system: "target".into(),
        asked: step.to_string(),
        answer: "there".into(),
        at: Timestamp::UNIX_EPOCH,
        by_hand: String::new(),
    };
    let outlines: Vec<Outline> = steps.iter().map(|s| s.outline().clone()).collect();
    let mut events = vec![Event::Session {
        run: "r".into(),
        plan: "p".into(),
        plan_digest: String::new(),
        cozyup: "0".into(),
        host: "jump".into(),
        pid: 1,
        course: Course::Forward { until: Day::Number(6) },
        take_over: None,
        adopted: vec![],
        steps: outlines,
    }];
    events.extend(names.iter().map(|name| {
        let step = StepId::new(name);
        Event::Proven { proof: Proof::new("it was there", reading(&step)), step }
    }));
    let record = |(seq, event)| Record { seq: seq as u64 + 1, at: Timestamp::UNIX_EPOCH, event };
    let records: Vec<Record> = events.into_iter().enumerate().map(record).collect();
    RunState::of(&records)
}

async fn looked(target: &Shared, limits: Limits) -> Vec<Looked> {
    let steps = boxed(chain());
    let state = proven(&steps, &["day1.a", "day1.b", "day1.c", "day5.test"]);
    verify(&steps, &state, &["day1.c"], target, &Clock::real(), limits).await
}

fn of<'a>(all: &'a [Looked], id: &str) -> &'a Found {
    &all.iter().find(|l| l.outline.id.as_str() == id).unwrap_or_else(|| panic!("no {id}")).found
}

fn with(things: &[(&str, u32)]) -> Shared {
    let target = Shared::default();
    target.lock().unwrap().things.extend(things.iter().map(|(name, looks)| ((*name).to_string(), *looks)));
    target
}

/// What was never proven is not asked for, nor a test that ran, nor what is about a session.
#[tokio::test(start_paused = true)]
async fn only_what_was_proven_and_lasts_is_proven_again_and_nothing_is_acted_on() {
    let target = with(&[("day1.a", 0), ("day1.b", 0)]);
    let all = looked(&target, LIMITS).await;
    let names: Vec<&str> = all.iter().map(|l| l.outline.id.as_str()).collect();
    assert_eq!(names, ["day1.a", "day1.b", "day1.c", "day5.test"]);
    assert!(matches!(of(&all, "day1.a"), Found::Holds(_)) && matches!(of(&all, "day1.b"), Found::Holds(_)));
    assert!(matches!(of(&all, "day1.c"), Found::OfASession) && matches!(of(&all, "day5.test"), Found::OfAMoment));
    assert!(!all.iter().any(|l| l.found.is_difference()));
    assert!(target.lock().unwrap().acts.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_is_a_difference_that_says_what_is_seen_now_beside_what_was_proven() {
    let target = with(&[("day1.b", 0)]);
    let all = looked(&target, LIMITS).await;
    assert!(matches!(of(&all, "day1.a"), Found::Differs { seen, next: None } if seen == "no such thing"));
    // It answers, so what stands on it is asked too.
    assert!(matches!(of(&all, "day1.b"), Found::Holds(_)));
    assert_eq!(all[0].proven.summary(), "it was there");
    assert!(target.lock().unwrap().acts.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_step_under_way_is_looked_at_a_few_times_and_then_it_is_a_difference() {
    let soon = looked(&with(&[("day1.a", 2), ("day1.b", 0)]), LIMITS).await;
    assert!(matches!(of(&soon, "day1.a"), Found::Holds(_)), "{:?}", of(&soon, "day1.a"));
    let never = looked(&with(&[("day1.a", 1000), ("day1.b", 0)]), LIMITS).await;
    assert!(matches!(of(&never, "day1.a"), Found::Differs { seen, .. } if seen.contains("under way")));
}

/// A run tries for ever; a verification says so and ends.
#[tokio::test(start_paused = true)]
async fn a_system_that_does_not_answer_ends_the_looks_and_what_stands_on_it_is_not_asked() {
    let target = with(&[("day1.a", 0), ("day1.b", 0)]);
    target.lock().unwrap().refuse = Some(Failure::retryable("no answer", "look at the network"));
    let all = tokio::time::timeout(Duration::from_secs(60), looked(&target, LIMITS)).await.expect("it ends");
    assert!(matches!(of(&all, "day1.a"), Found::NoAnswer(failure) if failure.what == "no answer"));
    assert!(matches!(of(&all, "day1.b"), Found::Behind(root) if root.as_str() == "day1.a"));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_with_its_next_action_and_not_tried_again() {
    let target = with(&[]);
    target.lock().unwrap().refuse = Some(Failure::refused("the token is not accepted", "make a new one"));
    let began = tokio::time::Instant::now();
    let all = looked(&target, LIMITS).await;
    let Found::Differs { seen, next: Some(next) } = of(&all, "day1.a") else { panic!("{:?}", of(&all, "day1.a")) };
    assert_eq!((seen.as_str(), next.as_str()), ("the token is not accepted", "make a new one"));
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn after_its_time_a_verification_asks_nothing_more() {
    let all = looked(&with(&[("day1.a", 0)]), Limits { within: Duration::ZERO, ..LIMITS }).await;
    assert!(
        matches!(of(&all, "day1.a"), Found::NoAnswer(failure) if failure.what.contains("time of the verification"))
    );
}
