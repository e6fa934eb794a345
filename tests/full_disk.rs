//! A disk that becomes full: at whatever byte, nothing is acted on that is not written, and with room the run goes on.
//! A process of its own, since the limit on the size of files is a process's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
use async_trait::async_trait;
use cozyup::base::clock::Clock;
use cozyup::base::day::Day;
use cozyup::engine::course::Course;
use cozyup::engine::decide::Rules;
use cozyup::engine::doubt::Outside;
use cozyup::engine::driver::{Driver, Session};
use cozyup::engine::failure::Failure;
use cozyup::engine::journal::{Journal, JournalError};
use cozyup::engine::proof::{Evidence, Proof};
use cozyup::engine::record::{Event, Outcome};
use cozyup::engine::state::RunState;
use cozyup::engine::step::{Context, Observed, Outline, Site, Step, StepId, Undo};
use cozyup::engine::wait::Band;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// What was made, in order.
type Made = Arc<Mutex<Vec<String>>>;
struct TestSite;
#[async_trait]
impl Site for TestSite {
    type Reading = Made;
    type Changing = Made;
    type Fact = String;

    async fn may_act(_: &dyn Context, _: &Self::Reading, _: &Self::Changing) -> Result<(), Failure> {
        Ok(())
    }
}

struct Make(Outline);

#[async_trait]
impl Step<TestSite> for Make {
    fn outline(&self) -> &Outline {
        &self.0
    }

    async fn observe(&self, cx: &dyn Context, made: &Made) -> Result<Observed, Failure> {
        let name = self.0.id.to_string();
        if !made.lock().unwrap().contains(&name) {
            return Ok(Observed::Absent("not there".into()));
        }
        let at = cx.clock().now();
        let reading =
            Evidence { system: "test".into(), asked: name, answer: "there".into(), at, by_hand: "look".into() };
        Ok(Observed::Satisfied(Proof::new("it is there", reading)))
    }

    async fn act(&self, cx: &dyn Context, _: &Made, made: &Made) -> Result<(), Failure> {
        made.lock().unwrap().push(self.0.id.to_string());
        cx.keep_handle(&format!("task:{}", self.0.id)).await
    }

    fn undo(&self) -> Undo<'_, TestSite> {
        Undo::Nothing
    }
}

fn steps() -> Vec<Arc<dyn Step<TestSite>>> {
    let step = |id: &str, after: &[&str]| {
        Arc::new(Make(Outline {
            id: StepId::new(id),
            day: Day::Number(1),
            title: format!("make {id}"),
            after: after.iter().map(|a| StepId::new(a)).collect(),
            queue: None,
            band: Band::new(5, 20),
            changes: true,
            momentary: false,
            cleanup: false,
            put_right_by: None,
            by_hand: String::new(),
        })) as Arc<dyn Step<TestSite>>
    };
    vec![step("day1.a", &[]), step("day1.b", &["day1.a"]), step("day1.c", &[])]
}

async fn drive(path: &Path, made: &Made) -> Result<(Outcome, RunState), JournalError> {
    let (journal, recovered) = Journal::open(path)?;
    let (feed, _records) = mpsc::unbounded_channel();
    let (_ask, asked) = mpsc::unbounded_channel();
    let driver: Driver<TestSite> = Driver {
        steps: steps(),
        reading: Arc::new(made.clone()),
        changing: Arc::new(made.clone()),
        clock: Clock::real(),
        journal,
        state: RunState::of(&recovered.records),
        rules: Rules { gates_by: Some("--yes".into()), patience: None },
        outside: Outside::nobody(),
        feed,
    };
    let session = Session {
        run: "r".into(),
        plan: "p".into(),
        plan_digest: "d".into(),
        host: "h".into(),
        course: Course::Forward { until: Day::Number(10) },
        take_over: None,
        adopted: vec![],
    };
    driver.run(session, asked).await
}

fn largest_file(bytes: Option<u64>) {
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(Resource::Fsize, Rlimit { current: bytes.or(maximum), maximum }).unwrap();
}

#[tokio::test(start_paused = true)]
async fn on_a_disk_full_at_any_byte_nothing_unwritten_is_acted_on_and_with_room_each_thing_is_made_once() {
    let _heard = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    drive(&whole, &Made::default()).await.unwrap();
    let length = std::fs::metadata(&whole).unwrap().len();
    let mut torn = 0;
    for room in (0..length - 64).step_by(71) {
        let path = dir.path().join(room.to_string());
        let made = Made::default();
        largest_file(Some(room));
        let ended = drive(&path, &made).await;
        largest_file(None);
        let error = ended.unwrap_err();
        assert!(error.next().starts_with("make room for"), "{room}: {}", error.next());
        let left = Journal::read(&path).unwrap();
        torn += left.torn;
        assert_eq!(std::fs::metadata(&path).unwrap().len(), room, "the line was written as far as there was room");
        for name in made.lock().unwrap().iter() {
            let intended = |event: &Event| matches!(event, Event::Intended { step, .. } if step.as_str() == name);
            assert!(left.records.iter().any(|r| intended(&r.event)), "{room}: {name} was made without a word before");
        }
        let (outcome, state) = drive(&path, &made).await.unwrap();
        assert_eq!((outcome, state.proven()), (Outcome::Proven, 3), "{room}");
        let mut made = made.lock().unwrap().clone();
        made.sort();
        assert_eq!(made, ["day1.a", "day1.b", "day1.c"], "{room}");
    }
    assert!(torn > 0, "no line was torn");
}
