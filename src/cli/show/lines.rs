//! A run in lines, as text or JSON.
use super::{Style, lost};
use crate::cli::exit::Exit;
use crate::cli::output::{print, print_error};
use crate::engine::record::Record;
use crate::engine::request::Request;
use crate::engine::state::RunState;
use crate::plan;
use crate::report::{json, line, review};
use crate::session::protocol::Attachment;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// The wait for the end of a look-only run that was told to end.
const LEAVE: Duration = Duration::from_secs(5);

/// The fate of a run when its screen is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    GoesOn,
    /// It only looks: without anybody to tell it is of no use.
    Ends,
}

/// Shows the run until it ends or this process leaves; records before `first` are not told.
pub async fn run(
    style: Style,
    (name, folder): (&str, &Path),
    attachment: Attachment,
    first: u64,
    leaving: Leaving,
) -> Exit {
    let Attachment { history, records, requests, ended, control: _control, views: _, asker: _, mut denials } =
        attachment;
    let signals = tokio::spawn(leave_on_signals(requests, name.to_string(), leaving));
    let denied = tokio::spawn(async move {
        while let Some(why) = denials.recv().await {
            print_error(&why);
        }
    });
    follow(history, records, style, (folder, first)).await;
    let ended = ended.await;
    signals.abort();
    denied.abort();
    match ended {
        Ok(ended) => {
            match style {
                Style::Json if !ended.summary.is_empty() => print(&ended.summary),
                Style::Json => print_error(&ended.text),
                Style::Lines | Style::Screen | Style::Detached => print(&format!("\n{}", ended.text)),
            }
            Exit::of(ended.exit)
        }
        Err(_) => {
            print_error(&lost(name));
            Exit::Blocked
        }
    }
}

type Records = mpsc::UnboundedReceiver<Arc<Record>>;

async fn follow(history: Vec<Arc<Record>>, mut records: Records, style: Style, (folder, first): (&Path, u64)) {
    let mut state = RunState::default();
    let mut show = |record: &Record| {
        if record.seq >= first {
            if review::is_due(record, &state) {
                print_review(folder, record, &state, style);
            }
            match style {
                Style::Json => print(&json::record(record)),
                Style::Lines | Style::Screen | Style::Detached => {
                    line::lines(record, &state).iter().for_each(|l| print(l));
                }
            }
        }
        state.apply(record);
    };
    history.iter().for_each(|r| show(r));
    while let Some(record) = records.recv().await {
        show(&record);
    }
}

/// The sums of the run's own copy of its plan.
fn print_review(folder: &Path, record: &Record, state: &RunState, style: Style) {
    let plan = match plan::load(&folder.join("plan.yaml")) {
        Ok(loaded) => loaded.plan,
        Err(e) => return print_error(&format!("can't sum up what the run makes: its own copy of its plan: {e}")),
    };
    let review = review::of(&plan, record, state);
    match style {
        Style::Json => print(&review::json(&review)),
        Style::Lines | Style::Screen | Style::Detached => review::lines(&review).iter().for_each(|line| print(line)),
    }
}

/// The first Ctrl-C asks for a safe stop; the second one only leaves, and so does what nobody typed: a hang-up, and the
/// SIGTERM of a logout that ends the whole session.
async fn leave_on_signals(requests: mpsc::UnboundedSender<Request>, name: String, leaving: Leaving) {
    let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hang_up)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()), signal(SignalKind::hangup()))
    else {
        print_error("can't listen for signals");
        return std::future::pending().await;
    };
    let mut asked = false;
    loop {
        let leave = tokio::select! {
            _ = interrupt.recv() => asked,
            _ = terminate.recv() => asked || leaving == Leaving::GoesOn,
            _ = hang_up.recv() => asked || leaving == Leaving::GoesOn,
            () = tokio::time::sleep(LEAVE), if asked && leaving == Leaving::Ends => true,
        };
        if leave && leaving == Leaving::Ends {
            print_error(&format!("left; the worker of {name} ends as soon as its looks in hand do"));
            std::process::exit(Exit::Stopped as i32);
        }
        if leave {
            print_error(&format!(
                "left; the run goes on without this process: `cozyup status {name}` tells how far it is, `cozyup stop {name}` stops it"
            ));
            std::process::exit(Exit::Stopped as i32);
        }
        asked = true;
        print_error("stopping at the next safe point; once more leaves the run to end by itself");
        // The run may have ended in this moment.
        let _ = requests.send(Request::Stop);
    }
}
