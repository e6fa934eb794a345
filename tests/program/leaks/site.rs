//! A lab that is served, a state folder of its own, and who of our processes was seen with what.
use crate::common::{PROGRAM, Served, send, worker_of};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Lab seconds per second.
const SPEED: &str = "240";
pub struct Site {
    pub state: tempfile::TempDir,
    pub plan: PathBuf,
    pub name: String,
    pub url: String,
    pub fingerprint: String,
    lab: Served,
}

impl Site {
    pub fn new(scenario: &str) -> Site {
        let state = tempfile::tempdir().unwrap();
        let lab = Served::start(scenario, SPEED, &state.path().join("site"));
        let Served { site, .. } = &lab;
        let (plan, name) = (site.plan.clone(), site.scenario.clone());
        Site { plan, name, url: site.url.to_string(), fingerprint: site.fingerprint.clone(), state, lab }
    }

    pub fn token(&self) -> String {
        std::fs::read_to_string(self.plan.with_file_name("token")).unwrap().trim().to_string()
    }

    /// As a person with `umask 000` starts it, in a folder where a core would be left.
    pub fn cozyup(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "umask 000; ulimit -c unlimited 2>/dev/null; exec \"$@\"", "sh", PROGRAM, "--state-dir"]);
        command.arg(self.state.path()).args(arguments).env("COZYUP_CLOCK", self.lab.clock());
        command.current_dir(self.state.path()).stdin(Stdio::null());
        command
    }

    pub fn run(&self, more: &[&str]) -> Command {
        let mut command = self.cozyup(&["run", self.plan.to_str().unwrap(), "--yes"]);
        command.args(more);
        command
    }

    pub fn folder(&self) -> PathBuf {
        self.state.path().join("runs").join(&self.name)
    }

    pub fn worker(&self) -> Option<u32> {
        worker_of(&self.folder())
    }

    pub fn journal(&self) -> String {
        std::fs::read_to_string(self.folder().join("journal.jsonl")).unwrap_or_default()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(pid) = self.worker() {
            let _ = send(pid, Signal::KILL);
        }
    }
}

/// What the list of processes shows of the program's processes while it lives: command line and environment of each.
pub struct Watch {
    stop: Arc<AtomicBool>,
    seen: JoinHandle<BTreeSet<(String, String)>>,
}

impl Watch {
    pub fn begin(place: &Path) -> Watch {
        let stop = Arc::new(AtomicBool::new(false));
        let (place, over) = (place.display().to_string(), stop.clone());
        let seen = std::thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while !over.load(Ordering::Relaxed) {
                for entry in std::fs::read_dir("/proc").unwrap().flatten() {
                    let read = |file: &str| std::fs::read(entry.path().join(file)).unwrap_or_default();
                    let words = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
                    if words.starts_with(PROGRAM) && words.contains(&place) {
                        // To another user than root the kernel does not even show the environment.
                        seen.insert((words, String::from_utf8_lossy(&read("environ")).into_owned()));
                    }
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            seen
        });
        Watch { stop, seen }
    }

    pub fn end(self) -> BTreeSet<(String, String)> {
        self.stop.store(true, Ordering::Relaxed);
        self.seen.join().unwrap()
    }
}
