//! The screen of one run: its folded state, where the cursor stands, what lies over it.
use crate::base::day::Day;
use crate::engine::standing::{clock_of, standing};
use crate::engine::state::RunState;
use crate::engine::step::StepId;
use crate::plan::Plan;
use crate::session::protocol::Control;
use crate::tui::feed::Feed;
use crate::tui::keymap::Context;
use crate::tui::model::observed::Observed;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pane {
    Days,
    Detail,
    Log,
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
    /// The state of the target as the observer saw it, beside the records.
    pub observed: Observed,
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
            full: None,
            dialog: None,
            detail_scroll: 0,
            full_scroll: 0,
            log_back: 0,
            later: BTreeSet::new(),
            result: None,
            stopped_here: false,
            control: Control { yours: true, by: None },
            observed: Observed::default(),
        }
    }

    pub fn context(&self) -> Context {
        match (&self.dialog, &self.full) {
            (Some(Dialog::Gate { .. }), _) => Context::Gate,
            (Some(Dialog::Quit { .. }), _) => Context::Quit,
            (Some(Dialog::Stopping), _) => Context::Stopping,
            (Some(Dialog::Stop { .. }), _) => Context::Stop,
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

    pub fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for day in self.days() {
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

    /// Moves the cursor to the step that needs attention most; stays where that is as good.
    pub fn follow_attention(&mut self, now: Timestamp) {
        if !self.follow {
            return;
        }
        let now = clock_of(&self.state, now);
        let today = self.today();
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
    pub fn changes_of(&self, day: Day) -> impl Iterator<Item = &crate::engine::state::StepState> {
        self.state.wanted().filter(move |s| s.outline.day == day && s.outline.changes && !s.is_proven())
    }
}
