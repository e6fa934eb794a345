//! What the tests that run the whole program share. Each of them takes what it needs.
use cozyup::lab::site::Site;
use cozyup::session::lock;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_cozyup");
/// Of the wall, for whatever a test waits for: an end for what never comes, not a measure.
pub const SOON: Duration = Duration::from_secs(300);

/// The program, in real time unless somebody says otherwise.
pub fn cozyup(state: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("--state-dir").arg(state).args(arguments).stdin(Stdio::null()).env_remove("COZYUP_CLOCK");
    command
}

/// What a person does at a terminal: the command is waited for, and ended when it does not come to an end.
pub trait ToItsEnd {
    /// What [`Command::output`] gives.
    ///
    /// # Panics
    /// With what it has printed, when it has not ended within [`SOON`].
    fn ended(&mut self) -> Output;
}

impl ToItsEnd for Command {
    fn ended(&mut self) -> Output {
        let mut child = self.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (out, err) = (drain(child.stdout.take()), drain(child.stderr.take()));
        let status = exit(&mut child);
        let printed = |reader: JoinHandle<Vec<u8>>| reader.join().unwrap();
        let all = |status| Output { status, stdout: printed(out), stderr: printed(err) };
        match status {
            Some(status) => all(status),
            None => {
                child.kill().unwrap();
                let output = all(child.wait().unwrap());
                panic!("{self:?} did not end within {SOON:?}; it printed:\n{}", text(&output))
            }
        }
    }
}

fn drain(mut pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        pipe.as_mut().unwrap().read_to_end(&mut all).unwrap();
        all
    })
}

/// None when it goes on after [`SOON`].
pub fn exit(child: &mut Child) -> Option<ExitStatus> {
    let began = Instant::now();
    while began.elapsed() < SOON {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    None
}

/// Everything that it printed.
pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Its lines of JSON; every line is one.
pub fn records(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"))).collect()
}

pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < SOON, "not within {SOON:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// # Errors
/// When there is no such process any more.
pub fn send(pid: u32, signal: Signal) -> rustix::io::Result<()> {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal)
}

/// The process that does the work of the run in `folder`, not one that shows it.
pub fn worker_of(folder: &Path) -> Option<u32> {
    // A lock that is just being taken can't be read yet.
    lock::holder(&folder.join("lock")).ok().flatten().map(|owner| owner.pid)
}

/// `cozyup lab serve`, until the value ends.
pub struct Served {
    pub site: Site,
    process: Child,
}

impl Served {
    /// Its files go to `dir`.
    pub fn start(scenario: &str, speed: &str, dir: &Path) -> Served {
        let mut command = Command::new(PROGRAM);
        command.args(["lab", "serve", "--scenario", scenario, "--speed", speed, "--dir"]).arg(dir);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        Served { site: until("the lab serves", || Site::of_running(dir)), process }
    }

    /// For `COZYUP_CLOCK`.
    pub fn clock(&self) -> String {
        self.site.clock().spec().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The standard lab of `cozyup lab run --keep`, at speed 240, with what it left behind.
pub struct Kept {
    state: tempfile::TempDir,
    scenario: String,
}

impl Kept {
    /// Nothing runs in it yet.
    pub fn new() -> Kept {
        Kept { state: tempfile::tempdir().unwrap(), scenario: "standard".to_string() }
    }

    pub fn with_run_until(day: &str) -> Kept {
        Kept::of("standard", day)
    }

    /// Of another lab than the standard one.
    pub fn of(scenario: &str, day: &str) -> Kept {
        let lab = Kept { state: tempfile::tempdir().unwrap(), scenario: scenario.to_string() };
        let run = lab.run_until(day, &[]);
        assert_eq!(run.status.code(), Some(0), "{}", text(&run));
        lab
    }

    pub fn run_until(&self, day: &str, more: &[&str]) -> Output {
        let arguments =
            ["lab", "run", "--scenario", &self.scenario, "--keep", "--json", "--speed", "240", "--until", day];
        cozyup(self.state(), &[&arguments[..], more].concat()).ended()
    }

    pub fn state(&self) -> &Path {
        self.state.path()
    }

    pub fn folder(&self) -> PathBuf {
        self.state().join("lab").join(&self.scenario)
    }

    pub fn run_folder(&self) -> PathBuf {
        self.folder().join("run")
    }

    pub fn site(&self) -> Site {
        Site::of_running(&self.folder()).expect("the lab serves on")
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(site) = Site::of_running(&self.folder()) {
            // It may have ended in this moment.
            let _ = send(site.pid, Signal::TERM);
        }
    }
}
