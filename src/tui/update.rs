//! Applies a message to the model and returns the commands for the world. It never waits and knows no clock.
mod form;
mod home;
mod run;

use super::keymap::{self, Action};
use super::message::{Cmd, Msg};
use super::model::{Drawn, Model, Screen};
use crossterm::event::KeyEvent;
use jiff::Timestamp;
use std::time::Duration;

/// The values beside their own model that the parts of the update may read and write.
struct Around<'a> {
    notice: &'a mut Option<String>,
    drawn: Drawn,
    now: Timestamp,
    wall: Duration,
}

impl Around<'_> {
    fn say(&mut self, text: impl Into<String>) {
        *self.notice = Some(text.into());
    }
}

pub fn update(model: &mut Model, msg: Msg) -> Vec<Cmd> {
    let context = model.context();
    let Model { screen, now, wall, help, notice, drawn, theme: _ } = model;
    match msg {
        Msg::Clock { now: time, wall: since } => {
            *now = time;
            *wall = since;
            if let Screen::Run(run) = screen {
                run.follow_attention(time);
            }
            return Vec::new();
        }
        Msg::Resized => return Vec::new(),
        Msg::Key(_)
        | Msg::Paste(_)
        | Msg::Records(_)
        | Msg::Observed(_)
        | Msg::Finished(_)
        | Msg::Control(_)
        | Msg::Denied(_)
        | Msg::Hangup
        | Msg::Loaded { .. }
        | Msg::Saved { .. } => {}
    }
    let mut around = Around { notice, drawn: *drawn, now: *now, wall: *wall };
    match (msg, screen) {
        (Msg::Key(event), screen) => {
            *around.notice = None;
            let action = keymap::action(context, &event);
            if let Some(scroll) = help {
                match action {
                    Some(Action::Interrupt) => *help = None,
                    Some(action) => {
                        if help_action(action, scroll, around.drawn) {
                            return Vec::new();
                        }
                        *help = None;
                        return Vec::new();
                    }
                    None => return Vec::new(),
                }
            }
            match action {
                Some(Action::Help) => {
                    *help = Some(0);
                    Vec::new()
                }
                Some(action) => match screen {
                    Screen::Run(run) => run::act(run, action, &mut around),
                    Screen::Home(home) => home::act(home, action, &mut around),
                },
                None => {
                    typed(screen, event);
                    Vec::new()
                }
            }
        }
        (Msg::Paste(text), Screen::Home(home)) => {
            home::paste(home, &text);
            Vec::new()
        }
        (Msg::Records(records), Screen::Run(run)) => {
            run::records(run, &records, &around);
            Vec::new()
        }
        (Msg::Observed(snapshots), Screen::Run(run)) => {
            run.observed.take(snapshots);
            Vec::new()
        }
        (Msg::Finished(text), Screen::Run(run)) => run::finished(run, text),
        (Msg::Control(control), Screen::Run(run)) => {
            run::control(run, control, &mut around);
            Vec::new()
        }
        (Msg::Denied(why), Screen::Run(_)) => {
            around.say(why);
            Vec::new()
        }
        (Msg::Hangup, Screen::Run(run)) => run::hangup(run),
        (Msg::Hangup, Screen::Home(_)) => home::leave(),
        (Msg::Loaded { path, result }, Screen::Home(home)) => home::loaded(home, path, result),
        (Msg::Saved { path, plan, result }, Screen::Home(home)) => {
            home::saved(home, &path, *plan, result, &mut around);
            Vec::new()
        }
        // These messages were meant for the other screen.
        (Msg::Clock { .. } | Msg::Resized, _)
        | (Msg::Paste(_) | Msg::Loaded { .. } | Msg::Saved { .. }, Screen::Run(_))
        | (Msg::Records(_) | Msg::Observed(_) | Msg::Finished(_) | Msg::Control(_) | Msg::Denied(_), Screen::Home(_)) => {
            Vec::new()
        }
    }
}

fn typed(screen: &mut Screen, event: KeyEvent) {
    match screen {
        Screen::Run(_) => {}
        Screen::Home(home) => home::typed(home, event),
    }
}

/// True when the help stays open.
fn help_action(action: Action, scroll: &mut usize, drawn: Drawn) -> bool {
    match moved(action, *scroll, drawn.over_max, drawn.page) {
        Some(at) => {
            *scroll = at;
            true
        }
        None => false,
    }
}

/// The new value of a scroll offset or a cursor between 0 and `last` after `action`; `None`: the action does not move
/// things.
fn moved(action: Action, at: usize, last: usize, page: usize) -> Option<usize> {
    let page = page.max(2) - 1;
    let to = match action {
        Action::Up => at.min(last).saturating_sub(1),
        Action::Down => at.saturating_add(1),
        Action::PageUp => at.min(last).saturating_sub(page),
        Action::PageDown => at.saturating_add(page),
        Action::Top => 0,
        Action::Bottom => last,
        Action::Left
        | Action::Right
        | Action::NextPane
        | Action::PreviousPane
        | Action::Enter
        | Action::Back
        | Action::Retry
        | Action::Gate
        | Action::Stop
        | Action::Log
        | Action::Findings
        | Action::Follow
        | Action::TakeControl
        | Action::ByHand
        | Action::Yes
        | Action::Help
        | Action::Quit
        | Action::Interrupt
        | Action::AddControlPlane
        | Action::AddWorker
        | Action::Remove
        | Action::Revert
        | Action::Toggle
        | Action::Save
        | Action::Use
        | Action::SetAside
        | Action::Mend => return None,
    };
    Some(to.min(last))
}

#[cfg(test)]
mod tests;
