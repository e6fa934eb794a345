//! One day as a page: how far it is, who began it, what it changes.
use super::page::Page;
use crate::base::day::Day;
use crate::engine::standing::{clock_of, standing};
use crate::plan::day_title;
use crate::tui::model::Model;
use crate::tui::model::run::RunModel;

pub fn page(model: &Model, run: &RunModel, day: Day, width: u16) -> Page {
    let theme = model.theme;
    let now = clock_of(&run.state, model.now);
    let mut page = Page::new(theme, width);
    let (proven, all) = run.day_counts(day);
    page.say(theme.strong(), 0, &day_title(day));
    page.say(theme.plain(), 0, &format!("{proven} of {all} steps proven"));
    match run.state.gates.get(&day) {
        Some(by) => page.say(theme.plain(), 0, &format!("begun by {by}")),
        None if run.state.gate_waiting() == Some(day) => {
            page.say(
                theme.asks(),
                0,
                &format!("{} waits for you: b", theme.mark(crate::engine::standing::Standing::Gate)),
            );
        }
        None => {}
    }
    let changes: Vec<_> = run.changes_of(day).collect();
    let changing = run.state.wanted().any(|s| s.outline.day == day && s.outline.changes);
    let off: Vec<_> = run.plan.off().into_iter().filter(|off| off.day == day).collect();
    if all == 0 && off.is_empty() {
        page.say(theme.plain(), 0, "its steps are not known yet");
    } else if all == 0 {
        page.say(theme.plain(), 0, "this plan has no steps on it");
    } else if !changing {
        page.say(theme.plain(), 0, "reads only, changes nothing");
    } else if changes.is_empty() {
        page.say(theme.plain(), 0, "nothing is left to change");
    } else {
        page.blank();
        page.say(theme.strong(), 0, &format!("{} steps that may change something:", changes.len()));
        for step in changes {
            let standing = standing(step, &run.state, now);
            let label = format!("{} {:<9}", theme.mark(standing), standing.word());
            page.pair(theme.plain(), 0, &label, &step.outline.title);
        }
    }
    if !off.is_empty() {
        page.blank();
        page.say(theme.strong(), 0, "not tested:");
        off.iter().for_each(|off| page.pair(theme.plain(), 0, off.test, off.reason));
    }
    page
}
