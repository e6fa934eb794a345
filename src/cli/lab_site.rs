//! The lab that a run lives in: the one that serves already, or a new one in a process of its own.
use super::output::{print_note, with_next};
use crate::base::file::{Unfit, own_dir, own_entries};
use crate::base::process;
use crate::base::text::with_cause;
use crate::compose;
use crate::engine::state::RunState;
use crate::lab::critical;
use crate::lab::scenario::Scenario;
use crate::lab::site::Site;
use crate::session::folder::RunFolder;
use crate::session::lock;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The time that a lab may take to open its sockets.
const START: Duration = Duration::from_secs(60);

/// The facts that a lab knows beforehand, for the summary.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    pub critical_path_s: Option<f64>,
    pub speed: Option<f64>,
}

/// Which lab.
pub struct Place {
    /// A scenario of `lab list`, or a YAML file.
    pub scenario: String,
    /// Lab seconds in a second of the wall.
    pub speed: f64,
    /// The third byte of its loopback network; `None`: the first free one.
    pub net: Option<u8>,
}

/// Name and sentence of every scenario.
pub fn scenarios() -> Vec<(String, String)> {
    let about = |name: &str| Scenario::load(name).map(|s| s.about).unwrap_or_default();
    Scenario::names().map(|name| (name.to_string(), about(name))).collect()
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

    pub fn figures(&self, until: u8) -> Figures {
        let chain = Scenario::load(&self.site.scenario_file).map(|s| critical::seconds(&critical::chain(&s, until)));
        Figures { critical_path_s: chain.ok(), speed: Some(self.site.speed) }
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
pub async fn open(state_dir: &Path, at: &Place, fresh: bool) -> Result<Opened, String> {
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
    serve(&dir, at).await
}

/// Makes the lab's folder, or makes sure that it and what is in it are this user's alone before a byte of it is read:
/// what lies there says whose server gets a token, and which process is ended.
///
/// # Errors
/// With what is wrong with it and what to do.
pub fn own_folder(dir: &Path) -> Result<(), String> {
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
    words.iter().for_each(|word| print_note(word));
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

async fn serve(dir: &Path, at: &Place) -> Result<Opened, String> {
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
