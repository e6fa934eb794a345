//! Keys in a question over a run: the gate of a day, the ways out, control, the result.
use super::run::{end, quit, stop, stop_and_quit};
use super::{Around, mend, moved};
use crate::session::protocol::Request;
use crate::tui::keymap::Action;
use crate::tui::message::Cmd;
use crate::tui::model::run::{Dialog, RunModel};
use std::time::Duration;

/// A gate that comes by itself takes no Enter for this long: the finger may have meant something else.
const TAKE_IN: Duration = Duration::from_millis(400);

pub fn act(run: &mut RunModel, dialog: Dialog, action: Action, around: &mut Around<'_>) -> Vec<Cmd> {
    if action == Action::Interrupt {
        let leaves = matches!(dialog, Dialog::Stopping | Dialog::Quit { .. });
        return if leaves { end(run) } else { quit(run) };
    }
    if action == Action::Quit {
        return quit(run);
    }
    match dialog {
        Dialog::Gate { .. } => in_gate(run, dialog, action, around),
        Dialog::Quit { stop: marked } => match answer(action, marked) {
            Some(Answer::Yes) => stop_and_quit(run),
            Some(Answer::No) if action == Action::Back => close(run),
            Some(Answer::No) => end(run),
            Some(Answer::Other) => show(run, Dialog::Quit { stop: !marked }),
            None => Vec::new(),
        },
        Dialog::Stopping if action == Action::Yes => end(run),
        Dialog::Stopping if action == Action::Back => close(run),
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
        Dialog::Take if action == Action::Yes => {
            run.dialog = None;
            vec![Cmd::Ask(Request::TakeControl)]
        }
        Dialog::Take | Dialog::Mend if matches!(action, Action::Back | Action::Enter) => close(run),
        Dialog::Mend if action == Action::Yes => mend::agreed(run, around),
        Dialog::Stopping | Dialog::Take | Dialog::Mend => Vec::new(),
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

/// The question before a day.
fn in_gate(run: &mut RunModel, dialog: Dialog, action: Action, around: &mut Around<'_>) -> Vec<Cmd> {
    let Dialog::Gate { day, by_hand, scroll, since } = dialog else { return Vec::new() };
    match action {
        Action::Enter if since > Duration::ZERO && around.wall.saturating_sub(since) < TAKE_IN => {
            around.say("day questions take no Enter in their first moment: read, then press it again");
        }
        Action::Enter => {
            run.dialog = None;
            // Until its record comes back the question must not come up again.
            run.later.insert(day);
            around.say(format!("{day} begins"));
            return vec![Cmd::Ask(Request::OpenGate { day })];
        }
        Action::Back => {
            run.later.insert(day);
            run.dialog = None;
            around.say(format!("the run keeps waiting; b asks again for {day}"));
        }
        Action::ByHand => run.dialog = Some(Dialog::Gate { day, by_hand: !by_hand, scroll: 0, since }),
        other => {
            let scroll = moved(other, scroll, around.drawn.over_max, around.drawn.page).unwrap_or(scroll);
            run.dialog = Some(Dialog::Gate { day, by_hand, scroll, since });
        }
    }
    Vec::new()
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
