//! The lines at the top of a run.
//!
//! ```text
//!  cozyup  lab standard x60  run 1a2b3c4d          Day 3 Platform 9/13  22:51Z
//!  proven 68/98  ~11 min left  X 1 BLOCKED  ! 2 LATE     pve + <10s  k8s X 4m
//!  X blocked: wave 4: cert-manager failed (InstallFailed)              3 more
//! ```
//! The third line stands only where there is trouble: the worst of it in words. At the right of the second: how long ago each
//! system answered the worker's observer. Every time of day is UTC.
use super::page::{bar, coarse, fit, put, put_line, row};
use crate::base::text::about;
use crate::engine::estimate::estimate;
use crate::engine::record::Outcome;
use crate::engine::standing::{Standing, clock_of, standing};
use crate::plan::day_title;
use crate::tui::model::Model;
use crate::tui::model::observed::Age;
use crate::tui::model::run::RunModel;
use crate::tui::panes::{Grade, Moment, time_of_day, troubles};
use crate::tui::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use std::time::Duration;
use unicode_width::UnicodeWidthStr;

/// Below this height of the screen the worst trouble has no line of its own.
const ROOM: u16 = 16;

/// Lines that the header takes on a screen of this height.
pub fn height(model: &Model, run: &RunModel, screen: u16) -> u16 {
    2 + u16::from(screen >= ROOM && !worst(model, run).is_empty())
}

pub fn render(model: &Model, run: &RunModel, area: Rect, buf: &mut Buffer) {
    who(model, run, row(area, 0), buf);
    how(model, run, row(area, 1), buf);
    if area.height > 2 {
        worst_line(model.theme, &worst(model, run), row(area, 2), buf);
    }
}

fn who(model: &Model, run: &RunModel, area: Rect, buf: &mut Buffer) {
    let theme = model.theme;
    let width = usize::from(area.width);
    let today = run.today();
    let (proven, all) = run.day_counts(today);
    let clock = time_of_day(clock_of(&run.state, model.now));
    let day = format!("{} {proven}/{all}  {}Z ", day_title(today), clock.get(..5).unwrap_or_default());
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
    let mut parts: Vec<(String, Style)> = vec![(format!("proven {proven}/{all}"), theme.strong())];
    if area.width >= 110 {
        let (done, total) = (u64::try_from(proven).unwrap_or(0), u64::try_from(all).unwrap_or(0));
        parts.push((bar(theme, done, total, 22), theme.proven()));
    }
    parts.extend(ends(model, run));
    for (wanted, style) in
        [(Standing::Blocked, theme.blocked()), (Standing::Late, theme.late()), (Standing::Drifted, theme.drifted())]
    {
        let count = state.wanted().filter(|s| standing(s, state, now) == wanted).count();
        if count > 0 {
            parts.push((format!("{} {count} {}", theme.mark(wanted), wanted.word()), style));
        }
    }
    if run.read_only {
        parts.push(("RECORD: nothing is asked or changed here".to_string(), theme.asks()));
    } else if !run.control.yours && !run.is_over() {
        let who = run.control.by.as_ref().map_or("nobody", |(who, _)| who.as_str());
        parts.push((format!("LOOKS ON: {} has control (t)", theme.safe(who)), theme.asks()));
    }
    if let Some(day) = state.gate_waiting().filter(|_| !run.is_over() && !run.read_only) {
        parts.push((format!("{} {day} waits for you: b", theme.mark(Standing::Gate)), theme.asks()));
    }
    let mut line = Line::default();
    for (text, style) in parts {
        line.push_span(Span::styled(format!(" {text} "), style));
    }
    let ages = if run.is_over() { Vec::new() } else { run.observed.ages(now, model.wall) };
    let health = contacts(theme, &ages);
    // A time that is cut reads as another time; the first one goes before the health of the systems, the others behind it.
    for (n, (text, style)) in times(model, run).into_iter().enumerate() {
        let kept = if n == 0 { 0 } else { health.width() };
        if line.width() + text.width() + 2 + kept <= usize::from(area.width) {
            line.push_span(Span::styled(format!(" {text} "), style));
        }
    }
    put_line(buf, area, &line);
    if health.width() > 0 && line.width() + health.width() <= usize::from(area.width) {
        let width = u16::try_from(health.width()).unwrap_or(area.width);
        put_line(buf, Rect { x: area.right().saturating_sub(width), width, ..area }, &health);
    }
}

/// How the run has ended, or that it stops.
fn ends(model: &Model, run: &RunModel) -> Option<(String, Style)> {
    let theme = model.theme;
    match (&run.state.ended, &run.state.stop_asked) {
        (Some(Outcome::Proven), _) => Some((format!("{} ended: proven", theme.mark(Standing::Proven)), theme.proven())),
        (Some(Outcome::Blocked), _) => {
            Some((format!("{} ended: BLOCKED", theme.mark(Standing::Blocked)), theme.blocked()))
        }
        (Some(Outcome::Stopped), _) => Some((format!("{} ended: stopped", theme.mark(Standing::Halted)), theme.asks())),
        (None, Some(_)) if run.result.is_none() => Some(("stopping: acts in hand end first".to_string(), theme.asks())),
        (None, _) => None,
    }
}

/// What is left, and how long the run has worked: without the time at gates and between sessions.
fn times(model: &Model, run: &RunModel) -> Vec<(String, Style)> {
    let theme = model.theme;
    let now = clock_of(&run.state, model.now);
    let mut times = Vec::new();
    if let Some(estimate) = estimate(&run.state, now) {
        let left = about(estimate.left);
        let text = if estimate.at_least { format!("{left} left or more") } else { format!("~{left} left") };
        times.push((text, theme.plain()));
    }
    match run.state.worked(now) {
        Some(worked) => times.push((format!("worked {}", coarse(worked)), theme.quiet())),
        None => times.push(("nothing recorded yet".to_string(), theme.quiet())),
    }
    times
}

/// The health of each system and the age of its last answer.
pub fn contacts(theme: Theme, ages: &[Age]) -> Line<'static> {
    let mut line = Line::default();
    for age in ages {
        let (mark, since, style) = match (age.silent, age.last) {
            (Some(silent), _) => (Grade::Bad, coarse(silent), theme.blocked()),
            (None, Some(last)) => (if age.late { Grade::Warn } else { Grade::Good }, fresh(last), theme.quiet()),
            (None, None) => continue,
        };
        line.push_span(Span::styled(format!(" {} ", age.name), style));
        line.push_span(Span::styled(theme.grade_mark(mark), theme.grade(mark)));
        line.push_span(Span::styled(format!(" {since} "), style));
    }
    line
}

/// An age that does not tick while all is well.
fn fresh(age: Duration) -> String {
    if age < Duration::from_secs(10) { "<10s".to_string() } else { coarse(age) }
}

fn worst(model: &Model, run: &RunModel) -> Vec<(Grade, String)> {
    troubles(run, Moment { now: clock_of(&run.state, model.now), wall: model.wall })
}

/// The worst of all, and how many there are beside it.
pub fn worst_line(theme: Theme, all: &[(Grade, String)], area: Rect, buf: &mut Buffer) {
    let Some((grade, text)) = all.first() else { return };
    let more = if all.len() > 1 { format!(" {} more ", all.len() - 1) } else { String::new() };
    let room = usize::from(area.width).saturating_sub(more.width());
    let text = fit(theme, &format!(" {} {}", theme.grade_mark(*grade), theme.safe(text)), room);
    put(buf, area, &text, theme.grade(*grade));
    let width = u16::try_from(more.width()).unwrap_or(area.width).min(area.width);
    put(buf, Rect { x: area.right().saturating_sub(width), width, ..area }, &more, theme.quiet());
}
