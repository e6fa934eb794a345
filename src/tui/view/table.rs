//! A pane of the site: a title with count and age, the heads of the columns, a line for each thing.
//!
//! ```text
//! >2 Proxmox 3/4 run, 1 task, live ------------------------------------------------
//!     VMID MACHINE           VM        CPU   MEM     UP TALOS    NODE     ETCD
//! > + 1001 cozy-new-cp1      running    3% 2.1/24G  26m running  Ready    member
//!   X 1003 cozy-new-cp3      STOPPED                    SILENT   NotReady MISSING
//!         Talos is silent since 22:49:12 (4 min): can't be reached
//! ```
//! Columns that have no room go, the least important first; the page of a line (Enter) has everything.
use super::page::{Page, cell, coarse, fit, pane_with, rows, top_for};
use crate::tui::model::Model;
use crate::tui::model::observed::Reading;
use crate::tui::model::run::{Pane, RunModel};
use crate::tui::panes::{self, Body, Column, Grade, Item, Moment, Table, time_of_day};
use crate::tui::theme::{Sign, Theme};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

/// Cursor, mark and the space behind them.
pub const LEAD: usize = 4;

pub fn of(model: &Model, run: &RunModel, pane: Pane) -> Option<Table> {
    panes::table(run, pane, Moment { now: model.now, wall: model.wall })
}

/// Rows that the whole pane would take.
pub fn wanted(table: &Table) -> u16 {
    match table.items.len() {
        0 => 1,
        n => u16::try_from(n).unwrap_or(u16::MAX).saturating_add(2),
    }
}

/// A pane as it is to be drawn.
pub struct Shown<'a> {
    /// With its digit.
    pub name: &'a str,
    pub table: &'a Table,
    /// The key of the selected line.
    pub picked: Option<&'a String>,
    /// What is left out, for the title.
    pub left_out: String,
    /// It has the keyboard.
    pub focused: bool,
}

/// Draws the pane; gives the rows that a page of it has.
pub fn render(theme: Theme, shown: &Shown<'_>, area: Rect, buf: &mut Buffer) -> usize {
    let Shown { table, focused, .. } = *shown;
    let title = title(theme, shown, usize::from(area.width), area.height < 2);
    let inner = pane_with(buf, theme, area, title, false);
    if table.items.is_empty() {
        let mut page = Page::new(theme, inner.width);
        page.say(theme.quiet(), 1, &table.empty);
        page.draw(buf, inner, 0);
        return usize::from(inner.height);
    }
    let widths = widths(table.columns, usize::from(inner.width).saturating_sub(LEAD));
    let with_head = inner.height >= 4 && table.items.iter().any(|item| matches!(item.body, Body::Cells(_)));
    let mut list = inner;
    if with_head {
        let heads: Vec<&str> = table.columns.iter().map(|c| c.head).collect();
        let text = format!("{}{}", " ".repeat(LEAD), cells(theme, table.columns, &widths, &heads));
        super::page::put(buf, Rect { height: 1, ..inner }, &text, theme.quiet());
        list = Rect { y: inner.y.saturating_add(1), height: inner.height.saturating_sub(1), ..inner };
    }
    let cursor = table.at(shown.picked);
    let top = top_for(cursor, table.items.len(), list.height);
    rows(buf, list, top, table.items.len(), |n| match table.items.get(n) {
        Some(item) => item_line(theme, table.columns, &widths, item, n == cursor, focused, usize::from(list.width)),
        None => Line::default(),
    });
    usize::from(list.height)
}

/// All that is known of the selected line.
pub fn page(theme: Theme, table: Option<&Table>, picked: Option<&String>, width: u16) -> Page {
    let mut page = Page::new(theme, width);
    let item = table.and_then(|table| table.items.iter().find(|item| Some(&item.key) == picked));
    let Some(item) = item else {
        page.say(theme.plain(), 0, "it is no longer there");
        return page;
    };
    page.say(theme.strong(), 0, &item.text());
    page.blank();
    for (label, text) in &item.about {
        page.pair(theme.plain(), 0, &format!("{label:<12}"), text);
    }
    page
}

fn title(theme: Theme, shown: &Shown<'_>, width: usize, alone: bool) -> Line<'static> {
    let Shown { name, table, focused, .. } = *shown;
    let sign = if focused { theme.sign(Sign::Cursor) } else { " " };
    let style = if focused { theme.title() } else { theme.quiet() };
    // A pane of one row has no other place for what it would say.
    let said = if alone && table.items.is_empty() { &table.empty } else { &table.count };
    let (age, age_style) = age(theme, table.reading);
    let tail = if age.is_empty() { age } else { format!(", {age}") };
    let gap = if said.is_empty() { "" } else { ": " };
    // The count gives way to the age.
    let kept = tail.width().min(width / 2);
    let head = format!("{sign}{name}{gap}{}{}", theme.safe(said), shown.left_out);
    let head = fit(theme, &head, width.saturating_sub(kept + 1));
    let tail = fit(theme, &tail, width.saturating_sub(head.width() + 1));
    Line::from(vec![Span::styled(head, style), Span::styled(tail, age_style), Span::styled(" ", style)])
}

fn age(theme: Theme, reading: Reading) -> (String, Style) {
    match reading {
        Reading::None => (String::new(), theme.quiet()),
        Reading::Live => ("live".to_string(), theme.quiet()),
        Reading::Late(age) => (format!("LATE: read {} ago", coarse(age)), theme.late()),
        Reading::Silent(since, silent, cause) => {
            (format!("SILENT since {} ({}): {}", time_of_day(since), coarse(silent), cause.as_str()), theme.late())
        }
    }
}

/// The width of each column that is shown; 0: it is not.
pub fn widths(columns: &[Column], room: usize) -> Vec<usize> {
    let mut widths: Vec<usize> = columns.iter().map(|c| usize::from(c.width)).collect();
    let used = |widths: &[usize]| widths.iter().filter(|w| **w > 0).map(|w| w + 1).sum::<usize>().saturating_sub(1);
    while used(&widths) > room {
        let shown = columns.iter().zip(widths.iter_mut()).filter(|(column, width)| column.rank > 0 && **width > 0);
        match shown.max_by_key(|(column, _)| column.rank) {
            Some((_, width)) => *width = 0,
            None => break,
        }
    }
    let mut spare = room.saturating_sub(used(&widths));
    let growing = columns.iter().zip(widths.iter_mut()).filter(|(column, width)| column.grows && **width > 0);
    let mut growing: Vec<&mut usize> = growing.map(|(_, width)| width).collect();
    // Equal shares; the first ones get what does not divide.
    let mut left = growing.len();
    for width in &mut growing {
        let share = spare.div_ceil(left.max(1));
        **width += share;
        spare -= share;
        left -= 1;
    }
    widths
}

/// The texts of a row in their columns.
pub fn cells(theme: Theme, columns: &[Column], widths: &[usize], texts: &[impl AsRef<str>]) -> String {
    let mut out = String::new();
    let shown = columns.iter().zip(widths).zip(texts).filter(|((_, width), _)| **width > 0);
    for ((column, width), text) in shown {
        let text = fit(theme, &theme.safe(text.as_ref()), *width);
        let air = " ".repeat(width.saturating_sub(text.width()));
        let cell = if column.right { format!("{air}{text}") } else { format!("{text}{air}") };
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(&cell);
    }
    out
}

fn item_line(
    theme: Theme,
    columns: &[Column],
    widths: &[usize],
    item: &Item,
    here: bool,
    focused: bool,
    width: usize,
) -> Line<'static> {
    let selected = here && focused;
    let sign = if selected { theme.sign(Sign::Cursor) } else { " " };
    let (mark, mark_style) = (theme.grade_mark(item.grade), theme.grade(item.grade));
    let style = match item.grade {
        Grade::Quiet => theme.quiet(),
        Grade::Good | Grade::Moves | Grade::Warn | Grade::Bad => theme.plain(),
    };
    let text = match &item.body {
        Body::Cells(texts) => cells(theme, columns, widths, texts),
        Body::Line(indent, text) => format!("{}{}", " ".repeat(*indent), theme.safe(text)),
    };
    let text = cell(theme, &text, width.saturating_sub(LEAD));
    let (lead_style, mark_style, style) = if selected {
        (theme.selected(), theme.selected(), theme.selected())
    } else {
        (theme.plain(), mark_style, style)
    };
    Line::from(vec![
        Span::styled(format!("{sign} "), lead_style),
        Span::styled(format!("{mark} "), mark_style),
        Span::styled(text, style),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::panes::column;

    #[test]
    fn columns_go_by_their_rank_and_what_is_left_over_goes_to_those_that_grow() {
        let columns = [column("A", 5), column("B", 10).grows(), column("C", 4).rank(2), column("D", 4).rank(1)];
        assert_eq!(widths(&columns, 40), [5, 24, 4, 4]);
        assert_eq!(widths(&columns, 24), [5, 13, 0, 4]);
        assert_eq!(widths(&columns, 17), [5, 11, 0, 0]);
        assert_eq!(widths(&columns, 3), [5, 10, 0, 0], "the rest is cut at the edge");
        assert_eq!(widths(&[], 3), Vec::<usize>::new());
    }
}
