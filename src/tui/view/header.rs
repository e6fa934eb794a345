//! The two lines at the top of a run.
//!
//! ```text
//!  cozyup  lab standard x60  plan cozy-new  run 1a2b3c4d           day 1 Machines
//!  proven 3/11 [###.......]  X 1 BLOCKED  ! 1 LATE  elapsed 12 min  last record 2 s ago
//! ```
//! At the right of the second line, where there is room: how long ago each system answered the worker's observer.
//! Counts of blocked and late steps, and a gate that waits, stand only where there are some.
use super::page::{bar, brief, fit, put, put_line, row};
use crate::base::clock::between;
use crate::base::text::format_duration;
use crate::engine::record::Outcome;
use crate::engine::standing::{Standing, clock_of, standing};
use crate::plan::day_title;
use crate::tui::model::Model;
use crate::tui::model::run::RunModel;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

pub const HEIGHT: u16 = 2;

pub fn render(model: &Model, run: &RunModel, area: Rect, buf: &mut Buffer) {
    who(model, run, row(area, 0), buf);
    how(model, run, row(area, 1), buf);
}

fn who(model: &Model, run: &RunModel, area: Rect, buf: &mut Buffer) {
    let theme = model.theme;
    let width = usize::from(area.width);
    let today = run.today();
    let day = format!("{} ", day_title(today));
    let mut left = format!(" cozyup  {}", theme.safe(&run.title));
    if !run.title.contains(&run.plan.name) {
        left.push_str(&format!("  plan {}", theme.safe(&run.plan.name)));
    }
    if !run.state.run.is_empty() {
        left.push_str(&format!("  run {}", theme.safe(&run.state.run)));
    }
    put(buf, area, &fit(theme, &left, width.saturating_sub(day.width() + 1)), theme.title());
    let at = u16::try_from(day.width()).unwrap_or(area.width).min(area.width);
    let right = Rect { x: area.right().saturating_sub(at), width: at, ..area };
    put(buf, right, &day, theme.strong());
}

fn how(model: &Model, run: &RunModel, area: Rect, buf: &mut Buffer) {
    let theme = model.theme;
    let state = &run.state;
    let now = clock_of(state, model.now);
    let (proven, all) = (state.proven(), state.wanted().count());
    let mut line = Line::default();
    let mut add = |text: String, style| line.push_span(Span::styled(format!(" {text} "), style));
    add(format!("proven {proven}/{all}"), theme.strong());
    if area.width >= 110 {
        let (done, total) = (u64::try_from(proven).unwrap_or(0), u64::try_from(all).unwrap_or(0));
        add(bar(theme, done, total, 22), theme.proven());
    }
    match (&state.ended, &state.stop_asked) {
        (Some(Outcome::Proven), _) => add(format!("{} ended: proven", theme.mark(Standing::Proven)), theme.proven()),
        (Some(Outcome::Blocked), _) => {
            add(format!("{} ended: BLOCKED", theme.mark(Standing::Blocked)), theme.blocked())
        }
        (Some(Outcome::Stopped), _) => add(format!("{} ended: stopped", theme.mark(Standing::Halted)), theme.asks()),
        (None, Some(_)) if run.result.is_none() => add("stopping: acts in hand end first".to_string(), theme.asks()),
        (None, _) => {}
    }
    for (wanted, style) in
        [(Standing::Blocked, theme.blocked()), (Standing::Late, theme.late()), (Standing::Drifted, theme.drifted())]
    {
        let count = state.wanted().filter(|s| standing(s, state, now) == wanted).count();
        if count > 0 {
            add(format!("{} {count} {}", theme.mark(wanted), wanted.word()), style);
        }
    }
    if !run.control.yours && !run.is_over() {
        let who = run.control.by.as_ref().map_or("nobody", |(who, _)| who.as_str());
        add(format!("LOOKS ON: {} has control (t)", theme.safe(who)), theme.asks());
    }
    if let Some(day) = state.gate_waiting().filter(|_| !run.is_over()) {
        add(format!("{} {day} waits for you: g", theme.mark(Standing::Gate)), theme.asks());
    }
    let mut times = Vec::new();
    if let Some(started) = state.started {
        times.push((format!("elapsed {}", format_duration(between(started, now))), theme.plain()));
    }
    match state.last {
        Some(last) if state.ended.is_none() => {
            times.push((format!("last record {} ago", format_duration(between(last, now))), theme.quiet()));
        }
        Some(_) => {}
        None => times.push(("nothing recorded yet".to_string(), theme.quiet())),
    }
    // A time that is cut reads as another time.
    for (text, style) in times {
        if line.width() + text.width() + 2 <= usize::from(area.width) {
            line.push_span(Span::styled(format!(" {text} "), style));
        }
    }
    let free = usize::from(area.width).saturating_sub(line.width());
    put_line(buf, area, &line);
    contacts(model, run, free, area, buf);
}

/// The age of each system's last answer, at the right, where there is room for it.
fn contacts(model: &Model, run: &RunModel, free: usize, area: Rect, buf: &mut Buffer) {
    let theme = model.theme;
    if run.is_over() {
        return;
    }
    let mut line = Line::default();
    for age in run.observed.ages(clock_of(&run.state, model.now)) {
        let (text, style) = match (age.silent, age.last) {
            (Some(silent), _) => (format!("{} silent {}", age.name, brief(silent)), theme.late()),
            (None, Some(last)) => (format!("{} {}", age.name, brief(last)), theme.quiet()),
            (None, None) => continue,
        };
        line.push_span(Span::styled(format!(" {text} "), style));
    }
    if line.width() > 0 && line.width() <= free {
        let width = u16::try_from(line.width()).unwrap_or(area.width);
        put_line(buf, Rect { x: area.right().saturating_sub(width), width, ..area }, &line);
    }
}
