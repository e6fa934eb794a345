//! When a frame is due, and when the time that it shows goes on. On a slow line what only goes on waits for a tick, and what has
//! changed in meaning is drawn at once.
use crate::engine::record::{Event, Record};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// At most 20 frames a second for what comes from the run; a key is answered at once.
const FRAME: Duration = Duration::from_millis(50);
/// Between two frames in which only time went on.
const TICK: Duration = Duration::from_secs(1);
/// The same on a slow line.
const SPARING: Duration = Duration::from_secs(10);

static SPARES: AtomicBool = AtomicBool::new(false);

/// From now on the screens of this process send as little as they can.
pub fn spare_the_line() {
    SPARES.store(true, Ordering::SeqCst);
}

/// The next frame.
#[derive(Debug)]
pub struct Pace {
    /// The line is slow.
    spares: bool,
    /// `None`: nothing has changed.
    due: Option<Instant>,
    /// The time on the screen goes on before the next message.
    goes_on: bool,
}

impl Pace {
    /// The first frame is due at once.
    pub fn new(spares: bool) -> Pace {
        Pace { spares, due: Some(Instant::now()), goes_on: true }
    }

    pub fn of_process() -> Pace {
        Pace::new(SPARES.load(Ordering::SeqCst))
    }

    pub fn tick(&self) -> Duration {
        if self.spares { SPARING } else { TICK }
    }

    /// For whatever a person does, and for what happens once.
    pub fn now(&mut self) {
        self.due = Some(Instant::now());
        self.goes_on = true;
    }

    pub fn soon(&mut self) {
        self.due.get_or_insert(Instant::now() + FRAME);
        self.goes_on = true;
    }

    /// For records of a run; `ticks`: the screen shows running time, so that a tick will come.
    pub fn records(&mut self, records: &[Arc<Record>], ticks: bool) {
        if !self.spares || !ticks || records.iter().any(|record| is_change(&record.event)) {
            self.soon();
        }
    }

    /// For what was seen of the target. Beside a run the next tick draws it, since each change that counts is a record too; a
    /// cluster that is only watched has none.
    pub fn seen(&mut self, ticks: bool, watches: bool) {
        if !ticks || (self.spares && watches) {
            self.due.get_or_insert(Instant::now() + FRAME);
        }
        self.goes_on |= !self.spares;
    }

    /// A notice stands until `end`: it goes then, whatever the ticks do.
    pub fn ends(&mut self, end: Option<Instant>) {
        if end.is_some_and(|end| end <= Instant::now()) {
            self.now();
        }
    }

    /// True once when the time on the screen is to go on.
    pub fn clock(&mut self) -> bool {
        std::mem::take(&mut self.goes_on) || !self.spares
    }

    /// True once when the frame is due.
    pub fn draws(&mut self) -> bool {
        let is_due = self.due.is_some_and(|at| at <= Instant::now());
        if is_due {
            self.due = None;
        }
        is_due
    }

    /// When the loop has something to do by itself; `end` as for [`Pace::ends`].
    pub fn due(&self, end: Option<Instant>) -> Option<Instant> {
        self.due.into_iter().chain(end).min()
    }
}

/// False for what only tells how far something is.
fn is_change(event: &Event) -> bool {
    match event {
        Event::Absent { .. }
        | Event::HandleKept { .. }
        | Event::Acted { .. }
        | Event::Waiting { .. }
        | Event::Log { .. } => false,
        Event::Session { .. }
        | Event::GateAsked { .. }
        | Event::GateOpened { .. }
        | Event::Intended { .. }
        | Event::Proven { .. }
        | Event::Failed { .. }
        | Event::Blocked { .. }
        | Event::Drifted { .. }
        | Event::Noticed { .. }
        | Event::RetryAsked { .. }
        | Event::StopAsked { .. }
        | Event::ControlTaken { .. }
        | Event::ErrandAsked { .. }
        | Event::ErrandEnded { .. }
        | Event::Ended { .. } => true,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Frames;
    use super::super::message::Msg;
    use super::super::model::run::RunModel;
    use super::super::model::{Model, Screen};
    use super::super::samples::{Sample, at};
    use super::super::theme::Theme;
    use super::super::update::update;
    use super::super::view::render;
    use super::*;
    use crate::engine::step::StepId;
    use crate::engine::wait::{Band, Wait};
    use crate::observed::{Backend, Contacts, Snapshot, View};
    use crate::plan::defaults::{Defaults, plan};
    use ratatui::layout::Rect;
    use std::io::Write;
    use std::sync::Mutex;

    /// Every write with its length.
    #[derive(Clone, Default)]
    struct Line(Arc<Mutex<Vec<usize>>>);

    impl Write for Line {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().push(bytes.len());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// A run at 160x45 in which a clone is on its way, as the loop of a screen shows it. Time stands still but for `wait`.
    struct Shown {
        model: Model,
        pace: Pace,
        frames: Frames<std::io::BufWriter<Line>>,
        line: Line,
        began: Instant,
        ticked: Instant,
        writes: usize,
        seq: u64,
    }

    impl Shown {
        fn new(spares: bool) -> Shown {
            let run = RunModel::new(Arc::new(plan(&Defaults::default())), "site".into(), "/run".into(), Vec::new());
            let (line, now) = (Line::default(), Instant::now());
            let to = std::io::BufWriter::with_capacity(1 << 16, line.clone());
            let frames = Frames::new(to, Rect::new(0, 0, 160, 45)).unwrap();
            let model = Model::new(Theme::new(true, true), Screen::Run(Box::new(run)));
            let pace = Pace::new(spares);
            let mut shown = Shown { model, pace, frames, line, began: now, ticked: now, writes: 0, seq: 1000 };
            shown.hear(Msg::Records(Sample::late_clone().records()));
            shown.pace.now();
            shown.step();
            shown.sent();
            shown
        }

        fn hear(&mut self, msg: Msg) {
            if self.pace.clock() {
                let wall = self.began.elapsed();
                let now = at(70 + i64::try_from(wall.as_secs()).unwrap());
                update(&mut self.model, Msg::Clock { now, wall });
            }
            update(&mut self.model, msg);
        }

        fn record(&mut self, event: Event) {
            self.seq += 1;
            let now = at(70 + i64::try_from(self.began.elapsed().as_secs()).unwrap());
            let records = vec![Arc::new(Record { seq: self.seq, at: now, event })];
            self.pace.records(&records, self.model.shows_running_time());
            self.hear(Msg::Records(records));
        }

        fn progress(&mut self, done: u64) {
            let wait =
                Wait::new("clone cp1: the task ends", format!("transferred {done} of 78 MiB"), Band::new(60, 180));
            let step = StepId::new("day1.clone/cp1");
            self.record(Event::Waiting { step, wait: wait.with_progress(done, 78, "MiB") });
        }

        fn look(&mut self) {
            let now = at(70 + i64::try_from(self.began.elapsed().as_secs()).unwrap());
            let mut contacts = Contacts::default();
            contacts.answered(&Backend::Proxmox, now);
            contacts.answered(&Backend::Kubernetes, now);
            self.pace.seen(self.model.shows_running_time(), false);
            self.hear(Msg::Observed(vec![Arc::new(Snapshot::new(now, View::Contacts(contacts)))]));
        }

        /// What the loop does when it comes round.
        fn step(&mut self) {
            self.pace.ends(self.model.notice_ends(self.began));
            if self.ticked.elapsed() >= self.pace.tick() {
                self.ticked = Instant::now();
                self.pace.now();
            }
            if self.pace.clock() {
                let wall = self.began.elapsed();
                let now = at(70 + i64::try_from(wall.as_secs()).unwrap());
                update(&mut self.model, Msg::Clock { now, wall });
            }
            if self.pace.draws() {
                let (model, mut drawn) = (&self.model, self.model.drawn);
                let wrote = self.frames.draw(Rect::new(0, 0, 160, 45), |area, buf| drawn = render(model, area, buf));
                self.writes += usize::from(wrote.unwrap());
                self.model.drawn = drawn;
            }
        }

        async fn wait(&mut self, time: Duration) {
            let end = Instant::now() + time;
            while Instant::now() < end {
                tokio::time::sleep(FRAME).await;
                self.step();
            }
        }

        /// Bytes and frames since this was asked last.
        fn sent(&mut self) -> (usize, usize) {
            let bytes = std::mem::take(&mut *self.line.0.lock().unwrap()).iter().sum();
            (bytes, std::mem::take(&mut self.writes))
        }
    }

    /// issue 14 item 9: a wait costs at most 60 bytes and one write a second; sparing the line, a tenth of the writes.
    #[tokio::test(start_paused = true)]
    async fn a_minute_of_a_wait_costs_little_and_a_fraction_of_it_on_a_slow_line() {
        let mut cost = Vec::new();
        for spares in [false, true] {
            let mut shown = Shown::new(spares);
            for _ in 0..12 {
                shown.look();
                shown.wait(Duration::from_secs(5)).await;
            }
            cost.push(shown.sent());
        }
        let [(bytes, writes), (sparing, seldom)] = cost[..] else { panic!("{cost:?}") };
        assert!(bytes <= 60 * 60 && writes <= 60, "{bytes} bytes in {writes} writes");
        assert!(bytes > 0 && seldom > 0, "{cost:?}: the clocks stand still");
        assert!(sparing <= 60 * 15 && seldom <= 6, "{sparing} bytes in {seldom} writes on a slow line");
    }

    #[tokio::test(start_paused = true)]
    async fn on_a_slow_line_progress_waits_for_the_tick_and_a_change_is_drawn_at_once() {
        for (spares, progress) in [(false, 1), (true, 0)] {
            let mut shown = Shown::new(spares);
            shown.progress(50);
            shown.wait(Duration::from_millis(200)).await;
            assert_eq!(shown.sent().1, progress, "{spares}");
            shown.record(Event::StopAsked { by: "ann".into() });
            shown.wait(Duration::from_millis(200)).await;
            assert_eq!(shown.sent().1, 1, "{spares}");
            // A key is answered with the time as it is.
            shown.wait(Duration::from_millis(1300)).await;
            shown.sent();
            shown.pace.now();
            shown.hear(Msg::Key(crossterm::event::KeyCode::Char('w').into()));
            shown.step();
            assert_eq!(shown.sent().1, 1, "{spares}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_notice_goes_when_its_time_is_over_also_on_a_slow_line() {
        let mut shown = Shown::new(true);
        shown.pace.now();
        shown.hear(Msg::Key(crossterm::event::KeyCode::Char('z').into()));
        shown.step();
        let until = shown.model.notice.as_ref().map(|notice| notice.until).expect("a notice");
        let end = shown.began + until;
        assert_eq!(shown.pace.due(Some(end)), Some(end), "the loop wakes for it");
        shown.wait(until - shown.began.elapsed() - FRAME).await;
        assert!(shown.model.notice.is_some());
        shown.sent();
        shown.wait(FRAME * 3).await;
        assert!(shown.model.notice.is_none() && shown.sent().1 == 1, "it does not wait for the tick");
    }

    #[tokio::test(start_paused = true)]
    async fn a_cluster_that_is_watched_on_a_slow_line_shows_a_change_at_once_and_no_clock() {
        let mut pace = Pace::new(true);
        assert!(pace.clock() && pace.draws());
        pace.seen(true, true);
        assert!(!pace.clock(), "the time goes on with a tick");
        tokio::time::sleep(FRAME).await;
        assert!(pace.draws() && !pace.draws());
        let mut usual = Pace::new(false);
        assert!(usual.draws());
        usual.seen(true, true);
        tokio::time::sleep(FRAME).await;
        assert!(!usual.draws() && usual.clock(), "the next tick comes within a second");
    }
}
