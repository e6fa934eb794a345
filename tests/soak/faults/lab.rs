//! A run in a disturbed lab, as a person starts it, and what it left behind.
use jiff::Timestamp;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

pub const SPEED: &str = "240";
/// On the wall; a run in a lab that nothing disturbs takes seven seconds.
const LONGEST: Duration = Duration::from_secs(400);

pub struct Lab {
    dir: tempfile::TempDir,
    scenario: PathBuf,
}

/// What one run printed and how it ended; `None`: it did not end in time and was killed.
pub struct Ran {
    pub status: Option<ExitStatus>,
    pub records: Vec<Value>,
    pub told: String,
    pub wall: Duration,
}

impl Lab {
    /// A standard site with these disturbances, each a line of YAML.
    pub fn disturbed(disturbances: &[String]) -> Lab {
        let list: String = disturbances.iter().map(|d| format!("  - {{ {d} }}\n")).collect();
        Lab::of(&format!("disturbances:\n{list}"))
    }

    pub fn of(more: &str) -> Lab {
        let dir = tempfile::tempdir().unwrap();
        let scenario = dir.path().join("disturbed.yaml");
        let base = if more.contains("extends:") { "" } else { "extends: standard\n" };
        let head = "name: disturbed\nabout: A standard site behind a bad line.\n";
        std::fs::write(&scenario, format!("{base}{head}{more}")).unwrap();
        Lab { dir, scenario }
    }

    /// Runs to the end of day `until`, or goes on with the run that is there; the lab serves on.
    pub fn run(&self, until: &str) -> Ran {
        let began = Instant::now();
        let printed = self.dir.path().join("printed");
        let told = self.dir.path().join("told");
        // Another build, e.g. a copy that stays as it is while the tree is built anew.
        let cozyup = std::env::var("FAULTS_COZYUP").unwrap_or(env!("CARGO_BIN_EXE_cozyup").to_string());
        let mut child = Command::new(cozyup)
            .arg("--state-dir")
            .arg(self.dir.path())
            .args(["lab", "run", "--json", "--keep", "--speed", SPEED, "--until", until, "--patience", "4h"])
            .arg("--scenario")
            .arg(&self.scenario)
            .env_remove("COZYUP_CLOCK")
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(&printed).unwrap())
            .stderr(std::fs::File::create(&told).unwrap())
            .spawn()
            .unwrap();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            if began.elapsed() > LONGEST {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let text = String::from_utf8_lossy(&std::fs::read(&printed).unwrap()).into_owned();
        let records = text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect();
        let told = String::from_utf8_lossy(&std::fs::read(&told).unwrap()).into_owned();
        Ran { status, records, told, wall: began.elapsed() }
    }

    pub fn state(&self) -> &Path {
        self.dir.path()
    }

    /// Only the site, without a run.
    pub fn serve(&self) -> Served {
        let dir = self.dir.path().join("lab/disturbed");
        let process = Command::new(env!("CARGO_BIN_EXE_cozyup"))
            .arg("--state-dir")
            .arg(self.dir.path())
            .args(["lab", "serve", "--speed", SPEED, "--scenario"])
            .arg(&self.scenario)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let began = Instant::now();
        let site = loop {
            if let Some(site) = self.site() {
                break site;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "no lab in {}", dir.display());
            std::thread::sleep(Duration::from_millis(10));
        };
        Served { file: site.plan.clone(), clock: site.clock().spec().unwrap(), process }
    }

    /// The lab's own account of what it disturbed.
    pub fn account(&self) -> Vec<Value> {
        let path = self.dir.path().join("lab/disturbed/disturbances.jsonl");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }

    fn site(&self) -> Option<cozyup::lab::site::Site> {
        cozyup::lab::site::Site::of_running(&self.dir.path().join("lab/disturbed"))
    }
}

/// Where a lab that only serves is to be found.
pub struct Served {
    pub file: PathBuf,
    /// For `COZYUP_CLOCK`.
    pub clock: String,
    process: std::process::Child,
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // A worker of a run that was killed, then the site.
        let lock = self.dir.path().join("lab/disturbed/run/lock");
        let worker = cozyup::session::lock::holder(Path::new(&lock)).ok().flatten().map(|owner| owner.pid);
        for pid in [worker, self.site().map(|s| s.pid)].into_iter().flatten() {
            if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}

impl Ran {
    /// Every step proven, with exit code 0; else how it ended.
    pub fn proven(&self) -> Result<(), String> {
        let last = self.records.last().cloned().unwrap_or_default();
        match self.status.map(|s| s.code()) {
            Some(Some(0)) if last["kind"] == "summary" && last["proven"] == last["steps"] => Ok(()),
            None => Err(format!("no end after {} s", self.wall.as_secs())),
            Some(code) => Err(format!(
                "exit {code:?}, {} of {}: {} {}",
                last["proven"], last["steps"], last["blocked"], self.told
            )),
        }
    }

    pub fn events<'a>(&'a self, names: &'a [&'a str]) -> impl Iterator<Item = &'a Value> {
        self.records.iter().filter(|r| r["kind"] == "record" && names.iter().any(|n| r["event"] == *n))
    }
}

pub fn at(record: &Value) -> Timestamp {
    record["at"].as_str().unwrap_or_else(|| panic!("no time in {record}")).parse().unwrap()
}

pub fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}
