//! Draws the model. There is one file per part of the screen; nothing here knows a clock, a socket or a terminal.
mod answer;
mod cluster;
mod day;
mod detail;
mod dialogs;
mod footer;
mod form;
mod form_fetch;
mod form_machines;
mod form_site;
mod header;
mod help;
mod home;
mod log;
mod page;
mod run;
mod step;
mod table;
mod tabs;
mod tree;

use super::model::{Drawn, Model, Screen};
use super::theme::Theme;
pub use page::coarse;
use page::put;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// The smallest screen on which anything is shown.
pub const SMALLEST: (u16, u16) = (40, 10);

/// Draws a frame and says what it found out about lengths.
pub fn render(model: &Model, area: Rect, buf: &mut Buffer) -> Drawn {
    let area = area.intersection(buf.area);
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let text = format!("cozyup needs {}x{}, this is {}x{}", SMALLEST.0, SMALLEST.1, area.width, area.height);
        put(buf, Rect { height: area.height.min(1), ..area }, &text, model.theme.plain());
        return Drawn::default();
    }
    if let Some(help) = model.help {
        return help::render(model, help, area, buf);
    }
    match &model.screen {
        Screen::Run(run) => run::render(model, run, area, buf),
        Screen::Home(home) => home::render(model, home, area, buf),
        Screen::Cluster(seen) => cluster::render(model, seen, area, buf),
    }
}

/// What is left out of a pane, for its title.
fn narrowed(theme: Theme, problems: bool, find: &str) -> String {
    let problems = if problems { ", problems only (z)" } else { "" };
    let find = if find.is_empty() { String::new() } else { format!(", only with `{}` (Esc)", theme.safe(find)) };
    format!("{find}{problems}")
}

/// `area` cut into a head, a body and the one line of the footer.
fn frame_of(area: Rect, head: u16) -> (Rect, Rect, Rect) {
    let head = head.min(area.height);
    let foot = 1.min(area.height.saturating_sub(head));
    let top = Rect { height: head, ..area };
    let body = Rect { y: area.y.saturating_add(head), height: area.height.saturating_sub(head + foot), ..area };
    let bottom = Rect { y: body.bottom(), height: foot, ..area };
    (top, body, bottom)
}

#[cfg(test)]
mod pane_tests;
#[cfg(test)]
mod tests;
