//! A run on the screen.
use super::lost;
use crate::base::clock::Clock;
use crate::cli::exit::Exit;
use crate::cli::output::{print, print_error};
use crate::plan::{self, Loaded};
use crate::session::protocol::{Attachment, Ended, Welcome};
use crate::tui::{self, RunEnd, RunScreen};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The time that running acts get to end after the screen was left.
const LEAVE: Duration = Duration::from_secs(20);

/// The run screen over a run that has been joined.
pub async fn run(name: &str, folder: &Path, welcome: Welcome, attachment: Attachment) -> Exit {
    let plan = match plan::load(&folder.join("plan.yaml")) {
        Ok(loaded) => loaded,
        Err(e) => {
            print_error(&format!(
                "the run's own copy of its plan can't be used: {e}\nnext: `cozyup attach {name} --lines`"
            ));
            return Exit::Usage;
        }
    };
    let pid = welcome.pid;
    let (screen, finished, ending) = parts(name, folder, welcome, attachment, plan);
    let left = tui::run(screen, finished).await;
    let goes_on = || {
        print(&format!("run {name} goes on in process {pid}; `cozyup attach {name}` comes back to it"));
        Exit::Proven
    };
    match left {
        Ok(RunEnd::Left) => goes_on(),
        Ok(RunEnd::Quit) => over(name, pid, ending, Duration::ZERO).await,
        Ok(RunEnd::Stopped) => over(name, pid, ending, LEAVE).await,
        Err(e) => {
            print_error(&format!("the screen can't be used: {e}\nnext: `cozyup attach {name} --lines`"));
            goes_on()
        }
    }
}

/// The parts of the screen, the text of the run's end for the screen, and the end itself for what comes after.
fn parts(
    name: &str,
    folder: &Path,
    welcome: Welcome,
    attachment: Attachment,
    plan: Loaded,
) -> (RunScreen, oneshot::Receiver<String>, JoinHandle<Option<Ended>>) {
    let (end, finished) = oneshot::channel();
    let Attachment { history, records, requests, control, views, asker, denials, ended } = attachment;
    let lost_text = lost(name);
    let ending = tokio::spawn(async move {
        let ended = ended.await.ok();
        // The screen may have been left already.
        let _ = end.send(ended.as_ref().map_or(lost_text, |e| e.text.clone()));
        ended
    });
    let (_, nothing) = oneshot::channel();
    let screen = RunScreen {
        findings: plan.findings.iter().map(ToString::to_string).collect(),
        plan: Arc::new(plan.plan),
        clock: welcome.clock.as_deref().and_then(Clock::of_spec).unwrap_or_else(Clock::real),
        attachment: Attachment { history, records, requests, control, views, asker, denials, ended: nothing },
        folder: folder.to_path_buf(),
        title: welcome.title,
    };
    (screen, finished, ending)
}

/// Waits for the end of a run whose screen was left with a stop or after its end.
async fn over(name: &str, pid: u32, mut ending: JoinHandle<Option<Ended>>, wait: Duration) -> Exit {
    match tokio::time::timeout(wait, &mut ending).await {
        Ok(Ok(Some(ended))) => {
            print(&ended.text);
            Exit::of(ended.exit)
        }
        Ok(Ok(None) | Err(_)) => {
            print_error(&lost(name));
            Exit::Blocked
        }
        Err(_) => {
            print(&format!("run {name} still stops, in process {pid}; `cozyup status {name}` tells when it has"));
            Exit::Stopped
        }
    }
}
