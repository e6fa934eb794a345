//! Keys in a pane of the site.
use super::{Around, ask, moved};
use crate::observed::Answer;
use crate::tui::keymap::Action;
use crate::tui::message::Cmd;
use crate::tui::model::run::{Full, Pane, RunModel};
use crate::tui::panes::{self, Moment, Table};

fn of(run: &RunModel, pane: Pane, around: &Around<'_>) -> Option<Table> {
    panes::table(run, pane, Moment { now: around.now, wall: around.wall })
}

/// Moves the selection.
pub fn act(run: &mut RunModel, pane: Pane, action: Action, around: &Around<'_>) {
    let Some(table) = of(run, pane, around) else { return };
    let at = table.at(run.picked.get(&pane));
    let last = table.items.len().saturating_sub(1);
    if let Some(to) = moved(action, at, last, around.drawn.page)
        && let Some(item) = table.items.get(to)
    {
        run.picked.insert(pane, item.key.clone());
    }
}

/// The page of the selected line.
pub fn open(run: &mut RunModel, pane: Pane, around: &Around<'_>) {
    let Some(table) = of(run, pane, around) else { return };
    if let Some(item) = table.items.get(table.at(run.picked.get(&pane))) {
        run.picked.insert(pane, item.key.clone());
        run.full = Some(Full::Item(pane));
        run.full_scroll = 0;
    }
}

/// `l` and `y`: in a pane of the site about its selected line; elsewhere `l` is the log of the run.
pub fn log_or_raw(run: &mut RunModel, action: Action, around: &mut Around<'_>) -> Vec<Cmd> {
    let pane = match run.full {
        Some(Full::Item(pane) | Full::Answer(pane)) => pane,
        Some(Full::Log) => Pane::Log,
        Some(Full::Detail | Full::Findings) => Pane::Days,
        None => run.keyboard(around.drawn.tabs),
    };
    if let Some(table) = of(run, pane, around) {
        let asked = ask::of(&mut run.asking, &table, run.picked.get(&pane), action, around);
        let Some((key, command)) = asked else { return Vec::new() };
        run.picked.insert(pane, key);
        (run.full, run.full_scroll) = (Some(Full::Answer(pane)), 0);
        run.find.clear();
        return vec![command];
    }
    match (action, run.full) {
        (Action::Log, Some(Full::Log)) => run.full = None,
        (Action::Log, _) => run.full = Some(Full::Log),
        (_, _) => around.say("y shows a thing as its system has it: select a line in one of the panes 2 to 6"),
    }
    Vec::new()
}

pub fn answered(run: &mut RunModel, number: u64, answer: Answer) -> Vec<Cmd> {
    if let Some(at) = ask::answered(&mut run.asking, number, answer)
        && matches!(run.full, Some(Full::Answer(_)))
    {
        run.full_scroll = at;
    }
    Vec::new()
}
