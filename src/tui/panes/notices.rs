//! What has changed in a cluster that no run speaks of, since the screen began.
use super::{Column, Grade, Item, Moment, Table, column, time_of_day};
use crate::observed::{Backend, NoticedAt};
use crate::tui::model::observed::Observed;

static COLUMNS: [Column; 2] = [column("TIME", 8), column("WHAT", 20).grows()];

pub fn table(observed: &Observed, moment: Moment) -> Table {
    let reading = observed.reading(&Backend::Kubernetes, moment.now, moment.wall);
    let rows = observed.notices().map(|notices| notices.rows.as_slice()).unwrap_or_default();
    if rows.is_empty() {
        return Table::without(reading, &COLUMNS, "nothing has changed since this screen began");
    }
    let count = match rows.len() {
        1 => "1 change".to_string(),
        n => format!("{n} changes"),
    };
    Table::of(
        reading,
        &COLUMNS,
        count,
        rows.iter().enumerate().map(|(n, notice)| row(rows.len() - n, notice)).collect(),
    )
}

/// `n`: counted from the oldest, so that a line keeps its key.
fn row(n: usize, NoticedAt { at, notice }: &NoticedAt) -> Item {
    let sentence = notice.sentence();
    let grade = if notice.is_relief() { Grade::Good } else { Grade::Warn };
    let about = vec![("at", time_of_day(*at)), ("what", sentence.clone())];
    Item::row(format!("notice/{n}/{at}"), grade, vec![time_of_day(*at), sentence]).about(about)
}
