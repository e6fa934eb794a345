//! A run that is only looked at: its records, its steps and the reading half of its site. No lock is taken, nothing is
//! written, and the changing half is dropped before anybody can use it.
use super::course;
use super::ground::Ground;
use super::{Refusal, plan_error, read_token, release_of, token_of_file, with_cause};
use super::{TOKEN_VARIABLE, VaultError};
use crate::base::clock::Clock;
use crate::base::file::Unfit;
use crate::base::vault::Vault;
use crate::engine::journal::{Journal, JournalError};
use crate::engine::record::Record;
use crate::engine::state::RunState;
use crate::plan::model::Plan;
use crate::plan::{self, Loaded};
use crate::session::folder::RunFolder;
use crate::session::order::Keys;
use crate::steps::catalogue::Steps;
use crate::steps::site::{Reading, open};
use std::path::PathBuf;
use std::sync::Arc;

/// Which run is looked at, and with what.
#[derive(Clone)]
pub struct Look {
    pub plan: PathBuf,
    /// The text of the plan when it was read already.
    pub text: Option<String>,
    /// The run's folder.
    pub folder: PathBuf,
    pub clock: Clock,
    pub keys: Keys,
}

/// A run that can be looked at; nothing has been asked of the target yet.
pub struct Looking {
    pub loaded: Loaded,
    /// The sum of its records, up to now.
    pub state: RunState,
    /// Every step of the plan.
    pub steps: Steps,
    pub reading: Arc<Reading>,
    pub clock: Clock,
}

/// # Errors
/// When the plan, the folder, the records or the secrets can't be used, or the records are of another plan.
pub fn looking(look: Look) -> Result<Looking, Refusal> {
    let loaded = match &look.text {
        Some(text) => plan::of_text(text, &look.plan),
        None => plan::load_own(&look.plan),
    };
    let loaded = loaded.map_err(|e| Refusal::Plan(plan_error(&e)))?;
    let plan = Arc::new(loaded.plan.clone());
    let unfit = |e: Unfit| Refusal::State { what: with_cause(&e), next: e.next() };
    let (folder, _) = RunFolder::existing(&look.folder).map_err(unfit)?;
    let read = Journal::read(&folder.journal()).map_err(|e| Refusal::State { what: with_cause(&e), next: e.next() })?;
    let state = RunState::of(&read.records);
    if state.plan != plan.name {
        return Err(Refusal::State {
            what: format!(
                "the journal {} is of the plan {}, not of {}",
                folder.journal().display(),
                state.plan,
                plan.name
            ),
            next: "give the plan of that run, or the folder of this plan's run with --state-dir DIR".into(),
        });
    }
    let token = match look.keys.token {
        Some(text) => read_token(&text, TOKEN_VARIABLE, &plan)?,
        None => token_of_file(&plan)?,
    };
    let sealed = |e: VaultError| Refusal::State { what: with_cause(&e), next: e.next() };
    let vault = Vault::open(&folder.secrets(), look.keys.identity.as_ref()).map_err(sealed)?;
    let (release, components) = release_of(&plan)?;
    let steps = course::standing(&plan, &components, &state);
    let ground = Ground {
        plan: &plan,
        clock: &look.clock,
        folder: &folder,
        vault,
        run: &state.run,
        place: &folder.place(),
        state: &state,
        records: &read.records,
        release,
        components,
    };
    let (reading, _) = open(ground.parts(token)?);
    Ok(Looking { steps, reading: Arc::new(reading), loaded, clock: look.clock, state })
}

/// The records of a run, and the plan of its last session, where the text beside the journal is that very one.
///
/// # Errors
/// When the journal can't be read.
pub fn told(folder: &RunFolder) -> Result<(Vec<Record>, Option<Plan>), JournalError> {
    let records = Journal::read(&folder.journal())?.records;
    let digest = RunState::of(&records).plan_digest;
    let plan = plan::load_own(&folder.plan()).ok().filter(|loaded| loaded.digest == digest);
    Ok((records, plan.map(|loaded| loaded.plan)))
}
