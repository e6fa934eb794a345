//! `cozyup worker`, hidden: the process that does the work of a run. `cozyup run` starts it; screens attach to it.
use super::exit::Exit;
use super::output::{print, print_error, with_next};
use super::prepare::prepare;
use crate::base::clock::Clock;
use crate::base::file::write_private;
use crate::base::text;
use crate::compose::{self, Options, Prepared, Refusal};
use crate::engine::journal::JournalError;
use crate::engine::record::Outcome;
use crate::engine::request::{Asked, Request};
use crate::engine::state::RunState;
use crate::observed::Board;
use crate::plan::model::Plan;
use crate::report::json;
use crate::report::summary::{Summary, Times};
use crate::session::client;
use crate::session::launch::Started;
use crate::session::order::{Keys, Order};
use crate::session::protocol::Ended;
use crate::session::socket;
use crate::session::worker::ScreenServer;
use crate::steps::site::Reconnect;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use zeroize::Zeroizing;

/// The time that a run which ends with its last screen waits for its first screen before it stops.
const ALONE: Duration = Duration::from_secs(60);
/// Of the wall.
const RECONNECT: Duration = Duration::from_secs(20);

#[derive(Debug, clap::Args)]
pub struct Worker {
    /// The run's folder; everything else is in the order on standard input
    folder: PathBuf,
}

impl Worker {
    pub async fn run(self) -> Exit {
        // Fails only for the leader of a process group, which a worker is not when `cozyup run` starts it.
        let _ = rustix::process::setsid();
        super::shield::private_files();
        let began = Instant::now();
        let mut said = Zeroizing::new(Vec::new());
        // A part of an order is none.
        let _ = std::io::stdin().read_to_end(&mut said);
        let (order, keys) = match Order::read(&said) {
            Ok(read) => read,
            Err(e) => return refuse(&Refusal::State { what: e.to_string(), next: e.next().into() }),
        };
        let clock = compose::clock_of_environment();
        let options = self.options(&order, keys, clock.clone());
        let prepared = match prepare(options).await {
            Ok(prepared) => prepared,
            Err(refusal) => return refuse(&refusal),
        };
        let listening = write_private(&prepared.folder.plan(), prepared.loaded.text.as_bytes())
            .and_then(|()| socket::listen(prepared.folder.path()));
        match listening {
            Ok(listener) => work(order, prepared, listener, clock, began).await,
            Err(e) => refuse(&Refusal::State {
                what: format!("the run's folder can't be used: {e}"),
                next: format!("check free space and permissions of {}", self.folder.display()),
            }),
        }
    }

    fn options(&self, order: &Order, keys: Keys, clock: Clock) -> Options {
        Options {
            plan: PathBuf::from(&order.plan),
            text: Some(order.text.clone()),
            folder: self.folder.clone(),
            course: order.course,
            take_over: order.take_over.clone(),
            also: order.also.clone(),
            adopt: order.adopt.clone(),
            gates_by: order.gates_by.clone(),
            patience: order.patience,
            clock,
            reconnect: reconnect(&self.folder),
            keys,
        }
    }
}

async fn work(
    order: Order,
    prepared: Prepared,
    listener: tokio::net::UnixListener,
    clock: Clock,
    began: Instant,
) -> Exit {
    let Prepared { plan, loaded, folder, last_seq, mut records, requests, observer, work } = prepared;
    let (written_in, written) = watch::channel(last_seq);
    let (ended_in, ended) = watch::channel(None);
    let views = Board::default();
    let server =
        ScreenServer::new(folder.journal(), order.title, clock.spec(), requests.clone(), written, ended, views.clone())
            .answering(observer.asker());
    let screens = server.screens();
    let progress = observer.progress();
    let observing = tokio::spawn(observer.run(server.screens(), views));
    let serving = tokio::spawn(server.serve(listener));
    let findings = loaded.findings.iter().map(ToString::to_string).collect();
    answer(&Started::Ready { first: last_seq + 1, findings });
    let telling = tokio::spawn(async move {
        while let Some(record) = records.recv().await {
            progress.send_if_modified(|progress| progress.take(&record));
            // Screens read the journal; they only need to know that there is more.
            let _ = written_in.send(record.seq);
        }
    });
    let signals = tokio::spawn(stop_on_signals(requests.clone()));
    let alone = order.with_screen.then(|| tokio::spawn(stop_when_alone(screens, requests)));
    let result = work.run().await;
    // A folder that was taken away may be another one's by now, with a worker of its own.
    let still_ours = !matches!(result, Err(JournalError::Displaced(_)));
    signals.abort();
    observing.abort();
    if let Some(alone) = alone {
        alone.abort();
    }
    // It ends with the engine's end of the feed; it can only fail by a panic of its own.
    let _ = telling.await;
    let times = Times { wall: began.elapsed(), critical_path_s: order.critical_path_s, speed: order.speed };
    let (exit, ended) = ending(result, &plan, folder.path(), times);
    ended_in.send_replace(Some(ended));
    // See above.
    let _ = serving.await;
    // The lock goes with the process; a socket without one would only make the next screen wait.
    if still_ours {
        let _ = socket::remove(folder.path());
    }
    exit
}
/// The last message to the screens, and the exit of this process.
fn ending(
    result: Result<(Outcome, RunState), JournalError>,
    plan: &Plan,
    folder: &Path,
    times: Times,
) -> (Exit, Ended) {
    let (exit, text, summary) = match result {
        Ok((outcome, state)) => {
            let summary = Summary::of(&state, plan, folder, times);
            (Exit::from(outcome), summary.text(), json::summary(&summary))
        }
        Err(e) => (Exit::Blocked, format!("error: {}", with_next(&e, &e.next())), String::new()),
    };
    (exit, Ended { exit: exit as u8, text, summary })
}

/// A process of its own session asks this worker for an answer.
fn reconnect(folder: &Path) -> Reconnect {
    let folder = folder.to_path_buf();
    Arc::new(move || {
        let folder = folder.clone();
        Box::pin(async move {
            let program = std::env::current_exe().map_err(|e| e.to_string())?;
            let mut probe = tokio::process::Command::new(program);
            probe.arg("probe").arg(folder).stdin(Stdio::null()).kill_on_drop(true);
            let said = tokio::time::timeout(RECONNECT, probe.output()).await;
            let said = said.map_err(|_| "no answer".to_string())?.map_err(|e| e.to_string())?;
            let text = |bytes: &[u8]| text::clean_lines(String::from_utf8_lossy(bytes).trim());
            if said.status.success() { Ok(text(&said.stdout)) } else { Err(text(&said.stderr)) }
        })
    })
}

/// `cozyup probe`, hidden: what a new screen of another session would get.
#[derive(Debug, clap::Args)]
pub struct Probe {
    folder: PathBuf,
}

impl Probe {
    pub async fn run(self) -> Exit {
        if let Err(e) = rustix::process::setsid() {
            print_error(&format!("no session of its own: {e}"));
            return Exit::Usage;
        }
        match client::join(&self.folder, "the survival check", true).await {
            Ok((welcome, attachment)) => {
                print(&format!("process {} answered, {} records", welcome.pid, attachment.history.len()));
                Exit::Proven
            }
            Err(e) => {
                print_error(&compose::with_cause(&e));
                Exit::Usage
            }
        }
    }
}

fn refuse(refusal: &Refusal) -> Exit {
    let exit = Exit::from(refusal);
    answer(&Started::Refused { exit: exit as u8, text: refusal.to_string() });
    exit
}

/// The only line of standard output; whoever started the worker waits for it.
fn answer(started: &Started) {
    if let Ok(line) = serde_json::to_string(started) {
        let mut out = std::io::stdout();
        // A starter that is gone has nobody to tell.
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }
}

/// The first signal asks for a safe stop, the second one ends at once. A hang-up is nothing to a worker.
async fn stop_on_signals(requests: mpsc::UnboundedSender<Asked>) {
    let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hang_up)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()), signal(SignalKind::hangup()))
    else {
        return;
    };
    // With somebody to hear it, a limit on the size of files is an error of the write, like a full disk, and no death.
    let _too_large = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()));
    let mut asked = false;
    loop {
        tokio::select! {
            _ = hang_up.recv() => continue,
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if asked {
            std::process::exit(Exit::Stopped as i32);
        }
        asked = true;
        // The run may have ended in this moment.
        let _ = requests.send(Request::Stop.by("a signal to the worker (a logout, a shutdown or `kill` sends one)"));
    }
}

async fn stop_when_alone(mut screens: watch::Receiver<usize>, requests: mpsc::UnboundedSender<Asked>) {
    // The first one may never come.
    let _ = tokio::time::timeout(ALONE, screens.wait_for(|n| *n > 0)).await;
    if screens.wait_for(|n| *n == 0).await.is_ok() {
        let _ = requests.send(Request::Stop.by("the end of its screen"));
    }
}
