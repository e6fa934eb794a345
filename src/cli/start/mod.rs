//! Starts a run, or joins the one that goes on, and shows it. Commands come here with a [`Start`]; this service knows
//! nothing of how the command line spells it.
pub mod adopt;
mod execute;
mod lab;
mod launch;
mod takeover;
pub mod teardown;
pub mod workers;

use super::keys;
use super::lab_site::Figures;
use super::output::with_next;
use super::show::Style;
use crate::base::clock::Clock;
use crate::base::day::Day;
use crate::base::file::read_private;
use crate::base::vmid::Vmid;
use crate::compose;
use crate::engine::course::Course;
use crate::plan::{self, Loaded, PlanError};
use crate::session::order::{Adoption, Keys};
use crate::steps::catalogue::LAST_DAY;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

pub use execute::execute;
pub use lab::in_lab;

/// The name in the record for gates that were opened beforehand.
pub const YES: &str = "--yes";

/// A run to be started, and how it is to be shown.
pub struct Start<'a> {
    pub plan: &'a Path,
    /// Replaces the folder that the plan's name gives.
    pub folder: Option<PathBuf>,
    pub course: Course,
    /// `None`: asked for when it has to be.
    pub keys: Option<Keys>,
    /// Take the run from whoever works on it.
    pub take_over: bool,
    /// VMIDs that a teardown takes with it beside what the journal knows.
    pub also: BTreeSet<Vmid>,
    /// A run whose journal was lost, to be taken up.
    pub adopt: Option<Adoption>,
    /// The operator who opened every gate beforehand.
    pub gates_by: Option<String>,
    pub patience: Option<Duration>,
    pub style: Style,
    pub clock: Clock,
    /// The lab's list of names and addresses.
    pub names: Option<String>,
    pub figures: Figures,
    /// The run ends when nobody looks at it any more.
    pub with_screen: bool,
    /// A lab's own file with the token's secret, which takes precedence over the plan's.
    pub token_file: Option<PathBuf>,
    /// The text of the plan's file as it was read.
    pub text: OnceLock<String>,
}

impl<'a> Start<'a> {
    /// All of the plan, every gate asked for, on the screen, in real time.
    pub fn of(plan: &'a Path) -> Start<'a> {
        Start {
            plan,
            folder: None,
            course: Course::Forward { until: Day::Number(LAST_DAY) },
            keys: None,
            take_over: false,
            also: BTreeSet::new(),
            adopt: None,
            gates_by: None,
            patience: None,
            style: Style::Screen,
            clock: compose::clock_of_environment(),
            names: std::env::var(compose::NAMES_VARIABLE).ok(),
            figures: Figures::default(),
            with_screen: false,
            token_file: None,
            text: OnceLock::new(),
        }
    }

    /// The run's folder; `name` is the plan's.
    pub fn folder_in(&self, state_dir: &Path, name: &str) -> PathBuf {
        self.folder.clone().unwrap_or_else(|| state_dir.join("runs").join(name))
    }

    /// The plan, read once: a pipe gives it only once, and what was agreed to is what is done.
    ///
    /// # Errors
    /// See [`plan::load_own`].
    pub fn load(&self) -> Result<Loaded, PlanError> {
        if let Some(text) = self.text.get() {
            return plan::of_text(text, self.plan);
        }
        let loaded = plan::load_own(self.plan)?;
        // Nobody else has set it meanwhile.
        let _ = self.text.set(loaded.text.clone());
        Ok(loaded)
    }

    /// The keys that were given, or those that a person gives now.
    ///
    /// # Errors
    /// See [`keys::of_run`].
    pub fn keys(&self, secrets: &Path) -> Result<Keys, String> {
        if let Some(keys) = &self.keys {
            return Ok(keys.clone());
        }
        let keys = keys::of_run(secrets)?;
        let token = match &self.token_file {
            Some(file) => Some(read_private(file).map_err(|e| with_next(&e, &e.next()))?),
            None => keys.token,
        };
        Ok(Keys { token, ..keys })
    }
}
