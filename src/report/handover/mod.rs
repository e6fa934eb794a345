//! The hand-over record: what a run made, how each thing was proven, and what the next person has to know. It is made of the
//! run's records alone; versions and addresses are those of the plan's text that lies beside them, when it is the very text
//! that the last session ran.
mod collect;
mod history;
pub mod html;
pub mod markdown;
pub mod svg;
#[cfg(test)]
mod tests;

use super::summary::{Ending, Node};
use crate::base::day::Day;
use crate::engine::course::Course;
use crate::engine::failure::Class;
use crate::engine::proof::Left;
use crate::engine::record::Outcome;
use crate::engine::wait::Band;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// Everything that the record says. No text in it has control characters or a secret.
#[derive(Debug, Clone, Serialize)]
pub struct HandOver {
    pub run: String,
    pub plan: String,
    /// SHA-256 of the plan's text in the last session.
    pub plan_sha256: String,
    /// A digest of what is proven and since when: as long as it is the same, the record tells of the proofs of now.
    pub proofs_sha256: String,
    /// The time of the last record: what follows is as of then.
    pub as_of: Option<Timestamp>,
    pub records: u64,
    pub outcome: Ending,
    pub course: Course,
    /// The journal says that it ended proven, and its records do not bear that out.
    pub disputed: bool,
    pub proven: usize,
    pub steps_in_all: usize,
    pub sessions: Vec<Session>,
    pub gates: Vec<Gate>,
    /// Empty where the plan's text is not there any more.
    pub machines: Vec<Node>,
    pub versions: BTreeMap<&'static str, String>,
    pub addresses: BTreeMap<&'static str, String>,
    /// Commands and addresses by which one gets in.
    pub access: Vec<Access>,
    /// SHA-256 of what nobody could name beforehand, as it was read first.
    pub digests: BTreeMap<String, String>,
    pub overrides: Vec<Overridden>,
    pub steps: Vec<StepTold>,
    pub notices: Vec<Told>,
    pub left_alone: Vec<Left>,
    pub risks: Vec<Risk>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Session {
    pub began: Timestamp,
    /// The last record of it.
    pub ended: Timestamp,
    /// `None` for one whose worker was killed.
    pub outcome: Option<Outcome>,
    pub course: Course,
    pub host: String,
    pub cozyup: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub take_over: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Gate {
    pub day: Day,
    pub by: String,
    pub at: Timestamp,
    /// What the person was asked to compare.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub compared: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Access {
    pub to: String,
    /// A command, or an address.
    pub how: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct Overridden {
    pub rule: String,
    pub reason: String,
}

/// A sentence with its time.
#[derive(Debug, Clone, Serialize)]
pub struct Told {
    pub at: Timestamp,
    pub text: String,
}

/// A step over all sessions.
#[derive(Debug, Clone, Serialize)]
pub struct StepTold {
    pub id: String,
    pub day: Day,
    pub title: String,
    /// Whether the last record about it leaves it proven.
    pub proven: bool,
    pub began: Option<Timestamp>,
    pub proven_at: Option<Timestamp>,
    /// Seconds of the run's clock, of the work that proved it last.
    pub took_s: Option<u64>,
    pub band: Band,
    /// It took longer than its band allows.
    pub late: bool,
    /// The number of calls of its act.
    pub attempts: u32,
    pub summary: Option<String>,
    pub remarks: Vec<String>,
    pub evidence: Vec<Reading>,
    pub waits: Vec<Waited>,
    pub failures: Vec<Failed>,
    /// Failures that are not listed.
    pub more_failures: usize,
    pub drifts: Vec<Told>,
    pub by_hand: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct Reading {
    pub system: String,
    pub asked: String,
    pub at: Timestamp,
    pub answer: String,
    /// Of the answer as it is in the record.
    pub sha256: String,
    pub by_hand: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct Waited {
    pub for_what: String,
    pub from: Timestamp,
    pub to: Timestamp,
}

#[derive(Debug, Clone, Serialize)]
pub struct Failed {
    pub at: Timestamp,
    pub class: Class,
    pub what: String,
    pub next: String,
}

/// Something that is open.
#[derive(Debug, Clone, Serialize)]
pub struct Risk {
    /// The step that it is about; empty for the run.
    pub about: String,
    pub what: String,
    pub next: String,
}

impl HandOver {
    pub fn json(&self) -> String {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        if let Some(map) = value.as_object_mut() {
            map.insert("schema".into(), super::json::SCHEMA.into());
            map.insert("kind".into(), "handover".into());
        }
        value.to_string()
    }

    /// The steps that went otherwise than a plain run does: late, failed on the way, or drifted.
    pub fn deviations(&self) -> impl Iterator<Item = &StepTold> {
        self.steps.iter().filter(|s| s.late || !s.failures.is_empty() || !s.drifts.is_empty())
    }

    /// `proven (to the end of day 6): 122 of 122 steps`
    pub fn headline(&self) -> String {
        let way = match self.course {
            Course::Forward { until } => format!("to the end of {until}"),
            Course::Back { .. } => "teardown".to_string(),
            Course::Workers { count } => format!("workers that stay: {count}"),
            Course::Node { name } => format!("removal of {name}"),
        };
        let word = if self.disputed { "disputed" } else { self.outcome.word() };
        format!("{word} ({way}): {} of {} steps proven", self.proven, self.steps_in_all)
    }
}

fn time(at: Timestamp) -> String {
    at.strftime("%F %T UTC").to_string()
}

fn seconds(s: u64) -> String {
    crate::base::text::format_duration(std::time::Duration::from_secs(s))
}

/// `4 min of 2 min usual, late from 10 min`
fn against_band(step: &StepTold) -> String {
    let band = format!("usual {}, late from {}", seconds(step.band.usual_s), seconds(step.band.late_s));
    match step.took_s {
        Some(took) if step.late => format!("{} (LATE; {band})", seconds(took)),
        Some(took) => format!("{} ({band})", seconds(took)),
        None => String::new(),
    }
}
