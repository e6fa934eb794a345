//! `cozyup status [RUN]`: what the journal says, also while nobody works on the run.
use super::{Exit, say, tell, with_next};
use crate::base::clock::between;
use crate::base::text;
use crate::compose::recorded;
use crate::engine::record::Outcome;
use crate::engine::state::{RunState, Status as StepStatus, StepState};
use crate::plan::{day_title, resume_command};
use crate::session::lock::{self, Owner};
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub struct Status {
    /// The plan's name (default: the run that was touched last)
    pub run: Option<String>,
    #[arg(long)]
    pub json: bool,
}

impl Status {
    pub fn run(self, state_dir: &Path) -> Exit {
        let folder = match find(state_dir, self.run.as_deref()) {
            Ok(folder) => folder,
            Err(why) => {
                tell(&why);
                return Exit::Usage;
            }
        };
        let state = match recorded(&folder) {
            Ok(records) => RunState::of(&records),
            Err(e) => {
                tell(&with_next(&e, &e.next()));
                return Exit::Usage;
            }
        };
        // A lock that can't be read is held by nobody whom this could name.
        let worker = lock::holder(&folder.join("lock")).ok().flatten();
        if self.json {
            say(&as_json(&state, &folder, worker.as_ref()))
        } else {
            say(&as_text(&state, &folder, worker.as_ref()))
        }
        let blocked = state.wanted().any(|s| matches!(s.status, StepStatus::Blocked { .. }));
        match state.ended {
            Some(Outcome::Proven) => Exit::Proven,
            Some(Outcome::Blocked) => Exit::Blocked,
            Some(Outcome::Stopped) => Exit::Stopped,
            None if blocked => Exit::Blocked,
            None => Exit::Stopped,
        }
    }
}

/// Folders of runs: of plans, and of the lab's scenarios.
pub fn folders(state_dir: &Path) -> Vec<PathBuf> {
    let inside = |dir: PathBuf| {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        entries.map(|e| e.path()).collect::<Vec<_>>()
    };
    let mut all = inside(state_dir.join("runs"));
    all.extend(inside(state_dir.join("lab")).into_iter().map(|d| d.join("run")));
    all.retain(|d| d.join("journal.jsonl").is_file());
    all
}

pub fn name_of(folder: &Path) -> String {
    let name = if folder.ends_with("run") { folder.parent().and_then(Path::file_name) } else { folder.file_name() };
    name.unwrap_or_default().to_string_lossy().into_owned()
}

pub fn find(state_dir: &Path, wanted: Option<&str>) -> Result<PathBuf, String> {
    let mut all = folders(state_dir);
    all.sort_by_key(|d| std::fs::metadata(d.join("journal.jsonl")).and_then(|m| m.modified()).ok());
    match wanted {
        None => all.pop().ok_or_else(|| {
            format!(
                "there is no run in {}\nnext: start one with `cozyup run PLAN` or `cozyup lab run`",
                state_dir.display()
            )
        }),
        Some(name) => all.iter().rev().find(|d| name_of(d) == name).cloned().ok_or_else(|| {
            let known: Vec<String> = all.iter().map(|d| name_of(d)).collect();
            format!("there is no run {name} in {}; there are: {}", state_dir.display(), known.join(", "))
        }),
    }
}

fn word(step: &StepState) -> &'static str {
    match step.status {
        StepStatus::Pending if step.to_confirm => "unconfirmed",
        StepStatus::Pending => "pending",
        StepStatus::Absent => "absent",
        StepStatus::Acting => "acting",
        StepStatus::Acted | StepStatus::Underway => "underway",
        StepStatus::Retrying { .. } => "retrying",
        StepStatus::Blocked { .. } => "blocked",
        StepStatus::Proven => "proven",
    }
}

fn as_json(state: &RunState, folder: &Path, worker: Option<&Owner>) -> String {
    let steps: Vec<_> = state
        .wanted()
        .map(|s| {
            json!({
                "id": s.outline.id, "day": s.outline.day, "title": s.outline.title, "status": word(s),
                "attempt": s.attempt,
                "wait": s.wait.as_ref().map(|(w, since)| json!({"condition": w.condition, "seen": w.seen, "since": since})),
                "failure": match &s.status {
                    StepStatus::Blocked { failure, .. } | StepStatus::Retrying { failure, .. } => json!(failure),
                    _ => serde_json::Value::Null,
                },
                "proof": s.proof.as_ref().map(|p| p.summary()),
                "remarks": s.proof.as_ref().map(|p| p.remarks()).unwrap_or_default(),
            })
        })
        .collect();
    json!({
        "schema": crate::report::json::SCHEMA, "kind": "status", "run": state.run, "plan": state.plan, "outcome": state.ended,
        "folder": folder.display().to_string(), "proven": state.proven(), "steps": steps, "gate_waiting": state.gate_waiting(), "last": state.last, "worker": worker,
    })
    .to_string()
}

fn as_text(state: &RunState, folder: &Path, worker: Option<&Owner>) -> String {
    let mut out = vec![format!(
        "{} {} of plan {}: {} of {} steps proven; {}",
        if state.backwards { "teardown of run" } else { "run" },
        state.run,
        state.plan,
        state.proven(),
        state.wanted().count(),
        match (state.ended, worker) {
            (Some(Outcome::Proven), _) => "proven".to_string(),
            (Some(Outcome::Blocked), _) => "ended as blocked".to_string(),
            (Some(Outcome::Stopped), _) => format!(
                "stopped, asked by {}; `{}` goes on with it",
                state.stop_asked.as_deref().map_or("nobody known".into(), text::clean),
                resume_command(state.backwards)
            ),
            (None, Some(owner)) => format!("goes on in {owner}"),
            (None, None) => format!("its process is gone; `{}` goes on with it", resume_command(state.backwards)),
        }
    )];
    let mut day = None;
    for step in state.wanted() {
        if day != Some(step.outline.day) {
            day = Some(step.outline.day);
            out.push(day_title(step.outline.day));
        }
        let detail = match (&step.status, &step.wait, &step.proof) {
            (StepStatus::Blocked { failure, .. } | StepStatus::Retrying { failure, .. }, _, _) => {
                format!("{}\n               next: {}", failure.what, failure.next)
            }
            (_, Some((wait, since)), _) => {
                let waited = text::spoken(between(*since, state.last.unwrap_or(*since)));
                format!("{} (seen: {}; for {waited})", wait.condition, wait.seen)
            }
            (_, None, Some(proof)) => proof.summary().to_string(),
            (_, None, None) => step.outline.title.clone(),
        };
        out.push(format!("  {:<11}  {}: {detail}", word(step), step.outline.id));
        let remarks = step.proof.as_ref().filter(|_| step.is_proven()).map(|p| p.remarks()).unwrap_or_default();
        out.extend(remarks.iter().map(|remark| format!("               mind: {remark}")));
    }
    out.push(format!("state: {}", folder.display()));
    out.join("\n")
}
