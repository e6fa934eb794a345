//! What a screen sends to the terminal: the first frame, a minute of a wait, one key.
use super::sample;
use cozyup::base::clock::add;
use cozyup::engine::record::Event;
use cozyup::observed::{Backend, Contacts, Snapshot, View};
use cozyup::plan::defaults::{Defaults, plan};
use cozyup::tui::Frames;
use cozyup::tui::message::Msg;
use cozyup::tui::model::run::RunModel;
use cozyup::tui::model::{Model, Screen};
use cozyup::tui::theme::Theme;
use cozyup::tui::update::update;
use cozyup::tui::view::render;
use crossterm::event::{KeyCode, KeyEvent};
use jiff::Timestamp;
use ratatui::layout::Rect;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Records of the run that is shown; its last steps are on their way.
const RECORDS: usize = 600;

#[derive(Clone, Default)]
struct Sent(Arc<AtomicUsize>);

impl Write for Sent {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.fetch_add(bytes.len(), Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Shown {
    model: Model,
    area: Rect,
    frames: Frames<Sent>,
    sent: Sent,
}

impl Shown {
    /// Sends `msg` to the model and draws; gives bytes, and whether anything was written.
    fn after(&mut self, msg: Msg) -> (usize, usize) {
        drop(update(&mut self.model, msg));
        let before = self.sent.0.load(Ordering::Relaxed);
        let mut drawn = self.model.drawn;
        let wrote = self.frames.draw(self.area, |area, buf| drawn = render(&self.model, area, buf)).unwrap();
        self.model.drawn = drawn;
        (self.sent.0.load(Ordering::Relaxed) - before, usize::from(wrote))
    }
}

pub fn bytes() {
    println!("\nredraw: bytes to the terminal (a minute's wait, no record, systems that answer)");
    // The end would make the run stand still.
    let mut records: Vec<_> = sample::records(RECORDS).collect();
    records.retain(|record| !matches!(record.event, Event::Ended { .. }));
    let last = records.last().map_or(Timestamp::UNIX_EPOCH, |record| record.at);
    for size in [(80, 24), (120, 40), (160, 45)] {
        let run = RunModel::new(Arc::new(plan(&Defaults::default())), "lab".into(), "/state/run".into(), Vec::new());
        let area = Rect::new(0, 0, size.0, size.1);
        let sent = Sent::default();
        let frames = Frames::new(sent.clone(), area).unwrap();
        let mut shown =
            Shown { model: Model::new(Theme::new(true, true), Screen::Run(Box::new(run))), area, frames, sent };
        let (first, _) = shown.after(Msg::Records(records.iter().cloned().map(Arc::new).collect()));
        let (mut bytes, mut writes) = (0, 0);
        for second in 1..=60 {
            let now = add(last, Duration::from_secs(second));
            let mut add_up = |(more, wrote): (usize, usize)| (bytes, writes) = (bytes + more, writes + wrote);
            add_up(shown.after(Msg::Clock { now, wall: Duration::from_secs(second) }));
            if second.is_multiple_of(5) {
                let mut contacts = Contacts::default();
                contacts.answered(&Backend::Proxmox, now);
                contacts.answered(&Backend::Kubernetes, now);
                add_up(shown.after(Msg::Observed(vec![Arc::new(Snapshot::new(now, View::Contacts(contacts)))])));
            }
        }
        let (key, _) = shown.after(Msg::Key(KeyEvent::from(KeyCode::Down)));
        println!(
            "  {:>3}x{:<2}  first frame {first:>6} B   wait {:>5.1} B/s in {:.2} writes/s   a key {key:>5} B",
            size.0,
            size.1,
            bytes as f64 / 60.0,
            f64::from(u32::try_from(writes).unwrap()) / 60.0
        );
    }
}
