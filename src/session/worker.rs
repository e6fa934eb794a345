//! The worker's side of the socket: tells every screen what happens, takes requests from the one that has control.
use super::protocol::{Control, Ended, FromWorker, Hello, PROTOCOL, Request, ToWorker, Welcome};
use super::socket::{self, Lines};
use crate::base::text;
use crate::engine::journal::follow::Follower;
use crate::engine::record::Record;
use crate::engine::request::Asked;
use crate::observed::{Asker, Board, Question, Untold};
use jiff::Timestamp;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::unix::SocketAddr;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// A screen has this long to say hello.
const HELLO: Duration = Duration::from_secs(10);
/// Screens have this long to take the end of the run.
const FAREWELL: Duration = Duration::from_secs(5);
/// A run that ended waits this long for its first screen.
const FIRST: Duration = Duration::from_secs(1);
/// The interval at which the worker checks that the socket still has its name.
const LOOK: Duration = Duration::from_secs(2);
const LONGEST_NAME: usize = 80;
/// Questions of one screen that are open at a time.
const QUESTIONS: usize = 4;

/// Questions of one screen that are being read.
type Questions = JoinSet<FromWorker>;

/// The state that every connection needs; cheap to clone.
#[derive(Clone)]
pub struct ScreenServer {
    /// Path of the journal, from which each screen reads all records.
    pub journal: PathBuf,
    /// Title for the left of a screen's header.
    pub title: String,
    /// The run's clock as `Clock::spec` writes it; `None` when it is the wall's.
    pub clock: Option<String>,
    /// Takes accepted requests to the driver.
    pub requests: mpsc::UnboundedSender<Asked>,
    /// Number of the last record in the journal.
    pub written: watch::Receiver<u64>,
    /// The end of the run; `None` while it goes on.
    pub ended: watch::Receiver<Option<Ended>>,
    /// The last snapshot of each kind.
    pub views: Board,
    /// Reads what a screen asks for; `None`: nothing can be read.
    asker: Option<Asker>,
    registry: Arc<Registry>,
}

/// The screen in control, and the number of screens.
struct Registry {
    holder: Mutex<Option<Holder>>,
    changed: watch::Sender<u64>,
    screens: watch::Sender<usize>,
}

#[derive(Clone)]
struct Holder {
    screen: u64,
    who: String,
    since: Timestamp,
}

impl Registry {
    fn holder(&self) -> Option<Holder> {
        self.holder.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, holder: Option<Holder>) {
        *self.holder.lock().unwrap_or_else(PoisonError::into_inner) = holder;
        self.changed.send_modify(|n| *n += 1);
    }

    fn control(&self, screen: u64) -> Control {
        let holder = self.holder();
        Control { yours: holder.as_ref().is_some_and(|h| h.screen == screen), by: holder.map(|h| (h.who, h.since)) }
    }
}

/// A screen that is there until the value ends.
struct Attached<'a>(&'a Registry);

impl Attached<'_> {
    fn to(registry: &Registry) -> Attached<'_> {
        registry.screens.send_modify(|n| *n += 1);
        Attached(registry)
    }
}

impl Drop for Attached<'_> {
    fn drop(&mut self) {
        self.0.screens.send_modify(|n| *n -= 1);
    }
}

impl ScreenServer {
    /// A server without screens; [`ScreenServer::serve`] lets them in.
    pub fn new(
        journal: PathBuf,
        title: String,
        clock: Option<String>,
        requests: mpsc::UnboundedSender<Asked>,
        written: watch::Receiver<u64>,
        ended: watch::Receiver<Option<Ended>>,
        views: Board,
    ) -> ScreenServer {
        let registry =
            Registry { holder: Mutex::new(None), changed: watch::Sender::new(0), screens: watch::Sender::new(0) };
        ScreenServer {
            journal,
            title,
            clock,
            requests,
            written,
            ended,
            views,
            asker: None,
            registry: Arc::new(registry),
        }
    }

    /// The same, with somebody who reads what a screen asks for.
    #[must_use]
    pub fn answering(self, asker: Asker) -> ScreenServer {
        ScreenServer { asker: Some(asker), ..self }
    }

    /// The number of attached screens, as it changes.
    pub fn screens(&self) -> watch::Receiver<usize> {
        self.registry.screens.subscribe()
    }

    /// Serves until the run has ended and every screen has been told, or had its time.
    pub async fn serve(self, mut listener: UnixListener) {
        let folder = self.journal.parent().map(Path::to_path_buf).unwrap_or_default();
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut ended = self.ended.clone();
        let mut screens = JoinSet::new();
        let mut number = 0;
        loop {
            tokio::select! {
                accepted = listener.accept() => self.admit(accepted, &mut number, &mut screens),
                _ = looks.tick() => {
                    // Those that are attached stay so; new ones need a name to come by.
                    if !socket::is_there(&folder)
                        && let Ok(anew) = socket::listen_anew(&folder)
                    {
                        listener = anew;
                    }
                }
                Some(_) = screens.join_next() => {}
                _ = ended.wait_for(Option::is_some) => break,
            }
        }
        // A run can end before whoever started it has come.
        if number == 0
            && let Ok(accepted) = tokio::time::timeout(FIRST, listener.accept()).await
        {
            self.admit(accepted, &mut number, &mut screens);
        }
        let farewell = async {
            loop {
                tokio::select! {
                    biased;
                    accepted = listener.accept() => self.admit(accepted, &mut number, &mut screens),
                    gone = screens.join_next() => if gone.is_none() { break },
                }
            }
        };
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
    }

    fn admit(&self, accepted: io::Result<(UnixStream, SocketAddr)>, number: &mut u64, screens: &mut JoinSet<()>) {
        if let Ok((stream, _)) = accepted
            && matches!(socket::stranger(&stream), Ok(None))
        {
            *number += 1;
            let (server, number) = (self.clone(), *number);
            screens.spawn(async move { server.screen(stream, number).await });
        }
    }

    async fn screen(self, stream: UnixStream, screen: u64) {
        // An error is the screen's going away: the run does not care.
        let _ = self.talk(socket::lines(stream), screen).await;
        if self.registry.control(screen).yours {
            self.registry.set(None);
        }
    }

    async fn talk(&self, mut lines: Lines, screen: u64) -> io::Result<()> {
        let hello = match tokio::time::timeout(HELLO, socket::receive(&mut lines)).await {
            Ok(Ok(Some(ToWorker::Hello(hello)))) => hello,
            Ok(Ok(Some(ToWorker::Ask(_) | ToWorker::Question { .. } | ToWorker::Unknown) | None) | Err(_)) | Err(_) => {
                return Ok(());
            }
        };
        if hello.protocol != PROTOCOL {
            let why = format!(
                "this screen speaks version {} of the protocol, the worker (cozyup {}) version {PROTOCOL}",
                hello.protocol,
                env!("CARGO_PKG_VERSION")
            );
            let next = "use the cozyup that started the run".to_string();
            return socket::send(&mut lines, &FromWorker::Denied { why, next }).await;
        }
        let who = text::shorten(&text::clean(&hello.who), LONGEST_NAME);
        // `status` only asks whether the worker lives.
        let _attached = (hello.cursor < Hello::ALL).then(|| Attached::to(&self.registry));
        if !hello.read_only && self.registry.holder().is_none() {
            self.registry.set(Some(Holder { screen, who: who.clone(), since: Timestamp::now() }));
        }
        let welcome = Welcome {
            protocol: PROTOCOL,
            cozyup: env!("CARGO_PKG_VERSION").to_string(),
            pid: std::process::id(),
            clock: self.clock.clone(),
            title: self.title.clone(),
            control: self.registry.control(screen),
        };
        socket::send(&mut lines, &FromWorker::Welcome(welcome)).await?;
        self.stream(lines, screen, &who, &hello).await
    }

    async fn stream(&self, mut lines: Lines, screen: u64, who: &str, hello: &Hello) -> io::Result<()> {
        let (mut written, mut ended) = (self.written.clone(), self.ended.clone());
        let mut control = self.registry.changed.subscribe();
        let mut views = self.views.news();
        let mut follower = Follower::open(&self.journal).map_err(io::Error::other)?;
        let mut first = true;
        // They end with the screen.
        let mut questions = Questions::new();
        loop {
            written.mark_unchanged();
            let over = ended.borrow_and_update().clone();
            let records;
            (follower, records) = news(follower).await?;
            for record in records.into_iter().filter(|record| record.seq > hello.cursor) {
                socket::feed(&mut lines, &FromWorker::Record(Box::new(record))).await?;
            }
            if std::mem::take(&mut first) {
                socket::feed(&mut lines, &FromWorker::CaughtUp).await?;
            }
            if let Some(ended) = over {
                return socket::send(&mut lines, &FromWorker::Ended(ended)).await;
            }
            socket::flush(&mut lines).await?;
            tokio::select! {
                changed = written.changed() => {
                    // The writer is gone only when the run has ended.
                    if changed.is_err() {
                        let _ = ended.changed().await;
                    }
                }
                _ = ended.changed() => {}
                () = views.wait() => {
                    for snapshot in views.take() {
                        socket::feed(&mut lines, &FromWorker::View(Box::new(Arc::unwrap_or_clone(snapshot)))).await?;
                    }
                }
                _ = control.changed() => {
                    socket::send(&mut lines, &FromWorker::Control(self.registry.control(screen))).await?;
                }
                Some(Ok(answer)) = questions.join_next() => socket::feed(&mut lines, &answer).await?,
                message = socket::receive(&mut lines) => {
                    let Some(message) = message? else { return Ok(()) };
                    if let Some(said) = self.heard(message, (screen, who, hello.read_only), &mut questions) {
                        socket::send(&mut lines, &said).await?;
                    }
                }
            }
        }
    }

    /// Takes a message of a screen; what is to be said at once.
    fn heard(
        &self,
        message: ToWorker,
        (screen, who, read_only): (u64, &str, bool),
        questions: &mut Questions,
    ) -> Option<FromWorker> {
        match message {
            ToWorker::Ask(request) => self.ask(request, screen, who, read_only),
            ToWorker::Question { number, question } => {
                self.read(number, question, questions);
                None
            }
            ToWorker::Unknown => Some(newer_screen()),
            ToWorker::Hello(_) => None,
        }
    }

    /// Begins to read what a screen asks for. Nothing waits for it.
    fn read(&self, number: u64, question: Question, questions: &mut Questions) {
        let answer = match &self.asker {
            Some(asker) if questions.len() < QUESTIONS => Ok(asker.ask(question)),
            Some(_) => Err(Untold::Busy),
            None => Err(Untold::NoAccess),
        };
        questions.spawn(async move {
            let answer = match answer {
                Ok(reading) => reading.await,
                Err(why) => Err(why),
            };
            FromWorker::Answer { number, answer: Box::new(answer) }
        });
    }

    /// Passes a request on in the screen's own name, or says why not.
    fn ask(&self, request: Request, screen: u64, who: &str, read_only: bool) -> Option<FromWorker> {
        match request {
            Request::TakeControl if read_only => {
                return denied("this screen was attached with --read-only", "attach again without it");
            }
            Request::TakeControl => {
                self.registry.set(Some(Holder { screen, who: who.to_string(), since: Timestamp::now() }));
            }
            Request::OpenGate { .. } | Request::Retry { .. } | Request::Errand { .. } | Request::Stop => {
                if !self.registry.control(screen).yours {
                    let holder = self.registry.holder().map_or("nobody".to_string(), |h| h.who);
                    let why = format!("this screen may not {}: {holder} has control", verb(&request));
                    return denied(&why, "take control first");
                }
            }
        }
        // A run that has ended takes no requests; its end is on its way to the screen.
        let _ = self.requests.send(request.by(who));
        None
    }
}

fn verb(request: &Request) -> &'static str {
    match request {
        Request::OpenGate { .. } => "begin a day",
        Request::Retry { .. } => "retry a step",
        Request::Errand { .. } => "ask for an act",
        Request::Stop => "stop the run",
        Request::TakeControl => "take control",
    }
}

fn denied(why: &str, next: &str) -> Option<FromWorker> {
    Some(FromWorker::Denied { why: why.to_string(), next: next.to_string() })
}

/// The records that the journal has got since the last call. There can be thousands at first: they are read on a thread
/// that nobody else waits for.
async fn news(mut follower: Follower) -> io::Result<(Follower, Vec<Record>)> {
    tokio::task::spawn_blocking(move || follower.news().map(|records| (follower, records)))
        .await
        .map_err(io::Error::other)?
        .map_err(io::Error::other)
}

/// The answer to a message of a kind that this worker does not know.
fn newer_screen() -> FromWorker {
    let version = env!("CARGO_PKG_VERSION");
    FromWorker::Denied {
        why: format!("the worker (cozyup {version}) does not know what this screen asks"),
        next: "use the cozyup that started the run".to_string(),
    }
}

#[cfg(test)]
mod tests;
