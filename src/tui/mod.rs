//! The screens: home with the plan form, and a run as it happens. Keys and records become messages, `update` folds
//! them into the model, `view` draws what the model says.
use crate::base::clock::Clock;
use crate::plan::Plan;
use crate::session::protocol::Attachment;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::oneshot;

/// A run to be shown.
pub struct RunScreen {
    pub plan: Arc<Plan>,
    /// The engine's clock: bands and ages are measured with it.
    pub clock: Clock,
    pub attachment: Attachment,
    pub folder: PathBuf,
    /// Warnings and notes of the plan, as text.
    pub findings: Vec<String>,
    /// What stands at the left of the header, e.g. `lab standard x60`.
    pub title: String,
}

/// Why a run's screen was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnd {
    /// The run had ended before the person left.
    Quit,
    /// The person left a run that had not ended: it was asked to stop, and may have been left before it did.
    Stopped,
}

/// Shows a run until the person leaves. `finished` brings the summary text when the engine has ended.
///
/// # Errors
/// When the terminal can't be used; it is then as it was before.
pub async fn run(screen: RunScreen, finished: oneshot::Receiver<String>) -> io::Result<RunEnd> {
    let _ = (screen, finished);
    Err(io::ErrorKind::Unsupported.into())
}

/// What the home screen offers.
#[derive(Debug, Clone)]
pub struct Home {
    /// Known plan files, each with a word on its state.
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
    let _ = home;
    Err(io::ErrorKind::Unsupported.into())
}
