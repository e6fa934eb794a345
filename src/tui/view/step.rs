//! All that is known of one step, as a page.
//!
//! ```text
//! clone cp1 (vm 1001) from template 9100          title
//! day1.clone/cp1
//! ! LATE by 4 min 10 s                            mark and word, how long over the band
//! waits until clone cp1: the task ends            the current condition
//!       for 7 min 10 s (usual 1 min, late after 3 min)
//!      seen transferred 41 of 78 MiB
//!           [#####.....] 41 of 78 MiB, 52 %       only where the target reports a progress
//! failure   what failed, in the target's words
//!      next: what to do
//! evidence  what is proven; then each reading: system, asked, by hand, answer
//! ```
use super::page::{Page, bar, percent};
use crate::base::clock::between;
use crate::base::text::format_duration;
use crate::engine::failure::{Class, Failure};
use crate::engine::proof::Proof;
use crate::engine::standing::{Standing, clock_of, elapsed, late, standing};
use crate::engine::state::{RunState, Status, StepState};
use crate::tui::model::Model;
use crate::tui::panes::time_of_day;
use jiff::Timestamp;
use ratatui::text::{Line, Span};
use std::time::Duration;

const LABEL: usize = 10;

/// A time that goes on, in steps of some seconds: each change costs bytes on a slow line.
fn steady(time: Duration, goes_on: bool) -> Duration {
    let step = match time.as_secs() {
        _ if !goes_on => 1,
        0..=9 => 1,
        10..=59 => 5,
        60..=599 => 10,
        600.. => 60,
    };
    Duration::from_secs(time.as_secs() / step * step)
}

fn label(text: &str) -> String {
    format!("{text:<LABEL$}")
}

/// `whole`: with the answers of the target.
pub fn page(model: &Model, state: &RunState, step: &StepState, width: u16, whole: bool) -> Page {
    let theme = model.theme;
    let now = clock_of(state, model.now);
    let mut page = Page::new(theme, width);
    page.say(theme.strong(), 0, &step.outline.title);
    page.say(theme.quiet(), 0, step.outline.id.as_str());
    status(&mut page, model, state, step, now);
    match &step.status {
        // The condition that it waited for before it failed is of no use any more.
        Status::Retrying { failure, again_at } => failed(&mut page, model, failure, *again_at, now),
        Status::Blocked { failure, again_at, .. } => failed(&mut page, model, failure, *again_at, now),
        Status::Pending | Status::Absent | Status::Acting | Status::Acted | Status::Underway | Status::Proven => {
            waits(&mut page, model, step, now);
        }
    }
    if let Some(why) = &step.drifted {
        page.pair(theme.drifted(), 0, &label("drifted"), why);
    }
    if let Some(proof) = &step.proof {
        evidence(&mut page, model, step, proof, whole);
    }
    before(&mut page, model, state, step);
    if let Some(handle) = &step.handle {
        page.pair(theme.plain(), 0, &label("handle"), handle);
    }
    if !step.outline.by_hand.is_empty() {
        page.say(theme.quiet(), 0, "the same by hand");
        page.block(theme.plain(), 2, &step.outline.by_hand);
    }
    page
}

fn status(page: &mut Page, model: &Model, state: &RunState, step: &StepState, now: Timestamp) {
    let theme = model.theme;
    let standing = standing(step, state, now);
    let mut line =
        vec![Span::styled(format!("{} {}", theme.mark(standing), standing.word()), theme.standing(standing))];
    if let Some(over) = late(step, now).filter(|_| standing == Standing::Late) {
        line.push(Span::styled(format!(" by {}", format_duration(steady(over, true))), theme.late()));
    }
    page.line(Line::from(line));
    let about = match standing {
        Standing::Queued => {
            let queue = step.outline.queue.as_ref();
            queue.map_or(String::new(), |q| format!("queue {}: {} at once", q.name, q.limit))
        }
        Standing::Gate => format!("waits until you begin {}: b", step.outline.day),
        Standing::Late => match &step.wait {
            Some((wait, _)) => format!("waits on: {}", wait.condition),
            None => "waits on: its act to end".to_string(),
        },
        // The failure says it better.
        Standing::Retries | Standing::Blocked => String::new(),
        Standing::Pending
        | Standing::Ready
        | Standing::Confirms
        | Standing::Acts
        | Standing::Waits
        | Standing::Drifted
        | Standing::Halted
        | Standing::Proven => standing.about().to_string(),
    };
    if !about.is_empty() {
        page.say(theme.plain(), 0, &about);
    }
    if let Some(taken) = begun(step, standing, now) {
        let word = if step.finished.is_some() { "took" } else { "elapsed" };
        let usual = format_duration(Duration::from_secs(step.outline.band.usual_s));
        let tries = if step.attempt > 0 { format!(", attempt {}", step.attempt) } else { String::new() };
        page.pair(
            theme.plain(),
            0,
            &label(word),
            &format!("{} (usual {usual}){tries}", format_duration(steady(taken, step.finished.is_none()))),
        );
    }
}

/// The time that a step took, or has taken so far; the time at a gate or in a queue is not its own.
pub(super) fn begun(step: &StepState, standing: Standing, now: Timestamp) -> Option<Duration> {
    match standing {
        Standing::Pending | Standing::Ready | Standing::Queued | Standing::Gate => None,
        Standing::Confirms
        | Standing::Acts
        | Standing::Waits
        | Standing::Retries
        | Standing::Late
        | Standing::Blocked
        | Standing::Drifted
        | Standing::Halted
        | Standing::Proven => elapsed(step, now),
    }
}

fn waits(page: &mut Page, model: &Model, step: &StepState, now: Timestamp) {
    let theme = model.theme;
    let Some((wait, since)) = &step.wait else { return };
    page.pair(theme.strong(), 0, &label("until"), &wait.condition);
    let band = format!(
        "{} (usual {}, late after {})",
        format_duration(steady(between(*since, now), true)),
        format_duration(Duration::from_secs(wait.band.usual_s)),
        format_duration(Duration::from_secs(wait.band.late_s))
    );
    page.pair(theme.plain(), 0, &label("for"), &band);
    page.pair(theme.plain(), 0, &label("seen"), &wait.seen);
    if let Some(progress) = &wait.progress {
        let share = percent(progress.done, progress.total);
        let figures = match progress.unit.as_str() {
            "%" => format!("{share} %"),
            unit => format!("{} of {} {}, {share} %", progress.done, progress.total, theme.safe(unit)),
        };
        let width = page.width().saturating_sub(LABEL).min(30);
        let drawn = bar(theme, progress.done, progress.total, width);
        page.line(Line::from(vec![Span::styled(label(""), theme.quiet()), Span::styled(drawn, theme.working())]));
        page.pair(theme.plain(), 0, &label(""), &figures);
    }
}

fn failed(page: &mut Page, model: &Model, failure: &Failure, again_at: Timestamp, now: Timestamp) {
    let theme = model.theme;
    let (class, style) = match failure.class {
        Class::Retryable => ("goes on by itself", theme.retrying()),
        Class::Person => ("needs you", theme.blocked()),
        Class::Refused => ("refused", theme.blocked()),
        Class::Broken => ("broken", theme.blocked()),
    };
    page.pair(style, 0, &label("failure"), &format!("({class}) {}", failure.what));
    page.pair(theme.strong(), 0, &label("next:"), &failure.next);
    let pause = between(now, again_at);
    // A look that finds nothing new leaves no record, so the next one's time is not always known here.
    let again = if pause.is_zero() {
        "at every look, some seconds apart".to_string()
    } else {
        format!("in {}", format_duration(steady(pause, true)))
    };
    page.pair(theme.plain(), 0, &label("again"), &format!("{again}; r looks at once"));
}

fn evidence(page: &mut Page, model: &Model, step: &StepState, proof: &Proof, whole: bool) {
    let theme = model.theme;
    let style = if step.is_proven() { theme.proven() } else { theme.quiet() };
    let word = if step.is_proven() { "evidence" } else { "earlier" };
    page.pair(style, 0, &label(word), proof.summary());
    for (n, reading) in proof.readings().enumerate() {
        let title = format!("{} {}, at {}Z", n + 1, reading.system, time_of_day(reading.at));
        page.say(theme.strong(), 1, &title);
        page.pair(theme.plain(), 3, "asked   ", &reading.asked);
        page.pair(theme.plain(), 3, "by hand ", &reading.by_hand);
        if whole {
            page.block(theme.plain(), 3, &reading.answer);
            page.blank();
        }
    }
    if !whole {
        page.say(theme.quiet(), 1, "Enter shows the answers");
    }
}

fn before(page: &mut Page, model: &Model, state: &RunState, step: &StepState) {
    let open = step.outline.after.iter().filter(|id| !state.step(id).is_none_or(StepState::is_proven));
    let open: Vec<&str> = open.map(|id| id.as_str()).collect();
    if !open.is_empty() && !step.is_proven() {
        page.pair(model.theme.plain(), 0, &label("after"), &open.join(", "));
    }
}
