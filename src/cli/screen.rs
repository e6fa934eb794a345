//! The terminal UI's way in: home, the lab's wizard, the run screen.
use super::lab::{self, Where};
use super::run::{LabFigures, Style, execute, exit_of, stop_on_signals};
use super::{Exit, RunFlags, tell};
use crate::base::clock::Clock;
use crate::compose::{self, Prepared, with_cause};
use crate::engine::driver::Request;
use crate::plan;
use crate::report::summary::{Summary, Times};
use crate::session::protocol::Attachment;
use crate::steps::catalogue::LAST_DAY;
use crate::tui::{self, Home, HomeChoice, RunEnd, RunScreen};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// The speed at which `cozyup lab` shows the simulated site when nobody says otherwise: an install in a minute or two.
const SHOW_SPEED: f64 = 15.0;
/// How long the acts in hand get to end after the screen was left.
const LEAVE: Duration = Duration::from_secs(20);

fn flags() -> RunFlags {
    RunFlags { until: LAST_DAY, json: false, patience: None }
}

/// Without a terminal there is no screen: says what to type instead.
fn no_terminal() -> Option<Exit> {
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        return None;
    }
    tell(
        "this is no terminal, so there is no screen to show\n\
         next: `cozyup lab run` tries everything in lines, `cozyup run PLAN --yes` runs a plan, `cozyup --help` shows the rest",
    );
    Some(Exit::Usage)
}

/// `cozyup`: new plan, open plan, try the lab.
pub async fn home(state_dir: &Path) -> Exit {
    if let Some(exit) = no_terminal() {
        return exit;
    }
    let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    let home = Home { plans: plans_in(&cwd), scenarios: lab::scenarios(), cwd };
    match tui::home(home).await {
        Err(e) => {
            tell(&format!("the screen can't be used: {e}"));
            Exit::Usage
        }
        Ok(HomeChoice::Quit) => Exit::Proven,
        Ok(HomeChoice::Open(path)) => {
            let clock = compose::clock_of_environment();
            execute(&path, None, state_dir, false, &flags(), Style::Screen, clock, LabFigures::default()).await
        }
        Ok(HomeChoice::Lab { scenario, speed }) => in_lab(state_dir, &Where { scenario, speed, net: None }).await,
    }
}

/// `cozyup lab`: the simulated site with the screen on it; every day asks at its gate.
pub async fn lab(state_dir: &Path) -> Exit {
    if let Some(exit) = no_terminal() {
        return exit;
    }
    in_lab(state_dir, &Where { scenario: "standard".to_string(), speed: SHOW_SPEED, net: None }).await
}

async fn in_lab(state_dir: &Path, at: &Where) -> Exit {
    let opened = match lab::open(state_dir, at, false).await {
        Ok(opened) => opened,
        Err(why) => {
            tell(&why);
            return Exit::Usage;
        }
    };
    let figures = opened.figures(LAST_DAY);
    let clock = opened.site.clock();
    let plan = opened.site.plan.clone();
    let exit =
        execute(&plan, Some(opened.run_folder()), state_dir, false, &flags(), Style::Screen, clock, figures).await;
    // A site that was stopped half way stays for the next `cozyup lab`, which then goes on; it ends by itself when idle.
    if exit == Exit::Proven {
        opened.end();
    }
    exit
}

/// Plan files of a folder, each with a word on its state.
fn plans_in(dir: &Path) -> Vec<(PathBuf, String)> {
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path());
    let yaml = files.filter(|p| p.extension().is_some_and(|e| e == "yaml" || e == "yml"));
    let mut plans: Vec<(PathBuf, String)> = yaml
        .filter_map(|path| {
            let text = std::fs::read_to_string(&path).ok()?;
            // Other YAML files of the folder are none of our business.
            let looks_like_one = ["version:", "site:", "nodes:"].iter().all(|k| text.lines().any(|l| l.starts_with(k)));
            let word = match plan::load(&path) {
                Ok(loaded) => format!("plan {}", loaded.plan.name),
                Err(e) => e.to_string(),
            };
            looks_like_one.then_some((path, word))
        })
        .collect();
    plans.sort();
    plans
}

/// The run screen over a prepared run.
pub async fn run(prepared: Prepared, clock: Clock, figures: LabFigures) -> Exit {
    let begin = Instant::now();
    let Prepared { plan, folder, history, records, requests, work, loaded } = prepared;
    let title = match figures.speed {
        Some(speed) => format!("lab {} x{speed}", plan.name),
        None => format!("plan {}", plan.name),
    };
    let (end, finished) = oneshot::channel();
    let summary_plan = plan.clone();
    let summary_folder = folder.path().to_path_buf();
    let working = tokio::spawn(async move {
        let result = work.run().await;
        let text = match &result {
            Ok((_, state)) => {
                let times =
                    Times { wall: begin.elapsed(), critical_path_s: figures.critical_path_s, speed: figures.speed };
                Summary::of(state, &summary_plan, &summary_folder, times).text()
            }
            Err(e) => format!("{}\nnext: {}", with_cause(e), e.next()),
        };
        // The screen may have been left already.
        let _ = end.send(text.clone());
        (result, text)
    });
    let screen = RunScreen {
        plan,
        clock,
        attachment: Attachment { history, records, requests: requests.clone() },
        folder: folder.path().to_path_buf(),
        findings: loaded.findings.iter().map(ToString::to_string).collect(),
        title,
    };
    // The screen answers signals itself while it holds the terminal.
    let left = tui::run(screen, finished).await;
    let signals = tokio::spawn(stop_on_signals(requests.clone()));
    match &left {
        Ok(RunEnd::Quit | RunEnd::Stopped) => {}
        Err(e) => tell(&format!("the screen can't be used: {e}; the run stops at its next safe point")),
    }
    // The run may have ended in this moment.
    let _ = requests.send(Request::Stop { by: "the person at the screen".to_string() });
    let exit = match tokio::time::timeout(LEAVE, working).await {
        Ok(Ok((Ok((outcome, _)), text))) => {
            super::say(&text);
            exit_of(outcome)
        }
        Ok(Ok((Err(_), text))) => {
            tell(&text);
            Exit::Blocked
        }
        Ok(Err(_)) | Err(_) => {
            tell("ended at once; the journal holds whatever was begun: run again to go on");
            Exit::Stopped
        }
    };
    signals.abort();
    exit
}
