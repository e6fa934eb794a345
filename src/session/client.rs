//! A screen's side of the socket.
use super::protocol::{Attachment, Control, Ended, FromWorker, Hello, PROTOCOL, Request, ToWorker, Welcome};
use super::socket::{self, Lines};
use crate::observed::{Answer, Asker, Board, Question, Untold};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// A worker that lives answers within this; its answers don't depend on the target.
const ANSWER: Duration = Duration::from_secs(20);

/// A question waits this long for its answer: longer than the worker does.
const QUESTION: Duration = Duration::from_secs(40);

/// The reason why a screen could not attach to a worker.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The socket is missing, or nothing listens on it: the worker has ended or was never started.
    #[error("no worker runs for it")]
    Nobody,
    /// The worker refused the screen, for example because it speaks another version of the protocol.
    #[error("{why}")]
    Denied {
        /// The worker's reason, as a sentence without its full stop.
        why: String,
        /// The worker's advice, shown as the next action.
        next: String,
    },
    /// The socket could not be used, or the worker closed it or stayed silent for longer than an answer may take.
    #[error("the worker does not answer")]
    Silent(#[source] io::Error),
    /// The socket belongs to a process of another user, whose id this is. Nothing is sent to it.
    #[error("what answers there is a process of user {0}, not of this one")]
    Stranger(u32),
}

impl JoinError {
    /// The next action for the person at the screen.
    pub fn next(&self) -> String {
        match self {
            JoinError::Nobody => "`cozyup status` shows how far it is, `cozyup run PLAN` goes on with it".to_string(),
            JoinError::Denied { next, .. } => next.clone(),
            JoinError::Stranger(_) => {
                "look who could write to the run's folder; what that process says of the run is worth nothing"
                    .to_string()
            }
            JoinError::Silent(_) => {
                "`cozyup run PLAN --take-over` ends its process, which loses nothing, and goes on".to_string()
            }
        }
    }
}

/// Attaches to the worker of the run in `folder`. Returns when everything up to now has been received.
///
/// # Errors
/// See [`JoinError`].
pub async fn join(folder: &Path, who: &str, read_only: bool) -> Result<(Welcome, Attachment), JoinError> {
    let mut lines = reached(folder).await?;
    let hello = Hello { protocol: PROTOCOL, cursor: 0, who: who.to_string(), read_only };
    socket::send(&mut lines, &ToWorker::Hello(hello)).await.map_err(JoinError::Silent)?;
    let late = |_| JoinError::Silent(io::ErrorKind::TimedOut.into());
    let (welcome, history, ended) = tokio::time::timeout(ANSWER, catch_up(&mut lines)).await.map_err(late)??;

    let (records_in, records) = mpsc::unbounded_channel();
    let (requests, asked) = mpsc::unbounded_channel();
    let (control_in, control) = watch::channel(welcome.control.clone());
    let (denials_in, denials) = mpsc::unbounded_channel();
    let (ended_in, ended_out) = oneshot::channel();
    let (questions, mut asking) = mpsc::unbounded_channel();
    let views = Board::default();
    let mut wire = Wire {
        records: records_in,
        control: control_in,
        views: views.clone(),
        denials: denials_in,
        ended: Some(ended_in),
    };
    if let Some(ended) = ended {
        wire.end(ended);
        asking.close();
    } else {
        tokio::spawn(talk(lines, wire, asked, asking));
    }
    let asker = asker(questions);
    Ok((welcome, Attachment { history, records, requests, control, views, asker, denials, ended: ended_out }))
}

/// A question, and where its answer goes.
type Asked = (Question, oneshot::Sender<Answer>);

/// Asks the worker at the other end; without one every answer is that there is none.
fn asker(questions: mpsc::UnboundedSender<Asked>) -> Asker {
    Asker(Arc::new(move |question| {
        let questions = questions.clone();
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            questions.send((question, answer)).map_err(|_| Untold::NoWorker)?;
            match tokio::time::timeout(QUESTION, answered).await {
                Ok(answer) => answer.unwrap_or(Err(Untold::NoWorker)),
                Err(_) => Err(Untold::Silent),
            }
        })
    }))
}

/// Returns the worker's greeting, for callers that only want to know whether it lives. Waits at most `patience`.
///
/// # Errors
/// See [`JoinError`].
pub async fn greet(folder: &Path, who: &str, patience: Duration) -> Result<Welcome, JoinError> {
    let asked = async {
        let mut lines = reached(folder).await?;
        let hello = Hello { protocol: PROTOCOL, cursor: Hello::ALL, who: who.to_string(), read_only: true };
        socket::send(&mut lines, &ToWorker::Hello(hello)).await.map_err(JoinError::Silent)?;
        loop {
            match socket::receive(&mut lines).await.map_err(JoinError::Silent)? {
                None => return Err(JoinError::Silent(io::ErrorKind::UnexpectedEof.into())),
                Some(FromWorker::Welcome(welcome)) => return Ok(welcome),
                Some(FromWorker::Denied { why, next }) => return Err(JoinError::Denied { why, next }),
                Some(_) => {}
            }
        }
    };
    let answer = tokio::time::timeout(patience, asked).await;
    answer.unwrap_or_else(|_| Err(JoinError::Silent(io::ErrorKind::TimedOut.into())))
}

/// A connection to the worker, or to nobody: what another user put there is not spoken to.
async fn reached(folder: &Path) -> Result<Lines, JoinError> {
    let stream = socket::connect(folder).await.map_err(|e| match e.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => JoinError::Nobody,
        _ => JoinError::Silent(e),
    })?;
    match socket::stranger(&stream).map_err(JoinError::Silent)? {
        None => Ok(socket::lines(stream)),
        Some(user) => Err(JoinError::Stranger(user)),
    }
}

type History = Vec<Arc<crate::engine::record::Record>>;

async fn catch_up(lines: &mut Lines) -> Result<(Welcome, History, Option<Ended>), JoinError> {
    let mut welcome = None;
    let mut history = Vec::new();
    loop {
        let message = socket::receive(lines).await.map_err(JoinError::Silent)?;
        match (message, &welcome) {
            (None, _) => return Err(JoinError::Silent(io::ErrorKind::UnexpectedEof.into())),
            (Some(FromWorker::Denied { why, next }), _) => return Err(JoinError::Denied { why, next }),
            (Some(FromWorker::Welcome(said)), _) => welcome = Some(said),
            (Some(FromWorker::Record(record)), _) => history.push(Arc::from(record)),
            (Some(FromWorker::CaughtUp), Some(welcome)) => return Ok((welcome.clone(), history, None)),
            (Some(FromWorker::Ended(ended)), Some(welcome)) => return Ok((welcome.clone(), history, Some(ended))),
            (Some(FromWorker::CaughtUp | FromWorker::Ended(_)), None) => {}
            (
                Some(FromWorker::Control(_) | FromWorker::View(_) | FromWorker::Answer { .. } | FromWorker::Unknown),
                _,
            ) => {}
        }
    }
}

struct Wire {
    records: mpsc::UnboundedSender<Arc<crate::engine::record::Record>>,
    control: watch::Sender<Control>,
    views: Board,
    denials: mpsc::UnboundedSender<String>,
    ended: Option<oneshot::Sender<Ended>>,
}

impl Wire {
    fn end(&mut self, ended: Ended) {
        if let Some(sender) = self.ended.take() {
            // Nobody waits for it when the screen has been left.
            let _ = sender.send(ended);
        }
    }
}

/// Until the worker or the screen is gone.
async fn talk(
    mut lines: Lines,
    mut wire: Wire,
    mut asked: mpsc::UnboundedReceiver<Request>,
    mut questions: mpsc::UnboundedReceiver<Asked>,
) {
    let mut open: BTreeMap<u64, oneshot::Sender<Answer>> = BTreeMap::new();
    let mut number = 0;
    loop {
        tokio::select! {
            message = socket::receive::<FromWorker>(&mut lines) => {
                let Ok(Some(message)) = message else { return };
                // Whoever does not listen any more has left.
                match message {
                    FromWorker::Record(record) => drop(wire.records.send(Arc::from(record))),
                    FromWorker::Control(control) => drop(wire.control.send(control)),
                    FromWorker::View(snapshot) if snapshot.is_known() => {
                        wire.views.put(*snapshot);
                    }
                    FromWorker::Answer { number, answer } => {
                        if let Some(asker) = open.remove(&number) {
                            // Whoever asked may have gone on to something else.
                            let _ = asker.send(*answer);
                        }
                    }
                    FromWorker::Denied { why, next } => drop(wire.denials.send(format!("{why}; {next}"))),
                    FromWorker::Ended(ended) => return wire.end(ended),
                    FromWorker::Welcome(_) | FromWorker::CaughtUp | FromWorker::View(_) | FromWorker::Unknown => {}
                }
            }
            Some((question, answer)) = questions.recv() => {
                number += 1;
                open.retain(|_, asker| !asker.is_closed());
                open.insert(number, answer);
                if socket::send(&mut lines, &ToWorker::Question { number, question }).await.is_err() {
                    return;
                }
            }
            request = asked.recv() => match request {
                Some(request) => {
                    if socket::send(&mut lines, &ToWorker::Ask(request)).await.is_err() {
                        return;
                    }
                }
                None => return,
            }
        }
    }
}
