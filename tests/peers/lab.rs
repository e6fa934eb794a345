//! A lab of its own for a test, served by the binary as a user would serve it.
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// `cozyup lab serve`; ends with the value.
pub struct Served {
    pub dir: PathBuf,
    /// What it wrote into `site.json`.
    pub site: Value,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Served {
    pub fn start(scenario: &str, speed: f64) -> Served {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("lab");
        let mut child = Command::new(env!("CARGO_BIN_EXE_cozyup"))
            .args(["lab", "serve", "--scenario", scenario, "--speed", &speed.to_string(), "--dir"])
            .arg(&dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let began = Instant::now();
        let site = loop {
            if let Some(site) = read_site(&dir) {
                break site;
            }
            assert!(child.try_wait().unwrap().is_none(), "the lab ended before it served");
            assert!(began.elapsed() < Duration::from_secs(60), "the lab does not serve");
            std::thread::sleep(Duration::from_millis(10));
        };
        Served { dir, site, child, _folder: folder }
    }

    pub fn text(&self, key: &str) -> &str {
        self.site[key].as_str().unwrap_or_else(|| panic!("no {key} in {}", self.site))
    }

    /// Address `host` of the lab's /24.
    pub fn address(&self, host: u8) -> String {
        let url = self.text("url").trim_start_matches("https://");
        let (net, _) = url.split_once(":8006").unwrap().0.rsplit_once('.').unwrap();
        format!("{net}.{host}")
    }

    /// See [`run_until`].
    pub fn run_until(&self, day: u8) -> PathBuf {
        run_until(&self.site, &self.dir, day)
    }
}

/// Of the lab: a run that is blocked for so long ends with the reason, instead of looking again for ever.
const PATIENCE: &str = "30m";
/// Of the wall: whatever a run waits for, its test fails in the end.
const LONGEST: Duration = Duration::from_secs(900);

/// `cozyup run` of a lab's plan in the lab's time, up to the end of a day; the run's folder. Panics unless all of it is
/// proven. State goes to `dir`/state.
pub fn run_until(site: &Value, dir: &Path, day: u8) -> PathBuf {
    let state = dir.join("state");
    let text = |key: &str| site[key].as_str().unwrap_or_else(|| panic!("no {key} in {site}")).to_string();
    let printed = dir.join("printed");
    let told = dir.join("told");
    let file = |path: &Path| std::fs::File::create(path).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_cozyup"))
        .arg("--state-dir")
        .arg(&state)
        .args(["run", &text("plan"), "--yes", "--lines", "--patience", PATIENCE, "--until", &day.to_string()])
        .env("COZYUP_CLOCK", format!("{},{},{}", text("clock_origin"), site["clock_wall_ms"], site["speed"]))
        .stdin(Stdio::null())
        .stdout(file(&printed))
        .stderr(file(&told))
        .spawn()
        .unwrap();
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        if began.elapsed() > LONGEST {
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let read = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    assert_eq!(status, Some(0), "{}\n{}", read(&printed), read(&told));
    let runs = std::fs::read_dir(state.join("runs")).unwrap();
    runs.map(|r| r.unwrap().path()).next().expect("a run folder")
}

fn read_site(dir: &Path) -> Option<Value> {
    serde_json::from_str(&std::fs::read_to_string(dir.join("site.json")).ok()?).ok()
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
