//! `cozyup watch` and k9s on one cluster, each on a terminal of 160x45: how soon rows are seen, and what a minute of nothing costs.
use super::served::Lab;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Starts of each, one after the other.
const STARTS: usize = 7;
/// Of the wall, from the first rows on, before the quiet is measured.
const SETTLES: Duration = Duration::from_secs(10);
const QUIET: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(30);
/// In the list of pods of the lab's old cluster.
const ROW: &str = "ImagePullBackOff";

pub fn k9s(disk: &Path) {
    println!(
        "\nbeside k9s: the pods of an old cluster at 160x45 ({STARTS} starts; then {} s of quiet)",
        QUIET.as_secs()
    );
    let state = tempfile::tempdir_in(disk).unwrap();
    let lab = Lab::begin(state.path(), "old-cluster", 1);
    let kubeconfig = lab.site.old_kubeconfig.clone().unwrap().display().to_string();
    let own = env!("CARGO_BIN_EXE_cozyup");
    measure("cozyup watch", &format!("'{own}' watch --kubeconfig '{kubeconfig}'"), state.path());
    measure(
        "cozyup watch, slow line",
        &format!("'{own}' --low-bandwidth watch --kubeconfig '{kubeconfig}'"),
        state.path(),
    );
    match other() {
        Some(k9s) => {
            measure("k9s", &format!("'{}' --kubeconfig '{kubeconfig}' -A -c pods", k9s.display()), state.path())
        }
        None => println!(
            "  k9s is absent: put it into PATH, or name it in K9S (go install github.com/derailed/k9s@v0.50.9)"
        ),
    }
}

/// The program that the environment names, or the one in PATH.
fn other() -> Option<PathBuf> {
    let named = std::env::var_os("K9S").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    named.into_iter().chain(std::env::split_paths(&path).map(|folder| folder.join("k9s"))).find(|file| file.is_file())
}

fn measure(name: &str, command: &str, home: &Path) {
    let mut starts = Vec::new();
    let mut last = None;
    for _ in 0..STARTS {
        let shown = Shown::start(command, home);
        match shown.rows() {
            Some(after) => starts.push(after),
            None => return println!("  {name:<26} shows no rows within {} s:\n{}", LONGEST.as_secs(), shown.tail()),
        }
        last = Some(shown);
    }
    starts.sort();
    let Some(shown) = last else { return };
    std::thread::sleep(SETTLES);
    let (bytes, used) = (shown.bytes(), ticks(shown.program()));
    std::thread::sleep(QUIET);
    let seconds = QUIET.as_secs_f64();
    // A hundred ticks a second, as Linux has shown them for decades.
    let processor = (ticks(shown.program()) - used) as f64 / seconds;
    println!(
        "  {name:<26} rows after {:>5} ms (min {}, max {})   quiet: {:>6.1} B/s  {processor:>5.2} % of a core  resident {:>6.1} MiB",
        starts[STARTS / 2].as_millis(),
        starts[0].as_millis(),
        starts[STARTS - 1].as_millis(),
        (shown.bytes() - bytes) as f64 / seconds,
        resident(shown.program()) as f64 / 1024.0,
    );
}

/// A program on a terminal of its own, from util-linux.
struct Shown {
    terminal: Child,
    began: Instant,
    /// What it has written.
    written: Arc<Mutex<Vec<u8>>>,
}

impl Shown {
    fn start(command: &str, home: &Path) -> Shown {
        let mut script = Command::new("script");
        script.args(["-qfec", &format!("stty rows 45 cols 160; exec {command}"), "/dev/null"]);
        script.env("TERM", "xterm-256color").env("HOME", home).env("K9S_CONFIG_DIR", home.join("k9s"));
        script.env_remove("NO_COLOR").env_remove("KUBECONFIG");
        let began = Instant::now();
        let mut terminal = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut screen, written) = (terminal.stdout.take().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let keeps = written.clone();
        std::thread::spawn(move || {
            let mut part = [0; 8192];
            while let Ok(count @ 1..) = screen.read(&mut part) {
                keeps.lock().unwrap().extend_from_slice(&part[..count]);
            }
        });
        Shown { terminal, began, written }
    }

    /// The time until a row is seen.
    fn rows(&self) -> Option<Duration> {
        while self.began.elapsed() < LONGEST {
            if self.written.lock().unwrap().windows(ROW.len()).any(|part| part == ROW.as_bytes()) {
                return Some(self.began.elapsed());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        None
    }

    fn bytes(&self) -> usize {
        self.written.lock().unwrap().len()
    }

    /// The end of what it wrote, for whoever wants to know why there are no rows.
    fn tail(&self) -> String {
        let written = self.written.lock().unwrap();
        String::from_utf8_lossy(&written[written.len().saturating_sub(1500)..]).escape_debug().to_string()
    }

    /// The one child of `script`, which the shell became.
    fn program(&self) -> u32 {
        let pid = self.terminal.id();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        children.split_whitespace().next().unwrap().parse().unwrap()
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        // Hung up, so that the program on it ends too.
        let _ = self.terminal.kill();
        let _ = self.terminal.wait();
    }
}

/// Processor time that the process has used.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<u64> = stat.rsplit(") ").next().unwrap().split(' ').map(|n| n.parse().unwrap_or(0)).collect();
    fields[11] + fields[12]
}

/// In KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
