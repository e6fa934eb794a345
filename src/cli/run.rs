//! `cozyup run PLAN`: runs or resumes a plan, on the screen or in lines. The work is done by a worker process that goes
//! on without this one.
use super::{Exit, RunFlags, adopt, keys, note, say, takeover, tell, with_next};
use crate::base::clock::Clock;
use crate::base::day::Day;
use crate::base::file::read_private;
use crate::base::secret::Secret;
use crate::base::text;
use crate::compose::{self, Adoption};
use crate::engine::course::Course;
use crate::engine::record::Outcome;
use crate::engine::request::Request;
use crate::engine::state::RunState;
use crate::plan::{self, Loaded, PlanError};
use crate::report::{json, line};
use crate::session::client::{self, JoinError};
use crate::session::folder::RunFolder;
use crate::session::launch::{self, Started};
use crate::session::lock;
use crate::session::protocol::{Attachment, Welcome};
use crate::steps::catalogue::LAST_DAY;
use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

/// The name in the record for gates that were opened beforehand.
pub const YES: &str = "--yes";
/// The default time that a run without a screen may have only blocked steps.
const PATIENCE: Duration = Duration::from_secs(1800);
/// The wait for the end of a look-only run that was told to end.
const LEAVE: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub struct Run {
    /// The plan file
    pub plan: PathBuf,
    /// Open every day's gate without asking
    #[arg(long)]
    pub yes: bool,
    /// Plain lines even on a terminal
    #[arg(long)]
    pub lines: bool,
    /// Start the run and leave it to itself; `cozyup attach` shows it
    #[arg(long, conflicts_with_all = ["lines", "json"])]
    pub detach: bool,
    /// Take up a run whose folder or journal was lost: its id as it stands in the template's notes, behind `cozyup-run=`
    #[arg(long, value_name = "NAME.ID")]
    pub adopt: Option<String>,
    #[command(flatten)]
    pub flags: RunFlags,
}

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Screen,
    Lines,
    Json,
    /// Not at all.
    Detached,
}

impl Style {
    pub fn of(lines: bool, json: bool) -> Style {
        let screen = std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
        match (json, lines || !screen) {
            (true, _) => Style::Json,
            (false, true) => Style::Lines,
            (false, false) => Style::Screen,
        }
    }
}

/// Lab figures for the summary.
#[derive(Debug, Clone, Copy, Default)]
pub struct LabFigures {
    pub critical_path_s: Option<f64>,
    pub speed: Option<f64>,
}

/// A run to be started, and how it is to be shown.
pub struct Start<'a> {
    pub plan: &'a Path,
    /// Replaces the folder that the plan's name gives.
    pub folder: Option<PathBuf>,
    pub course: Course,
    /// `None`: asked for when it has to be.
    pub keys: Option<compose::Keys>,
    /// Take the run from whoever works on it.
    pub take_over: bool,
    /// VMIDs that a teardown takes with it beside what the journal knows.
    pub also: BTreeSet<u32>,
    /// A run whose journal was lost, to be taken up.
    pub adopt: Option<Adoption>,
    /// The operator who opened every gate beforehand.
    pub gates_by: Option<String>,
    pub patience: Option<Duration>,
    pub style: Style,
    pub clock: Clock,
    /// The lab's list of names and addresses.
    pub names: Option<String>,
    pub figures: LabFigures,
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
            figures: LabFigures::default(),
            with_screen: false,
            token_file: None,
            text: OnceLock::new(),
        }
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
    pub fn keys(&self, secrets: &Path) -> Result<compose::Keys, String> {
        if let Some(keys) = &self.keys {
            return Ok(keys.clone());
        }
        let keys = keys::of_run(secrets)?;
        let token = match &self.token_file {
            Some(file) => Some(read_private(file).map_err(|e| with_next(&e, &e.next()))?),
            None => keys.token,
        };
        Ok(compose::Keys { token, ..keys })
    }
}

impl Run {
    pub async fn run(self, state_dir: &Path) -> Exit {
        let style = if self.detach { Style::Detached } else { Style::of(self.lines, self.flags.json) };
        let mut start = Start {
            course: Course::Forward { until: self.flags.until() },
            take_over: self.flags.take_over,
            gates_by: self.yes.then(|| YES.to_string()),
            patience: self.flags.patience,
            style,
            ..Start::of(&self.plan)
        };
        if let Some(id) = &self.adopt {
            match adopt::ask(&start, state_dir, id, self.yes).await {
                Ok(adoption) => start.adopt = Some(adoption),
                Err(adopt::Declined { exit, text }) => {
                    tell(&text);
                    return exit;
                }
            }
        }
        execute(start, state_dir).await
    }
}

/// Starts the worker and shows what it does; on the screen, also what another one does on the same run.
pub async fn execute(start: Start<'_>, state_dir: &Path) -> Exit {
    let plan = match start.load() {
        Ok(loaded) => loaded.plan,
        Err(e) => {
            tell(&compose::plan_error(&e));
            return Exit::Usage;
        }
    };
    let name = plan.name.clone();
    let folder = start.folder.clone().unwrap_or_else(|| state_dir.join("runs").join(&name));
    let opened = RunFolder::open(&folder).map_err(|e| with_next(&e, &e.next()));
    let opened = opened.and_then(|(folder, words)| {
        words.iter().for_each(|word| note(word));
        let mut keys = start.keys(&folder.secrets())?;
        if let Some(text) = keys.token.take() {
            let read =
                compose::read_token(&text, compose::TOKEN_VARIABLE, &plan).map_err(|refusal| refusal.to_string())?;
            keys.token = Some(read);
        }
        Ok((folder, keys))
    });
    let (run_folder, keys) = match opened {
        Ok(opened) => opened,
        Err(why) => {
            tell(&why);
            return Exit::Usage;
        }
    };
    let mut tried = false;
    let (first, findings) = loop {
        match launch(&start, &name, &run_folder, keys.clone()).await {
            Ok(Started::Ready { first, findings }) => break (first, findings),
            Ok(Started::Refused { exit, .. }) if exit == Exit::Locked as u8 && !tried => {
                tried = true;
                match takeover::make_way(&name, &folder, start.take_over).await {
                    Ok(()) => {}
                    // A screen shows what the other one does.
                    Err(_) if start.style == Style::Screen && !start.take_over => break (0, Vec::new()),
                    Err(why) => {
                        tell(&why);
                        return Exit::Locked;
                    }
                }
            }
            Ok(Started::Refused { exit, text }) => {
                tell(&text);
                return Exit::of(exit);
            }
            Err(e) => {
                tell(&format!("{e}\nnext: check free space and permissions of {}", folder.display()));
                return Exit::Usage;
            }
        }
    };
    if start.style == Style::Detached {
        return detached(&name, &folder);
    }
    let (welcome, attachment) = match client::join(&folder, &who(), false).await {
        Ok(joined) => joined,
        Err(e) => return cannot_join(&name, &e),
    };
    if start.style == Style::Lines && !start.course.is_back() {
        findings.iter().for_each(|f| say(f));
    }
    match start.with_screen {
        true => in_lines(start.style, &name, attachment, first, Leaving::Ends).await,
        false => show(start.style, &name, &folder, welcome, attachment, first).await,
    }
}

/// Shows a run that has been joined; records before `first` are not told in lines.
pub async fn show(
    style: Style,
    name: &str,
    folder: &Path,
    welcome: Welcome,
    attachment: Attachment,
    first: u64,
) -> Exit {
    match style {
        Style::Screen => super::screen::run(name, folder, welcome, attachment).await,
        Style::Lines | Style::Json | Style::Detached => in_lines(style, name, attachment, first, Leaving::GoesOn).await,
    }
}

pub fn cannot_join(name: &str, error: &JoinError) -> Exit {
    tell(&format!("run {name}: {}", with_next(error, &error.next())));
    Exit::Usage
}

async fn launch(start: &Start<'_>, name: &str, folder: &RunFolder, keys: compose::Keys) -> std::io::Result<Started> {
    let patience = match (start.patience, start.style) {
        (Some(patience), _) => Some(patience),
        (None, Style::Screen) => None,
        (None, Style::Lines | Style::Json | Style::Detached) => Some(PATIENCE),
    };
    let title = match start.figures.speed {
        Some(speed) => format!("lab {name} x{speed}"),
        None => format!("plan {name}"),
    };
    let mut command = std::process::Command::new(std::env::current_exe()?);
    command.arg("worker").arg(start.plan).arg("--folder").arg(folder.path());
    command.args(["--title", &title]);
    command.arg("--course").arg(serde_json::to_string(&start.course)?);
    if start.with_screen {
        command.arg("--with-screen");
    }
    let numbers = [
        ("--patience-s", patience.map(|p| p.as_secs().to_string())),
        ("--critical-path-s", start.figures.critical_path_s.map(|s| s.to_string())),
        ("--speed", start.figures.speed.map(|s| s.to_string())),
        ("--gates-by", start.gates_by.clone()),
        ("--take-over", start.take_over.then(who)),
    ];
    for (flag, value) in numbers {
        if let Some(value) = value {
            // In one word: a value may begin with a minus sign.
            command.arg(format!("{flag}={value}"));
        }
    }
    for vmid in &start.also {
        command.arg(format!("--also={vmid}"));
    }
    if let Some(adoption) = &start.adopt {
        command.arg(format!("--adopt={}", serde_json::to_string(adoption)?));
    }
    command.env_remove(compose::TOKEN_VARIABLE).env_remove(compose::CLOCK_VARIABLE);
    if let Some(spec) = start.clock.spec() {
        command.env(compose::CLOCK_VARIABLE, spec);
    }
    command.env_remove(compose::NAMES_VARIABLE);
    if let Some(names) = &start.names {
        command.env(compose::NAMES_VARIABLE, names);
    }
    let spoken = said(&keys, start.text.get().map(String::as_str).unwrap_or_default());
    if let Some(scope) = launch::in_user_scope(&command).await
        && let Ok(started) = launch::start(scope, &folder.log(), Some(&spoken)).await
    {
        return Ok(started);
    }
    launch::start(command.into(), &folder.log(), Some(&spoken)).await
}

/// The text that a worker reads at its start: the token's secret and the key of its secrets, one per line (empty when
/// there is none), and then the plan.
fn said(keys: &compose::Keys, plan: &str) -> Zeroizing<String> {
    let line = |key: &Option<Secret<String>>| key.as_ref().map_or(String::new(), |k| k.expose().trim().to_string());
    Zeroizing::new(format!("{}\n{}\n{plan}", line(&keys.token), line(&keys.identity)))
}

/// The other end of [`said`]: the keys and the plan, where there is one.
pub fn heard(said: &str) -> (compose::Keys, Option<String>) {
    let mut parts = said.splitn(3, '\n');
    let mut next =
        || parts.next().map(str::trim).filter(|line| !line.is_empty()).map(|line| Secret::new(line.to_string()));
    let keys = compose::Keys { token: next(), identity: next() };
    (keys, parts.next().filter(|plan| !plan.is_empty()).map(str::to_string))
}

fn detached(name: &str, folder: &Path) -> Exit {
    let pid =
        lock::holder(&folder.join("lock")).ok().flatten().map_or(String::new(), |o| format!(" in process {}", o.pid));
    say(&format!(
        "run {name} goes on{pid}\n`cozyup attach {name}` shows it, `cozyup status {name}` tells how far it is, `cozyup stop {name}` stops it"
    ));
    Exit::Proven
}

/// The person at this screen, for the record of the run: `ann on pts/3`.
pub fn who() -> String {
    let user = ["USER", "LOGNAME"].iter().find_map(|n| std::env::var(n).ok()).filter(|u| !u.is_empty());
    let terminal = std::fs::read_link("/proc/self/fd/0").ok();
    let terminal = terminal.as_deref().and_then(|p| p.strip_prefix("/dev").ok()).filter(|p| p.starts_with("pts"));
    let place = terminal.map_or(format!("process {}", std::process::id()), |p| p.display().to_string());
    text::clean(&format!("{} on {place}", user.unwrap_or_else(|| "somebody".to_string())))
}

pub fn exit_of(outcome: Outcome) -> Exit {
    match outcome {
        Outcome::Proven => Exit::Proven,
        Outcome::Blocked => Exit::Blocked,
        Outcome::Stopped => Exit::Stopped,
    }
}

/// The message about a worker that ended without a last record.
pub fn lost(name: &str) -> String {
    format!(
        "the worker of run {name} is gone; what it had begun is in the journal\nnext: start the same command again: it goes on from what the target says"
    )
}

/// The fate of a run when its screen is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaving {
    GoesOn,
    /// It only looks: without anybody to tell it is of no use.
    Ends,
}

async fn in_lines(style: Style, name: &str, attachment: Attachment, first: u64, leaving: Leaving) -> Exit {
    let Attachment { history, records, requests, ended, control: _control, views: _, mut denials } = attachment;
    let signals = tokio::spawn(leave_on_signals(requests, name.to_string(), leaving));
    let denied = tokio::spawn(async move {
        while let Some(why) = denials.recv().await {
            tell(&why);
        }
    });
    print(history, records, style, first).await;
    let ended = ended.await;
    signals.abort();
    denied.abort();
    match ended {
        Ok(ended) => {
            match style {
                Style::Json if !ended.summary.is_empty() => say(&ended.summary),
                Style::Json => tell(&ended.text),
                Style::Lines | Style::Screen | Style::Detached => say(&format!("\n{}", ended.text)),
            }
            Exit::of(ended.exit)
        }
        Err(_) => {
            tell(&lost(name));
            Exit::Blocked
        }
    }
}

type Records = mpsc::UnboundedReceiver<std::sync::Arc<crate::engine::record::Record>>;

async fn print(
    history: Vec<std::sync::Arc<crate::engine::record::Record>>,
    mut records: Records,
    style: Style,
    first: u64,
) {
    let mut state = RunState::default();
    let mut tell = |record: &crate::engine::record::Record| {
        if record.seq >= first {
            match style {
                Style::Json => say(&json::record(record)),
                Style::Lines | Style::Screen | Style::Detached => {
                    line::lines(record, &state).iter().for_each(|l| say(l));
                }
            }
        }
        state.apply(record);
    };
    history.iter().for_each(|r| tell(r));
    while let Some(record) = records.recv().await {
        tell(&record);
    }
}

/// The first Ctrl-C asks for a safe stop; the second one only leaves, and so does what nobody typed: a hang-up, and the
/// SIGTERM of a logout that ends the whole session.
async fn leave_on_signals(requests: mpsc::UnboundedSender<Request>, name: String, leaving: Leaving) {
    let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hang_up)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()), signal(SignalKind::hangup()))
    else {
        tell("can't listen for signals");
        return std::future::pending().await;
    };
    let mut asked = false;
    loop {
        let leave = tokio::select! {
            _ = interrupt.recv() => asked,
            _ = terminate.recv() => asked || leaving == Leaving::GoesOn,
            _ = hang_up.recv() => asked || leaving == Leaving::GoesOn,
            () = tokio::time::sleep(LEAVE), if asked && leaving == Leaving::Ends => true,
        };
        if leave && leaving == Leaving::Ends {
            tell(&format!("left; the worker of {name} ends as soon as its looks in hand do"));
            std::process::exit(Exit::Stopped as i32);
        }
        if leave {
            tell(&format!(
                "left; the run goes on without this process: `cozyup status {name}` tells how far it is, `cozyup stop {name}` stops it"
            ));
            std::process::exit(Exit::Stopped as i32);
        }
        asked = true;
        tell("stopping at the next safe point; once more leaves the run to end by itself");
        // The run may have ended in this moment.
        let _ = requests.send(Request::Stop);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_hears_what_was_said_to_it() {
        let secret = |text: &str| Some(Secret::new(text.to_string()));
        for (token, identity) in [(None, None), (secret("t"), None), (None, secret("i")), (secret("t"), secret("i"))] {
            for plan in ["", "version: 1\n\nname: x\n"] {
                let said = said(&compose::Keys { token: token.clone(), identity: identity.clone() }, plan);
                let (heard, text) = heard(&said);
                assert_eq!((heard.token, heard.identity), (token.clone(), identity.clone()));
                assert_eq!(text.unwrap_or_default(), plan);
            }
        }
    }
}
