//! A verification, in the forms in which it is shown: a table, JSON, one line for monitoring, a Prometheus text file.
use super::json::SCHEMA;
use crate::base::text;
use crate::engine::verify::{Found, Looked};
use crate::integrity::{Row, Verdict};
use crate::plan::day_title;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

/// What a verification has found.
pub struct Verification {
    pub run: String,
    pub plan: String,
    /// By the run's clock.
    pub at: Timestamp,
    /// The process that works on the run at the same time.
    pub worker: Option<String>,
    /// The plan's text is another one than that of the last session.
    pub plan_changed: bool,
    pub looked: Vec<Looked>,
    pub rows: Vec<Row>,
}

/// How many hold, differ (or can't be told), and were not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Count {
    pub hold: usize,
    pub differ: usize,
    pub not_asked: usize,
}

impl Count {
    fn of(results: impl Iterator<Item = (bool, bool)>) -> Count {
        let mut count = Count { hold: 0, differ: 0, not_asked: 0 };
        for (differs, holds) in results {
            match (differs, holds) {
                (true, _) => count.differ += 1,
                (false, true) => count.hold += 1,
                (false, false) => count.not_asked += 1,
            }
        }
        count
    }
}

impl Verification {
    pub fn steps(&self) -> Count {
        Count::of(self.looked.iter().map(|l| (l.found.is_difference(), matches!(l.found, Found::Holds(_)))))
    }

    pub fn checks(&self) -> Count {
        Count::of(self.rows.iter().map(|r| (r.verdict.is_difference(), matches!(r.verdict, Verdict::Holds { .. }))))
    }

    /// Nothing differs from what was proven, and every system answered.
    pub fn is_well(&self) -> bool {
        self.steps().differ == 0 && self.checks().differ == 0
    }

    /// For people: every step and every check, differences with what was proven and what to do.
    pub fn text(&self) -> String {
        let mut out =
            vec![format!("run {} of plan {}, looked at {}; nothing was changed", self.run, self.plan, time(self.at))];
        if let Some(worker) = &self.worker {
            out.push(format!("note: {worker} works on the run: what it is changing may show as a difference"));
        }
        if self.plan_changed {
            out.push(
                "note: the plan was edited since its last session: the steps are those of the plan as it is now".into(),
            );
        }
        let mut day = None;
        for looked in &self.looked {
            if day != Some(looked.outline.day) {
                day = Some(looked.outline.day);
                out.push(day_title(looked.outline.day));
            }
            out.extend(lines(looked));
        }
        out.push("Integrity checks".to_string());
        out.extend(self.rows.iter().flat_map(row));
        out.push(self.summary());
        out.join("\n")
    }

    fn summary(&self) -> String {
        let told =
            |what: &str, c: Count| format!("{what}: {} hold, {} differ, {} not asked", c.hold, c.differ, c.not_asked);
        let word = if self.is_well() { "all is as it was proven" } else { "DIFFERENT from what was proven" };
        format!("{word}; {}; {}", told("steps", self.steps()), told("checks", self.checks()))
    }

    /// One line: state, the first difference, and figures behind a bar, as Nagios and its relatives read it.
    pub fn line(&self) -> String {
        let (steps, checks) = (self.steps(), self.checks());
        let state = if self.is_well() { "OK" } else { "CRITICAL" };
        let first = match self.first_difference() {
            Some(first) => format!(": {}", plain(&first)),
            None => String::new(),
        };
        format!(
            "COZYUP {state} - {}: {} of {} steps and {} of {} checks differ{first} | steps_hold={} steps_differ={} \
             checks_hold={} checks_differ={}",
            self.plan,
            steps.differ,
            self.looked.len(),
            checks.differ,
            self.rows.len(),
            steps.hold,
            steps.differ,
            checks.hold,
            checks.differ
        )
    }

    fn first_difference(&self) -> Option<String> {
        let step = self.looked.iter().find(|l| l.found.is_difference());
        let step = step.map(|l| format!("{}: {}", l.outline.id, seen(&l.found)));
        step.or_else(|| {
            self.rows.iter().find(|r| r.verdict.is_difference()).map(|r| format!("{}: {}", r.id, judged(&r.verdict)))
        })
    }

    /// For the text file collector of Prometheus' node exporter.
    pub fn metrics(&self) -> String {
        let plan = self.plan.replace(['\\', '"', '\n'], "_");
        let mut out = Vec::new();
        let mut gauge = |name: &str, help: &str, rows: &[(&str, String)]| {
            out.push(format!("# HELP {name} {help}"));
            out.push(format!("# TYPE {name} gauge"));
            out.extend(rows.iter().map(|(label, value)| format!("{name}{{plan=\"{plan}\"{label}}} {value}")));
        };
        let (steps, checks) = (self.steps(), self.checks());
        let well = u8::from(self.is_well()).to_string();
        gauge("cozyup_verify_ok", "1 when nothing differs from what was proven.", &[("", well)]);
        gauge("cozyup_verify_timestamp_seconds", "When it was looked at.", &[("", self.at.as_second().to_string())]);
        let counted = |c: Count| {
            [
                (",result=\"holds\"", c.hold.to_string()),
                (",result=\"differs\"", c.differ.to_string()),
                (",result=\"not_asked\"", c.not_asked.to_string()),
            ]
        };
        gauge("cozyup_verify_steps", "Steps of the run by result.", &counted(steps));
        gauge("cozyup_verify_checks", "Integrity checks by result.", &counted(checks));
        out.join("\n")
    }

    pub fn json(&self) -> String {
        let steps: Vec<Value> = self.looked.iter().map(as_json).collect();
        json!({
            "schema": SCHEMA, "kind": "verification", "run": self.run, "plan": self.plan, "at": self.at,
            "ok": self.is_well(), "worker": self.worker, "plan_changed": self.plan_changed,
            "steps": steps, "checks": self.rows, "counts": {"steps": self.steps(), "checks": self.checks()},
        })
        .to_string()
    }
}

fn time(at: Timestamp) -> String {
    at.strftime("%F %T UTC").to_string()
}

/// Without the bar, which would begin the figures.
fn plain(text: &str) -> String {
    text::shorten(&text::line(text).replace('|', "/"), 300)
}

fn word(found: &Found) -> &'static str {
    match found {
        Found::Holds(_) => "holds",
        Found::Differs { .. } | Found::NotPlanned => "DIFFERS",
        Found::NoAnswer(_) | Found::Behind(_) => "NO ANSWER",
        Found::OfAMoment | Found::OfASession => "not asked",
    }
}

fn seen(found: &Found) -> String {
    match found {
        Found::Holds(proof) => proof.summary().to_string(),
        Found::Differs { seen, .. } => seen.clone(),
        Found::NoAnswer(failure) => failure.what.clone(),
        Found::Behind(root) => format!("not looked at: it stands on {root}, which got no answer"),
        Found::OfAMoment => "a test of the run; a test is not repeated".to_string(),
        Found::OfASession => "about the session that worked; none is looked at".to_string(),
        Found::NotPlanned => "the plan, as it is now, has no such step".to_string(),
    }
}

fn next(found: &Found) -> Option<&str> {
    match found {
        Found::Differs { next, .. } => next.as_deref(),
        Found::NoAnswer(failure) => Some(&failure.next),
        Found::Holds(_) | Found::Behind(_) | Found::OfAMoment | Found::OfASession | Found::NotPlanned => None,
    }
}

/// When the first reading of the proof was made.
fn proven_at(looked: &Looked) -> Option<Timestamp> {
    looked.proven.readings().next().map(|reading| reading.at)
}

fn lines(looked: &Looked) -> Vec<String> {
    let id = &looked.outline.id;
    let mut out = vec![format!("  {:<9}  {id}: {}", word(&looked.found), seen(&looked.found))];
    if looked.found.is_difference() {
        let at = proven_at(looked).map_or(String::new(), |at| format!(" ({})", time(at)));
        out.push(format!("             proven: {}{at}", looked.proven.summary()));
        out.extend(next(&looked.found).map(|next| format!("             next: {next}")));
    }
    out
}

fn judged(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Holds { seen } | Verdict::Differs { seen, .. } | Verdict::Told { seen } => seen,
        Verdict::NoAnswer { why } | Verdict::NotAsked { why } => why,
    }
}

fn row(row: &Row) -> Vec<String> {
    let (word, next) = match &row.verdict {
        Verdict::Holds { .. } => ("holds", None),
        Verdict::Differs { next, .. } => ("DIFFERS", Some(next)),
        Verdict::NoAnswer { .. } => ("NO ANSWER", None),
        Verdict::NotAsked { .. } => ("not asked", None),
        Verdict::Told { .. } => ("told", None),
    };
    let mut out = vec![format!("  {word:<9}  {}: {}: {}", row.id, row.title, judged(&row.verdict))];
    out.extend(next.map(|next| format!("             next: {next}")));
    out
}

fn as_json(looked: &Looked) -> Value {
    let result = match &looked.found {
        Found::Holds(_) => "holds",
        Found::Differs { .. } => "differs",
        Found::NoAnswer(_) => "no_answer",
        Found::Behind(_) => "behind",
        Found::OfAMoment => "of_a_moment",
        Found::OfASession => "of_a_session",
        Found::NotPlanned => "not_planned",
    };
    json!({
        "id": looked.outline.id, "day": looked.outline.day, "title": looked.outline.title, "result": result,
        "proven": looked.proven.summary(), "proven_at": proven_at(looked),
        "seen": seen(&looked.found), "next": next(&looked.found),
    })
}
