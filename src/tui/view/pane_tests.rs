//! The panes of the site, typed and drawn.
use super::render;
use crate::observed::{Kind, Snapshot};
use crate::plan::defaults::{Defaults, plan};
use crate::tui::Frames;
use crate::tui::message::Msg;
use crate::tui::model::Screen;
use crate::tui::model::run::{Full, Pane, RunModel};
use crate::tui::panes::samples::Seen;
use crate::tui::samples::{Sample, at};
use crate::tui::session::Typist;
use crate::tui::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const PLAIN: Theme = Theme::new(false, false);
const SIZES: [(u16, u16); 4] = [(80, 24), (120, 40), (160, 45), (40, 10)];

/// A run on day 1 at second 300, with a clone that is late.
fn seen(size: (u16, u16), sample: &Sample, change: impl Fn(&mut Seen)) -> Typist {
    let mut typist = Typist::run(sample, PLAIN);
    typist.clock(300);
    typist.resize(size);
    let mut seen = Seen::of(&plan(&Defaults::default()), 300);
    change(&mut seen);
    typist.send(Msg::Observed(seen.snapshots()));
    typist
}

fn of(typist: &Typist) -> &RunModel {
    match &typist.model.screen {
        Screen::Run(run) => run,
        Screen::Home(_) | Screen::Cluster(_) => panic!("no run is shown"),
    }
}

#[test]
fn every_pane_is_reached_by_its_digit_and_shows_count_and_age() {
    for size in SIZES {
        let mut typist = seen(size, &Sample::late_clone(), |_| ());
        for (digit, title) in [
            ('2', "2 Proxmox: 3/3 run, 1 task"),
            ('3', "3 Talos: 3/3 answer"),
            ('4', "4 Releases: 1/5 ready"),
            ('5', "5 Pods: 53/54 ready"),
            ('6', "6 Events: 12 warnings"),
        ] {
            typist.keys(&digit.to_string());
            typist.shows(&[title]);
            let screen = typist.screen();
            assert!(screen.lines().any(|l| l.contains(&title[..6]) && l.contains(", live")), "{size:?} {screen}");
        }
        typist.keys("7");
        typist.shows(&["7 Log"]);
        typist.keys("1");
        typist.shows(&["1 Steps", "Day 1 Machines"]);
    }
}

#[test]
fn the_days_own_pane_opens_by_itself_until_a_digit_is_pressed() {
    let mut typist = seen((80, 24), &Sample::late_clone(), |_| ());
    typist.shows(&[">2 Proxmox", "[2 Proxmox"]);
    typist.keys("1");
    typist.shows(&[">1 Steps", "clone cp1"]);
    typist.send(Msg::Observed(Seen::of(&plan(&Defaults::default()), 310).snapshots()));
    typist.shows(&[">1 Steps"]);
    typist.keys("ff");
    typist.shows(&[">2 Proxmox"]);
    let mut blocked = seen((80, 24), &Sample::blocked(), |_| ());
    blocked.shows(&[">1 Steps", "give the token VM.Clone"]);
    blocked.keys("2");
    blocked.shows(&[">2 Proxmox"]);
}

#[test]
fn the_selection_stays_with_its_thing_and_enter_shows_all_of_it() {
    let mut typist = seen((80, 24), &Sample::late_clone(), |_| ());
    typist.keys("5<Enter>");
    assert_eq!(of(&typist).full, Some(Full::Item(Pane::Pods)));
    typist.shows(&["kubectl -n cozy-cert-manager describe pod cert-manager-7c9-x2x", "restarts 6"]);
    typist.keys("<Esc>4<End><Up>");
    assert_eq!(of(&typist).picked[&Pane::Releases], "release/cozy-linstor/linstor");
    let mut other = Seen::of(&plan(&Defaults::default()), 310);
    other.releases.rows.retain(|r| r.name == "linstor" || r.name == "cilium");
    typist.send(Msg::Observed(other.snapshots()));
    let screen = typist.screen();
    assert!(screen.lines().any(|l| l.starts_with(">") && l.contains("linstor  ")), "{screen}");
    typist.keys("<Enter>");
    other.releases.rows.retain(|r| r.name == "cilium");
    typist.send(Msg::Observed(other.snapshots()));
    typist.shows(&["it is no longer there"]);
}

/// screen.md A3: nothing told that a system had been gone for a quarter of an hour.
#[test]
fn a_system_that_does_not_answer_makes_its_pane_say_since_when_and_why() {
    let mut typist = seen((80, 24), &Sample::late_clone(), |seen| {
        seen.contacts.failed(
            &crate::observed::Backend::Proxmox,
            crate::tui::samples::at(120),
            crate::observed::Cause::Silent,
        );
    });
    typist.keys("2");
    typist.shows(&["SILENT since 00:02:00 (3m00): no answer in time"]);
    typist.keys("5");
    typist.shows_not("SILENT");
    typist.clock(900);
    typist.shows(&["5 Pods: 53/54 ready, LATE: read 10m ago"]);
}

/// Each text of the snapshots with control characters in it, past the worker that would have cleaned them.
fn hostile(seen: &Seen) -> Vec<Arc<Snapshot>> {
    let evil = "\u{1b}[2J\u{1b}]52;c;x\u{7}\u{9b}1m\u{202e}\u{200b}\0\r\n日本".to_string() + &"z".repeat(2000);
    fn speak(value: &mut serde_json::Value, key: &str, evil: &str) {
        const FIXED: [&str; 10] =
            ["of", "thing", "at", "system", "last", "silent", "since", "started", "state", "power"];
        match value {
            serde_json::Value::String(text) if !FIXED.contains(&key) => text.push_str(evil),
            serde_json::Value::Array(items) if key != "silent" => items.iter_mut().for_each(|i| speak(i, key, evil)),
            serde_json::Value::Object(entries) => entries.iter_mut().for_each(|(key, v)| speak(v, key, evil)),
            serde_json::Value::Array(_)
            | serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Number(_)
            | serde_json::Value::String(_) => {}
        }
    }
    let one = |snapshot: &Arc<Snapshot>| {
        let mut value = serde_json::to_value(&**snapshot).unwrap();
        if snapshot.view.kind() != Kind::Contacts {
            speak(&mut value, "", &evil);
        }
        Arc::new(serde_json::from_value(value).unwrap())
    };
    seen.snapshots().iter().map(one).collect()
}

#[test]
fn whatever_the_site_says_no_pane_lets_it_steer_the_terminal() {
    for theme in [PLAIN, Theme::new(true, true)] {
        for size in SIZES {
            for digit in '1'..='7' {
                for open in ["", "<Enter>"] {
                    let mut typist = seen(size, &Sample::late_clone(), |_| ());
                    typist.model.theme = theme;
                    typist.send(Msg::Observed(hostile(&Seen::of(&plan(&Defaults::default()), 300))));
                    typist.keys(&format!("{digit}{open}"));
                    let mut buf = Buffer::empty(Rect::new(0, 0, size.0, size.1));
                    render(&typist.model, buf.area, &mut buf);
                    let bad = |s: &str| {
                        s.contains(|c: char| {
                            c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
                        })
                    };
                    let strange = buf.content.iter().map(|c| c.symbol()).find(|s| bad(s));
                    assert_eq!(strange, None, "{digit} {open} {size:?}");
                    if theme == PLAIN {
                        assert!(buf.content.iter().all(|c| c.symbol().is_ascii() && c.fg == Color::Reset), "{digit}");
                    }
                }
            }
        }
    }
}

/// Counts what is sent.
#[derive(Clone, Default)]
struct Sent(Arc<AtomicUsize>);

impl std::io::Write for Sent {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.fetch_add(bytes.len(), Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The bytes of a minute's wait on a large screen, and in how many writes they come.
fn minute(typist: &mut Typist, from: i64) -> (usize, usize) {
    let area = Rect::new(0, 0, typist.size.0, typist.size.1);
    let sent = Sent::default();
    let mut frames = Frames::new(sent.clone(), area).unwrap();
    frames
        .draw(area, |area, buf| {
            render(&typist.model, area, buf);
        })
        .unwrap();
    let before = sent.0.load(Ordering::Relaxed);
    let mut writes = 0;
    for second in 1..=60 {
        let wall = typist.model.wall + Duration::from_secs(1);
        typist.send(Msg::Clock { now: at(from + second), wall });
        if second % 5 == 0 && !of(typist).is_over() {
            // The systems answer as before.
            typist.send(Msg::Observed(Seen::of(&plan(&Defaults::default()), from + second).snapshots()[..1].to_vec()));
        }
        writes += usize::from(
            frames
                .draw(area, |area, buf| {
                    render(&typist.model, area, buf);
                })
                .unwrap(),
        );
    }
    (sent.0.load(Ordering::Relaxed) - before, writes)
}

/// screen.md 4: a wait cost 190 to 240 bytes a second in two writes; k9s needs a twentieth.
#[test]
fn a_wait_costs_at_most_sixty_bytes_and_one_write_a_second() {
    for from in [65, 700, 4000] {
        let mut typist = seen((160, 45), &Sample::late_clone(), |_| ());
        typist.clock(from);
        let (bytes, writes) = minute(&mut typist, from);
        assert!(bytes <= 60 * 60 && writes <= 60, "{bytes} bytes in {writes} writes from second {from}");
    }
    let mut over = seen((160, 45), &Sample::finished(), |_| ());
    over.clock(500);
    assert_eq!(minute(&mut over, 500), (0, 0), "a run that has ended costs nothing");
}

#[test]
fn a_pane_moves_and_is_drawn_at_any_size() {
    for width in [1, 39, 40, 41, 69, 70, 77, 109, 110, 149, 150, 199] {
        for height in [1, 9, 10, 11, 13, 16, 29, 45] {
            let mut typist = seen((width, height), &Sample::late_clone(), |_| ());
            typist
                .keys("2<Down><PageDown><End><Enter><PageDown><Esc>4<End><Tab><Tab><BackTab>7<Up>1<Tab><Down><Enter>");
        }
    }
}
