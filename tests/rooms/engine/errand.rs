//! Acts that a person asks for beside the steps.
use super::*;
use cozyup::engine::errand::Errand;

#[async_trait]
impl Site for TestSite {
    type Reading = Shared;
    type Changing = Shared;
    type Fact = String;

    async fn may_act(_: &dyn Context, _: &Shared, change: &Shared) -> Result<(), Failure> {
        change.lock().unwrap().forbidden.clone().map_or(Ok(()), Err)
    }

    /// Takes a second.
    async fn errand(cx: &dyn Context, _: &Shared, change: &Shared, errand: &Errand) -> Result<(), Failure> {
        change.lock().unwrap().acts.push(errand.kind().to_string());
        cx.clock().sleep(Duration::from_secs(1)).await;
        let stranger = Failure::refused("it is not ours", "ask its owner");
        if errand.kind() == "kick_stranger" { Err(stranger) } else { Ok(()) }
    }
}

fn asks(kind: &str) -> Asked {
    let errand = Errand::of(&serde_json::json!({"kind": kind, "who": "a\u{1b}[2J"})).unwrap();
    Request::Errand { errand }.by("ann")
}

/// Kind, end and reason of each errand, in the order of the records.
fn errands(run: &Run) -> Vec<(String, &'static str, String)> {
    let told = run.records.iter().filter_map(|record| match &record.event {
        Event::ErrandAsked { errand, by } => Some((errand.kind().to_string(), "asked", by.clone())),
        Event::ErrandEnded { errand, failure: None } => Some((errand.kind().to_string(), "done", String::new())),
        Event::ErrandEnded { errand, failure: Some(why) } => {
            Some((errand.kind().to_string(), "refused", why.what.clone()))
        }
        _ => None,
    });
    told.collect()
}

#[tokio::test(start_paused = true)]
async fn an_act_that_a_person_asks_for_stands_in_the_record_before_it_is_called_and_how_it_ended_after() {
    let dir = tempfile::tempdir().unwrap();
    let target = Shared::default();
    let asked = vec![(2, asks("kick")), (4, asks("kick_stranger"))];
    let run = drive(dir.path(), &target, plan(), yes(), asked).await;
    let own = |kind: &str, end, why: &str| (kind.to_string(), end, why.to_string());
    assert_eq!(
        errands(&run),
        [
            own("kick", "asked", "ann"),
            own("kick", "done", ""),
            own("kick_stranger", "asked", "ann"),
            own("kick_stranger", "refused", "it is not ours"),
        ]
    );
    assert_eq!(run.outcome, Outcome::Proven, "the steps go their way");
    let text = std::fs::read_to_string(dir.path().join("journal")).unwrap();
    assert!(text.contains("errand_asked") && !text.contains('\u{1b}') && !text.contains("\\u001b"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn who_may_not_act_does_nothing_for_a_person_either_and_two_acts_are_not_done_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let target = Shared::default();
    target.lock().unwrap().forbidden = Some(Failure::refused("jump2 is at work", "stop it there"));
    let free = target.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(10)).await;
        free.lock().unwrap().forbidden = None;
    });
    let asked = vec![(5, asks("early")), (15, asks("first")), (0, asks("second"))];
    let run = drive(dir.path(), &target, plan(), yes(), asked).await;
    let ends: Vec<_> = errands(&run).into_iter().filter(|(_, end, _)| *end != "asked").collect();
    assert_eq!(ends[0], ("early".to_string(), "refused", "jump2 is at work".to_string()));
    assert!(ends[1].0 == "second" && ends[1].2.contains("still under way"), "{ends:?}");
    assert_eq!((ends[2].0.as_str(), ends[2].1), ("first", "done"));
    let acts = target.lock().unwrap().acts.clone();
    assert!(acts.contains(&"first".to_string()) && !acts.contains(&"early".to_string()), "{acts:?}");
    assert!(!acts.contains(&"second".to_string()), "{acts:?}");
}
