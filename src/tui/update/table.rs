//! Keys in a pane of the site.
use super::{Around, moved};
use crate::tui::keymap::Action;
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
