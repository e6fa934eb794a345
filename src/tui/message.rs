//! The messages that reach the model, and the commands that the model gives to the world.
use super::{Connector, Contact, Fetcher, HomeChoice, NoContact, RunEnd};
use crate::engine::record::Record;
use crate::observed::{Answer, Asker, Question, Snapshot};
use crate::plan::model::ApiUrl;
use crate::plan::pin::{FirstUse, Pin};
use crate::plan::{Finding, Plan};
use crate::session::protocol::{Control, Request};
use crossterm::event::KeyEvent;
use jiff::Timestamp;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug)]
pub enum Msg {
    /// The engine's time, and the wall's since the screen began.
    Clock {
        now: Timestamp,
        wall: Duration,
    },
    Key(KeyEvent),
    Paste(String),
    Resized,
    /// In order, a batch at a time.
    Records(Vec<Arc<Record>>),
    /// The engine has ended, with its summary for people.
    Finished(String),
    /// Snapshots of the target: the newest of each kind that changed.
    Observed(Vec<Arc<Snapshot>>),
    /// The screen that may ask things of the run has changed.
    Control(Control),
    /// The run did not take a request: why, and what to do.
    Denied(String),
    /// One sentence for the person.
    Said(String),
    /// A signal, or the terminal is gone: nobody is there to answer a question.
    Hangup,
    /// A plan file was read.
    Loaded {
        path: PathBuf,
        result: Result<(), Box<BadPlan>>,
    },
    /// A plan file was read for the form.
    Opened {
        path: PathBuf,
        result: Result<Box<Plan>, Box<BadPlan>>,
    },
    Saved {
        path: PathBuf,
        plan: Box<Plan>,
        /// The copy of what was there, where it could not stay.
        result: Result<Option<PathBuf>, SaveError>,
    },
    /// The answer to the question with this number.
    Answered {
        number: u64,
        answer: Answer,
    },
    /// The site at this address was asked for the form.
    Contacted {
        url: ApiUrl,
        result: Result<Contact, NoContact>,
    },
    /// Of a file that the form fetches for its digest.
    Fetch {
        pin: Pin,
        news: FetchNews,
    },
}

#[derive(Debug)]
pub enum FetchNews {
    /// In bytes, of so many that were announced.
    Came {
        done: u64,
        total: Option<u64>,
    },
    Ended(Result<FirstUse, NoContact>),
}

/// The reason why a plan file can't be run.
#[derive(Debug, Clone)]
pub struct BadPlan {
    pub what: String,
    pub next: String,
    pub findings: Vec<Finding>,
    /// The plan, when the file has the right form and can be mended in the form.
    pub decoded: Option<Plan>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SaveError {
    /// There is a file and nobody said that it may be replaced.
    Exists,
    Failed(String),
}

#[derive(Debug)]
pub enum Cmd {
    Ask(Request),
    Load(PathBuf),
    /// For the form.
    Edit(PathBuf),
    /// Asks the plan's site for the form.
    Connect {
        with: Connector,
        plan: Box<Plan>,
        /// A new plan takes the site's values.
        takes: bool,
    },
    /// Asks about one thing of the site.
    Question {
        with: Asker,
        number: u64,
        question: Question,
    },
    /// Fetches a file of the form's plan for its digest; one that goes on already is given up.
    Fetch {
        with: Fetcher,
        plan: Box<Plan>,
        pin: Pin,
    },
    StopFetch,
    /// Keeps the form's draft, or takes it away.
    Keep {
        file: PathBuf,
        text: Option<String>,
    },
    Save {
        path: PathBuf,
        plan: Box<Plan>,
        /// The digests that were had by fetching: the file says so.
        trusted: Vec<FirstUse>,
        replace: bool,
    },
    /// Into the clipboard, and into a file (0600) where there is a place for one.
    Copy {
        text: String,
        file: Option<PathBuf>,
    },
    /// Draw everything anew: something else has written on the terminal.
    Redraw,
    /// Stop this process until the shell wakes it.
    Suspend,
    End(End),
}

/// The reason why a screen is left.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    Run(RunEnd),
    Home(HomeChoice),
    /// That of a cluster.
    Cluster,
}
