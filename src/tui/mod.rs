//! The screens: home with the plan form, and a run as it happens. Keys and records become messages, `update` folds
//! them into the model, `view` draws what the model says.
mod feed;
pub mod input;
mod keymap;
mod line;
pub mod message;
pub mod model;
mod runtime;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod session;
mod terminal;
pub mod theme;
pub mod update;
pub mod view;

use crate::base::clock::Clock;
use crate::plan::Plan;
use crate::session::protocol::Attachment;
use message::End;
use model::home::HomeModel;
use model::run::RunModel;
use model::{Model, Screen};
use runtime::Feeds;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use theme::Theme;
use tokio::sync::oneshot;

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
    let feeds = Feeds {
        clock,
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
        End::Home(_) => Ok(RunEnd::Quit),
    }
}

/// The choices on the home screen.
#[derive(Debug, Clone)]
pub struct Home {
    /// Known plan files, each with a short description of its state.
    pub plans: Vec<(PathBuf, String)>,
    /// Name and sentence of each scenario.
    pub scenarios: Vec<(String, String)>,
    /// Relative paths are meant from here.
    pub cwd: PathBuf,
}

#[derive(Debug, Clone, PartialEq)]
pub enum HomeChoice {
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
        End::Run(_) => Ok(HomeChoice::Quit),
    }
}
