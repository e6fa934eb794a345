//! The log of the run, newest last.
//!
//! ```text
//!  7 Log ------------------------------------------------------------------------
//!  00:00:45 > acts     day1.clone/cp1 clone cp1 (vm 1001) from template 9100
//!  00:01:00   log      day1.clone/cp1 task: transferred 41 of 78 MiB
//! ```
//! On the full screen long lines are wrapped.
use super::narrowed;
use super::page::{cell, fit, pane, put_line, row, wrap};
use crate::engine::describe::News;
use crate::tui::feed::FeedLine;
use crate::tui::model::Model;
use crate::tui::model::run::{Pane, RunModel};
use crate::tui::panes::time_of_day;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// `full`: over-long lines are wrapped.
pub fn render(model: &Model, run: &RunModel, area: Rect, buf: &mut Buffer, focused: bool, full: bool) -> usize {
    let theme = model.theme;
    let title = match run.log_back {
        0 => format!("{} (times in UTC)", Pane::Log.name()),
        back => format!("{} ({back} newer lines below; End follows)", Pane::Log.name()),
    };
    let title = format!("{title}{}", narrowed(theme, run.problems, run.find_in(Pane::Log)));
    let inner = pane(buf, theme, area, &title, focused, false);
    let width = usize::from(inner.width);
    let height = usize::from(inner.height);
    // Built from the newest back until the pane is full: the length of the log does not matter.
    let mut lines: Vec<Line<'static>> = Vec::new();
    let shown = run.feed.newest().filter(|line| !run.is_narrowed(Pane::Log) || run.finds_line(line));
    for entry in shown.skip(run.log_back) {
        if lines.len() >= height {
            break;
        }
        let mut these = entry_lines(model, entry, width, full);
        these.reverse();
        lines.extend(these);
    }
    lines.truncate(height);
    for (n, line) in lines.iter().rev().enumerate() {
        put_line(buf, row(inner, n), line);
    }
    height
}

fn entry_lines(model: &Model, entry: &FeedLine, width: usize, full: bool) -> Vec<Line<'static>> {
    let theme = model.theme;
    let (mark, style) = match entry.news.standing() {
        Some(s) => (theme.mark(s), theme.standing(s)),
        None => (" ", theme.quiet()),
    };
    let word = entry.news.word();
    let lead = format!(" {} ", time_of_day(entry.at));
    let state = format!("{mark} {word:<8} ");
    let step = entry.step.as_ref().map(|s| format!("{s} ")).unwrap_or_default();
    let text = theme.safe(&format!("{step}{}", entry.text));
    let hang = 21;
    let room = width.saturating_sub(hang).max(1);
    let parts = if full { wrap(&text, room) } else { vec![fit(theme, &text, room)] };
    let build = |(n, part): (usize, String)| {
        if n > 0 {
            return Line::from(Span::styled(format!("{}{part}", cell(theme, "", hang)), theme.plain()));
        }
        Line::from(vec![
            Span::styled(lead.clone(), theme.quiet()),
            Span::styled(state.clone(), style),
            Span::styled(part, if entry.news == News::Log { theme.quiet() } else { theme.plain() }),
        ])
    };
    parts.into_iter().enumerate().map(build).collect()
}
