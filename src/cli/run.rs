//! `cozyup run PLAN`: runs or resumes a plan, on the screen or in lines.
use super::{Exit, RunFlags, say, tell};
use crate::base::clock::Clock;
use crate::compose::{self, Options, Prepared, Refusal, with_cause};
use crate::engine::driver::Request;
use crate::engine::record::Outcome;
use crate::engine::state::RunState;
use crate::report::summary::{Summary, Times};
use crate::report::{json, line};
use crate::session::protocol::Attachment;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// How long a run without a screen bears being blocked when nobody says otherwise.
const PATIENCE: Duration = Duration::from_secs(1800);

#[derive(Debug, clap::Args)]
pub struct Run {
    /// The plan file
    pub plan: PathBuf,
    /// Open every day's gate without asking
    #[arg(long)]
    pub yes: bool,
    /// Plain lines even on a terminal
    #[arg(long)]
    pub lines: bool,
    #[command(flatten)]
    pub flags: RunFlags,
}

/// How what happens is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Screen,
    Lines,
    Json,
}

/// Lab figures for the summary.
#[derive(Debug, Clone, Copy, Default)]
pub struct LabFigures {
    pub critical_path_s: Option<f64>,
    pub speed: Option<f64>,
}

impl Run {
    pub async fn run(self, state_dir: &Path) -> Exit {
        let screen =
            !self.lines && !self.flags.json && std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
        let style = match (self.flags.json, screen) {
            (true, _) => Style::Json,
            (false, true) => Style::Screen,
            (false, false) => Style::Lines,
        };
        let clock = compose::clock_of_environment();
        execute(&self.plan, None, state_dir, self.yes, &self.flags, style, clock, LabFigures::default()).await
    }
}

/// Prepares and runs; `folder` replaces the folder that the plan's name gives.
#[expect(clippy::too_many_arguments, reason = "each is a flag of its own; a struct would only rename them")]
pub async fn execute(
    plan: &Path,
    folder: Option<PathBuf>,
    state_dir: &Path,
    yes: bool,
    flags: &RunFlags,
    style: Style,
    clock: Clock,
    figures: LabFigures,
) -> Exit {
    let folder = match folder {
        Some(folder) => folder,
        None => match crate::plan::load(plan) {
            Ok(loaded) => state_dir.join("runs").join(&loaded.plan.name),
            Err(e) => {
                tell(&compose::plan_error(&e));
                return Exit::Usage;
            }
        },
    };
    let patience = match (flags.patience, style) {
        (Some(patience), _) => Some(patience),
        (None, Style::Screen) => None,
        (None, Style::Lines | Style::Json) => Some(PATIENCE),
    };
    let options = Options {
        plan: plan.to_path_buf(),
        folder,
        until: flags.until,
        gates_by: yes.then(|| "--yes".to_string()),
        patience,
        clock: clock.clone(),
    };
    match compose::prepare(options) {
        Err(refusal) => refuse(&refusal),
        Ok(prepared) => match style {
            Style::Screen => super::screen::run(prepared, clock, figures).await,
            Style::Lines | Style::Json => in_lines(prepared, style, figures).await,
        },
    }
}

pub fn refuse(refusal: &Refusal) -> Exit {
    tell(&refusal.to_string());
    match refusal {
        Refusal::Plan(_) | Refusal::State { .. } => Exit::Usage,
        Refusal::Locked(_) => Exit::Locked,
    }
}

async fn in_lines(prepared: Prepared, style: Style, figures: LabFigures) -> Exit {
    let begin = Instant::now();
    let Prepared { plan, folder, history, records, requests, work, loaded } = prepared;
    if style == Style::Lines {
        for finding in &loaded.findings {
            say(&finding.to_string());
        }
    }
    let printing = tokio::spawn(print(Attachment { history, records, requests: requests.clone() }, style));
    let stop = tokio::spawn(stop_on_signals(requests));
    let result = work.run().await;
    stop.abort();
    // The printer ends when the engine has dropped its end of the feed; it can only fail by a panic of its own.
    let _ = printing.await;
    match result {
        Ok((outcome, state)) => {
            let times = Times { wall: begin.elapsed(), critical_path_s: figures.critical_path_s, speed: figures.speed };
            let summary = Summary::of(&state, &plan, folder.path(), times);
            match style {
                Style::Json => say(&json::summary(&summary)),
                Style::Lines | Style::Screen => say(&format!("\n{}", summary.text())),
            }
            exit_of(outcome)
        }
        Err(e) => {
            tell(&format!("{}\nnext: {}", with_cause(&e), e.next()));
            Exit::Blocked
        }
    }
}

pub fn exit_of(outcome: Outcome) -> Exit {
    match outcome {
        Outcome::Proven => Exit::Proven,
        Outcome::Blocked => Exit::Blocked,
        Outcome::Stopped => Exit::Stopped,
    }
}

async fn print(mut attachment: Attachment, style: Style) {
    let mut state = RunState::of(attachment.history.iter().map(AsRef::as_ref));
    while let Some(record) = attachment.records.recv().await {
        match style {
            Style::Json => say(&json::record(&record)),
            Style::Lines | Style::Screen => line::lines(&record, &state).iter().for_each(|l| say(l)),
        }
        state.apply(&record);
    }
}

/// The first signal asks for a safe stop, the second one ends at once: the journal holds whatever was intended.
pub async fn stop_on_signals(requests: mpsc::UnboundedSender<Request>) {
    let wanted = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let mut signals = Vec::new();
    for kind in wanted {
        match signal(kind) {
            Ok(s) => signals.push(s),
            Err(e) => tell(&format!("can't listen for signals: {e}")),
        }
    }
    let mut asked = false;
    loop {
        let waits: Vec<_> = signals.iter_mut().map(|s| Box::pin(s.recv())).collect();
        if waits.is_empty() {
            return;
        }
        futures::future::select_all(waits).await;
        if asked {
            tell("ended at once; run again to go on from what the target says");
            std::process::exit(Exit::Stopped as i32);
        }
        asked = true;
        tell("stopping at the next safe point; once more ends at once");
        // The run may have ended in this moment.
        let _ = requests.send(Request::Stop { by: "a signal".to_string() });
    }
}
