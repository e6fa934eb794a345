//! The screen of a run.
//!
//! ```text
//! 80x24                                   160x45
//! +--------------------------+            +-----------------------------------------+
//! | header                   |            | header                                  |
//! | days         | detail    |            | days           | detail    | releases   |
//! |              |           |            |                |           |            |
//! | log                      |            | log                                     |
//! | footer                   |            | footer                                  |
//! +--------------------------+            +-----------------------------------------+
//! ```
//! Below 70 columns the pane with the keyboard has the width alone; below 16 rows there is no log.
use super::page::{Page, pane};
use super::{detail, dialogs, footer, frame_of, header, log, releases, tree, waves};
use crate::tui::model::run::{Full, Pane, RunModel};
use crate::tui::model::{Drawn, Model};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

pub fn render(model: &Model, run: &RunModel, area: Rect, buf: &mut Buffer) -> Drawn {
    let (top, body, bottom) = frame_of(area, header::HEIGHT);
    header::render(model, run, top, buf);
    footer::render(model, bottom, buf);
    let mut drawn = match run.full {
        Some(full) => whole(model, run, full, body, buf),
        None => panes(model, run, body, buf),
    };
    if let Some(dialog) = &run.dialog {
        let (over_max, page) = dialogs::render(model, run, dialog, body, buf);
        drawn.over_max = over_max;
        drawn.page = page;
    }
    drawn
}

fn whole(model: &Model, run: &RunModel, full: Full, body: Rect, buf: &mut Buffer) -> Drawn {
    let (over_max, page) = match full {
        Full::Log => (0, log::render(model, run, body, buf, true)),
        Full::Detail => {
            let inner = pane(buf, model.theme, body, "Detail and evidence", true, false);
            let page = detail::page(model, run, inner.width, true);
            (page.draw(buf, inner, run.full_scroll), usize::from(inner.height))
        }
        Full::Findings => {
            let inner = pane(buf, model.theme, body, "Warnings and notes of the plan", true, false);
            let mut page = Page::new(model.theme, inner.width);
            if run.findings.is_empty() {
                page.say(model.theme.plain(), 0, "none");
            }
            for finding in &run.findings {
                page.block(model.theme.plain(), 0, finding);
                page.blank();
            }
            (page.draw(buf, inner, run.full_scroll), usize::from(inner.height))
        }
    };
    Drawn { page, detail_max: 0, over_max }
}

fn panes(model: &Model, run: &RunModel, body: Rect, buf: &mut Buffer) -> Drawn {
    let log_height = match body.height {
        0..=12 => 0,
        13..=27 => 6,
        28..=40 => 9,
        _ => 13,
    };
    let upper = Rect { height: body.height.saturating_sub(log_height), ..body };
    let lower = Rect { y: upper.bottom(), height: log_height, ..body };
    if log_height > 0 {
        log::render(model, run, lower, buf, false);
    }
    let log_rows = usize::from(log_height.saturating_sub(1));
    if upper.width < 70 {
        return match run.pane {
            Pane::Days => Drawn { page: tree::render(model, run, upper, buf), ..Drawn::default() },
            Pane::Detail => {
                let (detail_max, page) = detail::render(model, run, upper, buf, false);
                Drawn { page, detail_max, over_max: 0 }
            }
            Pane::Log if log_height > 0 => {
                tree::render(model, run, upper, buf);
                Drawn { page: log_rows, ..Drawn::default() }
            }
            Pane::Log => Drawn { page: log::render(model, run, upper, buf, false), ..Drawn::default() },
        };
    }
    let seen = run.observed.releases().filter(|seen| upper.width >= 140 && seen.total > 0);
    let with_releases = upper.width >= 140 && (seen.is_some() || waves::waves(&run.state).next().is_some());
    let (days, side) = match (upper.width, with_releases) {
        (_, true) => (66, 46),
        (120.., false) => (66, 0),
        (_, false) => (upper.width / 2, 0),
    };
    let left = Rect { width: days, ..upper };
    let middle = Rect { x: left.right(), width: upper.width.saturating_sub(days + side), ..upper };
    let right = Rect { x: middle.right(), width: side, ..upper };
    let days_rows = tree::render(model, run, left, buf);
    // On a low screen the log takes the place of the detail while it has the keyboard.
    let log_beside = run.pane == Pane::Log && log_height == 0;
    let (detail_max, beside_rows) = match log_beside {
        true => (0, log::render(model, run, middle, buf, false)),
        false => detail::render(model, run, middle, buf, with_releases),
    };
    match seen {
        Some(seen) => releases::render(model, seen, right, buf),
        None if with_releases => waves::render(model, run, right, buf),
        None => {}
    }
    let page = match run.pane {
        Pane::Days => days_rows,
        Pane::Log if !log_beside => log_rows,
        Pane::Detail | Pane::Log => beside_rows,
    };
    Drawn { page, detail_max, over_max: 0 }
}
