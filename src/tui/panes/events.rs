//! Events: the newest warnings that Kubernetes keeps.
use super::{Column, Grade, Item, Moment, Table, column, gap, time_of_day};
use crate::observed::{Backend, Event};
use crate::tui::model::observed::Observed;

static COLUMNS: [Column; 5] = [
    column("TIME", 8),
    column("REASON", 16),
    column("TIMES", 5).right().rank(2),
    column("ABOUT", 18).grows().rank(1),
    column("MESSAGE", 20).grows(),
];

/// `none_yet`: said before something was read.
pub fn table(observed: &Observed, moment: Moment, none_yet: &str) -> Table {
    let reading = observed.reading(&Backend::Kubernetes, moment.now, moment.wall);
    if let Some(it) = observed.gaps().and_then(|gaps| gaps.events) {
        return Table::without(reading, &COLUMNS, gap(it, "events"));
    }
    let Some(events) = observed.events() else {
        return Table::without(reading, &COLUMNS, none_yet);
    };
    let mut items: Vec<Item> = events.rows.iter().enumerate().map(|(n, event)| row(n, event)).collect();
    let unlisted = events.total.saturating_sub(events.rows.len());
    if unlisted > 0 {
        items.push(Item::line("unlisted", Grade::Quiet, 0, format!("and {unlisted} older ones")));
    }
    let count = match events.total {
        1 => "1 warning".to_string(),
        n => format!("{n} warnings"),
    };
    if items.is_empty() {
        return Table { count, ..Table::without(reading, &COLUMNS, "Kubernetes keeps no warning") };
    }
    Table::of(reading, &COLUMNS, count, items)
}

fn row(n: usize, event: &Event) -> Item {
    let times = if event.count > 1 { format!("x{}", event.count) } else { String::new() };
    let at = event.at.map(time_of_day).unwrap_or_default();
    let cells = vec![at.clone(), event.reason.clone(), times, event.about.clone(), event.message.clone()];
    // A warning tells of what was: whether it still is, the other panes say.
    let key =
        format!("{}/{}/{}", event.about, event.reason, event.at.map_or_else(|| n.to_string(), |at| at.to_string()));
    let item = Item::row(key, Grade::Warn, cells);
    let item = match &event.of {
        Some(object) => item.shows(object.clone()),
        None => item,
    };
    item.about(vec![
        ("about", event.about.clone()),
        ("reason", event.reason.clone()),
        ("last", at),
        ("times", event.count.to_string()),
        ("message", event.message.clone()),
    ])
}
