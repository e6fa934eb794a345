//! The integrity checks of a finished installation: fifty named statements. Most are proven by steps; the others are read
//! here, in one snapshot of the cluster and one of Proxmox VE. Nothing is changed.
pub mod read;
mod rules;
pub mod table;

use crate::engine::verify::{Found, Looked};
use crate::plan::model::Plan;
use read::{Cluster, Site};
use serde::Serialize;
use table::{By, CHECKS, Check};

/// What is found of one statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Verdict {
    /// It is true; `seen` says what was read.
    Holds { seen: String },
    /// It is not true.
    Differs { seen: String, next: String },
    /// The system did not answer.
    NoAnswer { why: String },
    /// The run has not come to it, it has no such part, or only a test can show it.
    NotAsked { why: String },
    /// For a person to judge; never a difference.
    Told { seen: String },
}

impl Verdict {
    fn holds(seen: impl Into<String>) -> Verdict {
        Verdict::Holds { seen: seen.into() }
    }

    fn differs(seen: impl Into<String>, next: impl Into<String>) -> Verdict {
        Verdict::Differs { seen: seen.into(), next: next.into() }
    }

    fn not_asked(why: impl Into<String>) -> Verdict {
        Verdict::NotAsked { why: why.into() }
    }

    pub fn is_difference(&self) -> bool {
        match self {
            Verdict::Differs { .. } | Verdict::NoAnswer { .. } => true,
            Verdict::Holds { .. } | Verdict::NotAsked { .. } | Verdict::Told { .. } => false,
        }
    }
}

/// One row of the table.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    pub id: &'static str,
    /// The statement.
    pub title: &'static str,
    /// The kinds of the steps that prove it; empty where it was read here.
    #[serde(skip_serializing_if = "<[&str]>::is_empty")]
    pub by: &'static [&'static str],
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// Everything that the checks are judged by.
pub struct Facts<'a> {
    pub plan: &'a Plan,
    pub looked: &'a [Looked],
    /// The last day whose steps were all proven.
    pub day: Option<u8>,
    /// Names of the components that the plan installs.
    pub components: Vec<String>,
    /// Or why it could not be read.
    pub site: Result<&'a Site, &'a str>,
    pub cluster: Result<&'a Cluster, &'a str>,
}

/// All checks, in the order of the table.
pub fn rows(facts: &Facts<'_>) -> Vec<Row> {
    let row = |check: &Check| {
        let by = match &check.by {
            By::Steps(kinds) => *kinds,
            By::Site(_) | By::Cluster { .. } => &[][..],
        };
        Row { id: check.id, title: check.title, by, verdict: facts.judge(check) }
    };
    CHECKS.iter().map(row).collect()
}

impl Facts<'_> {
    fn judge(&self, check: &Check) -> Verdict {
        match &check.by {
            By::Steps(kinds) => of_steps(self.looked, kinds),
            By::Site(rule) => match self.site {
                Ok(site) => rule(site, self.plan),
                Err(why) => Verdict::NoAnswer { why: why.to_string() },
            },
            By::Cluster { since, needs, rule } => {
                if self.day.is_none_or(|day| day < *since) {
                    return Verdict::not_asked(format!("the run has not proven day {since}"));
                }
                if let Some(missing) = needs.iter().find(|name| !self.components.iter().any(|c| c == *name)) {
                    return Verdict::not_asked(format!("the plan's profile has no component {missing}"));
                }
                match self.cluster {
                    Ok(cluster) => rule(cluster, self.plan),
                    Err(why) => Verdict::NoAnswer { why: why.to_string() },
                }
            }
        }
    }
}

/// The worst that was found of the steps of these kinds.
fn of_steps(looked: &[Looked], kinds: &[&str]) -> Verdict {
    let of_kind = |l: &&Looked| kinds.contains(&l.outline.id.kind());
    let all: Vec<&Looked> = looked.iter().filter(of_kind).collect();
    let id = |l: &Looked| l.outline.id.to_string();
    let mut silent: Vec<String> = Vec::new();
    for l in &all {
        match &l.found {
            Found::Differs { seen, .. } => {
                return Verdict::differs(format!("{}: {seen}", id(l)), format!("see {}", id(l)));
            }
            Found::NotPlanned => {
                return Verdict::differs(
                    format!("{} is not in the plan any more", id(l)),
                    "compare the plan with the run's own",
                );
            }
            Found::NoAnswer(failure) => silent.push(format!("{}: {}", id(l), failure.what)),
            Found::Behind(root) => silent.push(format!("{} stands on {root}, which got no answer", id(l))),
            Found::Holds(_) | Found::OfAMoment | Found::OfASession => {}
        }
    }
    if let Some(why) = silent.into_iter().next() {
        return Verdict::NoAnswer { why };
    }
    let holds: Vec<&&Looked> = all.iter().filter(|l| matches!(l.found, Found::Holds(_))).collect();
    match (holds.first(), all.first()) {
        (Some(first), _) if holds.len() > 1 => {
            Verdict::holds(format!("{} and {} more steps", id(first), holds.len() - 1))
        }
        (Some(first), _) => Verdict::holds(id(first)),
        (None, Some(first)) => {
            let at = first.proven.readings().next().map(|r| r.at.strftime("%F %T UTC").to_string()).unwrap_or_default();
            Verdict::not_asked(format!("a test of the run showed it ({}, {at}); a test is not repeated", id(first)))
        }
        (None, None) => Verdict::not_asked(format!("the run has not proven {}", kinds.join(", "))),
    }
}
