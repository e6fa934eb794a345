//! The screen of one run: its folded state, where the cursor stands, what lies over it.
use crate::base::day::Day;
use crate::engine::record::Outcome;
use crate::engine::standing::{Standing, clock_of, standing};
use crate::engine::state::{RunState, Status, StepState};
use crate::engine::step::StepId;
use crate::plan::Plan;
use crate::session::protocol::Control;
use crate::tui::feed::{Feed, FeedLine};
use crate::tui::keymap::Context;
use crate::tui::line::TextLine;
use crate::tui::model::{asking::Asking, observed::Observed};
use crate::tui::panes;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pane {
    Days,
    Detail,
    Proxmox,
    Talos,
    Releases,
    Pods,
    Events,
    Log,
}

impl Pane {
    /// Those that have a digit, in its order from 1 on.
    pub const WITH_DIGIT: [Pane; 7] =
        [Pane::Days, Pane::Proxmox, Pane::Talos, Pane::Releases, Pane::Pods, Pane::Events, Pane::Log];
    /// Those that show the site.
    pub const OF_SITE: [Pane; 5] = [Pane::Proxmox, Pane::Talos, Pane::Releases, Pane::Pods, Pane::Events];

    pub fn title(self) -> &'static str {
        match self {
            Pane::Days => "Steps",
            Pane::Detail => "Detail",
            Pane::Proxmox => "Proxmox",
            Pane::Talos => "Talos",
            Pane::Releases => "Releases",
            Pane::Pods => "Pods",
            Pane::Events => "Events",
            Pane::Log => "Log",
        }
    }

    pub fn is_of_site(self) -> bool {
        Pane::OF_SITE.contains(&self)
    }

    /// `4 Releases`
    pub fn name(self) -> String {
        match Pane::WITH_DIGIT.iter().position(|pane| *pane == self) {
            Some(n) => format!("{} {}", n + 1, self.title()),
            None => self.title().to_string(),
        }
    }
}

/// A line of the pane of days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    Day(Day),
    Step(StepId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    Detail,
    Log,
    Findings,
    /// The selected line of a pane of the site.
    Item(Pane),
    /// The answer to what was asked about it.
    Answer(Pane),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialog {
    /// `since`: when it came by itself, on the wall; zero when it was asked for.
    Gate {
        day: Day,
        by_hand: bool,
        scroll: usize,
        since: Duration,
    },
    /// `stop`: the marked answer.
    Quit {
        stop: bool,
    },
    /// The person leaves as soon as the run has stopped.
    Stopping,
    Stop {
        stop: bool,
    },
    /// Somebody else has control.
    Take,
    Mend,
    Result {
        scroll: usize,
    },
}

#[derive(Debug)]
pub struct RunModel {
    pub plan: Arc<Plan>,
    pub title: String,
    pub folder: PathBuf,
    pub findings: Vec<String>,
    pub state: RunState,
    pub feed: Feed,
    pub cursor: Row,
    /// The cursor goes by itself to what needs attention.
    pub follow: bool,
    /// Days that a person folded (`true`) or unfolded.
    pub folded: BTreeMap<Day, bool>,
    pub pane: Pane,
    /// A person has chosen a pane; until then the day's own pane opens by itself.
    pub pinned: bool,
    /// The pane of the site that was chosen last.
    pub site: Pane,
    /// The selected line of each pane of the site, by its key.
    pub picked: BTreeMap<Pane, String>,
    /// Steps that were late when the clock was looked at last.
    pub late: BTreeSet<StepId>,
    /// Only lines with this text are shown, whatever its case; empty: all.
    pub find: String,
    /// The text while it is typed.
    pub typing: Option<TextLine>,
    /// Only what needs attention is shown.
    pub problems: bool,
    /// A step of the day in hand is blocked: what to do stands with the steps.
    pub needs_person: bool,
    pub full: Option<Full>,
    pub dialog: Option<Dialog>,
    pub detail_scroll: usize,
    pub full_scroll: usize,
    /// Log lines between the last one shown and the end; 0 follows.
    pub log_back: usize,
    /// Gates that were put off.
    pub later: BTreeSet<Day>,
    /// The summary, once the engine has ended.
    pub result: Option<String>,
    /// This screen asked the run to stop.
    pub stopped_here: bool,
    pub control: Control,
    /// The record of a run without a worker: nothing can be asked.
    pub read_only: bool,
    /// The state of the target as the observer saw it, beside the records.
    pub observed: Observed,
    pub asking: Asking,
}

impl RunModel {
    pub fn new(plan: Arc<Plan>, title: String, folder: PathBuf, findings: Vec<String>) -> Self {
        RunModel {
            plan,
            title,
            folder,
            findings,
            state: RunState::default(),
            feed: Feed::default(),
            cursor: Row::Day(Day::Number(0)),
            follow: true,
            folded: BTreeMap::new(),
            pane: Pane::Days,
            pinned: false,
            site: Pane::Proxmox,
            picked: BTreeMap::new(),
            late: BTreeSet::new(),
            find: String::new(),
            typing: None,
            problems: false,
            needs_person: false,
            full: None,
            dialog: None,
            detail_scroll: 0,
            full_scroll: 0,
            log_back: 0,
            later: BTreeSet::new(),
            result: None,
            stopped_here: false,
            control: Control { yours: true, by: None },
            read_only: false,
            observed: Observed::default(),
            asking: Asking::default(),
        }
    }

    /// Why a person should look now, in a word.
    pub fn call(&self) -> Option<&'static str> {
        match self.state.ended {
            Some(Outcome::Proven) => return Some("DONE"),
            Some(Outcome::Blocked) => return Some("BLOCKED"),
            Some(Outcome::Stopped) => return Some("STOPPED"),
            None => {}
        }
        if self.state.gate_waiting().is_some() {
            Some("GATE")
        } else if self.state.wanted().any(StepState::is_blocked) {
            Some("BLOCKED")
        } else {
            (!self.late.is_empty()).then_some("LATE")
        }
    }

    pub fn context(&self) -> Context {
        if self.dialog.is_none() && self.typing.is_some() {
            return Context::Find;
        }
        match (&self.dialog, &self.full) {
            (Some(Dialog::Gate { .. }), _) => Context::Gate,
            (Some(Dialog::Quit { .. }), _) => Context::Quit,
            (Some(Dialog::Stopping), _) => Context::Stopping,
            (Some(Dialog::Stop { .. }), _) => Context::Stop,
            (Some(Dialog::Take), _) => Context::Take,
            (Some(Dialog::Mend), _) => Context::Mend,
            (Some(Dialog::Result { .. }), _) => Context::Result,
            (None, Some(_)) => Context::Full,
            (None, None) => Context::Run,
        }
    }

    /// The engine has ended, whether or not its summary has come.
    pub fn is_over(&self) -> bool {
        self.result.is_some() || self.state.ended.is_some()
    }

    pub fn days(&self) -> Vec<Day> {
        let days: BTreeSet<Day> = self.state.wanted().map(|s| s.outline.day).collect();
        days.into_iter().collect()
    }

    /// Proven and all steps of a day.
    pub fn day_counts(&self, day: Day) -> (usize, usize) {
        let steps = || self.state.wanted().filter(move |s| s.outline.day == day);
        (steps().filter(|s| s.is_proven()).count(), steps().count())
    }

    /// The first day that is not done, where the engine works; the last one when all is proven.
    pub fn today(&self) -> Day {
        self.state.today().or_else(|| self.state.wanted().map(|s| s.outline.day).max()).unwrap_or(Day::Number(0))
    }

    /// Only the current day is unfolded, unless a person wants it otherwise.
    pub fn is_folded(&self, day: Day) -> bool {
        let done = self.day_counts(day);
        self.folded.get(&day).copied().unwrap_or(day != self.today() || done.0 == done.1)
    }

    /// The text that lines of this pane must have: it is for what has the keyboard alone.
    pub fn find_in(&self, pane: Pane) -> &str {
        let here = match (self.full, self.pane) {
            (Some(Full::Log), _) => Some(Pane::Log),
            (Some(Full::Detail | Full::Findings | Full::Item(_) | Full::Answer(_)), _) => None,
            (None, Pane::Detail) => Some(Pane::Days),
            (None, pane) => Some(pane),
        };
        if here == Some(pane) { &self.find } else { "" }
    }

    /// True when only a part of the lines of this pane is shown.
    pub fn is_narrowed(&self, pane: Pane) -> bool {
        self.problems || !self.find_in(pane).is_empty()
    }

    /// True when a line of this pane that says `text` is shown.
    pub fn finds(&self, pane: Pane, text: &str) -> bool {
        let find = self.find_in(pane);
        find.is_empty() || text.to_lowercase().contains(&find.to_lowercase())
    }

    /// True when a step is shown while only a part of them is.
    fn finds_step(&self, step: &StepState) -> bool {
        let is_problem = step.failure().is_some() || step.drifted.is_some() || self.late.contains(&step.outline.id);
        (!self.problems || is_problem) && self.finds(Pane::Days, &format!("{} {}", step.outline.id, step.outline.title))
    }

    /// True when a line of the log is shown.
    pub fn finds_line(&self, line: &FeedLine) -> bool {
        let is_problem = match line.news.standing() {
            Some(Standing::Late | Standing::Blocked | Standing::Drifted | Standing::Retries | Standing::Halted) => true,
            Some(
                Standing::Pending
                | Standing::Ready
                | Standing::Queued
                | Standing::Gate
                | Standing::Confirms
                | Standing::Acts
                | Standing::Waits
                | Standing::Proven,
            )
            | None => false,
        };
        let step = line.step.as_ref().map_or("", |step| step.as_str());
        (!self.problems || is_problem) && self.finds(Pane::Log, &format!("{} {step} {}", line.news.word(), line.text))
    }

    /// Lines of the log that are shown.
    pub fn log_lines(&self) -> usize {
        if self.is_narrowed(Pane::Log) {
            self.feed.newest().filter(|line| self.finds_line(line)).count()
        } else {
            self.feed.len()
        }
    }

    pub fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for day in self.days() {
            // The page of a step keeps its step.
            if self.full.is_none() && self.is_narrowed(Pane::Days) {
                let found = self.state.wanted().filter(|s| s.outline.day == day && self.finds_step(s));
                let found: Vec<Row> = found.map(|s| Row::Step(s.outline.id.clone())).collect();
                if !found.is_empty() {
                    rows.push(Row::Day(day));
                    rows.extend(found);
                }
                continue;
            }
            rows.push(Row::Day(day));
            if !self.is_folded(day) {
                let steps = self.state.wanted().filter(|s| s.outline.day == day);
                rows.extend(steps.map(|s| Row::Step(s.outline.id.clone())));
            }
        }
        rows
    }

    /// The row of the cursor: a step in a folded day stands for its day.
    pub fn row_index(&self, rows: &[Row]) -> usize {
        let at = |wanted: &Row| rows.iter().position(|r| r == wanted);
        let day = || match &self.cursor {
            Row::Day(_) => None,
            Row::Step(id) => self.state.step(id).and_then(|s| at(&Row::Day(s.outline.day))),
        };
        at(&self.cursor).or_else(day).unwrap_or(0)
    }

    /// The row under the cursor as it is drawn.
    pub fn current(&self) -> Row {
        let rows = self.rows();
        rows.get(self.row_index(&rows)).cloned().unwrap_or(Row::Day(Day::Number(0)))
    }

    /// The pane that shows what the day in hand makes, once something of it was seen.
    fn day_pane(&self) -> Option<Pane> {
        panes::of_day(self.today()).filter(|pane| panes::has(self, *pane))
    }

    /// The pane that has the keyboard. `tabs`: only one pane is shown at a time.
    pub fn keyboard(&self, tabs: bool) -> Pane {
        let own = if self.pinned || !tabs || self.needs_person { None } else { self.day_pane() };
        own.unwrap_or(self.pane)
    }

    /// The pane of the site that stands beside the steps.
    pub fn beside(&self) -> Pane {
        let own = if self.pinned { None } else { self.day_pane() };
        if self.pane.is_of_site() { self.pane } else { own.unwrap_or(self.site) }
    }

    /// Moves the cursor to the step that needs attention most; stays where that is as good.
    pub fn follow_attention(&mut self, now: Timestamp) {
        let now = clock_of(&self.state, now);
        let today = self.today();
        let blocked = |s: &StepState| s.outline.day == today && matches!(s.status, Status::Blocked { .. });
        self.needs_person = self.state.wanted().any(blocked);
        // Who reads a page of one step keeps it.
        if !self.follow || self.full.is_some() {
            return;
        }
        let mut best: Option<(u8, &StepId)> = None;
        let mut here = None;
        for step in self.state.wanted().filter(|s| s.outline.day == today) {
            let severity = standing(step, &self.state, now).severity();
            if self.cursor == Row::Step(step.outline.id.clone()) {
                here = Some(severity);
            }
            if best.is_none_or(|(most, _)| severity > most) {
                best = Some((severity, &step.outline.id));
            }
        }
        let Some((severity, id)) = best else { return };
        if here.is_none_or(|here| severity > here) {
            self.cursor = if severity == 0 { Row::Day(today) } else { Row::Step(id.clone()) };
            self.detail_scroll = 0;
        }
    }

    /// The steps of a day that will change the target and are not proven yet.
    pub fn changes_of(&self, day: Day) -> impl Iterator<Item = &StepState> {
        self.state.wanted().filter(move |s| s.outline.day == day && s.outline.changes && !s.is_proven())
    }
}
