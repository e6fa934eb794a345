//! Keys on the screen of a cluster that no run speaks of. Nothing can be asked of it: it only reads.
use super::find::with_files;
use super::{Around, ask, moved};
use crate::observed::Answer;
use crate::tui::keymap::Action;
use crate::tui::line::TextLine;
use crate::tui::message::{Cmd, End};
use crate::tui::model::cluster::{ClusterModel, ClusterPane};
use crate::tui::panes::{Item, Moment, Table, table_of_cluster};
use crossterm::event::KeyEvent;

pub fn leave() -> Vec<Cmd> {
    vec![Cmd::End(End::Cluster)]
}

pub fn act(seen: &mut ClusterModel, action: Action, around: &mut Around<'_>) -> Vec<Cmd> {
    if seen.typing.is_some() {
        return while_typing(seen, action, around);
    }
    match action {
        Action::Quit | Action::Interrupt => return leave(),
        Action::Find => seen.typing = Some(TextLine::new(&seen.find)),
        Action::Next | Action::Previous if seen.find.is_empty() => around.say("nothing is looked for: / begins"),
        Action::Next => step(seen, Action::Down, around),
        Action::Previous => step(seen, Action::Up, around),
        Action::Problems => {
            seen.problems = !seen.problems;
            around.say(if seen.problems { "only what needs attention is shown" } else { "everything is shown" });
        }
        Action::Copy => return copy(seen, around),
        Action::Raw | Action::Log => return ask(seen, action, around),
        Action::Go(digit) => {
            if let Some(pane) = digit.checked_sub(1).and_then(|n| ClusterPane::ALL.get(n)) {
                choose(seen, *pane);
            }
        }
        Action::NextPane => beside(seen, 1),
        Action::PreviousPane => beside(seen, ClusterPane::ALL.len() - 1),
        Action::Back if !seen.find.is_empty() => seen.find.clear(),
        Action::Back if seen.full => close(seen),
        Action::Back => seen.problems = false,
        Action::Enter | Action::Describe if seen.full => close(seen),
        Action::Enter | Action::Describe => open(seen, around),
        other => step(seen, other, around),
    }
    Vec::new()
}

fn while_typing(seen: &mut ClusterModel, action: Action, around: &mut Around<'_>) -> Vec<Cmd> {
    match action {
        Action::Up | Action::Down => step(seen, action, around),
        Action::Enter => seen.typing = None,
        Action::Back => {
            seen.typing = None;
            seen.find.clear();
        }
        other => {
            seen.typing = None;
            return act(seen, other, around);
        }
    }
    Vec::new()
}

pub fn typed(seen: &mut ClusterModel, event: KeyEvent) {
    if let Some(text) = &mut seen.typing {
        text.key(event);
        seen.find = text.text();
        seen.full_scroll = 0;
    }
}

pub fn paste(seen: &mut ClusterModel, text: &str) {
    if let Some(line) = &mut seen.typing {
        line.paste(text);
        seen.find = line.text();
        seen.full_scroll = 0;
    }
}

fn close(seen: &mut ClusterModel) {
    (seen.full, seen.answer) = (false, false);
}

/// Asks for the log or the whole of the selected thing.
fn ask(seen: &mut ClusterModel, action: Action, around: &mut Around<'_>) -> Vec<Cmd> {
    let table = of(seen, around);
    let asked = ask::of(&mut seen.asking, &table, seen.picked.get(&seen.pane), action, around);
    let Some((key, command)) = asked else { return Vec::new() };
    seen.picked.insert(seen.pane, key);
    (seen.full, seen.answer, seen.full_scroll) = (true, true, 0);
    seen.find.clear();
    vec![command]
}

pub fn answered(seen: &mut ClusterModel, number: u64, answer: Answer) -> Vec<Cmd> {
    if let Some(at) = ask::answered(&mut seen.asking, number, answer)
        && seen.answer
    {
        seen.full_scroll = at;
    }
    Vec::new()
}

fn of(seen: &ClusterModel, around: &Around<'_>) -> Table {
    table_of_cluster(seen, seen.pane, Moment { now: around.now, wall: around.wall })
}

fn choose(seen: &mut ClusterModel, pane: ClusterPane) {
    if pane != seen.pane {
        seen.find.clear();
    }
    seen.pane = pane;
    close(seen);
}

fn beside(seen: &mut ClusterModel, by: usize) {
    let at = ClusterPane::ALL.iter().position(|pane| *pane == seen.pane).unwrap_or(0);
    if let Some(pane) = ClusterPane::ALL.get((at + by) % ClusterPane::ALL.len()) {
        choose(seen, *pane);
    }
}

/// One line or page further, in the table or in the page of a line.
fn step(seen: &mut ClusterModel, action: Action, around: &Around<'_>) {
    if seen.full {
        if let Some(at) = moved(action, seen.full_scroll, around.drawn.over_max, around.drawn.page) {
            seen.full_scroll = at;
        }
        return;
    }
    let table = of(seen, around);
    let at = table.at(seen.picked.get(&seen.pane));
    if let Some(to) = moved(action, at, table.items.len().saturating_sub(1), around.drawn.page)
        && let Some(item) = table.items.get(to)
    {
        seen.picked.insert(seen.pane, item.key.clone());
    }
}

/// The page of the selected line.
fn open(seen: &mut ClusterModel, around: &Around<'_>) {
    let table = of(seen, around);
    if let Some(item) = table.items.get(table.at(seen.picked.get(&seen.pane))) {
        seen.picked.insert(seen.pane, item.key.clone());
        (seen.full, seen.full_scroll) = (true, 0);
        seen.find.clear();
    }
}

/// The command of the selected line or of the answer, with the kubeconfig in it.
fn copy(seen: &ClusterModel, around: &mut Around<'_>) -> Vec<Cmd> {
    let table = of(seen, around);
    let item = table.items.get(table.at(seen.picked.get(&seen.pane)));
    let text = if seen.answer { seen.asking.by_hand() } else { item.and_then(Item::by_hand) };
    match text {
        Some(text) => {
            vec![Cmd::Copy { text: with_files(text, &seen.kubeconfig, None), file: None }]
        }
        None => {
            around.say("there is no command to copy: select a node, a release or a pod");
            Vec::new()
        }
    }
}
