//! `cozyup status [RUN]`: what the journal says, also while nobody works on the run.
use super::run::who;
use super::{Exit, note, say, tell, with_next};
use crate::base::clock::between;
use crate::base::{process, text};
use crate::compose::recorded;
use crate::engine::journal::is_written;
use crate::engine::record::Outcome;
use crate::engine::state::{RunState, Status as StepStatus, StepState};
use crate::plan::{day_title, resume_command};
use crate::session::client::{self, JoinError};
use crate::session::folder::RunFolder;
use crate::session::lock::{self, Owner};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub struct Status {
    /// The plan's name (default: the run that was touched last)
    pub run: Option<String>,
    #[arg(long)]
    pub json: bool,
}

/// A worker that lives answers at once; its answers don't depend on the target.
const ANSWER: Duration = Duration::from_secs(2);

/// The process that holds the run, and what came of speaking to it.
struct Worker {
    owner: Owner,
    answer: Answer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Answers,
    /// It holds the run and does not listen: it begins, or ends, or is no worker (`secrets seal`, `teardown --list`).
    Deaf,
    /// It is held by a signal or a debugger.
    Stopped,
    Silent,
}

impl Worker {
    async fn of(folder: &Path, state: &RunState) -> Option<Worker> {
        // A lock that can't be read is held by nobody whom this could name; who removed it has not ended the worker.
        let owner = lock::holder(&folder.join("lock")).ok().flatten().or_else(|| {
            let since = state.last.unwrap_or(jiff::Timestamp::UNIX_EPOCH);
            is_written(&folder.join("journal.jsonl")).then(|| Owner {
                host: state.host.clone(),
                pid: state.pid,
                since,
                started: 0,
            })
        })?;
        let answer = match client::greet(folder, &who(), ANSWER).await {
            Ok(_) | Err(JoinError::Denied { .. }) => Answer::Answers,
            Err(JoinError::Nobody) => Answer::Deaf,
            Err(JoinError::Silent(_) | JoinError::Stranger(_)) => {
                match owner.host == lock::host_name() && process::is_stopped(owner.pid) {
                    true => Answer::Stopped,
                    false => Answer::Silent,
                }
            }
        };
        Some(Worker { owner, answer })
    }

    fn told(&self, state: &RunState) -> String {
        let (owner, resume) = (&self.owner, resume_command(state.backwards));
        match self.answer {
            Answer::Answers => format!("goes on in {owner}"),
            Answer::Deaf => format!(
                "is held by {owner}, which takes no screens at the moment: it begins or ends, or its socket was removed"
            ),
            Answer::Stopped => {
                format!("is held by {owner}, which somebody has stopped: `kill -CONT {}` lets it go on", owner.pid)
            }
            Answer::Silent => {
                let last = state.last.map_or("none".to_string(), |at| at.strftime("%F %T UTC").to_string());
                format!(
                    "is held by {owner}, which does not answer (its last record: {last}); `{resume} --take-over` ends it, \
                     which loses nothing, and goes on"
                )
            }
        }
    }
}

impl Status {
    pub async fn run(self, state_dir: &Path) -> Exit {
        let folder = match find(state_dir, self.run.as_deref()).and_then(|folder| judged(&folder)) {
            Ok(folder) => folder.path().to_path_buf(),
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
        let worker = Worker::of(&folder, &state).await;
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
            None if blocked || state.disputed => Exit::Blocked,
            None => Exit::Stopped,
        }
    }
}

/// The folder of a run, once nobody else has a hand in it; a word on what was repaired has been said.
///
/// # Errors
/// With what is wrong and what to do.
pub fn judged(folder: &Path) -> Result<RunFolder, String> {
    let (folder, words) = RunFolder::existing(folder).map_err(|e| with_next(&e, &e.next()))?;
    words.iter().for_each(|word| note(word));
    Ok(folder)
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

fn as_json(state: &RunState, folder: &Path, worker: Option<&Worker>) -> String {
    let worker = worker.map(|w| {
        let owner = &w.owner;
        json!({
            "host": owner.host, "pid": owner.pid, "since": owner.since,
            "answers": w.answer == Answer::Answers, "stopped": w.answer == Answer::Stopped,
        })
    });
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
        "schema": crate::report::json::SCHEMA, "kind": "status", "run": state.run, "plan": state.plan, "outcome": state.ended, "disputed": state.disputed,
        "folder": folder.display().to_string(), "proven": state.proven(), "steps": steps, "gate_waiting": state.gate_waiting(), "last": state.last, "worker": worker,
    })
    .to_string()
}

fn as_text(state: &RunState, folder: &Path, worker: Option<&Worker>) -> String {
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
            (None, Some(worker)) => worker.told(state),
            (None, None) if state.disputed => format!(
                "its journal says that it came to a good end, which its own records do not bear out: somebody changed it; \
                 `{}` looks at the target again",
                resume_command(state.backwards)
            ),
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
