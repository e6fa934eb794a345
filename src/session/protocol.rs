//! The messages between a screen and the worker of a run, over the run's socket: one JSON object per line.
//!
//! ```text
//! screen: hello (version, cursor, who)            worker: welcome | denied
//!                                                 worker: record, record, ... caught_up, record ...
//! screen: ask (open_gate | retry | stop | ...)    worker: (the record that follows) | denied
//!                                                 worker: control (who may ask now), view, ended
//! ```
//! A view is the last value of one kind of thing that was observed. It comes beside the records, in no fixed order with them.
//! What one side does not know of the other it leaves alone; a version apart is refused with both named.
use super::socket::Message;
use crate::engine::record::Record;
pub use crate::engine::request::Request;
use crate::observed::{Board, Snapshot};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// Raised when a side could misread what the other says.
pub const PROTOCOL: u32 = 2;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    pub protocol: u32,
    /// Records up to this number are known already.
    pub cursor: u64,
    /// For the record: `ann on pts/3`.
    pub who: String,
    /// Never wants control, not even when nobody has it.
    pub read_only: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ToWorker {
    Hello(Hello),
    Ask(Request),
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
    pub yours: bool,
    /// The screen that has control, and the wall time since when; empty when nobody has it.
    #[serde(default)]
    pub by: Option<(String, Timestamp)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    pub protocol: u32,
    pub cozyup: String,
    pub pid: u32,
    /// The run's clock, where it is not the wall's.
    #[serde(default)]
    pub clock: Option<String>,
    /// The title at the left of a screen's header.
    pub title: String,
    pub control: Control,
}

/// The end of a run, for people and for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// The exit code of whoever shows it.
    pub exit: u8,
    pub text: String,
    /// The summary as one line of JSON; empty when the journal could not be written.
    pub summary: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FromWorker {
    Welcome(Welcome),
    Record(Box<Record>),
    /// Everything that had happened when the screen came has been said.
    CaughtUp,
    Control(Control),
    View(Box<Snapshot>),
    Denied {
        why: String,
        next: String,
    },
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
    pub records: mpsc::UnboundedReceiver<Arc<Record>>,
    pub requests: mpsc::UnboundedSender<Request>,
    pub control: watch::Receiver<Control>,
    /// What was observed last of each kind.
    pub views: Board,
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
