//! A machine that sleeps, or whose clock is moved, while a run goes on.
use crate::engine::{FORWARD, Shared, boxed, drive_any, plan, yes};
use cozyup::base::clock::Clock;
use cozyup::engine::doubt::Outside;
use cozyup::engine::failure::Failure;
use cozyup::engine::record::{Event, Outcome, Record};
use std::sync::Arc;
use std::time::Duration;

/// harm.md, "Clock": what a jump of the wall clock must not do to a run, in lateness, waits, patience and pace.
#[tokio::test(start_paused = true)]
async fn a_machine_that_slept_or_whose_clock_was_moved_makes_nothing_late_and_is_told_once() {
    let mut unmoved = None;
    for hours in [0, 8, -2] {
        let dir = tempfile::tempdir().unwrap();
        let target = Shared::default();
        target.lock().unwrap().refuse = Some(Failure::refused("no right", "give the right"));
        let (healing, begin) = (target.clone(), tokio::time::Instant::now());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(100)).await;
            healing.lock().unwrap().refuse = None;
        });
        // Forty seconds after the start the wall clock jumps.
        let even = Clock::real();
        let clock = even.clone().beside(move || {
            let jumped = begin.elapsed() >= Duration::from_secs(40);
            even.now() + jiff::SignedDuration::from_hours(if jumped { hours } else { 0 })
        });
        let run = drive_any(clock, dir.path(), &target, boxed(plan()), FORWARD, yes(), vec![], Outside::nobody()).await;
        assert_eq!(run.outcome, Outcome::Proven, "{hours}: patience of five minutes is not over");
        let times: Vec<i64> = run.records.iter().map(|r| r.at.duration_since(run.records[0].at).as_secs()).collect();
        assert!(times.is_sorted() && times.iter().all(|t| (0..1000).contains(t)), "{hours}: {times:?}");
        let told = |r: &&Arc<Record>| matches!(&r.event, Event::Log { source, .. } if source == "clock");
        let lines: Vec<String> = run.records.iter().filter(told).map(|r| format!("{:?}", r.event)).collect();
        assert_eq!(lines.len(), usize::from(hours != 0), "{hours}: {lines:?}");
        assert!(
            lines.iter().all(|l| l.contains(if hours > 0 { "forward, by 8 h" } else { "back, by 2 h" })),
            "{lines:?}"
        );
        let others = run.records.len() - lines.len();
        assert_eq!(others, *unmoved.get_or_insert(others), "{hours}: as many records as without a jump");
    }
}
