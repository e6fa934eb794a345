//! The panes by their digits, the one that is shown in brackets, a mark where one has trouble.
//!
//! ```text
//!  1 Steps  2 Proxmox  3 Talos [4 Releases X] 5 Pods X 6 Events  7 Log
//! ```
//! Where there is no room only the one that is shown has its name.
use super::page::put_line;
use super::table;
use crate::tui::model::Model;
use crate::tui::model::run::{Pane, RunModel};
use crate::tui::panes::Grade;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// From this width on all panes have their names.
const NAMES: u16 = 78;

/// `shown`: the pane that has the keyboard, or that stands beside the steps.
pub fn render(model: &Model, run: &RunModel, shown: Pane, area: Rect, buf: &mut Buffer) {
    let theme = model.theme;
    let shown = if shown == Pane::Detail { Pane::Days } else { shown };
    let mut line = Line::default();
    for pane in Pane::WITH_DIGIT {
        let name = pane.name();
        let name = match (pane == shown, area.width < NAMES) {
            (false, true) => name.chars().take(1).collect(),
            (true, _) | (false, false) => name,
        };
        // A warning tells of what was; the mark is for what is.
        let grade = match pane {
            Pane::Days | Pane::Detail | Pane::Log | Pane::Events => Grade::Good,
            Pane::Proxmox | Pane::Talos | Pane::Releases | Pane::Pods => {
                table::of(model, run, pane).map_or(Grade::Good, |table| table.grade)
            }
        };
        let (open, close) = if pane == shown { ("[", "]") } else { (" ", " ") };
        let style = if pane == shown { theme.title() } else { theme.plain() };
        line.push_span(Span::styled(format!("{open}{name}"), style));
        if grade >= Grade::Warn {
            line.push_span(Span::styled(format!(" {}", theme.grade_mark(grade)), theme.grade(grade)));
        }
        line.push_span(Span::styled(close, style));
    }
    put_line(buf, area, &line);
}
