//! Applies a message to the model and returns the commands for the world. It never waits and knows no clock.
mod ask;
mod cluster;
mod dialogs;
mod find;
mod form;
mod form_fetch;
mod form_machines;
mod form_site;
mod home;
mod mend;
mod run;
mod table;

use super::keymap::{self, Action, Context};
use super::line::TextLine;
use super::message::{Cmd, Msg};
use super::model::{Drawn, Help, Model, Notice, Screen};
use super::palette;
use crate::observed::{Answer, Snapshot};
use crossterm::event::KeyEvent;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// How long a notice stands in the place of the keys.
const SHOWN: Duration = Duration::from_secs(4);

/// The values beside their own model that the parts of the update may read and write.
struct Around<'a> {
    notice: &'a mut Option<Notice>,
    drawn: Drawn,
    now: Timestamp,
    wall: Duration,
}

impl Around<'_> {
    fn say(&mut self, text: impl Into<String>) {
        *self.notice = Some(Notice { text: text.into(), until: self.wall.saturating_add(SHOWN) });
    }
}

pub fn update(model: &mut Model, msg: Msg) -> Vec<Cmd> {
    let context = model.context();
    let Model { screen, now, wall, help, palette, notice, told_of_keys, drawn, theme: _ } = model;
    if let Msg::Clock { now: time, wall: since } = msg {
        *now = time;
        *wall = since;
        if notice.as_ref().is_some_and(|notice| since >= notice.until) {
            *notice = None;
        }
        if let Screen::Run(run) = screen {
            run::clock(run, time);
        }
        return Vec::new();
    }
    let mut around = Around { notice, drawn: *drawn, now: *now, wall: *wall };
    match (msg, screen) {
        (Msg::Key(event), screen) => key(screen, event, Over { context, help, palette, told_of_keys }, &mut around),
        (Msg::Paste(text), screen) => pasted(screen, palette, &text),
        (Msg::Observed(snapshots), screen) => observed(screen, snapshots, around.wall),
        (Msg::Hangup, screen) => hung_up(screen),
        (Msg::Records(records), Screen::Run(run)) => {
            run::records(run, &records, &mut around);
            Vec::new()
        }
        (Msg::Answered { number, answer }, screen) => answered(screen, number, answer),
        (Msg::Finished(text), Screen::Run(run)) => run::finished(run, text),
        (Msg::Control(control), Screen::Run(run)) => run::control(run, control, &mut around),
        (Msg::Said(why), _) | (Msg::Denied(why), Screen::Run(_)) => {
            around.say(why);
            Vec::new()
        }
        (Msg::Loaded { path, result }, Screen::Home(home)) => home::loaded(home, path, result),
        (Msg::Opened { path, result }, Screen::Home(home)) => home::opened(home, path, result, &mut around),
        (Msg::Contacted { url, result }, Screen::Home(home)) => form_site::contacted(home, &url, result, &mut around),
        (Msg::Fetch { pin, news }, Screen::Home(home)) => form_fetch::told(home, pin, news, &mut around),
        (Msg::Saved { path, plan, result }, Screen::Home(home)) => home::saved(home, &path, *plan, result, &mut around),
        // These messages were meant for the other screen.
        (Msg::Clock { .. } | Msg::Resized, _)
        | (
            Msg::Loaded { .. } | Msg::Opened { .. } | Msg::Contacted { .. } | Msg::Saved { .. },
            Screen::Run(_) | Screen::Cluster(_),
        )
        | (Msg::Fetch { .. }, Screen::Run(_) | Screen::Cluster(_))
        | (
            Msg::Records(_) | Msg::Finished(_) | Msg::Control(_) | Msg::Denied(_),
            Screen::Home(_) | Screen::Cluster(_),
        ) => Vec::new(),
    }
}

fn pasted(screen: &mut Screen, palette: &mut Option<TextLine>, text: &str) -> Vec<Cmd> {
    if let Some(line) = palette {
        line.paste(text);
        return Vec::new();
    }
    match screen {
        Screen::Run(run) => find::paste(run, text),
        Screen::Home(home) => home::paste(home, text),
        Screen::Cluster(seen) => cluster::paste(seen, text),
    }
    Vec::new()
}

fn observed(screen: &mut Screen, snapshots: Vec<Arc<Snapshot>>, wall: Duration) -> Vec<Cmd> {
    match screen {
        Screen::Run(run) => run.observed.take(snapshots, wall),
        Screen::Cluster(seen) => seen.observed.take(snapshots, wall),
        Screen::Home(_) => {}
    }
    Vec::new()
}

fn answered(screen: &mut Screen, number: u64, answer: Answer) -> Vec<Cmd> {
    match screen {
        Screen::Run(run) => table::answered(run, number, answer),
        Screen::Cluster(seen) => cluster::answered(seen, number, answer),
        Screen::Home(_) => Vec::new(),
    }
}

fn hung_up(screen: &mut Screen) -> Vec<Cmd> {
    match screen {
        Screen::Run(run) => run::hangup(run),
        Screen::Home(home) => home::leave(home),
        Screen::Cluster(_) => cluster::leave(),
    }
}

fn begin(palette: &mut Option<TextLine>) -> Vec<Cmd> {
    *palette = Some(TextLine::new(""));
    Vec::new()
}

/// What lies over the screen, and takes keys first.
struct Over<'a> {
    context: Context,
    help: &'a mut Option<Help>,
    palette: &'a mut Option<TextLine>,
    told_of_keys: &'a mut bool,
}

/// A key while the name of a command is typed; the action that it leads to.
fn in_palette(screen: &Screen, over: &mut Over<'_>, event: KeyEvent, around: &mut Around<'_>) -> Option<Action> {
    let line = over.palette.as_mut()?;
    match keymap::action(Context::Palette, &event) {
        Some(Action::Enter) => match palette::find(screen, &line.text()) {
            Ok(action) => {
                *over.palette = None;
                over.context = screen.context();
                return Some(action);
            }
            Err(why) => around.say(why),
        },
        Some(Action::NextPane) => *line = TextLine::new(&palette::completed(screen, &line.text())),
        Some(Action::Back) => *over.palette = None,
        Some(action @ (Action::Interrupt | Action::Help)) => {
            *over.palette = None;
            return Some(action);
        }
        Some(_) | None => line.key(event),
    }
    None
}

/// A key: for the help, for everything, for the part that has the keyboard, or for a text.
fn key(screen: &mut Screen, event: KeyEvent, mut over: Over<'_>, around: &mut Around<'_>) -> Vec<Cmd> {
    *around.notice = None;
    let mut action = keymap::action(over.context, &event);
    match action {
        Some(Action::Redraw) => return vec![Cmd::Redraw],
        Some(Action::Suspend) => return vec![Cmd::Suspend],
        Some(_) | None => {}
    }
    if over.context == Context::Palette {
        match in_palette(screen, &mut over, event, around) {
            Some(meant) => action = Some(meant),
            None => return Vec::new(),
        }
    }
    let Over { context, help, palette, told_of_keys } = over;
    if let Some(Help { scroll, .. }) = help {
        let stays = action.is_none_or(|action| help_action(action, scroll, around.drawn));
        if !stays {
            *help = None;
        }
        if stays || action != Some(Action::Interrupt) {
            return Vec::new();
        }
    }
    match (action, screen) {
        (Some(Action::Help), _) => {
            *help = Some(Help { of: context, scroll: 0 });
            Vec::new()
        }
        (Some(Action::Command), _) => begin(palette),
        (Some(action), Screen::Run(run)) => run::act(run, action, around),
        (Some(action), Screen::Home(home)) => home::act(home, action, around),
        (Some(action), Screen::Cluster(seen)) => cluster::act(seen, action, around),
        (None, screen) => {
            if !context.takes_text() && !*told_of_keys {
                *told_of_keys = true;
                around.say("that key means nothing here; ? shows those that do");
            }
            typed(screen, event);
            Vec::new()
        }
    }
}

fn typed(screen: &mut Screen, event: KeyEvent) {
    match screen {
        Screen::Run(run) => find::typed(run, event),
        Screen::Home(home) => home::typed(home, event),
        Screen::Cluster(seen) => cluster::typed(seen, event),
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

/// The lines that an action goes up or down.
fn stride(action: Action, page: usize) -> usize {
    if matches!(action, Action::Up | Action::Down) {
        1
    } else if matches!(action, Action::HalfUp | Action::HalfDown) {
        page / 2 + 1
    } else {
        page
    }
}

/// The new value of a scroll offset or a cursor between 0 and `last` after `action`; `None`: the action does not move
/// things.
fn moved(action: Action, at: usize, last: usize, page: usize) -> Option<usize> {
    Some(last.min(match action {
        Action::Up | Action::HalfUp | Action::PageUp => at.min(last).saturating_sub(stride(action, page.max(2) - 1)),
        Action::Down | Action::HalfDown | Action::PageDown => at.saturating_add(stride(action, page.max(2) - 1)),
        Action::Top => 0,
        Action::Bottom => last,
        Action::Left
        | Action::Right
        | Action::NextPane
        | Action::Go(_)
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
        | Action::Find
        | Action::Command
        | Action::Next
        | Action::Previous
        | Action::Describe
        | Action::Problems
        | Action::Copy
        | Action::Raw
        | Action::Redraw
        | Action::Suspend
        | Action::Connect
        | Action::Fetch
        | Action::Anew
        | Action::Type
        | Action::Mend => return None,
    }))
}

#[cfg(test)]
mod ask_tests;
#[cfg(test)]
mod cluster_tests;
#[cfg(test)]
mod find_tests;
#[cfg(test)]
mod form_fetch_tests;
#[cfg(test)]
mod form_machines_tests;
#[cfg(test)]
mod form_site_tests;
#[cfg(test)]
mod home_tests;
#[cfg(test)]
mod mend_tests;
#[cfg(test)]
mod palette_tests;
#[cfg(test)]
mod review_tests;
#[cfg(test)]
mod tests;
