//! The only file that puts concrete things together: plan, clients, steps, journal, engine.
mod course;
mod ground;
mod keys;
mod looking;
mod registries;
pub mod web;

use crate::base::file::Unfit;
use crate::base::names::Names;
use crate::base::secret::Secret;
pub use crate::base::text::with_cause;
use crate::base::vault::{Vault, VaultError};
use crate::base::{clock::Clock, vmid::Vmid};
use crate::engine::course::Course;
use crate::engine::decide::Rules;
use crate::engine::doubt::Outside;
use crate::engine::driver::{Driver, Session};
use crate::engine::failure::Failure;
use crate::engine::journal::{Journal, JournalError};
use crate::engine::record::{Outcome, Record};
use crate::engine::request::Asked;
use crate::engine::state::RunState;
use crate::engine::step::{Observed, Outline, Step};
use crate::engine::undo;
use crate::observe::{self, Observer, Progress};
use crate::plan::model::Plan;
use crate::plan::{self, Loaded};
use crate::release::{Component, Release};
use crate::session::folder::RunFolder;
use crate::session::lock::{LockError, Owner, RunLock};
use crate::session::order::{Adoption, Keys};
use crate::steps::catalogue;
use crate::steps::site::{Installation, MARK, Parts, Reading, Reconnect, open};
use crate::{proxmox, session};
use ground::Ground;
use keys::token_of_file;
pub use keys::{read_token, token_of_environment, token_secret, trust_of};
pub use looking::{Look, Looking, looking, told};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// The environment variable that holds the token's secret.
pub const TOKEN_VARIABLE: &str = "COZYUP_PROXMOX_TOKEN";

/// The environment variable that holds the clock of a process that is to live in a lab's time.
pub const CLOCK_VARIABLE: &str = "COZYUP_CLOCK";
/// The environment variable that holds where names lead for such a process; see [`Names::of_spec`].
pub const NAMES_VARIABLE: &str = "COZYUP_NAMES";

/// The reason why a run does not begin.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The plan or something that it names can't be used; the text is whole.
    #[error("{0}")]
    Plan(String),
    #[error("{0}")]
    Locked(String),
    #[error("{what}\nnext: {next}")]
    State { what: String, next: String },
}

#[derive(Clone)]
pub struct Options {
    pub plan: PathBuf,
    /// The text of the plan when it was read already: a pipe can be read only once.
    pub text: Option<String>,
    /// The run's folder.
    pub folder: PathBuf,
    pub course: Course,
    /// The operator who asked this session for `--take-over`.
    pub take_over: Option<String>,
    /// VMIDs that a teardown is to take with it beside what the journal knows.
    pub also: BTreeSet<Vmid>,
    /// A run whose journal was lost, to be taken up here.
    pub adopt: Option<Adoption>,
    pub gates_by: Option<String>,
    pub patience: Option<Duration>,
    pub clock: Clock,
    pub reconnect: Reconnect,
    pub keys: Keys,
}

/// A run that is ready to go: locked, read back, connected; nothing has been asked of the target yet.
pub struct Prepared {
    pub plan: Arc<Plan>,
    pub loaded: Loaded,
    pub folder: RunFolder,
    /// The last record in the journal, 0 for none.
    pub last_seq: u64,
    pub records: mpsc::UnboundedReceiver<Arc<Record>>,
    pub requests: mpsc::UnboundedSender<Asked>,
    /// Observes beside the work, once it runs; a run does without it.
    pub observer: Observer,
    pub work: Work,
}

/// The engine's side of a prepared run.
pub struct Work {
    driver: Driver<Installation>,
    session: Session,
    inbox: mpsc::UnboundedReceiver<Asked>,
    _lock: RunLock,
}

impl Work {
    /// Each step replaced by what `wrap` makes of it; for tests that repeat what a step does.
    #[doc(hidden)]
    pub fn with_steps(mut self, wrap: impl FnMut(Arc<dyn Step<Installation>>) -> Arc<dyn Step<Installation>>) -> Work {
        self.driver.steps = self.driver.steps.into_iter().map(wrap).collect();
        self
    }

    /// One look for the steps that are asked about; changes and records nothing.
    pub async fn survey_of(&self, is_asked: impl Fn(&Outline) -> bool) -> Vec<(Outline, Result<Observed, Failure>)> {
        let Driver { steps, reading, clock, state, .. } = &self.driver;
        let asked: Vec<_> = steps.iter().filter(|step| is_asked(step.outline())).cloned().collect();
        undo::survey(&asked, &**reading, clock, &state.made).await
    }

    /// Runs to the end.
    ///
    /// # Errors
    /// When the journal can't be written.
    pub async fn run(self) -> Result<(Outcome, RunState), JournalError> {
        self.driver.run(self.session, self.inbox).await
    }
}

/// A run's folder, locked, with what is in it.
struct Opened {
    folder: RunFolder,
    lock: RunLock,
    /// The place that works on the run: host and folder.
    place: String,
    vault: Vault,
    journal: Journal,
    records: Vec<Record>,
    state: RunState,
}

/// Takes the lock of the run, then reads what it has.
fn open_run(options: &Options, plan: &Plan) -> Result<Opened, Refusal> {
    let unfit = |e: Unfit| Refusal::State { what: with_cause(&e), next: e.next() };
    let (folder, _) = RunFolder::open(&options.folder).map_err(unfit)?;
    let lock = RunLock::take(&folder.lock(), &Owner::here()).map_err(|e| match e {
        LockError::Held(by) => Refusal::Locked(format!(
            "the run {0} is held by {by}\nnext: `cozyup attach {0}` shows it, `cozyup stop {0}` stops it",
            plan.name
        )),
        LockError::Io { .. } => state(&with_cause(&e), folder.path()),
    })?;
    let place = folder.take_up().map_err(unfit)?;
    let sealed = |e: VaultError| Refusal::State { what: with_cause(&e), next: e.next() };
    let vault = Vault::open(&folder.secrets(), options.keys.identity.as_ref()).map_err(sealed)?;
    let (mut journal, recovered) = Journal::open(&folder.journal()).map_err(|e| match e {
        JournalError::Held { .. } => {
            Refusal::Locked(format!("the run {} is at work: {}\nnext: {}", plan.name, with_cause(&e), e.next()))
        }
        e => Refusal::State { what: with_cause(&e), next: e.next() },
    })?;
    journal.watch(lock.held().clone());
    let records = recovered.records;
    let state = RunState::of(&records);
    if !state.plan.is_empty() && state.plan != plan.name {
        return Err(of_another_plan(&state.plan, plan, &folder.journal()));
    }
    if options.adopt.is_some() && !records.is_empty() {
        return Err(has_a_run(&plan.name, &folder.journal()));
    }
    Ok(Opened { folder, lock, place, vault, journal, records, state })
}

fn of_another_plan(other: &str, plan: &Plan, journal: &Path) -> Refusal {
    Refusal::State {
        what: format!("the journal {} is of the plan {other}, not of {}", journal.display(), plan.name),
        next: "put this plan's own journal there, or move that one away: without one the run begins anew".into(),
    }
}

/// # Errors
/// When the plan is wrong, somebody else holds the run, or its folder can't be used.
pub fn prepare(options: Options) -> Result<Prepared, Refusal> {
    let loaded = match &options.text {
        Some(text) => plan::of_text(text, &options.plan),
        None => plan::load_own(&options.plan),
    };
    let loaded = loaded.map_err(|e| Refusal::Plan(plan_error(&e)))?;
    let plan = Arc::new(loaded.plan.clone());
    let secret = match &options.keys.token {
        Some(text) => read_token(text, TOKEN_VARIABLE, &plan)?,
        None => token_of_file(&plan)?,
    };
    let Opened { folder, lock, place, vault, journal, records, state: state_before } = open_run(&options, &plan)?;
    let adopt = options.adopt;
    let run = match &adopt {
        Some(adoption) => adoption.run.clone(),
        None if state_before.run.is_empty() => new_run_id(),
        None => state_before.run.clone(),
    };
    let (release, components) = release_of(&plan)?;
    // The observer's own: what hangs there takes no place from the steps.
    let (watching, _) = connect(&plan, secret.clone())?;
    let steps = course::steps(options.course, &plan, &components, &options.also, &state_before)?;
    let ground = Ground {
        plan: &plan,
        clock: &options.clock,
        folder: &folder,
        vault,
        run: &run,
        place: &place,
        state: &state_before,
        records: &records,
        release,
        components,
    };
    let (reading, changing) = open(Parts {
        reconnect: options.reconnect,
        take_over: options.take_over.clone(),
        adopted: state_before.made.is_adopted() || adopt.is_some(),
        also: options.also,
        makes_secrets: course::makes_secrets(options.course),
        ..ground.parts(secret)?
    });
    let (feed, told) = mpsc::unbounded_channel();
    let (requests, inbox) = mpsc::unbounded_channel();
    let (inside, outside) = Outside::channel();
    let reading = Arc::new(reading);
    let observer = Observer::new(observe::Parts {
        plan: plan.clone(),
        clock: options.clock.clone(),
        proxmox: watching,
        admin: of_site(&reading, Reading::admin),
        cluster: of_site(&reading, Reading::kubernetes),
        inside,
        progress: Progress::of(state_before.made.steps()),
    });
    let driver = Driver {
        steps,
        reading,
        changing: Arc::new(changing),
        clock: options.clock,
        journal,
        state: state_before,
        rules: Rules { gates_by: options.gates_by, patience: options.patience },
        outside,
        feed,
    };
    let session = Session {
        run,
        plan: plan.name.clone(),
        plan_digest: loaded.digest.clone(),
        host: session::lock::host_name(),
        course: options.course,
        take_over: options.take_over,
        adopted: adopt.map(|adoption| adoption.things).unwrap_or_default(),
    };
    let last_seq = records.last().map_or(0, |r| r.seq);
    Ok(Prepared {
        plan,
        loaded,
        folder,
        last_seq,
        records: told,
        requests,
        observer,
        work: Work { driver, session, inbox, _lock: lock },
    })
}

/// A value of the site, as soon as the site has what the value needs; nothing before.
fn of_site<T: 'static>(
    site: &Arc<Reading>,
    get: impl Fn(&Reading) -> Result<T, Failure> + Send + Sync + 'static,
) -> Arc<dyn Fn() -> Option<T> + Send + Sync> {
    let site = site.clone();
    Arc::new(move || get(&site).ok())
}

fn connect(plan: &Plan, secret: Secret<String>) -> Result<(proxmox::Reader, proxmox::Changer), Refusal> {
    let target = proxmox::Target {
        url: plan.site.url.clone(),
        token_id: plan.site.token_id.clone(),
        secret,
        trust: trust_of(plan)?,
    };
    proxmox::connect(target).map_err(|e| Refusal::Plan(e.to_string()))
}

/// The clients of Proxmox VE alone, without any run; `token` replaces that of the plan's file.
///
/// # Errors
/// When there is no token, or the plan's site can't be used.
pub fn clients(plan: &Plan, token: Option<Secret<String>>) -> Result<(proxmox::Reader, proxmox::Changer), Refusal> {
    let secret = token.map_or_else(|| token_of_file(plan), Ok)?;
    connect(plan, secret)
}

/// The refusal to take up another run in a folder that has one.
pub fn has_a_run(name: &str, journal: &Path) -> Refusal {
    Refusal::State {
        what: format!("plan {name} has a run here already: {}", journal.display()),
        next:
            "go on with it without --adopt; to take up a lost run, use another folder (--state-dir DIR) or move that \
               journal away, and keep it"
                .into(),
    }
}

fn release_of(plan: &Plan) -> Result<(Release, Vec<Component>), Refusal> {
    let release = Release::embedded(&plan.cozystack.version).map_err(|e| Refusal::Plan(e.to_string()))?;
    let components = release
        .profile(&plan.cozystack.profile, &plan.cozystack.disable, &plan.cozystack.enable)
        .map_err(|e| Refusal::Plan(e.to_string()))?;
    Ok((release, components))
}

/// The steps of a plan as they are known before anything runs.
///
/// # Errors
/// When the plan's release or profile is not known.
pub fn outlines(plan: &Plan) -> Result<Vec<Outline>, Refusal> {
    let (_, components) = release_of(plan)?;
    Ok(catalogue::steps(plan, &components).iter().map(|s| s.outline().clone()).collect())
}

/// Every finding of a plan that can't be used, and what to do.
pub fn plan_error(error: &plan::PlanError) -> String {
    let mut lines = vec![error.to_string()];
    lines.extend(error.findings().iter().map(ToString::to_string));
    lines.push(format!("next: {}", error.next()));
    lines.join("\n")
}

/// The records of a run, read without its lock, for `status`.
///
/// # Errors
/// When there is no journal, or it is damaged.
pub fn recorded(folder: &Path) -> Result<Vec<Record>, JournalError> {
    Ok(Journal::read(&folder.join("journal.jsonl"))?.records)
}

/// The clock of this process: real, unless whoever started it says otherwise (the lab does, for the programs it starts).
pub fn clock_of_environment() -> Clock {
    std::env::var(CLOCK_VARIABLE).ok().and_then(|spec| Clock::of_spec(&spec)).unwrap_or_else(Clock::of_machine)
}

/// The name resolution of this process. On loopback, or in a lab's time, the machine's resolver is never asked: such a
/// site has no names but those that it was given.
fn names_of_environment(plan: &Plan) -> Names {
    if let Ok(spec) = std::env::var(NAMES_VARIABLE) {
        return Names::of_spec(&spec).unwrap_or(Names::Listed(Vec::new()));
    }
    let url = reqwest::Url::parse(&plan.site.url.to_string()).ok();
    let host = url.as_ref().and_then(|u| u.host_str()).unwrap_or_default();
    let loopback = host == "localhost" || host.parse::<std::net::Ipv4Addr>().is_ok_and(|a| a.is_loopback());
    let simulated = loopback || std::env::var_os(CLOCK_VARIABLE).is_some();
    if simulated { Names::Listed(Vec::new()) } else { Names::System }
}

fn new_run_id() -> String {
    format!("{:08x}", fastrand::u32(..))
}

fn state(what: &str, folder: &Path) -> Refusal {
    Refusal::State {
        what: format!("the run's state can't be kept: {what}"),
        next: format!("make {} writable, or give another folder with --state-dir DIR", folder.display()),
    }
}
