//! The days of the plan and their steps.
//!
//! ```text
//! >1 Steps -----------------------------|
//!  + Day 0 Check           proven 2/2   |   + folded, - open
//!  - Day 1 Machines               1/4   |
//!  > ! LATE     clone cp1 (vm 1~  4m10  |   cursor, mark, word, title, elapsed
//!    = queued   clone cp2 (vm 10~       |
//! ```
//! From 64 columns on: also the usual time and the number of attempts.
use super::narrowed;
use super::page::{brief, cell, coarse, pane, rows, top_for};
use super::step::begun;
use crate::base::clock::between;
use crate::base::day::Day;
use crate::engine::standing::{Standing, clock_of, standing};
use crate::engine::state::StepState;
use crate::plan::day_title;
use crate::tui::model::Model;
use crate::tui::model::run::{Pane, Row, RunModel};
use crate::tui::theme::Sign;
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use std::time::Duration;
use unicode_width::UnicodeWidthStr;

/// From this width on a row has more columns.
const WIDE: usize = 64;

/// `rule`: something follows at the right.
pub fn render(model: &Model, run: &RunModel, area: Rect, buf: &mut Buffer, focused: bool, rule: bool) -> usize {
    let theme = model.theme;
    let follows = if run.follow { " (follows)" } else { "" };
    let title = format!("{}{follows}{}", Pane::Days.name(), narrowed(theme, run.problems, run.find_in(Pane::Days)));
    let inner = pane(buf, theme, area, &title, focused, rule);
    let list = run.rows();
    let cursor = run.row_index(&list);
    let now = clock_of(&run.state, model.now);
    let width = usize::from(inner.width);
    let top = top_for(cursor, list.len(), inner.height);
    rows(buf, inner, top, list.len(), |n| match list.get(n) {
        Some(Row::Day(day)) => day_line(model, run, *day, (n == cursor, focused), width, now),
        Some(Row::Step(id)) => match run.state.step(id) {
            Some(step) => step_line(model, run, step, (n == cursor, focused), width, now),
            None => Line::default(),
        },
        None => Line::default(),
    });
    usize::from(inner.height)
}

/// The line has the cursor, and the pane the keyboard.
type Here = (bool, bool);

fn marked(model: &Model, here: Here, style: Style) -> (&'static str, Style) {
    match here {
        (true, true) => (model.theme.sign(Sign::Cursor), model.theme.selected()),
        (true, false) => (model.theme.sign(Sign::Cursor), style),
        (false, _) => (" ", style),
    }
}

fn day_line(model: &Model, run: &RunModel, day: Day, here: Here, width: usize, now: Timestamp) -> Line<'static> {
    let theme = model.theme;
    let (proven, all) = run.day_counts(day);
    let steps = || run.state.wanted().filter(|s| s.outline.day == day);
    let worst = steps().map(|s| standing(s, &run.state, now)).max_by_key(|s| s.severity());
    // Only what a person should look at is said of a whole day.
    let (said, style) = match worst {
        Some(Standing::Proven) if all > 0 => {
            let took = took(steps()).map_or(String::new(), |d| format!(" {}", brief(d)));
            (format!("{} proven{took}", theme.mark(Standing::Proven)), theme.proven())
        }
        Some(w @ (Standing::Blocked | Standing::Late | Standing::Drifted | Standing::Gate)) => {
            (format!("{} {}", theme.mark(w), w.word()), theme.standing(w))
        }
        Some(_) | None => (String::new(), theme.plain()),
    };
    let sign = theme.sign(if run.is_folded(day) { Sign::Folded } else { Sign::Open });
    let count = format!("{proven}/{all}");
    let (cursor, line_style) = marked(model, here, theme.strong());
    let tail = format!("{said} {count:>5}");
    let tail_width = tail.width();
    let head = cell(theme, &format!("{cursor}{sign} {}", day_title(day)), width.saturating_sub(tail_width + 1));
    let tail_style = if here == (true, true) { line_style } else { style };
    Line::from(vec![Span::styled(head, line_style), Span::styled(format!(" {tail}"), tail_style)])
}

/// From the first start to the last end of proven steps.
fn took<'a>(steps: impl Iterator<Item = &'a StepState>) -> Option<Duration> {
    let times: Vec<_> = steps.filter_map(|s| Some((s.started?, s.finished?))).collect();
    let first = times.iter().map(|t| t.0).min()?;
    let last = times.iter().map(|t| t.1).max()?;
    Some(between(first, last))
}

fn step_line(
    model: &Model,
    run: &RunModel,
    step: &StepState,
    here: Here,
    width: usize,
    now: Timestamp,
) -> Line<'static> {
    let theme = model.theme;
    let standing = standing(step, &run.state, now);
    let style = theme.standing(standing);
    let (cursor, title_style) = marked(model, here, theme.plain());
    let time = time_of(step, standing, now);
    let text = theme.safe(&step.outline.title);
    let usual = format!("~{}", brief(Duration::from_secs(step.outline.band.usual_s)));
    let tries = if step.attempt > 1 { format!("try {}", step.attempt) } else { String::new() };
    // On a narrow screen the mark is enough, but where a person should look.
    let word = if width >= WIDE || standing.word() != standing.name() {
        format!("{:<8} ", standing.word())
    } else {
        String::new()
    };
    let room = width.saturating_sub(4 + word.len());
    // The title comes first: what is usual and the number of tries stand where it leaves room.
    let fits = |more: &str| text.width() + 1 + more.width() <= room;
    let more = [format!("{tries:<6} {usual:>6} {time:>6}"), format!("{tries} {time:>6}")]
        .into_iter()
        .find(|more| width >= WIDE && fits(more));
    let more = more.unwrap_or(time);
    let title = cell(theme, &text, room.saturating_sub(more.width() + 1));
    let state = format!("{} {word}", theme.mark(standing));
    // One unbroken bar.
    let style = if here == (true, true) { style.patch(theme.selected()) } else { style };
    Line::from(vec![
        Span::styled(format!("{cursor} "), title_style),
        Span::styled(state, style),
        Span::styled(format!("{title} {more}"), title_style),
    ])
}

fn time_of(step: &StepState, standing: Standing, now: Timestamp) -> String {
    begun(step, standing, now).map(if step.finished.is_some() { brief } else { coarse }).unwrap_or_default()
}
