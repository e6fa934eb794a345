//! A run that is killed again and again, and what it has come to in the end.
use super::standing::{self, Standing};
use super::worker::{Death, End, Life, Request, live, word};
use super::{Rig, Shape};
use cozyup::base::clock::between;
use cozyup::base::day::Day;
use cozyup::compose::Work;
use cozyup::engine::course::Course;
use cozyup::engine::journal::Journal;
use cozyup::engine::record::{Event, Outcome};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What a run without a crash leaves, and how long it takes.
pub struct Expected {
    pub standing: Standing,
    /// Of its records, in order.
    pub words: Vec<String>,
    /// Whether each record was on disk before anything else happened.
    pub durable: Vec<bool>,
    pub requests: Vec<String>,
    /// Requests before the part in which the crashes come.
    pub asked_before: usize,
    /// How many requests had come when each record was written.
    pub asked: Vec<usize>,
    /// In lab seconds.
    pub lasted: Duration,
}

#[derive(Debug)]
pub struct Suffered {
    /// What was the last word of each worker, or the request in whose middle it died.
    pub points: Vec<String>,
    /// Empty when all is well.
    pub wrong: Vec<String>,
    /// From the first record to the last one, in lab seconds.
    pub lasted: Duration,
    /// The last session alone, up to the point where everything that had been proven is proven again.
    pub caught_up: Duration,
    /// The folder, when something is wrong.
    pub kept: Option<PathBuf>,
}

impl Suffered {
    /// All deaths came to pass.
    pub fn is_whole(&self, deaths: &[Death]) -> bool {
        self.points.len() == deaths.len()
    }
}

/// A site, and of a teardown also the run that is to be torn down.
fn made(shape: &Shape) -> Rig {
    let rig = Rig::new(shape);
    if shape.teardown {
        let life = live(&rig, Course::Forward { until: Day::Number(shape.until) }, &Death::Never, false, |work| work);
        assert!(matches!(life.end, End::Ended(Outcome::Proven)), "before the teardown: {:?}", life.end);
    }
    rig
}

/// # Panics
/// When a run without a crash does not come to its end.
pub fn undisturbed(shape: &Shape) -> Expected {
    let rig = made(shape);
    let asked_before = rig.lab().changes().seen().len();
    let life = live(&rig, shape.course(), &Death::Never, false, |work| work);
    assert!(matches!(life.end, End::Ended(Outcome::Proven)), "without a crash: {:?}", life.end);
    let requests = rig.lab().changes().seen();
    Expected {
        asked_before,
        asked: life.asked,
        standing: standing::of(&rig),
        words: life.records.iter().map(|r| word(&r.event)).collect(),
        durable: life.records.iter().map(|r| r.event.is_durable()).collect(),
        requests,
        lasted: lasted(&rig).0,
    }
}

/// Runs a plan whose workers die these deaths, one after the other, and one more that lives. `shape_work` changes the work
/// of every worker.
pub fn suffer(
    shape: &Shape,
    deaths: &[Death],
    expected: &Standing,
    keep: bool,
    shape_work: impl Fn(Work) -> Work,
) -> Suffered {
    let rig = made(shape);
    let (mut points, mut wrong) = (Vec::new(), Vec::new());
    let mut late = false;
    let mut secrets: Option<Vec<u8>> = None;
    for death in deaths.iter().chain([&Death::Never]) {
        let life = live(&rig, shape.course(), death, late, &shape_work);
        late = death.request() == Some(Request::Late);
        let bundle = std::fs::read(rig.folder().join("secrets/secrets.yaml")).ok();
        if secrets.is_some() && bundle != secrets && !shape.teardown {
            wrong.push("the secrets bundle was overwritten".to_string());
        }
        secrets = bundle;
        match &life.end {
            End::Died => points.push(point(&rig, death, &life)),
            End::Ended(Outcome::Proven) => break,
            End::Ended(other) => wrong.push(format!("the run ended as {other:?}")),
            End::Failed(why) => wrong.push(why.clone()),
        }
        if !wrong.is_empty() {
            break;
        }
    }
    if late {
        // The last worker may have ended before it wrote much.
        rig.lab().changes().go_on();
    }
    wrong.extend(settled(&rig, expected));
    let (lasted, caught_up) = lasted(&rig);
    let kept = (keep && !wrong.is_empty()).then(|| rig.keep());
    Suffered { points, wrong, lasted, caught_up, kept }
}

fn point(rig: &Rig, death: &Death, life: &Life) -> String {
    match death {
        Death::Never => String::new(),
        Death::Record(_, tail) | Death::After(_, tail) | Death::Fresh(_, _, tail) => {
            format!("{} ({tail:?})", life.last_word())
        }
        Death::Request(number, request) => {
            let seen = rig.lab().changes().seen();
            format!("{} ({request:?})", seen.get(*number).map_or("?", String::as_str))
        }
        Death::New(request) => format!("a new request ({request:?})"),
        Death::Stop(word) => format!("stopped behind {word}"),
    }
}

/// Of the wall, for what was on its way when the last worker ended. It is waited for only while something differs.
const SETTLES: Duration = Duration::from_secs(30);

/// What differs, once whatever was on its way has had its time.
pub fn settled(rig: &Rig, expected: &Standing) -> Vec<String> {
    let began = Instant::now();
    loop {
        let wrong = standing::differences(expected, &standing::of(rig));
        if wrong.is_empty() || began.elapsed() > SETTLES {
            return wrong;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The whole run, and how long its last session needed to know again what had been known.
pub fn lasted(rig: &Rig) -> (Duration, Duration) {
    let Ok(recovered) = Journal::read(&rig.folder().join("journal.jsonl")) else { return Default::default() };
    let records = recovered.records;
    let (Some(first), Some(last)) = (records.first(), records.last()) else { return Default::default() };
    let whole = between(first.at, last.at);
    let Some(begin) = records.iter().rposition(|r| matches!(r.event, Event::Session { .. })).filter(|at| *at > 0)
    else {
        return (whole, Duration::ZERO);
    };
    let (before, after) = records.split_at(begin);
    let known: std::collections::BTreeSet<&str> = before
        .iter()
        .filter_map(|r| if let Event::Proven { step, .. } = &r.event { Some(step.as_str()) } else { None })
        .collect();
    let again = after.iter().rfind(|r| matches!(&r.event, Event::Proven { step, .. } if known.contains(step.as_str())));
    (whole, again.map_or(Duration::ZERO, |r| between(after[0].at, r.at)))
}
