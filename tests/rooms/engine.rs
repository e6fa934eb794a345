//! The engine over a target of its own making: what it does when the target, the disk or the process gives way.
use async_trait::async_trait;
use cozyup::base::{clock::Clock, day::Day, secret::Secret};
use cozyup::engine::course::Course;
use cozyup::engine::decide::Rules;
use cozyup::engine::doubt::Outside;
use cozyup::engine::driver::{Driver, Session};
use cozyup::engine::failure::Failure;
use cozyup::engine::journal::Journal;
use cozyup::engine::proof::{Evidence, Proof};
use cozyup::engine::record::{Event, Outcome, Record};
use cozyup::engine::request::{Asked, Request};
use cozyup::engine::state::RunState;
use cozyup::engine::step::{Context, Observed, Outline, Queue, Removal, Site, Step, StepId, Undo};
use cozyup::engine::undo::undoing;
use cozyup::engine::wait::{Band, Wait};
use cozyup::steps::outlines;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::{path::Path, time::Duration};
use tokio::sync::mpsc;

mod doubt;
mod errand;
mod numbers;
mod verify;

/// A world of named things that take some looks to appear.
#[derive(Default)]
pub(super) struct Target {
    things: BTreeMap<String, u32>,
    acts: Vec<String>,
    acting_now: usize,
    most_at_once: usize,
    pub(super) refuse: Option<Failure>,
    /// Somebody else is at work.
    forbidden: Option<Failure>,
    /// How the task of every act ends.
    task_fails: Option<Failure>,
}

pub(super) type Shared = Arc<Mutex<Target>>;
pub(super) struct TestSite;
pub(super) struct Make {
    outline: Outline,
    /// Looks until the thing is ready after the act.
    looks: u32,
    panics: bool,
    /// Where there are some, see [`Make::chatter`].
    words: String,
    rests_on: Vec<String>,
}

#[async_trait]
impl Step<TestSite> for Make {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Shared) -> Result<Observed, Failure> {
        assert!(!self.panics, "a defect in a step");
        let mut target = site.lock().unwrap();
        if !self.words.is_empty() {
            return self.chatter(cx, &mut target);
        }
        if let Some(failure) = &target.refuse {
            return Err(failure.clone());
        }
        let name = self.outline.id.to_string();
        Ok(match target.things.get_mut(&name) {
            None => Observed::Absent("no such thing".into()),
            Some(0) => {
                let reading = Evidence {
                    system: "target".into(),
                    asked: name.clone(),
                    answer: "there".into(),
                    at: cx.clock().now(),
                    by_hand: format!("look {name}"),
                };
                Observed::Satisfied(Proof::new(format!("{name} is there"), reading))
            }
            Some(left) => {
                *left -= 1;
                Observed::Underway(Wait::new("it is ready", format!("{left} to go"), Band::new(5, 20)))
            }
        })
    }

    fn rests_on(&self) -> Vec<String> {
        self.rests_on.clone()
    }

    fn undo(&self) -> Undo<'_, TestSite> {
        Undo::By(self)
    }

    async fn act(&self, cx: &dyn Context, _: &Shared, change: &Shared) -> Result<(), Failure> {
        if !self.words.is_empty() {
            cx.keep_handle(&self.words).await?;
            cx.waiting(Wait::new(&self.words, &self.words, Band::new(1, 2)));
            change.lock().unwrap().acts.push(String::new());
            return Ok(());
        }
        let name = self.outline.id.to_string();
        {
            let mut target = change.lock().unwrap();
            target.acts.push(name.clone());
            target.acting_now += 1;
            target.most_at_once = target.most_at_once.max(target.acting_now);
        }
        cx.keep_handle(&format!("task:{name}")).await?;
        cx.clock().sleep(Duration::from_secs(3)).await;
        let mut target = change.lock().unwrap();
        target.acting_now -= 1;
        if let Some(failure) = &target.task_fails {
            cx.waiting(Wait::new("the task ends", "it runs", Band::new(5, 20)));
            return Err(failure.clone());
        }
        target.things.insert(name, self.looks);
        Ok(())
    }
}

#[async_trait]
impl Removal<TestSite> for Make {
    fn title(&self) -> String {
        format!("remove {}", self.outline.id)
    }

    fn by_hand(&self) -> String {
        String::new()
    }

    /// Things of the jump host are called so.
    fn is_local(&self) -> bool {
        self.outline.id.as_str().contains("local")
    }

    async fn gone(&self, cx: &dyn Context, site: &Shared) -> Result<Observed, Failure> {
        let name = self.outline.id.to_string();
        if site.lock().unwrap().things.contains_key(&name) {
            return Ok(Observed::Absent(format!("{name} is there")));
        }
        let (asked, by_hand) = (name.clone(), format!("look {name}"));
        let reading =
            Evidence { system: "target".into(), asked, answer: "nothing".into(), at: cx.clock().now(), by_hand };
        Ok(Observed::Satisfied(Proof::new(format!("{name} is gone"), reading)))
    }

    async fn remove(&self, cx: &dyn Context, _: &Shared, change: &Shared) -> Result<(), Failure> {
        let name = self.outline.id.to_string();
        cx.keep_handle(&format!("task:remove {name}")).await?;
        let mut target = change.lock().unwrap();
        target.acts.push(format!("remove {name}"));
        target.things.remove(&name);
        Ok(())
    }
}

fn make(id: &str, day: u8, after: &[&str]) -> Make {
    Make {
        outline: outlines::change(StepId::new(id), day, format!("make {id}"), Band::new(5, 20), "")
            .after(after.iter().map(|a| StepId::new(a))),
        looks: 2,
        panics: false,
        words: String::new(),
        rests_on: vec![format!("{id} is there")],
    }
}

pub(super) struct Run {
    pub(super) records: Vec<Arc<Record>>,
    pub(super) outcome: Outcome,
    state: RunState,
}

pub(super) fn plan() -> Vec<Make> {
    vec![make("day1.a", 1, &[]), make("day1.b", 1, &["day1.a"]), make("day2.c", 2, &[])]
}

pub(super) fn boxed(steps: Vec<Make>) -> Vec<Arc<dyn Step<TestSite>>> {
    steps.into_iter().map(|s| Arc::new(s) as Arc<dyn Step<TestSite>>).collect()
}

async fn drive(dir: &Path, target: &Shared, steps: Vec<Make>, rules: Rules, requests: Vec<(u64, Asked)>) -> Run {
    drive_at(Clock::real(), dir, target, steps, rules, requests).await
}

async fn drive_at(
    clock: Clock,
    dir: &Path,
    target: &Shared,
    steps: Vec<Make>,
    rules: Rules,
    requests: Vec<(u64, Asked)>,
) -> Run {
    drive_any(clock, dir, target, boxed(steps), FORWARD, rules, requests, Outside::nobody()).await
}

/// All of the plan.
pub(super) const FORWARD: Course = Course::Forward { until: Day::Number(10) };
const BACK: Course = Course::Back { cluster_is_lost: false };

/// The way back of a run of these steps.
async fn take_back(dir: &Path, target: &Shared, steps: Vec<Make>, rules: Rules) -> Run {
    let back = undoing(&boxed(steps));
    let back = back.into_iter().map(|s| Arc::new(s) as Arc<dyn Step<TestSite>>).collect();
    drive_any(Clock::real(), dir, target, back, BACK, rules, vec![], Outside::nobody()).await
}

#[allow(clippy::too_many_arguments, reason = "each caller leaves out another part")]
pub(super) async fn drive_any(
    clock: Clock,
    dir: &Path,
    target: &Shared,
    steps: Vec<Arc<dyn Step<TestSite>>>,
    course: Course,
    rules: Rules,
    requests: Vec<(u64, Asked)>,
    outside: Outside<String>,
) -> Run {
    let (journal, recovered) = Journal::open(&dir.join("journal")).unwrap();
    let (feed, mut records) = mpsc::unbounded_channel();
    let (ask, asked) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for (second, request) in requests {
            tokio::time::sleep(Duration::from_secs(second)).await;
            let _ = ask.send(request);
        }
        std::future::pending::<()>().await;
    });
    let driver: Driver<TestSite> = Driver {
        steps,
        reading: Arc::new(target.clone()),
        changing: Arc::new(target.clone()),
        clock,
        journal,
        state: RunState::of(&recovered.records),
        rules,
        outside,
        feed,
    };
    let session = Session {
        run: "r1".into(),
        plan: "p".into(),
        plan_digest: "d".into(),
        host: "jump".into(),
        course,
        take_over: None,
        adopted: vec![],
    };
    let (outcome, state) = driver.run(session, asked).await.unwrap();
    let mut seen = Vec::new();
    while let Ok(record) = records.try_recv() {
        seen.push(record);
    }
    Run { records: seen, outcome, state }
}

pub(super) fn yes() -> Rules {
    Rules { gates_by: Some("--yes".into()), patience: Some(Duration::from_secs(300)) }
}

#[tokio::test(start_paused = true)]
async fn a_plan_runs_to_its_end_with_intent_before_every_act_and_proof_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let target = Shared::default();
    let run = drive(dir.path(), &target, plan(), yes(), vec![]).await;
    assert_eq!(run.outcome, Outcome::Proven);
    assert_eq!(target.lock().unwrap().acts, ["day1.a", "day1.b", "day2.c"]);
    assert_eq!(run.state.proven(), 3);
    let order: Vec<&str> = run
        .records
        .iter()
        .filter_map(|r| match &r.event {
            Event::Intended { step, .. } if step.as_str() == "day1.a" => Some("intended"),
            Event::HandleKept { step, .. } if step.as_str() == "day1.a" => Some("handle"),
            Event::Acted { step } if step.as_str() == "day1.a" => Some("acted"),
            Event::Waiting { step, .. } if step.as_str() == "day1.a" => Some("waiting"),
            Event::Proven { step, .. } if step.as_str() == "day1.a" => Some("proven"),
            _ => None,
        })
        .collect();
    assert_eq!(order, ["intended", "handle", "acted", "waiting", "waiting", "proven"]);
    let seqs: Vec<u64> = run.records.iter().map(|r| r.seq).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_run_cut_off_after_any_record_comes_to_the_same_end_without_a_second_act() {
    let whole = tempfile::tempdir().unwrap();
    drive(whole.path(), &Shared::default(), plan(), yes(), vec![]).await;
    let journal = std::fs::read_to_string(whole.path().join("journal")).unwrap();
    let lines: Vec<&str> = journal.split_inclusive('\n').collect();
    for cut in 0..=lines.len() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("journal"), lines[..cut].concat()).unwrap();
        // The target had done whatever was intended: the harder case, since the answer was lost.
        let target = Shared::default();
        for line in &lines[..cut] {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            if record["event"] == "intended" {
                target.lock().unwrap().things.insert(record["step"].as_str().unwrap().into(), 0);
            }
        }
        let before = target.lock().unwrap().things.len();
        let run = drive(dir.path(), &target, plan(), yes(), vec![]).await;
        assert_eq!(run.outcome, Outcome::Proven, "cut after {cut} records");
        assert_eq!(target.lock().unwrap().acts.len(), 3 - before, "cut after {cut} records");
    }
}

#[tokio::test(start_paused = true)]
async fn the_way_back_removes_what_stands_on_something_before_that_and_the_jump_hosts_own_last() {
    let dir = tempfile::tempdir().unwrap();
    let target = Shared::default();
    let steps = || {
        let mut all = vec![make("day1.local", 1, &[])];
        all.extend(plan());
        all.push(make("day2.d", 2, &["day2.c"]));
        all
    };
    drive(dir.path(), &target, steps(), yes(), vec![]).await;
    target.lock().unwrap().acts.clear();
    let run = take_back(dir.path(), &target, steps(), yes()).await;
    assert_eq!(run.outcome, Outcome::Proven);
    let expected = ["day2.d", "day2.c", "day1.b", "day1.a", "day1.local"].map(|s| format!("remove {s}"));
    assert_eq!(target.lock().unwrap().acts, expected);
    assert!(target.lock().unwrap().things.is_empty());
    let again = take_back(dir.path(), &target, steps(), yes()).await;
    assert_eq!(again.outcome, Outcome::Proven);
    assert_eq!(target.lock().unwrap().acts.len(), 5, "something that is gone was removed again");
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_was_opened_there_is_asked_for_again_on_the_way_back_and_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let target = Shared::default();
    drive(dir.path(), &target, plan(), yes(), vec![]).await;
    let asking = Rules { gates_by: None, patience: None };
    let stop = |second| vec![(second, Request::Stop.by("ann"))];
    let back = boxed(plan());
    let back: Vec<_> = undoing(&back).into_iter().map(|s| Arc::new(s) as Arc<dyn Step<TestSite>>).collect();
    let run =
        drive_any(Clock::real(), dir.path(), &target, back, BACK, asking.clone(), stop(100), Outside::nobody()).await;
    assert_eq!((run.outcome, run.state.gate_waiting()), (Outcome::Stopped, Some(Day::Teardown)));
    assert_eq!(target.lock().unwrap().things.len(), 3, "something was removed without a word");
    take_back(dir.path(), &target, plan(), yes()).await;
    let run = drive(dir.path(), &target, plan(), asking, stop(100)).await;
    assert_eq!((run.outcome, run.state.gate_waiting()), (Outcome::Stopped, Some(Day::Number(1))));
}

#[tokio::test(start_paused = true)]
async fn a_way_back_cut_off_after_any_record_removes_everything_and_nothing_twice() {
    let whole = tempfile::tempdir().unwrap();
    let target = Shared::default();
    drive(whole.path(), &target, plan(), yes(), vec![]).await;
    let there = std::fs::read_to_string(whole.path().join("journal")).unwrap().lines().count();
    take_back(whole.path(), &target, plan(), yes()).await;
    let journal = std::fs::read_to_string(whole.path().join("journal")).unwrap();
    let lines: Vec<&str> = journal.split_inclusive('\n').collect();
    for cut in there..=lines.len() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("journal"), lines[..cut].concat()).unwrap();
        let target = Shared::default();
        for step in plan() {
            target.lock().unwrap().things.insert(step.outline.id.to_string(), 0);
        }
        // The target had removed whatever was intended, and the answer was lost.
        for line in &lines[there..cut] {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            if record["event"] == "intended" {
                let step = record["step"].as_str().unwrap().trim_start_matches("undo.");
                target.lock().unwrap().things.remove(step);
            }
        }
        let left = target.lock().unwrap().things.len();
        let run = take_back(dir.path(), &target, plan(), yes()).await;
        assert_eq!(run.outcome, Outcome::Proven, "cut after {cut} records");
        let target = target.lock().unwrap();
        assert!(target.things.is_empty(), "cut after {cut} records: {:?} is left", target.things);
        assert_eq!(target.acts.len(), left, "cut after {cut} records");
    }
}

#[tokio::test(start_paused = true)]
async fn something_that_vanished_between_sessions_is_reported_as_drift_and_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let target = Shared::default();
    drive(dir.path(), &target, plan(), yes(), vec![]).await;
    target.lock().unwrap().things.remove("day1.b");
    let run = drive(dir.path(), &target, plan(), yes(), vec![]).await;
    let drifted = |e: &Event| matches!(e, Event::Drifted { step, .. } if step.as_str() == "day1.b");
    assert_eq!(run.records.iter().filter(|r| drifted(&r.event)).count(), 1);
    assert_eq!(run.outcome, Outcome::Proven);
    assert_eq!(target.lock().unwrap().acts.iter().filter(|a| *a == "day1.b").count(), 2);
    assert_eq!(target.lock().unwrap().acts.iter().filter(|a| *a == "day1.a").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_the_act_in_hand_end_and_starts_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let target = Shared::default();
    let run = drive(dir.path(), &target, plan(), yes(), vec![(1, Request::Stop.by("ann"))]).await;
    assert_eq!(run.outcome, Outcome::Stopped);
    let target = target.lock().unwrap();
    assert_eq!((target.acts.len(), target.acting_now), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_blocked_step_goes_on_by_itself_when_the_cause_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let target = Shared::default();
    target.lock().unwrap().refuse = Some(Failure::refused("no right", "give the right"));
    let healing = target.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(100)).await;
        healing.lock().unwrap().refuse = None;
    });
    let run = drive(dir.path(), &target, plan(), yes(), vec![]).await;
    assert_eq!(run.outcome, Outcome::Proven);
    let proven = run.records.iter().find(|r| matches!(r.event, Event::Proven { .. })).unwrap();
    let took = proven.at.duration_since(run.records[0].at).as_secs();
    assert!((100..=140).contains(&took), "proven after {took} s, and the cause was gone after 100");
}

/// harm.md: "a blocked step writes a record every 10, later 30 s": 2 MB a day each.
#[tokio::test(start_paused = true)]
async fn a_step_that_stays_blocked_for_a_day_is_looked_at_all_the_time_and_recorded_when_there_is_news() {
    let dir = tempfile::tempdir().unwrap();
    let target = Shared::default();
    target.lock().unwrap().refuse = Some(Failure::person("cable out", "plug it in"));
    let changing = target.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(86_400)).await;
        changing.lock().unwrap().refuse = Some(Failure::person("port is off", "switch it on"));
        tokio::time::sleep(Duration::from_secs(100)).await;
        changing.lock().unwrap().refuse = None;
    });
    let asking = Rules { gates_by: Some("--yes".into()), patience: None };
    let asks = Request::Retry { step: StepId::new("day1.a") }.by("ann");
    let run = drive(dir.path(), &target, vec![make("day1.a", 1, &[])], asking, vec![(5000, asks)]).await;
    assert_eq!(run.outcome, Outcome::Proven);
    let of = |word: &str| {
        let is = |r: &&Arc<Record>| matches!(&r.event, Event::Blocked { failure, .. } if failure.what == word);
        run.records.iter().filter(is).map(|r| r.at.duration_since(run.records[0].at).as_secs()).collect::<Vec<_>>()
    };
    let (first, second) = (of("cable out"), of("port is off"));
    assert!((20..60).contains(&first.len()), "{first:?}");
    assert!(first.iter().any(|s| (5000..5040).contains(s)), "who asks for a look hears of it: {first:?}");
    assert!(second.first().is_some_and(|s| *s <= 86_440), "another cause is told at once: {second:?}");
    let size = std::fs::metadata(dir.path().join("journal")).unwrap().len();
    assert!(size < 30_000, "{size} bytes");
}

/// proxmox.md 2.6: each try of an act that fails in its task is one more failed task in the site's list.
#[tokio::test(start_paused = true)]
async fn an_act_that_fails_in_its_task_is_tried_again_after_minutes() {
    for failure in [Failure::person("KVM is not available", "switch it on"), Failure::retryable("cut", "again")] {
        let dir = tempfile::tempdir().unwrap();
        let target = Shared::default();
        target.lock().unwrap().task_fails = Some(failure.clone());
        let rules = Rules { patience: Some(Duration::from_secs(3600)), ..yes() };
        let run = drive(dir.path(), &target, vec![make("day1.a", 1, &[])], rules, vec![]).await;
        assert_eq!(run.outcome, Outcome::Blocked);
        let acts = target.lock().unwrap().acts.len();
        assert!((12..=24).contains(&acts), "{acts} failed tasks in an hour of {failure:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_acted_on_while_somebody_else_is_at_work() {
    let dir = tempfile::tempdir().unwrap();
    let target = Shared::default();
    target.lock().unwrap().forbidden = Some(Failure::refused("jump2 is at work", "stop it there"));
    let healing = target.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(50)).await;
        assert!(healing.lock().unwrap().acts.is_empty());
        healing.lock().unwrap().forbidden = None;
    });
    let run = drive(dir.path(), &target, plan(), yes(), vec![]).await;
    assert_eq!(run.outcome, Outcome::Proven);
    let blocked = |e: &Event| matches!(e, Event::Blocked { failure, .. } if failure.what == "jump2 is at work");
    assert!(run.records.iter().any(|r| blocked(&r.event)));
}

#[tokio::test(start_paused = true)]
async fn without_a_cure_the_run_ends_as_blocked_when_patience_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let target = Shared::default();
    target.lock().unwrap().refuse = Some(Failure::person("cable out", "plug it in"));
    let begin = tokio::time::Instant::now();
    let run = drive(dir.path(), &target, plan(), yes(), vec![]).await;
    assert_eq!(run.outcome, Outcome::Blocked);
    assert_eq!(begin.elapsed().as_secs(), 300);
    assert!(target.lock().unwrap().acts.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_queue_of_one_never_has_two_acts_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let target = Shared::default();
    let steps = ["day1.a", "day1.b", "day1.c"]
        .map(|id| {
            let mut step = make(id, 1, &[]);
            step.outline.queue = Some(Queue { name: "clones".into(), limit: 1, one_begins: false });
            step
        })
        .into();
    let run = drive(dir.path(), &target, steps, yes(), vec![]).await;
    assert_eq!(run.outcome, Outcome::Proven);
    assert_eq!(target.lock().unwrap().most_at_once, 1);
    let dir = tempfile::tempdir().unwrap();
    let target = Shared::default();
    let steps = vec![make("day1.a", 1, &[]), make("day1.b", 1, &[]), make("day1.c", 1, &[])];
    drive(dir.path(), &target, steps, yes(), vec![]).await;
    assert_eq!(target.lock().unwrap().most_at_once, 3);
}

#[tokio::test(start_paused = true)]
async fn a_day_waits_at_its_gate_until_somebody_opens_it() {
    let dir = tempfile::tempdir().unwrap();
    let target = Shared::default();
    let asking = Rules { gates_by: None, patience: Some(Duration::from_secs(50)) };
    let open = |day| Request::OpenGate { day: Day::Number(day) }.by("ann");
    let run = drive(dir.path(), &target, plan(), asking, vec![(1000, open(1)), (1000, open(2))]).await;
    assert_eq!(run.outcome, Outcome::Proven);
    assert_eq!(run.state.gates.get(&Day::Number(1)).map(String::as_str), Some("ann"));
    let asked = run.records.iter().filter(|r| matches!(r.event, Event::GateAsked { .. })).count();
    assert_eq!(asked, 2);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_step_blocks_that_step_and_not_the_engine() {
    let dir = tempfile::tempdir().unwrap();
    let target = Shared::default();
    let mut broken = make("day1.b", 1, &[]);
    broken.panics = true;
    let run = drive(dir.path(), &target, vec![make("day1.a", 1, &[]), broken], yes(), vec![]).await;
    assert_eq!(run.outcome, Outcome::Blocked);
    assert!(run.state.step(&StepId::new("day1.a")).unwrap().is_proven());
}

impl Make {
    /// Says everything that a step can say, all of it with its words; the target has the thing after one act.
    fn chatter(&self, cx: &dyn Context, target: &mut Target) -> Result<Observed, Failure> {
        let words = self.words.as_str();
        cx.log(words, words);
        let looks = target.things.entry(words.to_string()).or_default();
        *looks += 1;
        Ok(match (*looks, target.acts.is_empty()) {
            (1, _) => return Err(Failure::retryable(words, words)),
            (2, _) => Observed::Conflict(Failure { what: words.into(), ..Failure::refused("", words) }),
            (_, true) => Observed::Absent(words.into()),
            (3..=5, false) => {
                let wait = Wait { condition: words.into(), seen: words.into(), ..Wait::new("", "", Band::new(1, 2)) };
                Observed::Underway(wait.with_progress(1, 2, words))
            }
            (_, false) => {
                let reading = Evidence {
                    system: words.into(),
                    asked: words.into(),
                    answer: words.into(),
                    at: cx.clock().now(),
                    by_hand: words.into(),
                };
                Observed::Satisfied(Proof::new(words, reading.clone()).and(reading))
            }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_a_step_says_no_record_of_it_holds_a_secret_or_anything_hostile_or_is_large() {
    let secret = Secret::new("f81d4fae-7dec-11d0-a765-00a0c91e6bf6".to_string());
    let words = format!("\u{1b}[2J\u{9b}1m\u{202e}\0{}\n{}", secret.expose(), "x".repeat(1 << 18));
    let dir = tempfile::tempdir().unwrap();
    let mut step = make("day1.a", 1, &[]);
    (step.outline.title, step.outline.by_hand, step.words) = (words.clone(), words.clone(), words.clone());
    let control = (0, Request::TakeControl.by(words));
    let run = drive(dir.path(), &Shared::default(), vec![step], yes(), vec![control]).await;
    assert_eq!(run.outcome, Outcome::Proven);
    let mut told = std::fs::read_to_string(dir.path().join("journal")).unwrap();
    let mut kinds = std::collections::BTreeSet::new();
    for record in &run.records {
        let line = serde_json::to_string(&**record).unwrap();
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        kinds.insert(value["event"].as_str().unwrap().to_string());
        assert!(line.len() < 200_000, "a record of {} bytes", line.len());
        told.push_str(&line);
    }
    told.push_str(&format!("{:?}", run.state));
    for event in
        ["absent", "acted", "blocked", "control_taken", "failed", "handle_kept", "log", "proven", "session", "waiting"]
    {
        assert!(kinds.contains(event), "no {event} in {kinds:?}");
    }
    assert!(told.contains("[secret]") && !told.contains("7dec-11d0"), "a secret was told");
    for hostile in ["\u{1b}", "\\u001b", "\u{9b}", "\u{202e}", "\0", "\\u0000"] {
        assert!(!told.contains(hostile), "{hostile:?} was told");
    }
    // What was written is read back as what was told.
    let read: Vec<Record> = Journal::read(&dir.path().join("journal")).unwrap().records;
    assert!(read.iter().eq(run.records.iter().map(|r| &**r)));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_acted_on_when_the_journal_cannot_be_written() {
    let target = Shared::default();
    // Every write to /dev/full is `no space left on device`.
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let (feed, _records) = mpsc::unbounded_channel();
    let (_ask, asked) = mpsc::unbounded_channel();
    let driver: Driver<TestSite> = Driver {
        steps: vec![Arc::new(make("day1.a", 1, &[]))],
        reading: Arc::new(target.clone()),
        changing: Arc::new(target.clone()),
        clock: Clock::real(),
        journal: Journal::on_open_file(Path::new("/dev/full"), full),
        state: RunState::default(),
        rules: yes(),
        outside: Outside::nobody(),
        feed,
    };
    let session = Session {
        run: "r".into(),
        plan: "p".into(),
        plan_digest: "d".into(),
        host: "h".into(),
        course: FORWARD,
        take_over: None,
        adopted: vec![],
    };
    let error = driver.run(session, asked).await.unwrap_err();
    assert!(error.next().starts_with("make room for"), "{}", error.next());
    assert!(target.lock().unwrap().acts.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_session_on_a_clock_that_was_put_back_waits_for_nothing_of_the_earlier_one() {
    let noon: jiff::Timestamp = "2026-11-25T12:00:00Z".parse().unwrap();
    let ten = noon - jiff::SignedDuration::from_hours(2);
    let at = |origin| Clock::scaled(origin, std::time::SystemTime::now(), 1.0);
    let dir = tempfile::tempdir().unwrap();
    let target = Shared::default();
    // The first session ends while a step is blocked and is to be looked at again, two hours from the second one on.
    target.lock().unwrap().refuse = Some(Failure::person("no right", "grant it"));
    let stop = vec![(40, Request::Stop.by("ann"))];
    let first = drive_at(at(noon), dir.path(), &target, plan(), yes(), stop).await;
    assert_eq!(first.outcome, Outcome::Stopped);
    assert!(first.records.iter().any(|r| matches!(r.event, Event::Blocked { .. })));
    target.lock().unwrap().refuse = None;
    let began = tokio::time::Instant::now();
    let second = drive_at(at(ten), dir.path(), &target, plan(), yes(), vec![]).await;
    assert_eq!(second.outcome, Outcome::Proven);
    assert!(began.elapsed() < Duration::from_secs(120), "took {:?}", began.elapsed());
    assert_eq!(target.lock().unwrap().acts, ["day1.a", "day1.b", "day2.c"]);
    let last = Journal::read(&dir.path().join("journal")).unwrap().records;
    assert!(last.windows(2).any(|pair| pair[1].at < pair[0].at), "the clock went back between the records");
    for step in &second.state.steps {
        assert!(step.started <= step.finished, "{}: {:?} to {:?}", step.outline.id, step.started, step.finished);
    }
}
