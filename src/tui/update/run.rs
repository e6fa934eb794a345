//! Keys and records on the screen of a run.
use super::{Around, moved};
use crate::base::day::Day;
use crate::engine::record::{Outcome, Record};
use crate::engine::standing::{clock_of, standing};
use crate::engine::state::Status;
use crate::engine::step::StepId;
use crate::session::protocol::{Control, Request};
use crate::tui::RunEnd;
use crate::tui::keymap::Action;
use crate::tui::message::{Cmd, End};
use crate::tui::model::run::{Dialog, Full, Pane, Row, RunModel};
use std::sync::Arc;
use std::time::Duration;

/// A gate that comes by itself takes no Enter for this long: the finger may have meant something else.
const TAKE_IN: Duration = Duration::from_millis(400);

pub fn records(run: &mut RunModel, records: &[Arc<Record>], around: &Around<'_>) {
    for record in records {
        let new = run.feed.take(record, &run.state);
        if run.log_back > 0 {
            // The lines that a person is reading stay in place.
            run.log_back = (run.log_back + new).min(run.feed.len().saturating_sub(1));
        }
        run.state.apply(record);
    }
    run.follow_attention(around.now);
    settle_gate(run, around.wall);
}

/// Opens the question for a waiting gate, closes it when somebody else has answered.
fn settle_gate(run: &mut RunModel, wall: Duration) {
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
pub fn control(run: &mut RunModel, control: Control, around: &mut Around<'_>) {
    match (&control.by, control.yours, run.control.yours) {
        (_, true, false) => around.say("this screen has control of the run now"),
        (Some((who, _)), false, true) => around.say(format!("{who} has taken control; this screen only looks on")),
        (None, false, true) => around.say("nobody has control of the run; t takes it"),
        (_, true, true) | (_, false, false) => {}
    }
    run.control = control;
    settle_gate(run, around.wall);
}

/// Without the terminal there is nobody to ask, and the run needs nobody.
pub fn hangup(run: &RunModel) -> Vec<Cmd> {
    end(run)
}

fn end(run: &RunModel) -> Vec<Cmd> {
    let end = match (run.state.ended, run.stopped_here) {
        (Some(Outcome::Proven | Outcome::Blocked), _) => RunEnd::Quit,
        (Some(Outcome::Stopped) | None, true) => RunEnd::Stopped,
        (Some(Outcome::Stopped) | None, false) if run.is_over() => RunEnd::Quit,
        (Some(Outcome::Stopped) | None, false) => RunEnd::Left,
    };
    vec![Cmd::End(End::Run(end))]
}

fn stop_and_quit(run: &mut RunModel) -> Vec<Cmd> {
    run.dialog = Some(Dialog::Stopping);
    stop(run)
}

fn stop(run: &mut RunModel) -> Vec<Cmd> {
    run.stopped_here = true;
    if run.state.stop_asked.is_some() {
        return Vec::new();
    }
    vec![Cmd::Ask(Request::Stop)]
}

fn quit(run: &mut RunModel) -> Vec<Cmd> {
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
    let needs_control = matches!(action, Action::Retry | Action::Gate | Action::Stop);
    if needs_control && !run.control.yours && !run.is_over() {
        let who = run.control.by.as_ref().map_or("nobody", |(who, _)| who.as_str());
        around.say(format!("this screen only looks on: {who} has control; t takes it"));
        return Vec::new();
    }
    match (run.dialog, run.full) {
        (Some(dialog), _) => {
            let commands = in_dialog(run, dialog, action, around);
            settle_gate(run, around.wall);
            commands
        }
        (None, Some(full)) => in_full(run, full, action, around),
        (None, None) => in_panes(run, action, around),
    }
}

fn in_dialog(run: &mut RunModel, dialog: Dialog, action: Action, around: &mut Around<'_>) -> Vec<Cmd> {
    if action == Action::Interrupt {
        return match dialog {
            Dialog::Stopping => end(run),
            Dialog::Quit { .. } => end(run),
            Dialog::Gate { .. } | Dialog::Stop { .. } | Dialog::Result { .. } => quit(run),
        };
    }
    if action == Action::Quit {
        return quit(run);
    }
    match dialog {
        Dialog::Gate { day, by_hand, scroll, since } => match action {
            Action::Enter if since > Duration::ZERO && around.wall.saturating_sub(since) < TAKE_IN => {
                around.say("day questions take no Enter in their first moment: read, then press it again");
                Vec::new()
            }
            Action::Enter => {
                run.dialog = None;
                // Until its record comes back the question must not come up again.
                run.later.insert(day);
                around.say(format!("{day} begins"));
                vec![Cmd::Ask(Request::OpenGate { day })]
            }
            Action::Back => {
                run.later.insert(day);
                run.dialog = None;
                around.say(format!("the run keeps waiting; g asks again for {day}"));
                Vec::new()
            }
            Action::ByHand => {
                run.dialog = Some(Dialog::Gate { day, by_hand: !by_hand, scroll: 0, since });
                Vec::new()
            }
            other => {
                let scroll = moved(other, scroll, around.drawn.over_max, around.drawn.page).unwrap_or(scroll);
                run.dialog = Some(Dialog::Gate { day, by_hand, scroll, since });
                Vec::new()
            }
        },
        Dialog::Quit { stop: marked } => match answer(action, marked) {
            Some(Answer::Yes) => stop_and_quit(run),
            Some(Answer::No) if action == Action::Back => close(run),
            Some(Answer::No) => end(run),
            Some(Answer::Other) => show(run, Dialog::Quit { stop: !marked }),
            None => Vec::new(),
        },
        Dialog::Stopping if action == Action::Yes => end(run),
        Dialog::Stopping if action == Action::Back => close(run),
        Dialog::Stopping => Vec::new(),
        Dialog::Stop { stop: marked } => match answer(action, marked) {
            Some(Answer::Yes) => {
                run.dialog = None;
                around.say("asked to stop: acts in hand end first, nothing new begins");
                stop(run)
            }
            Some(Answer::No) => close(run),
            Some(Answer::Other) => show(run, Dialog::Stop { stop: !marked }),
            None => Vec::new(),
        },
        Dialog::Result { scroll } => {
            run.dialog = match action {
                Action::Back | Action::Enter => None,
                other => {
                    let at = moved(other, scroll, around.drawn.over_max, around.drawn.page).unwrap_or(scroll);
                    Some(Dialog::Result { scroll: at })
                }
            };
            Vec::new()
        }
    }
}

fn close(run: &mut RunModel) -> Vec<Cmd> {
    run.dialog = None;
    Vec::new()
}

fn show(run: &mut RunModel, dialog: Dialog) -> Vec<Cmd> {
    run.dialog = Some(dialog);
    Vec::new()
}

enum Answer {
    Yes,
    No,
    /// Marks the other answer.
    Other,
}

/// `marked`: Enter means yes.
fn answer(action: Action, marked: bool) -> Option<Answer> {
    if action == Action::Yes || (action == Action::Enter && marked) {
        Some(Answer::Yes)
    } else if matches!(action, Action::Enter | Action::Back) {
        Some(Answer::No)
    } else {
        matches!(action, Action::Up | Action::Down).then_some(Answer::Other)
    }
}

fn in_full(run: &mut RunModel, full: Full, action: Action, around: &mut Around<'_>) -> Vec<Cmd> {
    match action {
        Action::Back | Action::Enter => run.full = None,
        Action::Log => run.full = if full == Full::Log { None } else { Some(Full::Log) },
        Action::Retry => return retry(run, around),
        Action::Quit | Action::Interrupt => return quit(run),
        other => match full {
            Full::Log => scroll_log(run, other, around),
            Full::Detail | Full::Findings => {
                if let Some(at) = moved(other, run.full_scroll, around.drawn.over_max, around.drawn.page) {
                    run.full_scroll = at;
                }
            }
        },
    }
    Vec::new()
}

fn in_panes(run: &mut RunModel, action: Action, around: &mut Around<'_>) -> Vec<Cmd> {
    match action {
        Action::NextPane => {
            run.pane = match run.pane {
                Pane::Days => Pane::Detail,
                Pane::Detail => Pane::Log,
                Pane::Log => Pane::Days,
            }
        }
        Action::PreviousPane => {
            run.pane = match run.pane {
                Pane::Days => Pane::Log,
                Pane::Detail => Pane::Days,
                Pane::Log => Pane::Detail,
            }
        }
        Action::Back => run.pane = Pane::Days,
        Action::Enter => open(run),
        Action::Left => fold(run, true),
        Action::Right => fold(run, false),
        Action::Retry => return retry(run, around),
        Action::Gate => match run.state.gate_waiting().filter(|_| !run.is_over()) {
            Some(day) => {
                run.later.remove(&day);
                run.dialog = Some(Dialog::Gate { day, by_hand: false, scroll: 0, since: Duration::ZERO });
            }
            None => around.say("no day waits for you"),
        },
        Action::Stop if run.is_over() => around.say("the run has ended"),
        Action::Stop if run.state.stop_asked.is_some() => around.say("the run is stopping already"),
        Action::Stop => run.dialog = Some(Dialog::Stop { stop: false }),
        Action::TakeControl if run.control.yours => around.say("this screen has control already"),
        Action::TakeControl if run.is_over() => around.say("the run has ended"),
        Action::TakeControl => return vec![Cmd::Ask(Request::TakeControl)],
        Action::Log => run.full = Some(Full::Log),
        Action::Findings => {
            run.full = Some(Full::Findings);
            run.full_scroll = 0;
        }
        Action::Follow => {
            run.follow = !run.follow;
            run.follow_attention(around.now);
            around.say(if run.follow { "the selection follows what needs attention" } else { "the selection stays" });
        }
        Action::Quit | Action::Interrupt => return quit(run),
        other => match run.pane {
            Pane::Days => move_cursor(run, other, around),
            Pane::Detail => {
                if let Some(at) = moved(other, run.detail_scroll, around.drawn.detail_max, around.drawn.page) {
                    run.detail_scroll = at;
                }
            }
            Pane::Log => scroll_log(run, other, around),
        },
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

fn open(run: &mut RunModel) {
    match run.pane {
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
    let last = run.feed.len().saturating_sub(1);
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
            around.say(format!("nothing to retry: {only} is {word}"));
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
