//! `cozyup status [RUN]`: what the journal says, also while nobody works on the run.
use super::exit::Exit;
use super::output::{print, print_error, with_next};
use super::person::who;
use super::runs::{find, judged};
use crate::base::clock::{Clock, between};
use crate::base::{process, text};
use crate::compose::recorded;
use crate::engine::journal::is_written;
use crate::engine::record::Outcome;
use crate::engine::standing::{Standing, clock_of, late, standing};
use crate::engine::state::{RunState, StepState};
use crate::engine::wait::Wait;
use crate::plan::day_title;
use crate::session::client::{self, JoinError};
use crate::session::lock::{self, Owner};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::path::Path;
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
    /// The run's clock, as the worker tells it.
    clock: Option<Clock>,
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
        // An unreadable lock is treated as not held; removing the file has not ended the worker.
        let owner = lock::holder(&folder.join("lock")).ok().flatten().or_else(|| {
            let since = state.last.unwrap_or(Timestamp::UNIX_EPOCH);
            is_written(&folder.join("journal.jsonl")).then(|| Owner {
                host: state.host.clone(),
                pid: state.pid,
                since,
                started: 0,
            })
        })?;
        let mut clock = None;
        let answer = match client::greet(folder, &who(), ANSWER).await {
            Ok(welcome) => {
                clock = welcome.clock.as_deref().map_or_else(|| Some(Clock::real()), Clock::of_spec);
                Answer::Answers
            }
            Err(JoinError::Denied { .. }) => Answer::Answers,
            Err(JoinError::Nobody) => Answer::Deaf,
            Err(JoinError::Silent(_) | JoinError::Stranger(_)) => {
                match owner.host == lock::host_name() && process::is_stopped(owner.pid) {
                    true => Answer::Stopped,
                    false => Answer::Silent,
                }
            }
        };
        Some(Worker { owner, answer, clock })
    }

    fn told(&self, state: &RunState) -> String {
        let (owner, resume) = (&self.owner, state.course.resume_command());
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
                print_error(&why);
                return Exit::Usage;
            }
        };
        let state = match recorded(&folder) {
            Ok(records) => RunState::of(&records),
            Err(e) => {
                print_error(&with_next(&e, &e.next()));
                return Exit::Usage;
            }
        };
        let worker = Worker::of(&folder, &state).await;
        let shown = Shown { state: &state, folder: &folder, worker: worker.as_ref() };
        print(&if self.json { shown.as_json() } else { shown.as_text() });
        let blocked = state.wanted().any(StepState::is_blocked);
        match state.ended {
            Some(Outcome::Proven) => Exit::Proven,
            Some(Outcome::Blocked) => Exit::Blocked,
            Some(Outcome::Stopped) => Exit::Stopped,
            None if blocked || state.disputed => Exit::Blocked,
            None => Exit::Stopped,
        }
    }
}

/// The facts of a run that are shown.
struct Shown<'a> {
    state: &'a RunState,
    folder: &'a Path,
    worker: Option<&'a Worker>,
}

impl Shown<'_> {
    /// The moment that the run has come to: by its worker's clock, or that of its last record where no worker tells it.
    fn now(&self) -> Timestamp {
        let last = self.state.last.unwrap_or(Timestamp::UNIX_EPOCH);
        let told = self.worker.and_then(|w| w.clock.as_ref()).map_or(last, Clock::now);
        clock_of(self.state, told)
    }

    fn standing(&self, step: &StepState) -> Standing {
        let standing = standing(step, self.state, self.now());
        if self.worker.is_some() { standing } else { standing.without_a_worker() }
    }

    fn as_json(&self) -> String {
        let state = self.state;
        let worker = self.worker.map(|w| {
            let owner = &w.owner;
            json!({
                "host": owner.host, "pid": owner.pid, "since": owner.since,
                "answers": w.answer == Answer::Answers, "stopped": w.answer == Answer::Stopped,
            })
        });
        let steps: Vec<_> = state.wanted().map(|s| self.step_as_json(s)).collect();
        json!({
            "schema": crate::report::json::SCHEMA, "kind": "status", "run": state.run, "plan": state.plan,
            "outcome": state.ended, "disputed": state.disputed, "folder": self.folder.display().to_string(),
            "proven": state.proven(), "steps": steps, "gate_waiting": state.gate_waiting(), "last": state.last,
            "worker": worker,
        })
        .to_string()
    }

    fn step_as_json(&self, step: &StepState) -> Value {
        let wait = |(w, since): &(Wait, Timestamp)| json!({"condition": w.condition, "seen": w.seen, "since": since});
        let standing = self.standing(step);
        let over = late(step, self.now()).filter(|_| standing == Standing::Late);
        json!({
            "id": step.outline.id, "day": step.outline.day, "title": step.outline.title, "status": standing,
            "late_by_s": over.map(|over| over.as_secs()), "drifted": step.drifted, "attempt": step.attempt,
            "wait": step.wait.as_ref().map(wait), "failure": step.failure(),
            "proof": step.proof.as_ref().map(|p| p.summary()),
            "remarks": step.proof.as_ref().map(|p| p.remarks()).unwrap_or_default(),
        })
    }

    fn as_text(&self) -> String {
        let state = self.state;
        let way = if state.course.is_back() { "teardown of run" } else { "run" };
        let mut out = vec![format!(
            "{way} {} of plan {}: {} of {} steps proven; {}",
            state.run,
            state.plan,
            state.proven(),
            state.wanted().count(),
            self.ending()
        )];
        let mut day = None;
        for step in state.wanted() {
            if day != Some(step.outline.day) {
                day = Some(step.outline.day);
                out.push(day_title(step.outline.day));
            }
            let word = self.standing(step).word();
            out.push(format!("  {word:<8}  {}: {}", step.outline.id, self.detail(step)));
            let remarks = step.proof.as_ref().filter(|_| step.is_proven()).map(|p| p.remarks()).unwrap_or_default();
            out.extend(remarks.iter().map(|remark| format!("            mind: {remark}")));
        }
        out.push(format!("state: {}", self.folder.display()));
        out.join("\n")
    }

    fn ending(&self) -> String {
        let state = self.state;
        let resume = state.course.resume_command();
        match (state.ended, self.worker) {
            (Some(Outcome::Proven), _) => "proven".to_string(),
            (Some(Outcome::Blocked), _) => "ended as blocked".to_string(),
            (Some(Outcome::Stopped), _) => format!(
                "stopped, asked by {}; `{resume}` goes on with it",
                state.stop_asked.as_deref().map_or("nobody known".into(), text::clean)
            ),
            (None, Some(worker)) => worker.told(state),
            (None, None) if state.disputed => format!(
                "its journal says that it came to a good end, which its own records do not bear out: somebody changed it; \
                 `{resume}` looks at the target again"
            ),
            (None, None) => format!("its process is gone; `{resume}` goes on with it"),
        }
    }

    fn detail(&self, step: &StepState) -> String {
        if let Some(failure) = step.failure() {
            return format!("{}\n            next: {}", failure.what, failure.next);
        }
        if let Some((wait, since)) = &step.wait {
            let now = self.now();
            let over = late(step, now).filter(|_| self.standing(step) == Standing::Late);
            let over = over.map(|over| format!("; {} over its time", text::format_duration(over))).unwrap_or_default();
            let waited = text::format_duration(between(*since, now));
            return format!("{} (seen: {}; for {waited}{over})", wait.condition, wait.seen);
        }
        match (&step.drifted, &step.proof) {
            (Some(why), _) => format!("{} (was proven; now: {why})", step.outline.title),
            (None, Some(proof)) => proof.summary().to_string(),
            (None, None) => step.outline.title.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::record::Event;
    use crate::engine::state::tests::{fold, outline, proof, session};
    use crate::engine::step::StepId;
    use crate::engine::wait::Band;

    fn id() -> StepId {
        StepId::new("day1.a")
    }

    /// A worker that answers, `second` seconds after the epoch.
    fn worker(second: i64) -> Worker {
        let clock = Clock::scaled(Timestamp::from_second(second).unwrap(), std::time::SystemTime::now(), 1.0);
        let owner = Owner { host: "jump".into(), pid: 1, since: Timestamp::UNIX_EPOCH, started: 0 };
        Worker { owner, answer: Answer::Answers, clock: Some(clock) }
    }

    fn shown(state: &RunState, worker: Option<&Worker>) -> (Value, String) {
        let shown = Shown { state, folder: Path::new("/run"), worker };
        (serde_json::from_str(&shown.as_json()).unwrap(), shown.as_text())
    }

    /// house.md section 2: the status had eight words of its own, and neither of these.
    #[test]
    fn the_status_says_late_while_a_worker_lives_and_halted_when_it_is_gone() {
        let waits = Event::Waiting { step: id(), wait: Wait::new("the task ends", "41 %", Band::new(60, 180)) };
        let state = fold(vec![session(vec![outline("day1.a", 1, &[])]), waits]);
        let (json, text) = shown(&state, Some(&worker(1000)));
        assert_eq!(json["steps"][0]["status"], "late");
        assert!(json["steps"][0]["late_by_s"].as_u64().unwrap() >= 800, "{json}");
        assert!(text.contains("LATE") && text.contains("over its time"), "{text}");
        assert_eq!(shown(&state, Some(&worker(100))).0["steps"][0]["status"], "waits");
        let (json, text) = shown(&state, None);
        assert_eq!((&json["steps"][0]["status"], &json["steps"][0]["late_by_s"]), (&"halted".into(), &Value::Null));
        assert!(text.contains("halted") && !text.contains("over its time"), "{text}");
    }

    #[test]
    fn the_status_says_drifted_and_why() {
        let steps = || vec![outline("day1.a", 1, &[])];
        let state = fold(vec![
            session(steps()),
            Event::Proven { step: id(), proof: proof() },
            session(steps()),
            Event::Drifted { step: id(), why: "vm 1001 is stopped".into() },
            Event::Absent { step: id(), seen: "vm 1001 is stopped".into() },
        ]);
        let (json, text) = shown(&state, Some(&worker(10)));
        assert_eq!(json["steps"][0]["status"], "drifted");
        assert_eq!(json["steps"][0]["drifted"], "vm 1001 is stopped");
        assert!(text.contains("DRIFTED") && text.contains("now: vm 1001 is stopped"), "{text}");
    }
}
