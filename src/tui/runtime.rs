//! The loop of a screen: events in, messages to the model, commands out, a frame when one is due.
use super::input::Input;
use super::message::{BadPlan, End, Msg, SaveError};
use super::model::{Model, Screen};
use super::pace::Pace;
use super::seat::Seat;
use super::terminal;
use super::update::update;
use crate::base::clock::Clock;
use crate::engine::record::Record;
use crate::observed::{News, Snapshot};
use crate::plan::pin::FirstUse;
use crate::plan::{self, PlanError};
use crate::session::protocol::{Control, Request};
use jiff::Timestamp;
use rustix::process::Signal;
use std::collections::VecDeque;
use std::error::Error;
use std::future::pending;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

/// Records folded between two looks at the keyboard: some milliseconds of work.
const BATCH: usize = 2048;
/// Events taken before a frame, so that a held key can't keep the screen from being drawn.
const EVENTS: usize = 64;

/// The time of what is shown.
pub enum Now {
    Clock(Clock),
    /// Of a record that is played.
    Played(watch::Receiver<Timestamp>),
}

impl Now {
    fn get(&self) -> Timestamp {
        match self {
            Now::Clock(clock) => clock.now(),
            Now::Played(at) => *at.borrow(),
        }
    }
}

/// The sources of a screen's news and the channel for its requests.
pub struct Feeds {
    pub now: Now,
    pub history: VecDeque<Arc<Record>>,
    pub records: Option<mpsc::UnboundedReceiver<Arc<Record>>>,
    pub requests: Option<mpsc::UnboundedSender<Request>>,
    pub control: Option<watch::Receiver<Control>>,
    pub views: Option<News>,
    pub denials: Option<mpsc::UnboundedReceiver<String>>,
    pub finished: Option<oneshot::Receiver<String>>,
}

impl Feeds {
    /// Only the keyboard.
    pub fn none() -> Feeds {
        Feeds {
            now: Now::Clock(Clock::real()),
            history: VecDeque::new(),
            records: None,
            requests: None,
            control: None,
            views: None,
            denials: None,
            finished: None,
        }
    }

    fn chunk(&mut self) -> Vec<Arc<Record>> {
        let n = self.history.len().min(BATCH);
        self.history.drain(..n).collect()
    }
}

/// Runs until the model ends. A terminal that goes away is a hang-up, not an error: a run goes on without it.
///
/// # Errors
/// When the terminal can't be taken.
pub async fn run(mut model: Model, mut feeds: Feeds) -> io::Result<End> {
    let mut seat = Seat::take()?;
    let mut terminate = signal(SignalKind::terminate()).ok();
    let mut hang_up = signal(SignalKind::hangup()).ok();
    let mut interrupt = signal(SignalKind::interrupt()).ok();
    let mut quit = signal(SignalKind::quit()).ok();
    let mut wake = signal(SignalKind::from_raw(Signal::CONT.as_raw())).ok();
    let mut stop = signal(SignalKind::from_raw(Signal::TSTP.as_raw())).ok();
    let (answers, mut answered) = mpsc::unbounded_channel();
    let mut pace = Pace::of_process();
    let mut ticks = interval(pace.tick());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let began = Instant::now();
    let mut inbox: Vec<Msg> = vec![Msg::Records(feeds.chunk())];
    let mut batch = Vec::new();
    loop {
        if pace.clock() {
            update(&mut model, Msg::Clock { now: feeds.now.get(), wall: began.elapsed() });
        }
        for msg in inbox.drain(..) {
            for command in update(&mut model, msg) {
                if let Some(end) = seat.obey(command, feeds.requests.as_ref(), &answers) {
                    return Ok(end);
                }
            }
        }
        seat.announce(&model);
        if pace.draws() {
            match seat.draw(&model) {
                Some(drawn) => model.drawn = drawn,
                None => {
                    inbox.push(Msg::Hangup);
                    continue;
                }
            }
        }
        tokio::select! {
            biased;
            event = next(&mut seat.events) => {
                let mut event = Some(event);
                let mut taken = 0;
                while let Some(now) = event.take() {
                    match now {
                        Some(Ok(event)) => inbox.extend(terminal::message(event)),
                        Some(Err(_)) | None => {
                            seat.events = None;
                            inbox.push(Msg::Hangup);
                        }
                    }
                    taken += 1;
                    if taken < EVENTS {
                        event = seat.events.as_mut().and_then(Input::waiting).map(Some);
                    }
                }
                pace.now();
            }
            () = received(&mut terminate) => inbox.push(Msg::Hangup),
            () = received(&mut hang_up) => inbox.push(Msg::Hangup),
            () = received(&mut interrupt) => inbox.push(Msg::Hangup),
            () = received(&mut quit) => inbox.push(Msg::Hangup),
            () = received(&mut stop) => {
                seat.suspend();
                pace.now();
            }
            () = received(&mut wake) => {
                seat.wake();
                pace.now();
            }
            () = std::future::ready(()), if !feeds.history.is_empty() => {
                inbox.push(Msg::Records(feeds.chunk()));
                pace.soon();
            }
            count = receive(&mut feeds.records, &mut batch) => {
                if count == 0 {
                    feeds.records = None;
                } else {
                    pace.records(&batch, model.shows_running_time());
                    inbox.push(Msg::Records(std::mem::take(&mut batch)));
                }
            }
            text = finish(&mut feeds.finished) => {
                feeds.finished = None;
                // The last records come before the result.
                if let Some(records) = &mut feeds.records {
                    while let Ok(record) = records.try_recv() {
                        batch.push(record);
                    }
                    inbox.push(Msg::Records(std::mem::take(&mut batch)));
                }
                inbox.push(Msg::Finished(text));
                pace.now();
            }
            control = changed(&mut feeds.control) => {
                inbox.push(Msg::Control(control));
                pace.now();
            }
            snapshots = observed(&mut feeds.views) => {
                inbox.push(Msg::Observed(snapshots));
                pace.seen(model.shows_running_time(), matches!(model.screen, Screen::Cluster(_)));
            }
            why = denied(&mut feeds.denials) => {
                inbox.push(Msg::Denied(why));
                pace.now();
            }
            Some(msg) = answered.recv() => {
                inbox.push(msg);
                pace.now();
            }
            _ = ticks.tick(), if model.shows_running_time() => {
                pace.now();
            }
            () = at(pace.due(model.notice_ends(began))) => pace.ends(model.notice_ends(began)),
        }
    }
}

async fn next(events: &mut Option<Input>) -> Option<io::Result<crossterm::event::Event>> {
    match events {
        Some(events) => events.next().await,
        None => pending().await,
    }
}

async fn received(signal: &mut Option<tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => pending().await,
    }
}

async fn receive(records: &mut Option<mpsc::UnboundedReceiver<Arc<Record>>>, into: &mut Vec<Arc<Record>>) -> usize {
    match records {
        Some(records) => records.recv_many(into, BATCH).await,
        None => pending().await,
    }
}

async fn finish(finished: &mut Option<oneshot::Receiver<String>>) -> String {
    match finished {
        Some(finished) => {
            let none = |_| "the run has ended without a summary; its journal has everything".to_string();
            finished.await.unwrap_or_else(none)
        }
        None => pending().await,
    }
}

async fn changed(control: &mut Option<watch::Receiver<Control>>) -> Control {
    if let Some(known) = control
        && known.changed().await.is_ok()
    {
        return known.borrow_and_update().clone();
    }
    // The worker is gone: nothing changes any more.
    *control = None;
    pending().await
}

async fn observed(views: &mut Option<News>) -> Vec<Arc<Snapshot>> {
    match views {
        Some(views) => {
            views.wait().await;
            views.take()
        }
        None => pending().await,
    }
}

async fn denied(denials: &mut Option<mpsc::UnboundedReceiver<String>>) -> String {
    if let Some(told) = denials
        && let Some(why) = told.recv().await
    {
        return why;
    }
    *denials = None;
    pending().await
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}

pub fn load(path: &Path) -> Result<plan::Plan, Box<BadPlan>> {
    let error = match plan::load(path) {
        Ok(loaded) => return Ok(loaded.plan),
        Err(error) => error,
    };
    let decoded = match &error {
        PlanError::Refused { .. } => plan::load::read_text(path).ok().and_then(|text| {
            let decoded = plan::decode(&text, &path.display().to_string());
            decoded.ok().map(|d| d.plan)
        }),
        PlanError::Missing { .. }
        | PlanError::Folder { .. }
        | PlanError::Unreadable { .. }
        | PlanError::TooLarge { .. }
        | PlanError::NotText { .. }
        | PlanError::Empty { .. }
        | PlanError::Unsafe(_)
        | PlanError::Silent(_) => None,
    };
    let cause = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    Err(Box::new(BadPlan {
        what: format!("{error}{cause}"),
        next: error.next(),
        findings: error.findings().to_vec(),
        decoded,
    }))
}

/// The copy of what was there, where it could not stay.
pub fn save(path: &Path, plan: &plan::Plan, trusted: &[FirstUse], replace: bool) -> Result<Option<PathBuf>, SaveError> {
    // `symlink_metadata` also sees a link to nothing, which a rename would replace without a word.
    if !replace && path.symlink_metadata().is_ok() {
        return Err(SaveError::Exists);
    }
    plan::rewrite(path, plan, trusted).map_err(|e| SaveError::Failed(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::defaults::{Defaults, plan};

    #[test]
    fn a_file_is_replaced_only_when_somebody_said_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plan.yaml");
        let plan = plan(&Defaults::default());
        save(&path, &plan, &[], false).unwrap();
        assert_eq!(save(&path, &plan, &[], false), Err(SaveError::Exists));
        save(&path, &plan, &[], true).unwrap();
        let nowhere = save(&dir.path().join("no/such/plan.yaml"), &plan, &[], false).unwrap_err();
        assert!(matches!(nowhere, SaveError::Failed(why) if why.contains("plan.yaml")));
    }

    #[test]
    fn a_refused_plan_comes_with_findings_and_can_be_mended() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plan.yaml");
        let missing = load(&path).unwrap_err();
        assert!(missing.what.contains("does not exist") && missing.next.contains("plan new"), "{missing:?}");
        // The defaults hold a checksum that only a person can fill in.
        save(&path, &plan(&Defaults::default()), &[], false).unwrap();
        let refused = load(&path).unwrap_err();
        let finding = refused.findings.iter().find(|f| f.key == "image.sha256").unwrap();
        assert!(finding.line > 0 && !finding.write.is_empty(), "{finding:?}");
        assert!(refused.decoded.is_some());
        std::fs::write(&path, "version: [").unwrap();
        assert!(load(&path).unwrap_err().decoded.is_none());
    }
}
