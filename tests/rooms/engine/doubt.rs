//! Proofs that an observation contradicts, and notices.
use super::*;
use cozyup::engine::doubt::Inside;

/// A run of `steps` whose last one waits for its gate until second 60, while an observer does what `watch` says.
async fn watched<W: Future<Output = ()> + Send + 'static>(
    target: &Shared,
    steps: Vec<Make>,
    watch: impl FnOnce(Inside<String>, Shared) -> W,
) -> Run {
    let dir = tempfile::tempdir().unwrap();
    let (inside, outside) = Outside::channel();
    tokio::spawn(watch(inside, target.clone()));
    let rules = Rules { gates_by: None, patience: None };
    let open = |day| Request::OpenGate { day: Day::Number(day) }.by("ann");
    let requests = vec![(0, open(1)), (60, open(2))];
    drive_any(Clock::real(), dir.path(), target, boxed(steps), FORWARD, rules, requests, outside).await
}

fn told<'a>(run: &'a Run, event: &'a str) -> impl Iterator<Item = serde_json::Value> + 'a {
    let all = run.records.iter().map(|r| serde_json::to_value(&**r).unwrap());
    all.filter(move |record| record["event"] == event)
}

fn doubt(facts: &[&str]) -> Arc<std::collections::BTreeSet<String>> {
    Arc::new(facts.iter().map(ToString::to_string).collect())
}

/// screen.md A2: what was proven earlier in the session and is gone is not green until the next session.
#[tokio::test(start_paused = true)]
async fn a_proof_that_an_observation_contradicts_is_looked_at_again_at_once_and_made_again() {
    let target = Shared::default();
    let run = watched(&target, plan(), async |inside, target: Shared| {
        tokio::time::sleep(Duration::from_secs(30)).await;
        target.lock().unwrap().things.remove("day1.a");
        // `day1.b` is there: an observer that is wrong about it changes nothing.
        inside.doubts.send_replace(doubt(&["day1.a is there", "day1.b is there"]));
        tokio::time::sleep(Duration::from_secs(3600)).await;
    })
    .await;
    let drifted: Vec<_> = told(&run, "drifted").collect();
    assert_eq!(drifted.len(), 1, "{drifted:?}");
    assert_eq!((&drifted[0]["step"], &drifted[0]["why"]), (&"day1.a".into(), &"no such thing".into()));
    let at: jiff::Timestamp = serde_json::from_value(drifted[0]["at"].clone()).unwrap();
    let began = run.records[0].at;
    assert_eq!(at.duration_since(began).as_secs(), 30, "within the poll that saw it");
    assert_eq!(target.lock().unwrap().acts, ["day1.a", "day1.b", "day1.a", "day2.c"]);
    assert_eq!(run.outcome, Outcome::Proven);
    assert!(run.state.steps.iter().all(|s| s.drifted.is_none()), "all is proven anew");
}

#[tokio::test(start_paused = true)]
async fn what_stood_on_a_drifted_step_waits_for_it_and_is_made_after_it() {
    let target = Shared::default();
    let run = watched(&target, plan(), async |inside, target: Shared| {
        tokio::time::sleep(Duration::from_secs(30)).await;
        target.lock().unwrap().things.clear();
        inside.doubts.send_replace(doubt(&["day1.b is there", "day1.a is there"]));
        tokio::time::sleep(Duration::from_secs(3600)).await;
    })
    .await;
    assert_eq!(told(&run, "drifted").count(), 2);
    assert_eq!(target.lock().unwrap().acts, ["day1.a", "day1.b", "day1.a", "day1.b", "day2.c"]);
}

#[tokio::test(start_paused = true)]
async fn an_observation_that_is_older_than_the_target_changes_nothing_and_is_no_record() {
    let quiet = watched(&Shared::default(), plan(), async |_, _| ()).await;
    let target = Shared::default();
    let run = watched(&target, plan(), async |inside, _| {
        for _ in 0..40 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            inside.doubts.send_replace(doubt(&["day1.a is there", "nobody knows"]));
        }
    })
    .await;
    // Whether the gate of day 1 is asked for depends on who comes first, the look or ann.
    let count = |run: &Run| run.records.iter().filter(|r| !matches!(r.event, Event::GateAsked { .. })).count();
    assert_eq!(count(&run), count(&quiet));
    assert_eq!(target.lock().unwrap().acts, ["day1.a", "day1.b", "day2.c"]);
}

/// The look decides, and one that has no answer decides nothing until the observer, who has one, doubts again.
#[tokio::test(start_paused = true)]
async fn a_target_that_can_not_be_asked_is_no_drift_at_first() {
    let target = Shared::default();
    let run = watched(&target, plan(), async |inside, target: Shared| {
        tokio::time::sleep(Duration::from_secs(20)).await;
        target.lock().unwrap().refuse = Some(Failure::retryable("no answer", "cozyup tries again"));
        inside.doubts.send_replace(doubt(&["day1.a is there"]));
        tokio::time::sleep(Duration::from_secs(1)).await;
        target.lock().unwrap().refuse = None;
        tokio::time::sleep(Duration::from_secs(3600)).await;
    })
    .await;
    assert_eq!(told(&run, "drifted").count(), 0);
    assert_eq!(told(&run, "failed").count(), 0);
}

#[tokio::test(start_paused = true)]
async fn notices_are_recorded_as_facts_without_secrets_and_change_no_step() {
    let secret = Secret::new("notice-0a1b2c3d4e5f".to_string());
    let words = format!("\u{1b}[31m{}", secret.expose());
    let run = watched(&Shared::default(), plan(), async move |inside, _| {
        let typed = serde_json::json!({"kind": "vm_stopped", "vmid": 1003, "by": words});
        let notice = cozyup::engine::notice::Notice::of(&typed).unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
        inside.notices.try_send(notice).unwrap();
    })
    .await;
    let noticed: Vec<_> = told(&run, "noticed").collect();
    assert_eq!(noticed.len(), 1);
    assert_eq!((&noticed[0]["notice"]["kind"], &noticed[0]["notice"]["vmid"]), (&"vm_stopped".into(), &1003.into()));
    let text = noticed[0].to_string();
    assert!(!text.contains(secret.expose()) && text.contains("[secret]") && !text.contains("\\u001b"), "{text}");
    assert_eq!(run.outcome, Outcome::Proven);
}
