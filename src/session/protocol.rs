//! The messages between a screen and the worker of a run, over the run's socket: one JSON object per line.
//!
//! ```text
//! screen: hello (version, cursor, who)            worker: welcome | denied
//!                                                 worker: record, record, ... caught_up, record ...
//! screen: ask (open_gate | retry | stop | ...)    worker: (the record that follows) | denied
//! screen: question (what is to be read, once)     worker: answer, with the question's number
//!                                                 worker: control (who may ask now), view, ended
//! ```
//! A view is the last value of one kind of thing that was observed. It comes beside the records, in no fixed order with them.
//! What one side does not know of the other it leaves alone; a version apart is refused with both named.
use super::socket::Message;
use crate::engine::record::Record;
pub use crate::engine::request::Request;
use crate::observed::{Answer, Asker, Board, Question, Snapshot};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// Raised when a side could misread what the other says.
pub const PROTOCOL: u32 = 2;

/// The first message of a screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The screen's [`PROTOCOL`]; the worker denies every other than its own.
    pub protocol: u32,
    /// Records up to this number are known already; [`Hello::ALL`] wants none.
    pub cursor: u64,
    /// For the record: `ann on pts/3`.
    pub who: String,
    /// Never wants control, not even when nobody has it.
    pub read_only: bool,
}

impl Hello {
    /// The cursor of whoever only asks whether the worker lives: it gets no record, and is no screen.
    pub const ALL: u64 = u64::MAX;
}

/// A message from a screen to the worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ToWorker {
    /// The greeting, once and first. The worker closes a connection that begins otherwise, and ignores a second one.
    Hello(Hello),
    /// A request; only the screen in control is heard, except when it asks for control.
    Ask(Request),
    /// A question about one thing of the site; every screen may ask, since nothing is changed by it.
    Question {
        /// Comes back with the answer; the screen's own count.
        number: u64,
        /// The thing, and what of it.
        question: Question,
    },
    /// From a newer screen.
    #[serde(other)]
    Unknown,
}

impl Message for ToWorker {
    fn unknown() -> Self {
        ToWorker::Unknown
    }
}

/// The screen that may ask things of the run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// True for the screen that this message is sent to.
    pub yours: bool,
    /// The screen that has control, and the wall time since when; empty when nobody has it.
    #[serde(default)]
    pub by: Option<(String, Timestamp)>,
}

/// The worker's answer to [`Hello`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The worker's [`PROTOCOL`].
    pub protocol: u32,
    /// The worker's version of cozyup, for example `0.1.0`.
    pub cozyup: String,
    /// The worker's process id on the host of the socket.
    pub pid: u32,
    /// The run's clock, where it is not the wall's.
    #[serde(default)]
    pub clock: Option<String>,
    /// The title at the left of a screen's header.
    pub title: String,
    /// The screen in control at the time of the answer.
    pub control: Control,
}

/// The end of a run, for people and for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// The exit code of whoever shows it.
    pub exit: u8,
    /// The summary as text for a person, several lines.
    pub text: String,
    /// The summary as one line of JSON; empty when the journal could not be written.
    pub summary: String,
}

/// A message from the worker to a screen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FromWorker {
    /// The first answer to a hello that is accepted.
    Welcome(Welcome),
    /// The next record of the journal, in the order of the journal.
    Record(Box<Record>),
    /// Everything that had happened when the screen came has been said.
    CaughtUp,
    /// Control has changed hands, or nobody has it any more.
    Control(Control),
    /// The last value of one kind of thing that was observed.
    View(Box<Snapshot>),
    /// The answer to a question of this screen.
    Answer {
        /// The question's.
        number: u64,
        /// What was read, or why nothing was.
        answer: Box<Answer>,
    },
    /// The hello or a request was not accepted.
    Denied {
        /// The reason, as a sentence without its full stop.
        why: String,
        /// The next action for the person at the screen.
        next: String,
    },
    /// The run has ended; the worker sends nothing after it.
    Ended(Ended),
    /// From a newer worker.
    #[serde(other)]
    Unknown,
}

impl Message for FromWorker {
    fn unknown() -> Self {
        FromWorker::Unknown
    }
}

/// A screen's end of a run: records come in, requests go out.
pub struct Attachment {
    /// Everything that happened before, oldest first.
    pub history: Vec<Arc<Record>>,
    /// Records from now on. The channel closes when the connection ends.
    pub records: mpsc::UnboundedReceiver<Arc<Record>>,
    /// Requests to the worker; one that is sent after the end is lost without an error.
    pub requests: mpsc::UnboundedSender<Request>,
    /// The screen in control, as the worker said last.
    pub control: watch::Receiver<Control>,
    /// The last snapshot of each kind.
    pub views: Board,
    /// Has the worker read one thing of the site.
    pub asker: Asker,
    /// Requests that were not taken: why, and what to do.
    pub denials: mpsc::UnboundedReceiver<String>,
    /// Closed without a value when the worker is gone.
    pub ended: oneshot::Receiver<Ended>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::day::Day;
    use crate::engine::record::Event;
    use crate::engine::state::tests::at;
    use crate::engine::step::StepId;
    use crate::observed::{Pods, View};
    use crate::session::socket::parse;

    #[test]
    fn a_record_keeps_its_own_keys_and_what_is_unknown_is_no_error() {
        let record = Record { seq: 7, at: at(1), event: Event::GateAsked { day: Day::Number(2), compare: Vec::new() } };
        let line = serde_json::to_string(&FromWorker::Record(Box::new(record.clone()))).unwrap();
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&value["kind"], &value["event"], &value["seq"]),
            (&"record".into(), &"gate_asked".into(), &7.into())
        );
        assert_eq!(serde_json::from_str::<FromWorker>(&line).unwrap(), FromWorker::Record(Box::new(record)));
        let newer = r#"{"kind":"applause","loud":true}"#;
        assert_eq!(serde_json::from_str::<FromWorker>(newer).unwrap(), FromWorker::Unknown);
        assert_eq!(serde_json::from_str::<ToWorker>(newer).unwrap(), ToWorker::Unknown);
        let event = r#"{"kind":"record","seq":8,"at":"2026-11-25T08:00:00Z","event":"applause"}"#;
        assert_eq!(parse::<FromWorker>(event).unwrap(), FromWorker::Unknown);
        assert_eq!(parse::<ToWorker>(r#"{"kind":"ask","ask":"dance"}"#).unwrap(), ToWorker::Unknown);
        for nonsense in ["", "{}", "[]", "{\"kind\":7}", "{\"kind\":\"ask\""] {
            assert!(parse::<ToWorker>(nonsense).is_err(), "{nonsense}");
        }
        let view = Snapshot::new(at(1), View::Pods(Pods { total: 2, ..Pods::default() }));
        let line = serde_json::to_string(&FromWorker::View(Box::new(view.clone()))).unwrap();
        assert!(line.starts_with(r#"{"kind":"view","version":1,"#), "{line}");
        assert_eq!(parse::<FromWorker>(&line).unwrap(), FromWorker::View(Box::new(view)));
        let shapeless = r#"{"kind":"view","version":2,"what":[]}"#;
        assert_eq!(parse::<FromWorker>(shapeless).unwrap(), FromWorker::Unknown);
        let ask = ToWorker::Ask(Request::Retry { step: StepId::new("day1.a") });
        assert_eq!(serde_json::from_str::<ToWorker>(&serde_json::to_string(&ask).unwrap()).unwrap(), ask);
    }
}
