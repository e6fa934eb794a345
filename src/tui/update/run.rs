//! Keys and records on the screen of a run.
use super::{Around, dialogs, find, mend, moved, table};
use crate::base::day::Day;
use crate::engine::record::{Outcome, Record};
use crate::engine::standing::{Standing, clock_of, standing};
use crate::engine::state::{Status, StepState};
use crate::engine::step::StepId;
use crate::session::protocol::{Control, Request};
use crate::tui::RunEnd;
use crate::tui::keymap::Action;
use crate::tui::message::{Cmd, End};
use crate::tui::model::run::{Dialog, Full, Pane, Row, RunModel};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Time has passed: what is late now is told, what needs attention is followed.
pub fn clock(run: &mut RunModel, now: Timestamp) {
    let at = clock_of(&run.state, now);
    let is_late = |s: &&StepState| standing(s, &run.state, at) == Standing::Late;
    let late_now: BTreeSet<StepId> = run.state.wanted().filter(is_late).map(|s| s.outline.id.clone()).collect();
    for id in late_now.difference(&run.late) {
        let Some(step) = run.state.step(id) else { continue };
        let on = step.wait.as_ref().map_or("its act to end", |(wait, _)| wait.condition.as_str());
        run.feed.say_late(at, id, &format!("takes longer than it should; waits on: {on}"));
    }
    run.late = late_now;
    run.follow_attention(now);
}

pub fn records(run: &mut RunModel, records: &[Arc<Record>], around: &mut Around<'_>) {
    for record in records {
        run.observed.note(record);
        let mut new = run.feed.take(record, &run.state);
        if run.is_narrowed(Pane::Log) {
            let newest: Vec<_> = run.feed.newest().take(new).cloned().collect();
            new = newest.iter().filter(|line| run.finds_line(line)).count();
        }
        if run.log_back > 0 {
            // The lines that a person is reading stay in place.
            run.log_back = (run.log_back + new).min(run.feed.len().saturating_sub(1));
        }
        run.state.apply(record);
    }
    run.follow_attention(around.now);
    let before = run.dialog;
    settle_gate(run, around.wall);
    // What was said before must not stand over the keys of a question.
    if run.dialog.is_some() && before != run.dialog {
        *around.notice = None;
    }
}

/// Opens the question for a waiting gate, closes it when somebody else has answered.
pub(super) fn settle_gate(run: &mut RunModel, wall: Duration) {
    let mute = run.is_over() || run.state.stop_asked.is_some() || !run.control.yours;
    let waiting = if mute { None } else { run.state.gate_waiting() };
    if let Some(Dialog::Gate { day, .. }) = run.dialog
        && waiting != Some(day)
    {
        run.dialog = None;
    }
    if let Some(day) = waiting
        && run.dialog.is_none()
        && !run.later.contains(&day)
    {
        run.dialog = Some(Dialog::Gate { day, by_hand: false, scroll: 0, since: wall });
    }
}

pub fn finished(run: &mut RunModel, text: String) -> Vec<Cmd> {
    run.result = Some(text);
    if run.dialog == Some(Dialog::Stopping) {
        return end(run);
    }
    run.dialog = Some(Dialog::Result { scroll: 0 });
    Vec::new()
}

/// Takes note that another screen may ask things of the run.
pub fn control(run: &mut RunModel, control: Control, around: &mut Around<'_>) -> Vec<Cmd> {
    match (&control.by, control.yours, run.control.yours) {
        (_, true, false) => around.say("this screen has control of the run now"),
        (Some((who, _)), false, true) => around.say(format!("{who} has taken control; this screen only looks on")),
        (None, false, true) => around.say("nobody has control of the run; t takes it"),
        (_, true, true) | (_, false, false) => {}
    }
    run.control = control;
    settle_gate(run, around.wall);
    Vec::new()
}

/// Without the terminal there is nobody to ask, and the run needs nobody.
pub fn hangup(run: &RunModel) -> Vec<Cmd> {
    end(run)
}

pub(super) fn end(run: &RunModel) -> Vec<Cmd> {
    let end = match (run.state.ended, run.stopped_here) {
        (Some(Outcome::Proven | Outcome::Blocked), _) => RunEnd::Quit,
        (Some(Outcome::Stopped) | None, true) => RunEnd::Stopped,
        (Some(Outcome::Stopped) | None, false) if run.is_over() => RunEnd::Quit,
        (Some(Outcome::Stopped) | None, false) => RunEnd::Left,
    };
    vec![Cmd::End(End::Run(end))]
}

pub(super) fn stop_and_quit(run: &mut RunModel) -> Vec<Cmd> {
    run.dialog = Some(Dialog::Stopping);
    stop(run)
}

pub(super) fn stop(run: &mut RunModel) -> Vec<Cmd> {
    run.stopped_here = true;
    if run.state.stop_asked.is_some() {
        return Vec::new();
    }
    vec![Cmd::Ask(Request::Stop)]
}

pub(super) fn quit(run: &mut RunModel) -> Vec<Cmd> {
    if run.is_over() || !run.control.yours {
        return end(run);
    }
    let stopping = run.state.stop_asked.is_some();
    run.dialog = Some(if stopping { Dialog::Stopping } else { Dialog::Quit { stop: false } });
    if stopping {
        run.stopped_here = true;
    }
    Vec::new()
}

pub fn act(run: &mut RunModel, action: Action, around: &mut Around<'_>) -> Vec<Cmd> {
    if run.read_only && matches!(action, Action::Retry | Action::Gate | Action::Stop | Action::TakeControl) {
        let go_on = run.state.course.resume_command();
        around.say(format!("this is the record of a run, nothing can be asked of it; `{go_on}` goes on with it"));
        return Vec::new();
    }
    let needs_control = matches!(action, Action::Retry | Action::Gate | Action::Stop);
    if needs_control && !run.control.yours && !run.is_over() {
        let who = run.control.by.as_ref().map_or("nobody", |(who, _)| who.as_str());
        around.say(format!("this screen only looks on: {who} has control; t takes it"));
        return Vec::new();
    }
    if run.dialog.is_none() && run.typing.is_some() {
        return find::act(run, action, around);
    }
    if run.dialog.is_none() && find::is_for(action) {
        return find::begin(run, action, around);
    }
    match run.dialog {
        Some(dialog) => {
            let commands = dialogs::act(run, dialog, action, around);
            settle_gate(run, around.wall);
            commands
        }
        None => act_on(run, action, around),
    }
}

/// A key for what lies under every question.
pub(super) fn act_on(run: &mut RunModel, action: Action, around: &mut Around<'_>) -> Vec<Cmd> {
    match run.full {
        Some(full) => in_full(run, full, action, around),
        None => in_panes(run, action, around),
    }
}

fn in_full(run: &mut RunModel, full: Full, action: Action, around: &mut Around<'_>) -> Vec<Cmd> {
    match action {
        Action::Back if !run.find.is_empty() => run.find.clear(),
        Action::Back | Action::Enter => {
            run.find.clear();
            run.full = None;
        }
        Action::Log | Action::Raw => return table::log_or_raw(run, action, around),
        Action::Go(digit) => {
            run.full = None;
            go(run, digit);
        }
        Action::Retry if mend::offer(run, around) => {}
        Action::Retry => return retry(run, around),
        Action::Quit | Action::Interrupt => return quit(run),
        other => match full {
            Full::Log => scroll_log(run, other, around),
            Full::Detail | Full::Findings | Full::Item(_) | Full::Answer(_) => {
                if let Some(at) = moved(other, run.full_scroll, around.drawn.over_max, around.drawn.page) {
                    run.full_scroll = at;
                }
            }
        },
    }
    Vec::new()
}

/// The panes in the order of Tab: those of the site only when something of it was seen.
fn ring(run: &RunModel) -> Vec<Pane> {
    let site: &[Pane] = if run.observed.is_empty() { &[] } else { &Pane::OF_SITE };
    [&[Pane::Days, Pane::Detail], site, &[Pane::Log]].concat()
}

fn choose(run: &mut RunModel, pane: Pane) {
    if pane != run.pane {
        run.find.clear();
    }
    run.pane = pane;
    run.pinned = true;
    if pane.is_of_site() {
        run.site = pane;
    }
}

/// To the pane with this digit.
fn go(run: &mut RunModel, digit: usize) {
    if let Some(pane) = digit.checked_sub(1).and_then(|n| Pane::WITH_DIGIT.get(n)) {
        choose(run, *pane);
    }
}

fn in_panes(run: &mut RunModel, action: Action, around: &mut Around<'_>) -> Vec<Cmd> {
    let here = run.keyboard(around.drawn.tabs);
    match action {
        Action::NextPane | Action::PreviousPane => {
            let ring = ring(run);
            let at = ring.iter().position(|pane| *pane == here).unwrap_or(0);
            let by = if action == Action::NextPane { 1 } else { ring.len() - 1 };
            choose(run, ring.get((at + by) % ring.len()).copied().unwrap_or(Pane::Days));
        }
        Action::Go(digit) => go(run, digit),
        Action::Back if run.problems || !run.find.is_empty() => (run.problems, run.find) = (false, String::new()),
        Action::Back => choose(run, Pane::Days),
        Action::Retry if mend::offer(run, around) => {}
        Action::Retry => return retry(run, around),
        Action::Gate => gate(run, around),
        Action::Stop => ask_to_stop(run, around),
        Action::TakeControl => return take_control(run, around),
        Action::Log | Action::Raw => return table::log_or_raw(run, action, around),
        Action::Describe => open(run, here, around),
        Action::Findings => {
            run.full = Some(Full::Findings);
            run.full_scroll = 0;
        }
        Action::Follow => {
            run.follow = !run.follow;
            if run.follow {
                (run.pinned, run.pane) = (false, Pane::Days);
            }
            run.follow_attention(around.now);
            around.say(if run.follow { "the selection follows what needs attention" } else { "the selection stays" });
        }
        Action::Quit | Action::Interrupt => return quit(run),
        other => {
            // Who moves in a pane that came by itself wants to stay in it.
            if around.drawn.tabs {
                choose(run, here);
            }
            in_pane(run, here, other, around);
        }
    }
    Vec::new()
}

/// A key for the pane that has the keyboard.
fn in_pane(run: &mut RunModel, here: Pane, action: Action, around: &Around<'_>) {
    match (here, action) {
        (_, Action::Enter) => open(run, here, around),
        (Pane::Days, Action::Left) => fold(run, true),
        (Pane::Days, Action::Right) => fold(run, false),
        (Pane::Days, other) => move_cursor(run, other, around),
        (Pane::Detail, other) => {
            if let Some(at) = moved(other, run.detail_scroll, around.drawn.detail_max, around.drawn.page) {
                run.detail_scroll = at;
            }
        }
        (Pane::Log, other) => scroll_log(run, other, around),
        (Pane::Proxmox | Pane::Talos | Pane::Releases | Pane::Pods | Pane::Events, other) => {
            table::act(run, here, other, around);
        }
    }
}

fn gate(run: &mut RunModel, around: &mut Around<'_>) {
    match run.state.gate_waiting().filter(|_| !run.is_over()) {
        Some(day) => {
            run.later.remove(&day);
            run.dialog = Some(Dialog::Gate { day, by_hand: false, scroll: 0, since: Duration::ZERO });
        }
        None => around.say("no day waits for you"),
    }
}

fn ask_to_stop(run: &mut RunModel, around: &mut Around<'_>) {
    if run.is_over() {
        around.say("the run has ended");
    } else if run.state.stop_asked.is_some() {
        around.say("the run is stopping already");
    } else {
        run.dialog = Some(Dialog::Stop { stop: false });
    }
}

fn take_control(run: &mut RunModel, around: &mut Around<'_>) -> Vec<Cmd> {
    if run.control.yours {
        around.say("this screen has control already");
    } else if run.is_over() {
        around.say("the run has ended");
    } else if run.control.by.is_some() {
        run.dialog = Some(Dialog::Take);
    } else {
        return vec![Cmd::Ask(Request::TakeControl)];
    }
    Vec::new()
}

fn move_cursor(run: &mut RunModel, action: Action, around: &Around<'_>) {
    let rows = run.rows();
    let at = run.row_index(&rows);
    if let Some(to) = moved(action, at, rows.len().saturating_sub(1), around.drawn.page)
        && let Some(row) = rows.get(to)
    {
        run.cursor = row.clone();
        run.follow = false;
        run.detail_scroll = 0;
    }
}

fn open(run: &mut RunModel, here: Pane, around: &Around<'_>) {
    match here {
        Pane::Log => run.full = Some(Full::Log),
        Pane::Detail => {
            run.full = Some(Full::Detail);
            run.full_scroll = run.detail_scroll;
        }
        Pane::Days => match run.current() {
            Row::Day(day) => fold(run, !run.is_folded(day)),
            Row::Step(_) => {
                run.full = Some(Full::Detail);
                run.full_scroll = 0;
            }
        },
        Pane::Proxmox | Pane::Talos | Pane::Releases | Pane::Pods | Pane::Events => table::open(run, here, around),
    }
}

fn fold(run: &mut RunModel, folded: bool) {
    let day = match run.current() {
        Row::Day(day) => day,
        Row::Step(id) => run.state.step(&id).map_or(Day::Number(0), |s| s.outline.day),
    };
    run.folded.insert(day, folded);
    if folded {
        run.cursor = Row::Day(day);
        run.follow = false;
        run.detail_scroll = 0;
    }
}

fn scroll_log(run: &mut RunModel, action: Action, around: &Around<'_>) {
    let last = run.log_lines().saturating_sub(1);
    let from_top = last.saturating_sub(run.log_back);
    if let Some(to) = moved(action, from_top, last, around.drawn.page) {
        run.log_back = last.saturating_sub(to);
    }
}

fn retry(run: &RunModel, around: &mut Around<'_>) -> Vec<Cmd> {
    let steps: Vec<StepId> = match run.current() {
        Row::Step(id) => vec![id],
        Row::Day(day) => run.state.wanted().filter(|s| s.outline.day == day).map(|s| s.outline.id.clone()).collect(),
    };
    if run.is_over() {
        around.say(format!("the run has ended: `{}` goes on with it", run.state.course.resume_command()));
        return Vec::new();
    }
    let (waiting, rest): (Vec<StepId>, Vec<StepId>) =
        steps.into_iter().partition(|id| run.state.step(id).is_some_and(|s| can_retry(&s.status)));
    match (waiting.as_slice(), rest.as_slice()) {
        ([], [only]) => {
            let now = clock_of(&run.state, around.now);
            let word = run.state.step(only).map_or("unknown", |s| standing(s, &run.state, now).word());
            around.say(format!("nothing to retry: {only} has not failed ({word})"));
        }
        ([], _) => around.say("nothing to retry in this day: no step has failed"),
        ([one], _) => around.say(format!("looks at {one} again now")),
        (several, _) => around.say(format!("looks at {} steps again now", several.len())),
    }
    waiting.into_iter().map(|step| Cmd::Ask(Request::Retry { step })).collect()
}

fn can_retry(status: &Status) -> bool {
    match status {
        Status::Retrying { .. } | Status::Blocked { .. } => true,
        Status::Pending | Status::Absent | Status::Acting | Status::Acted | Status::Underway | Status::Proven => false,
    }
}
