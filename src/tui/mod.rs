//! The screens: home with the plan form, and a run as it happens. Keys and records become messages, `update` folds
//! them into the model, `view` draws what the model says.
mod colours;
pub mod export;
mod feed;
pub mod input;
mod keymap;
mod line;
pub mod message;
pub mod model;
mod pace;
mod palette;
mod panes;
mod replay;
mod runtime;
#[cfg(test)]
mod samples;
mod seat;
#[cfg(test)]
mod session;
mod terminal;
pub mod theme;
pub mod update;
pub mod view;

pub use pace::spare_the_line;
pub use terminal::{Frames, be_quiet};

use crate::base::clock::Clock;
use crate::base::tls::Fingerprint;
use crate::engine::record::Record;
use crate::engine::standing::Standing;
use crate::observed::{Asker, Board};
use crate::plan::Plan;
use crate::plan::draft::Draft;
use crate::plan::offer::Offer;
use crate::plan::pin::{FirstUse, Pin};
use crate::session::protocol::{Attachment, Control};
use futures::future::BoxFuture;
use jiff::Timestamp;
use message::End;
use model::cluster::ClusterModel;
use model::home::HomeModel;
use model::run::RunModel;
use model::{Model, Screen};
use runtime::{Feeds, Now};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use theme::Theme;
use tokio::sync::{mpsc, oneshot, watch};

/// A run to be shown.
pub struct RunScreen {
    pub plan: Arc<Plan>,
    /// The run's clock: bands and ages are measured with it.
    pub clock: Clock,
    pub attachment: Attachment,
    pub folder: PathBuf,
    /// Warnings and notes of the plan, as text.
    pub findings: Vec<String>,
    /// The title at the left of the header, e.g. `lab standard x60`.
    pub title: String,
}

/// The reason why a run's screen was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnd {
    /// The run had ended by itself before the person left.
    Quit,
    /// The run was asked to stop from this screen; it may have been left before it did.
    Stopped,
    /// The run goes on without this screen.
    Left,
}

/// Shows a run until the person leaves. `finished` brings the summary text when the engine has ended.
///
/// # Errors
/// When the terminal can't be used; it is then as it was before.
pub async fn run(screen: RunScreen, finished: oneshot::Receiver<String>) -> io::Result<RunEnd> {
    let RunScreen { plan, clock, attachment, folder, findings, title } = screen;
    let mut run = RunModel::new(plan, title, folder, findings);
    run.control = attachment.control.borrow().clone();
    run.asking.asker = Some(attachment.asker);
    let feeds = Feeds {
        now: Now::Clock(clock),
        history: attachment.history.into(),
        records: Some(attachment.records),
        requests: Some(attachment.requests),
        control: Some(attachment.control),
        views: Some(attachment.views.news()),
        denials: Some(attachment.denials),
        finished: Some(finished),
    };
    match runtime::run(Model::new(Theme::of_environment(), Screen::Run(Box::new(run))), feeds).await? {
        End::Run(end) => Ok(end),
        End::Home(_) | End::Cluster => Ok(RunEnd::Quit),
    }
}

/// The record of a run, shown without a worker: nothing can be asked of it.
pub struct RecordScreen {
    pub plan: Arc<Plan>,
    pub folder: PathBuf,
    pub findings: Vec<String>,
    pub title: String,
    pub records: Vec<Record>,
    /// As fast as it happened, times this; `None`: all at once.
    pub speed: Option<f64>,
}

/// Shows the record of a run until the person leaves.
///
/// # Errors
/// When the terminal can't be used; it is then as it was before.
pub async fn record(screen: RecordScreen) -> io::Result<()> {
    let speed = screen.speed;
    let (model, records) = record_model(screen, Theme::of_environment());
    let records: Vec<Arc<Record>> = records.into_iter().map(Arc::new).collect();
    let (history, played) = match speed {
        None => (records, Vec::new()),
        Some(_) => (Vec::new(), records),
    };
    let last = history.last().map_or(Timestamp::UNIX_EPOCH, |record| record.at);
    let (news, records) = mpsc::unbounded_channel();
    let (time, now) = watch::channel(last);
    let player = tokio::spawn(replay::play(played, speed.unwrap_or(1.0), news, time));
    let feeds = Feeds { now: Now::Played(now), history: history.into(), records: Some(records), ..Feeds::none() };
    let shown = runtime::run(model, feeds).await;
    player.abort();
    shown.map(|_| ())
}

/// A screen that only looks on, and what it is to show.
fn record_model(screen: RecordScreen, theme: Theme) -> (Model, Vec<Record>) {
    let RecordScreen { plan, folder, findings, title, records, speed: _ } = screen;
    let mut run = RunModel::new(plan, title, folder, findings);
    run.control = Control { yours: false, by: None };
    run.read_only = true;
    (Model::new(theme, Screen::Run(Box::new(run))), records)
}

/// A cluster to be watched.
pub struct ClusterScreen {
    /// URL of its API server.
    pub server: String,
    /// Name of the kubeconfig's user.
    pub user: String,
    pub kubeconfig: PathBuf,
    /// What is seen of it.
    pub views: Board,
    pub asker: Asker,
}

/// Shows a cluster until the person leaves.
///
/// # Errors
/// When the terminal can't be used; it is then as it was before.
pub async fn cluster(screen: ClusterScreen) -> io::Result<()> {
    let ClusterScreen { server, user, kubeconfig, views, asker } = screen;
    let mut seen = ClusterModel::new(server, user, kubeconfig);
    seen.asking.asker = Some(asker);
    let feeds = Feeds { views: Some(views.news()), ..Feeds::none() };
    let model = Model::new(Theme::of_environment(), Screen::Cluster(Box::new(seen)));
    runtime::run(model, feeds).await.map(|_| ())
}

/// A run that this machine keeps, as the home screen lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownRun {
    pub name: String,
    pub folder: PathBuf,
    /// A worker works on it.
    pub goes_on: bool,
    pub standing: Standing,
    /// How it stands, in a word or two.
    pub word: String,
    /// `Day 3 Platform 9/13`
    pub day: String,
    /// What it waits for, or why it stands still.
    pub waits: String,
    /// Since the last record.
    pub since: Duration,
    /// Who has control.
    pub who: Option<String>,
}

/// What came of asking a site.
#[derive(Debug)]
pub enum Contact {
    /// Nothing was sent: a person has to compare the certificate.
    Unknown {
        fingerprint: Fingerprint,
        described: String,
    },
    Met(Box<Offer>),
}

/// Why a site told nothing, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoContact {
    pub what: String,
    pub next: String,
}

type Asked = BoxFuture<'static, Result<Contact, NoContact>>;

/// Asks the site of a plan what it offers; true: the plan will take the site's values.
#[derive(Clone)]
pub struct Connector(pub Arc<dyn Fn(Box<Plan>, bool) -> Asked + Send + Sync>);

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connector")
    }
}

/// Told how many bytes have come, and how many were announced.
pub type Told = Arc<dyn Fn(u64, Option<u64>) + Send + Sync>;

type Fetched = BoxFuture<'static, Result<FirstUse, NoContact>>;

/// Fetches a file that a plan names, for its digest.
#[derive(Clone)]
pub struct Fetcher(pub Arc<dyn Fn(Box<Plan>, Pin, Told) -> Fetched + Send + Sync>);

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fetcher")
    }
}

/// The choices on the home screen.
#[derive(Debug, Clone, Default)]
pub struct Home {
    /// The last runs, newest first.
    pub runs: Vec<KnownRun>,
    /// Known plan files, each with a short description of its state.
    pub plans: Vec<(PathBuf, String)>,
    /// Name and sentence of each scenario.
    pub scenarios: Vec<(String, String)>,
    /// Relative paths are meant from here.
    pub cwd: PathBuf,
    /// `None`: the form can't ask a site.
    pub connector: Option<Connector>,
    /// `None`: the form can't fetch a file.
    pub fetcher: Option<Fetcher>,
    /// What an earlier form left.
    pub draft: Option<Draft>,
    /// The file for what this form leaves.
    pub draft_file: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum HomeChoice {
    /// The run in this folder goes on.
    Attach(PathBuf),
    /// The run in this folder has ended, or lost its worker: its record.
    Look(PathBuf),
    /// A plan file that was read and has no error.
    Open(PathBuf),
    Lab {
        scenario: String,
        speed: f64,
    },
    Quit,
}

/// Shows the home screen until something is chosen.
///
/// # Errors
/// When the terminal can't be used; it is then as it was before.
pub async fn home(home: Home) -> io::Result<HomeChoice> {
    let user_home = std::env::var_os("HOME").filter(|h| !h.is_empty()).map(PathBuf::from);
    let home = HomeModel::new(home, user_home);
    match runtime::run(Model::new(Theme::of_environment(), Screen::Home(Box::new(home))), Feeds::none()).await? {
        End::Home(choice) => Ok(choice),
        End::Run(_) | End::Cluster => Ok(HomeChoice::Quit),
    }
}
