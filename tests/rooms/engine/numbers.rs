//! A failure whose words stay and whose numbers do not.
use super::{Shared, drive, make, yes};
use cozyup::engine::decide::Rules;
use cozyup::engine::failure::Failure;
use cozyup::engine::record::{Event, Outcome};
use std::time::Duration;

/// A release that Flux tries again and again: "failed 33 times", "failed 34 times".
#[tokio::test(start_paused = true)]
async fn a_failure_in_which_a_number_grows_now_and_then_is_told_once_for_each_number() {
    let dir = tempfile::tempdir().unwrap();
    let target = Shared::default();
    let failed = |times: u32| Some(Failure::person(format!("failed {times} times"), "read why"));
    target.lock().unwrap().refuse = failed(1);
    let changing = target.clone();
    tokio::spawn(async move {
        for times in 2..=96 {
            tokio::time::sleep(Duration::from_secs(900)).await;
            changing.lock().unwrap().refuse = failed(times);
        }
        tokio::time::sleep(Duration::from_secs(900)).await;
        changing.lock().unwrap().refuse = None;
    });
    let rules = Rules { patience: None, ..yes() };
    let run = drive(dir.path(), &target, vec![make("day1.a", 1, &[])], rules, vec![]).await;
    assert_eq!(run.outcome, Outcome::Proven);
    let told = run.records.iter().filter(|r| matches!(r.event, Event::Blocked { .. })).count();
    assert!((90..110).contains(&told), "{told} records of 96 failures");
}
