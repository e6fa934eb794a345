//! A worker that dies: the engine in this process, on a runtime of its own that is dropped whole at an exact point. One
//! poll of the engine writes records and starts tasks, and no task runs before the poll is over: so a journal that is cut
//! back to any record of the last poll is what a crash right after that record leaves.
use super::Rig;
use cozyup::compose::{self, Options, Work};
use cozyup::engine::journal::Journal;
use cozyup::engine::record::{Event, Outcome, Record};
use cozyup::engine::request::Asked;
use cozyup::engine::{self, course::Course};
use cozyup::lab::changes::{Changes, Moment};
use cozyup::session::lock;
use cozyup::session::order::Keys;
use std::collections::BTreeSet;
use std::fmt;
use std::future::{Future, poll_fn};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;

/// Of the wall; on an idle machine no run of these takes a hundredth of it.
const DEADLINE: Duration = Duration::from_secs(400);
/// What a worker of the next session has written before a late request acts.
const LATE: usize = 3;

/// What a crash leaves of the journal after the last record that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// The worker was killed right behind the record.
    Whole,
    /// In the middle of the next line.
    Torn,
    /// The machine lost its power: what was not synced is gone.
    Unsynced,
}

/// What becomes of the request that was under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// It came to nothing.
    Lost,
    /// It was done, and the answer came to nobody.
    Done,
    /// It is done only when the next worker looks already.
    Late,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Death {
    Never,
    /// Behind record `number` of this session (from 1).
    Record(usize, Tail),
    /// Behind the first record of this session with this word, see [`word`].
    After(String, Tail),
    /// During changing request `number` of the whole run (from 0).
    Request(usize, Request),
    /// Behind the record with which there are so many new words about steps of this day and the later ones, see [`word`]: new is
    /// what the journal did not hold before this life.
    Fresh(u8, usize, Tail),
    /// During the next request of a kind that never came before this life.
    New(Request),
    /// No death: somebody asks the run to stop behind the first record with this word.
    Stop(String),
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Death::Never => f.write_str("never"),
            Death::Record(n, tail) => write!(f, "record:{n}:{tail:?}"),
            Death::After(word, tail) => write!(f, "after:{}:{tail:?}", word.replace(' ', "+")),
            Death::Request(n, request) => write!(f, "request:{n}:{request:?}"),
            Death::Fresh(day, count, tail) => write!(f, "fresh:{day}/{count}:{tail:?}"),
            Death::New(request) => write!(f, "new::{request:?}"),
            Death::Stop(word) => write!(f, "stop:{}:at", word.replace(' ', "+")),
        }
    }
}

impl std::str::FromStr for Death {
    type Err = String;

    fn from_str(text: &str) -> Result<Death, String> {
        let wrong = || format!("no such death: {text}");
        if text == "never" {
            return Ok(Death::Never);
        }
        let (kind, rest) = text.split_once(':').ok_or_else(wrong)?;
        let (which, how) = rest.rsplit_once(':').ok_or_else(wrong)?;
        let request = match how {
            "Lost" => Some(Request::Lost),
            "Done" => Some(Request::Done),
            "Late" => Some(Request::Late),
            _ => None,
        };
        let tail = match how {
            "Whole" => Some(Tail::Whole),
            "Torn" => Some(Tail::Torn),
            "Unsynced" => Some(Tail::Unsynced),
            _ => None,
        };
        let number = || which.parse().map_err(|e| format!("{which}: {e}"));
        match kind {
            "record" => Ok(Death::Record(number()?, tail.ok_or_else(wrong)?)),
            "after" => Ok(Death::After(which.replace('+', " "), tail.ok_or_else(wrong)?)),
            "request" => Ok(Death::Request(number()?, request.ok_or_else(wrong)?)),
            "fresh" => {
                let (day, count) = which.split_once('/').unwrap_or((which, "1"));
                let count = count.parse().map_err(|e| format!("{count}: {e}"))?;
                Ok(Death::Fresh(day.parse().map_err(|e| format!("{day}: {e}"))?, count, tail.ok_or_else(wrong)?))
            }
            "stop" => Ok(Death::Stop(which.replace('+', " "))),
            "new" => Ok(Death::New(request.ok_or_else(wrong)?)),
            _ => Err(wrong()),
        }
    }
}

impl Death {
    /// What becomes of the request in whose middle it comes.
    pub fn request(&self) -> Option<Request> {
        match self {
            Death::Request(_, request) | Death::New(request) => Some(*request),
            Death::Never | Death::Record(..) | Death::After(..) | Death::Fresh(..) | Death::Stop(_) => None,
        }
    }

    /// Whether it comes behind `record`, the session's record `number` (from 1). `known` are the words of the journal before
    /// this session, and those that this death has counted.
    fn is_behind(&self, number: usize, record: &Record, known: &mut Known) -> bool {
        match self {
            Death::Record(n, _) => number == *n,
            Death::After(which, _) => word(&record.event) == *which,
            Death::Fresh(from, count, _) => {
                let word = word(&record.event);
                let is_new = day(&word).is_some_and(|day| day >= *from) && known.words.insert(word);
                known.new += usize::from(is_new);
                is_new && known.new == *count
            }
            Death::Never | Death::Request(..) | Death::New(_) | Death::Stop(_) => false,
        }
    }

    fn stops(&self, record: &Record, requests: &UnboundedSender<Asked>) {
        if matches!(self, Death::Stop(which) if word(&record.event) == *which) {
            requests.send(engine::request::Request::Stop.by("a person")).unwrap();
        }
    }

    fn tail(&self) -> Option<Tail> {
        match self {
            Death::Record(_, tail) | Death::After(_, tail) | Death::Fresh(_, _, tail) => Some(*tail),
            Death::Never | Death::Request(..) | Death::New(_) | Death::Stop(_) => None,
        }
    }

    fn prepare(&self, changes: &Changes) {
        let moment = match self.request() {
            Some(Request::Done) => Moment::BeforeAnswer,
            Some(Request::Lost | Request::Late) | None => Moment::BeforeAct,
        };
        match self {
            &Death::Request(number, _) => changes.hold(moment, move |n, _| n == number),
            Death::New(_) => {
                let known = changes.seen();
                changes.hold(moment, move |_, name| !known.iter().any(|k| k == name));
            }
            Death::Never | Death::Record(..) | Death::After(..) | Death::Fresh(..) | Death::Stop(_) => {}
        }
    }
}

#[derive(Debug)]
pub enum End {
    Died,
    Ended(Outcome),
    /// Refused to begin, could not write, or did not come to an end; with the reason.
    Failed(String),
}

/// What one worker did.
#[derive(Debug)]
pub struct Life {
    pub records: Vec<Arc<Record>>,
    /// How many changing requests had come, at all, when each record was written.
    pub asked: Vec<usize>,
    /// Number of the record (from 1) behind which it died.
    fell: Option<usize>,
    pub end: End,
}

impl Life {
    /// The last thing that the worker wrote down, e.g. `day1.clone handle_kept`.
    pub fn last_word(&self) -> String {
        self.records.last().map_or("nothing".to_string(), |r| word(&r.event))
    }
}

/// Kind of step and event.
pub fn word(event: &Event) -> String {
    let value = serde_json::to_value(event).unwrap();
    let step = value["step"].as_str().map(|s| s.split('/').next().unwrap_or_default());
    format!("{} {}", step.unwrap_or("run"), value["event"].as_str().unwrap_or_default())
}

/// The day of the step that a word names.
pub fn day(word: &str) -> Option<u8> {
    let (_, rest) = word.split_once("day")?;
    rest.split_once('.')?.0.parse().ok()
}

/// The words of a journal, and how many came since.
#[derive(Default)]
struct Known {
    words: BTreeSet<String>,
    new: usize,
}

impl Known {
    /// The number of the record, when the death comes behind it.
    fn falls(&mut self, death: &Death, number: usize, record: &Record) -> Option<usize> {
        death.is_behind(number, record, self).then_some(number)
    }

    fn of(rig: &Rig, death: &Death) -> Known {
        if !matches!(death, Death::Fresh(..)) {
            return Known::default();
        }
        let records = Journal::read(&rig.folder().join("journal.jsonl")).map(|journal| journal.records);
        Known { words: records.iter().flatten().map(|record| word(&record.event)).collect(), new: 0 }
    }
}

/// Runs a worker until it dies or ends. `late` is what an earlier one left at the server.
pub fn live(rig: &Rig, course: Course, death: &Death, late: bool, shape: impl FnOnce(Work) -> Work) -> Life {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    death.prepare(rig.lab().changes());
    let (before, mut life) = runtime.block_on(until_death(rig, course, death, late, shape));
    // What a killed process had in hand on other threads is cut off too; waiting for it is as near as it gets.
    runtime.shutdown_timeout(DEADLINE);
    // A program that it had just started keeps the lock's file open until it is that program.
    let lock = rig.folder().join("lock");
    wait_for("the lock is free", || lock::holder(&lock).unwrap().is_none().then_some(())).unwrap();
    if let (Some(number), Some(tail), End::Died) = (life.fell, death.tail(), &life.end) {
        let keep = cut(&rig.folder().join("journal.jsonl"), before, number, tail, &life.records);
        life.records.truncate(keep);
    }
    if matches!(death.request(), Some(Request::Lost | Request::Done)) {
        rig.lab().changes().lose();
    }
    life
}

async fn until_death(
    rig: &Rig,
    course: Course,
    death: &Death,
    mut late: bool,
    shape: impl FnOnce(Work) -> Work,
) -> (u64, Life) {
    let failed = |why: String| (0, Life { records: Vec::new(), asked: Vec::new(), fell: None, end: End::Failed(why) });
    let options = Options {
        text: None,
        plan: rig.plan().to_path_buf(),
        folder: rig.folder(),
        course,
        take_over: None,
        also: Default::default(),
        adopt: None,
        gates_by: Some("--yes".into()),
        patience: None,
        clock: rig.site().clock(),
        reconnect: Arc::new(|| Box::pin(async { Ok("this process answered".to_string()) })),
        keys: Keys::default(),
    };
    let prepared = match compose::prepare(options) {
        Ok(prepared) => prepared,
        Err(refusal) => return failed(refusal.to_string()),
    };
    let (before, mut feed, requests) = (prepared.last_seq, prepared.records, prepared.requests);
    let mut work = pin!(shape(prepared.work).run());
    let mut held = pin!(rig.lab().changes().held());
    let mut deadline = pin!(tokio::time::sleep(DEADLINE));
    let (mut records, mut asked, mut fell, mut known) = (Vec::new(), Vec::new(), None, Known::of(rig, death));
    let end = poll_fn(|cx| {
        let polled = work.as_mut().poll(cx);
        while let Ok(record) = feed.try_recv() {
            fell = fell.or_else(|| known.falls(death, records.len() + 1, &record));
            death.stops(&record, &requests);
            records.push(record);
            asked.push(rig.lab().changes().seen().len());
        }
        if late && records.len() >= LATE {
            rig.lab().changes().go_on();
            late = false;
        }
        let dies = if death.request().is_some() { held.as_mut().poll(cx).is_ready() } else { fell.is_some() };
        match polled {
            _ if dies => Poll::Ready(End::Died),
            Poll::Ready(Ok((outcome, _))) => Poll::Ready(End::Ended(outcome)),
            Poll::Ready(Err(e)) => Poll::Ready(End::Failed(compose::with_cause(&e))),
            Poll::Pending if deadline.as_mut().poll(cx).is_ready() => Poll::Ready(End::Failed(stuck(&records))),
            Poll::Pending => Poll::Pending,
        }
    })
    .await;
    (before, Life { records, asked, fell, end })
}

/// The last word about every step that is not proven.
fn stuck(records: &[Arc<Record>]) -> String {
    let mut last = std::collections::BTreeMap::new();
    for record in records {
        let value = serde_json::to_value(&record.event).unwrap();
        if let (Some(step), false) = (value["step"].as_str(), value["event"] == "log") {
            last.insert(step.to_string(), value);
        }
    }
    let open = last.into_iter().filter(|(_, value)| value["event"] != "proven");
    let open: Vec<String> = open.map(|(_, value)| value.to_string().chars().take(600).collect()).collect();
    format!("no end within {DEADLINE:?}:\n{}", open.join("\n"))
}

/// Cuts the journal behind record `number` of this session; how many of `records` are left.
fn cut(path: &Path, before: u64, number: usize, tail: Tail, records: &[Arc<Record>]) -> usize {
    let keep = match tail {
        Tail::Whole | Tail::Torn => number,
        Tail::Unsynced => {
            let durable = records.iter().take(number).rposition(|r| r.event.is_durable());
            durable.map_or(number, |at| at + 1)
        }
    };
    let bytes = std::fs::read(path).unwrap();
    let lines: Vec<&[u8]> = bytes.split_inclusive(|b| *b == b'\n').collect();
    let kept = usize::try_from(before).unwrap() + keep;
    let mut left = lines[..kept].concat();
    if tail == Tail::Torn {
        // The line that would have come, or one like it.
        let torn = lines.get(kept).unwrap_or(&lines[kept - 1]);
        left.extend(&torn[..torn.len() / 2]);
    }
    std::fs::write(path, left).unwrap();
    keep
}

/// Looks again and again.
///
/// # Errors
/// When it takes too long.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> Result<T, String> {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if began.elapsed() > DEADLINE {
            return Err(format!("not within {DEADLINE:?}: {what}"));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
