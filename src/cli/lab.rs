//! `cozyup lab`: the simulated site. `lab run` starts it as a process of its own, which goes on when the run is killed,
//! as a real site would.
use super::run::{LabFigures, Start, Style, YES, execute};
use super::teardown::{TeardownFlags, tear_down};
use super::{Exit, RunFlags, note, say, tell, with_next};
use crate::base::file::{Unfit, own_dir, own_entries};
use crate::base::process;
use crate::base::text::with_cause;
use crate::compose;
use crate::engine::course::Course;
use crate::engine::state::RunState;
use crate::lab::scenario::Scenario;
use crate::lab::site::{self, Site};
use crate::lab::{critical, world};
use crate::session::folder::RunFolder;
use crate::session::lock;
use crate::steps::catalogue::LAST_DAY;
use clap::Subcommand;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A lab that nobody talks to for this long ends, when a run started it.
const IDLE: Duration = Duration::from_secs(15 * 60);
/// The time that a lab may take to open its sockets.
const START: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
pub struct Lab {
    #[command(subcommand)]
    command: Option<Sub>,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Run the plan in the lab, unattended, in lines
    Run(RunInLab),
    /// Take back the run of a lab that serves on (`lab run --keep`)
    Teardown(TeardownInLab),
    /// Only serve the lab, for any client: prints endpoints, token and files
    Serve(Serve),
    /// The scenarios that there are
    List,
}

#[derive(Debug, Clone, clap::Args)]
pub struct Where {
    /// A scenario of `lab list`, or a YAML file
    #[arg(long, default_value = "standard")]
    pub scenario: String,
    /// Lab seconds in a second of the wall
    #[arg(long, default_value_t = 1.0)]
    pub speed: f64,
    /// Use 127.NET.0.0/24 (default: the first free one)
    #[arg(long, value_name = "NET", value_parser = clap::value_parser!(u8).range(1..=254))]
    pub net: Option<u8>,
}

#[derive(Debug, clap::Args)]
struct RunInLab {
    #[command(flatten)]
    at: Where,
    #[command(flatten)]
    flags: RunFlags,
    /// Leave the lab running when the run has ended
    #[arg(long)]
    keep: bool,
    /// Start with an empty site even when one of an earlier run still serves
    #[arg(long)]
    fresh: bool,
}

#[derive(Debug, clap::Args)]
struct TeardownInLab {
    /// A scenario of `lab list`, or a YAML file
    #[arg(long, default_value = "standard")]
    scenario: String,
    #[command(flatten)]
    flags: TeardownFlags,
}

#[derive(Debug, clap::Args)]
struct Serve {
    #[command(flatten)]
    at: Where,
    /// Where its files go (default: the state folder)
    #[arg(long)]
    dir: Option<PathBuf>,
    /// End when nobody talks to it any more
    #[arg(long, hide = true)]
    for_a_run: bool,
}

impl Lab {
    /// See `Command::uses_state`.
    pub fn uses_state(&self) -> bool {
        match &self.command {
            None | Some(Sub::Run(_) | Sub::Teardown(_)) => true,
            Some(Sub::Serve(serve)) => serve.dir.is_none(),
            Some(Sub::List) => false,
        }
    }

    pub async fn run(self, state_dir: &Path) -> Exit {
        match self.command {
            None => super::screen::lab(state_dir).await,
            Some(Sub::Run(run)) => run.run(state_dir).await,
            Some(Sub::Teardown(teardown)) => teardown.run(state_dir).await,
            Some(Sub::Serve(serve)) => serve.run(state_dir).await,
            Some(Sub::List) => {
                list();
                Exit::Proven
            }
        }
    }
}

/// Name and sentence of every scenario.
pub fn scenarios() -> Vec<(String, String)> {
    let about = |name: &str| Scenario::load(name).map(|s| s.about).unwrap_or_default();
    Scenario::names().map(|name| (name.to_string(), about(name))).collect()
}

fn list() {
    for (name, about) in scenarios() {
        say(&format!("{name:<20} {about}"));
    }
}

/// Folder of a scenario's lab: the name, or the file's stem.
pub fn folder(state_dir: &Path, scenario: &str) -> PathBuf {
    let name = Path::new(scenario).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    state_dir.join("lab").join(name)
}

/// A lab to run in, and whether this process started it.
pub struct Opened {
    pub site: Site,
    pub dir: PathBuf,
    started: bool,
}

impl Opened {
    /// The folder of the run in this lab.
    pub fn run_folder(&self) -> PathBuf {
        self.dir.join("run")
    }

    pub fn figures(&self, until: u8) -> LabFigures {
        let chain = Scenario::load(&self.site.scenario_file).map(|s| critical::seconds(&critical::chain(&s, until)));
        LabFigures { critical_path_s: chain.ok(), speed: Some(self.site.speed) }
    }

    /// True when the run in it has come to its end. A run that goes on, or that lost its worker, still needs the site.
    pub fn is_over(&self) -> bool {
        let records = compose::recorded(&self.run_folder()).unwrap_or_default();
        RunState::of(&records).ended.is_some()
    }

    pub fn goes_on(&self) -> bool {
        !self.started
    }

    /// Ends the lab's process.
    pub fn end(&self) {
        // `of_running` looks at the process again: a pid that was given to another program is not touched.
        if let Some(site) = Site::of_running(&self.dir) {
            // It may have ended by itself in this moment.
            let _ = process::signal(site.pid, site.started, rustix::process::Signal::TERM);
        }
    }
}

/// Finds the lab of an earlier run, or starts one.
///
/// # Errors
/// With a sentence when the scenario is wrong or the lab does not start.
pub async fn open(state_dir: &Path, at: &Where, fresh: bool) -> Result<Opened, String> {
    Scenario::load(&at.scenario).map_err(|e| e.to_string())?;
    if !(at.speed.is_finite() && at.speed > 0.0) {
        return Err(format!("--speed {} is not a speed: give a number above 0, e.g. 60", at.speed));
    }
    let dir = folder(state_dir, &at.scenario);
    own_folder(&dir)?;
    if let Some(site) = Site::of_running(&dir) {
        let opened = Opened { site, dir: dir.clone(), started: false };
        if !fresh && (opened.site.speed - at.speed).abs() < f64::EPSILON {
            return Ok(opened);
        }
        opened.end();
        let gone = Instant::now();
        while Site::of_running(&dir).is_some() && gone.elapsed() < Duration::from_secs(10) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    // A new site is empty: a journal of the former one would speak of machines that never were, and its worker would
    // look for them.
    let run = dir.join("run");
    end_worker(&run).await?;
    if run.exists() {
        std::fs::remove_dir_all(&run).map_err(|e| format!("{}: {e}", run.display()))?;
    }
    start(&dir, at).await
}

/// Makes the lab's folder, or makes sure that it and what is in it are this user's alone before a byte of it is read:
/// what lies there says whose server gets a token, and which process is ended.
fn own_folder(dir: &Path) -> Result<(), String> {
    let unfit = |e: Unfit| match e {
        Unfit::Io { .. } => format!(
            "the lab's folder can't be made: {}\nnext: give a folder that you may write to: --state-dir DIR",
            with_cause(&e)
        ),
        e => with_next(&e, &e.next()),
    };
    let mut words: Vec<String> = own_dir(dir).map_err(unfit)?.into_iter().collect();
    words.extend(own_entries(dir).map_err(unfit)?);
    if dir.join("run").exists() {
        words.extend(RunFolder::existing(&dir.join("run")).map_err(unfit)?.1);
    }
    words.iter().for_each(|word| note(word));
    Ok(())
}

fn is_worked_on(run: &Path) -> bool {
    lock::holder(&run.join("lock")).is_ok_and(|holder| holder.is_some())
}

/// Ends the worker of a lab that is gone.
async fn end_worker(run: &Path) -> Result<(), String> {
    let Some(owner) = lock::holder(&run.join("lock")).map_err(|e| e.to_string())? else { return Ok(()) };
    // Its site is gone: there is nothing to stop safely. The lock told that it lives.
    let _ = process::signal(owner.pid, owner.started, rustix::process::Signal::KILL);
    let began = Instant::now();
    while is_worked_on(run) {
        if began.elapsed() > Duration::from_secs(10) {
            return Err(format!("the run of a former lab does not end (process {})", owner.pid));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

async fn start(dir: &Path, at: &Where) -> Result<Opened, String> {
    let failed = |e: std::io::Error| format!("the lab can't be started: {e}");
    // The file of an earlier lab must not be taken for the answer of this one.
    match std::fs::remove_file(dir.join("site.json")) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(e)),
        Ok(()) | Err(_) => {}
    }
    let log_path = dir.join("lab.log");
    let log = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&log_path).map_err(failed)?;
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    command.args(["lab", "serve", "--for-a-run", "--scenario", &at.scenario, "--speed", &at.speed.to_string()]);
    command.arg("--dir").arg(dir);
    // The lab makes its own token.
    command.env_remove(compose::TOKEN_VARIABLE);
    if let Some(net) = at.net {
        command.args(["--net", &net.to_string()]);
    }
    // A process group of its own: Ctrl-C stops the run, not the site under it.
    command.process_group(0).stdin(Stdio::null()).stdout(log.try_clone().map_err(failed)?).stderr(log);
    let mut child = command.spawn().map_err(failed)?;
    let begin = Instant::now();
    loop {
        if let Some(site) = Site::of_running(dir).filter(|s| s.pid == child.id()) {
            return Ok(Opened { site, dir: dir.to_path_buf(), started: true });
        }
        if let Ok(Some(_)) = child.try_wait() {
            let said = std::fs::read_to_string(&log_path).unwrap_or_default();
            let said = said.trim().trim_start_matches("error: ");
            return Err(if said.is_empty() { "the lab ended as it started".to_string() } else { said.to_string() });
        }
        if begin.elapsed() > START {
            // It is ours and of no use.
            let _ = child.kill();
            return Err(format!(
                "the lab did not open its sockets within {} s; its log is {}",
                START.as_secs(),
                log_path.display()
            ));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

impl RunInLab {
    async fn run(self, state_dir: &Path) -> Exit {
        let opened = match open(state_dir, &self.at, self.fresh).await {
            Ok(opened) => opened,
            Err(why) => {
                tell(&why);
                return Exit::Usage;
            }
        };
        let style = if self.flags.json { Style::Json } else { Style::Lines };
        let figures = opened.figures(self.flags.until);
        if style == Style::Lines {
            introduce(&opened, self.flags.until);
        }
        let start = Start {
            folder: Some(opened.run_folder()),
            course: Course::Forward { until: self.flags.until() },
            take_over: self.flags.take_over,
            gates_by: Some(YES.to_string()),
            patience: self.flags.patience,
            style,
            clock: opened.site.clock(),
            names: Some(opened.site.names.clone()),
            figures,
            token_file: Some(opened.site.token_file.clone()),
            ..Start::of(&opened.site.plan)
        };
        let exit = execute(start, state_dir).await;
        if self.keep || !opened.is_over() {
            if style == Style::Lines {
                say(&format!(
                    "the lab serves on (process {}); its files are in {}",
                    opened.site.pid,
                    opened.dir.display()
                ));
            }
        } else {
            opened.end();
        }
        exit
    }
}

impl TeardownInLab {
    async fn run(self, state_dir: &Path) -> Exit {
        let dir = folder(state_dir, &self.scenario);
        if dir.exists()
            && let Err(why) = own_folder(&dir)
        {
            tell(&why);
            return Exit::Usage;
        }
        let Some(site) = Site::of_running(&dir) else {
            tell(&format!(
                "no lab of scenario {} serves, and what was in it is gone with it\n\
                 next: `cozyup lab run --keep` leaves one to be taken back",
                self.scenario
            ));
            return Exit::Usage;
        };
        let start = Start {
            folder: Some(dir.join("run")),
            clock: site.clock(),
            names: Some(site.names.clone()),
            figures: LabFigures { critical_path_s: None, speed: Some(site.speed) },
            token_file: Some(site.token_file.clone()),
            ..Start::of(&site.plan)
        };
        tear_down(start, &self.flags, state_dir).await
    }
}

fn introduce(opened: &Opened, until: u8) {
    let site = &opened.site;
    let verb = if opened.goes_on() { "goes on with" } else { "started" };
    say(&format!(
        "lab      {verb} scenario {} at speed {}, {} (plan {})",
        site.scenario,
        site.speed,
        site.url,
        site.plan.display()
    ));
    if let Ok(scenario) = Scenario::load(&site.scenario_file) {
        let chain = critical::chain(&scenario, until);
        say(&format!("lab      critical path to the end of day {until}, in lab seconds:"));
        for link in &chain {
            say(&format!("lab      {:>8.1}  {}", link.seconds, link.what));
        }
        let total = critical::seconds(&chain);
        say(&format!("lab      {total:>8.1}  in all: {:.1} s on the wall at speed {}", total / site.speed, site.speed));
    }
}

impl Serve {
    async fn run(self, state_dir: &Path) -> Exit {
        super::shield::private_files();
        let scenario = match Scenario::load(&self.at.scenario) {
            Ok(scenario) => scenario,
            Err(e) => {
                tell(&format!("{e}\nnext: `cozyup lab list` shows the scenarios"));
                return Exit::Usage;
            }
        };
        let dir = self.dir.unwrap_or_else(|| folder(state_dir, &self.at.scenario));
        if let Err(why) = own_folder(&dir) {
            tell(&why);
            return Exit::Usage;
        }
        let options = site::Options {
            scenario,
            scenario_file: self.at.scenario.clone(),
            speed: self.at.speed,
            net: self.at.net,
            dir: dir.clone(),
        };
        let mut running = match site::start(options).await {
            Ok(running) => running,
            Err(e) => {
                tell(&e.to_string());
                return Exit::Usage;
            }
        };
        if !self.for_a_run {
            print_endpoints(&running.site);
        }
        let lab = running.lab.clone();
        let site_file = dir.join("site.json");
        let mut problems = std::mem::replace(&mut running.problems, tokio::sync::mpsc::unbounded_channel().1);
        tokio::select! {
            () = running.forever() => {}
            () = async { while let Some(problem) = problems.recv().await { say(&format!("note: {problem}")); } std::future::pending().await } => {}
            () = idle(&lab), if self.for_a_run => {}
            () = removed(&site_file), if self.for_a_run => {}
            () = ended() => {}
        }
        // The file says that a lab serves; without the process it would be a lie.
        let _ = std::fs::remove_file(&site_file);
        Exit::Proven
    }
}

fn print_endpoints(site: &Site) {
    let wall = site.clock_wall_ms;
    let lines = [
        format!("scenario     {} (speed {})", site.scenario, site.speed),
        format!("Proxmox VE   {}", site.url),
        format!("fingerprint  {}", site.fingerprint),
        format!("token id     {}", site.token_id),
        format!("token        in {}", site.token_file.display()),
        format!("password     of root@pam in {}", site.password_file.display()),
        format!("plan         {}", site.plan.display()),
        "try          curl -k -H \"Authorization: PVEAPIToken=TOKEN_ID=SECRET\" URL/api2/json/version".to_string(),
        format!(
            "run          COZYUP_CLOCK={},{wall},{} COZYUP_NAMES='{}' cozyup run {}",
            site.clock_origin,
            site.speed,
            site.names,
            site.plan.display()
        ),
        "Ctrl-C ends the lab; it keeps nothing".to_string(),
    ];
    lines.iter().for_each(|l| say(l));
    // A pipe may hold the lines back until the lab ends.
    let _ = std::io::stdout().flush();
}

/// Returns when nobody has connected for [`IDLE`].
async fn idle(lab: &world::Lab) {
    let mut seen = lab.contacts();
    loop {
        tokio::time::sleep(IDLE).await;
        let now = lab.contacts();
        if now == seen {
            return;
        }
        seen = now;
    }
}

/// Returns when the lab's own file is gone: whoever removed its folder wants no lab there.
async fn removed(file: &Path) {
    while file.exists() {
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

async fn ended() {
    use tokio::signal::unix::{SignalKind, signal};
    let wait = |kind| async move {
        match signal(kind) {
            Ok(mut s) => {
                s.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = wait(SignalKind::interrupt()) => {}
        () = wait(SignalKind::terminate()) => {}
    }
}

const _: () = assert!(LAST_DAY >= 5, "the lab's critical path ends with day 5");
