//! The contents of the panes that show the site: what was observed, joined with what the plan expects, as tables. How a table
//! is drawn, moved in and searched is the same for all of them (`view/table.rs`, `update/table.rs`).
mod events;
mod machines;
mod nodes;
mod notices;
mod pods;
mod releases;
#[cfg(test)]
pub mod samples;
mod site;
mod talos;
#[cfg(test)]
mod tests;
mod worst;

pub use worst::{troubles, troubles_of_cluster};

use super::model::cluster::{ClusterModel, ClusterPane};
use super::model::observed::Reading;
use super::model::run::{Pane, RunModel};
use crate::base::day::Day;
use crate::engine::standing::clock_of;
use crate::observed::{Gap, Object};
use jiff::Timestamp;
use std::time::Duration;

/// How a line stands; its mark and colour follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// Nothing to look at: not yet expected, or no judgement.
    Quiet,
    Good,
    /// On its way.
    Moves,
    /// Longer than it should, or not as it should be.
    Warn,
    /// Contradicts the plan, or has failed.
    Bad,
}

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub head: &'static str,
    /// Least width.
    pub width: u16,
    /// Takes a share of what is left over.
    pub grows: bool,
    pub right: bool,
    /// The columns with the highest rank go first where there is no room; 0 stays.
    pub rank: u8,
}

pub const fn column(head: &'static str, width: u16) -> Column {
    Column { head, width, grows: false, right: false, rank: 0 }
}

impl Column {
    pub const fn grows(self) -> Column {
        Column { grows: true, ..self }
    }

    pub const fn right(self) -> Column {
        Column { right: true, ..self }
    }

    pub const fn rank(self, rank: u8) -> Column {
        Column { rank, ..self }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// One for each column.
    Cells(Vec<String>),
    /// A sentence over the whole width, so many columns in.
    Line(usize, String),
}

/// A line of a table that can be selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What the line is about: the selection stays with it when the order changes.
    pub key: String,
    pub grade: Grade,
    pub body: Body,
    /// All that is known of it, for its page.
    pub about: Vec<(&'static str, String)>,
    /// The thing that can be shown as its system has it.
    pub raw: Option<Object>,
    /// The thing whose log tells of it.
    pub log: Option<Object>,
}

impl Item {
    pub fn row(key: impl Into<String>, grade: Grade, cells: Vec<String>) -> Item {
        Item { key: key.into(), grade, body: Body::Cells(cells), about: Vec::new(), raw: None, log: None }
    }

    pub fn line(key: impl Into<String>, grade: Grade, indent: usize, text: impl Into<String>) -> Item {
        let body = Body::Line(indent, text.into());
        Item { key: key.into(), grade, body, about: Vec::new(), raw: None, log: None }
    }

    #[must_use]
    pub fn about(self, about: Vec<(&'static str, String)>) -> Item {
        Item { about: about.into_iter().filter(|(_, text)| !text.is_empty()).collect(), ..self }
    }

    /// The line is about this thing.
    #[must_use]
    pub fn shows(self, object: Object) -> Item {
        match object {
            Object::Pod { .. } => Item { raw: Some(object.clone()), log: Some(object), ..self },
            Object::Task { .. } => Item { log: Some(object), ..self },
            Object::Node { .. } | Object::Release { .. } | Object::Vm { .. } => Item { raw: Some(object), ..self },
            Object::Machine { .. } => Item { raw: Some(object.clone()), log: Some(object), ..self },
        }
    }

    /// The log of this thing tells of what the line is about.
    #[must_use]
    pub fn logs(self, object: Option<Object>) -> Item {
        Item { log: object.or(self.log), ..self }
    }

    /// The command with which a person asks for it.
    pub fn by_hand(&self) -> Option<&str> {
        self.about.iter().find(|(label, _)| *label == "by hand").map(|(_, text)| text.as_str())
    }

    /// All of it in one line.
    pub fn text(&self) -> String {
        match &self.body {
            Body::Cells(cells) => {
                cells.iter().map(|c| c.trim()).filter(|c| !c.is_empty()).collect::<Vec<_>>().join("  ")
            }
            Body::Line(_, text) => text.clone(),
        }
    }
}

/// One pane of the site.
#[derive(Debug)]
pub struct Table {
    /// What is counted, for the title.
    pub count: String,
    /// The worst of its lines.
    pub grade: Grade,
    pub reading: Reading,
    pub columns: &'static [Column],
    pub items: Vec<Item>,
    /// Said when there is no line.
    pub empty: String,
}

impl Table {
    fn of(reading: Reading, columns: &'static [Column], count: String, items: Vec<Item>) -> Table {
        let grade = items.iter().map(|item| item.grade).max().unwrap_or(Grade::Quiet);
        Table { count, grade, reading, columns, items, empty: String::new() }
    }

    fn without(reading: Reading, columns: &'static [Column], empty: impl Into<String>) -> Table {
        let grade = Grade::Quiet;
        Table { count: String::new(), grade, reading, columns, items: Vec::new(), empty: empty.into() }
    }

    /// Leaves the lines with a text, whatever its case, and of `problems` only what needs attention.
    fn narrow(&mut self, find: &str, problems: bool) {
        if find.is_empty() && !problems {
            return;
        }
        let find = find.to_lowercase();
        self.items
            .retain(|item| item.text().to_lowercase().contains(&find) && (!problems || item.grade >= Grade::Warn));
        if self.items.is_empty() && self.empty.is_empty() {
            self.empty = "no line is left; Esc shows all again".to_string();
        }
    }

    /// The line with this key, or the first one.
    pub fn at(&self, key: Option<&String>) -> usize {
        key.and_then(|key| self.items.iter().position(|item| item.key == *key)).unwrap_or(0)
    }
}

/// The moment for which a pane is made.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Of the run's clock.
    pub now: Timestamp,
    pub wall: Duration,
}

/// The table of a pane of the site; `None` for the other panes.
pub fn table(run: &RunModel, pane: Pane, moment: Moment) -> Option<Table> {
    let moment = Moment { now: clock_of(&run.state, moment.now), ..moment };
    let mut table = match pane {
        Pane::Days | Pane::Detail | Pane::Log => return None,
        Pane::Proxmox => site::table(run, moment),
        Pane::Talos => talos::table(run, moment),
        Pane::Releases => {
            releases::table(&run.observed, moment, "no HelmRelease was seen yet: the platform comes on day 3")
        }
        Pane::Pods => pods::table(&run.observed, moment, "no pod was seen yet: there is a cluster from day 2 on"),
        Pane::Events => events::table(&run.observed, moment, "no event was seen yet: there is a cluster from day 2 on"),
    };
    // The page of a line keeps its line.
    if run.full.is_none() {
        table.narrow(run.find_in(pane), run.problems);
    }
    Some(table)
}

/// The table of a pane of a cluster that no run speaks of.
pub fn table_of_cluster(cluster: &ClusterModel, pane: ClusterPane, moment: Moment) -> Table {
    let mut table = match pane {
        ClusterPane::Nodes => nodes::table(&cluster.observed, moment),
        ClusterPane::Releases => releases::table(&cluster.observed, moment, "no HelmRelease was seen yet"),
        ClusterPane::Pods => pods::table(&cluster.observed, moment, "no pod was seen yet"),
        ClusterPane::Events => events::table(&cluster.observed, moment, "not read yet"),
        ClusterPane::Log => notices::table(&cluster.observed, moment),
    };
    if !cluster.full {
        table.narrow(cluster.find_in(pane), cluster.problems);
    }
    table
}

/// Why there is no line, where the API answers that there can be none.
fn gap(gap: Gap, of: &str) -> String {
    match gap {
        Gap::Absent => format!("this cluster knows no {of}: what brings them is not installed in it"),
        Gap::Forbidden => format!("the credentials may not list {of}"),
        Gap::Unknown => format!("{of} can't be read"),
    }
}

/// The pane that shows what a day makes.
pub fn of_day(day: Day) -> Option<Pane> {
    match day {
        Day::Number(0) => None,
        Day::Number(1 | 6) | Day::Workers | Day::Teardown => Some(Pane::Proxmox),
        Day::Number(2) => Some(Pane::Talos),
        Day::Number(3) => Some(Pane::Releases),
        Day::Number(4 | 5 | 7) => Some(Pane::Pods),
        Day::Number(_) => None,
    }
}

/// True when something was read that the pane shows.
pub fn has(run: &RunModel, pane: Pane) -> bool {
    let seen = &run.observed;
    match pane {
        Pane::Days | Pane::Detail | Pane::Log => true,
        Pane::Proxmox => seen.site().is_some(),
        Pane::Talos => seen.machines().is_some(),
        Pane::Releases => seen.releases().is_some_and(|r| r.total > 0),
        Pane::Pods => seen.pods().is_some_and(|p| p.total > 0),
        Pane::Events => seen.events().is_some_and(|e| e.total > 0),
    }
}

/// `1.2/24G`
fn memory(used: Option<u64>, all: Option<u64>) -> String {
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    match (used, all) {
        (Some(used), Some(all)) => {
            let used = gib(used);
            let used = if used < 9.95 { format!("{used:.1}") } else { format!("{used:.0}") };
            format!("{used}/{:.0}G", gib(all))
        }
        (Some(_) | None, _) => String::new(),
    }
}

fn percent(permille: Option<u32>) -> String {
    permille.map(|p| format!("{}%", (p + 5) / 10)).unwrap_or_default()
}

/// `22:49:12`, in UTC as every time on the screen.
pub fn time_of_day(at: Timestamp) -> String {
    let second = at.as_second().rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", second / 3600, second % 3600 / 60, second % 60)
}
