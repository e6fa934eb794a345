//! What a worker needs: the real program, against a lab, over a journal that has grown.
use super::written;
use cozyup::session::{client, lock};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub fn of_a_worker(disk: &Path) {
    println!("\nmemory of a worker that waits at a gate (resident now, and at most)");
    for count in [1, 10_000, 100_000] {
        one(disk, count);
    }
}

fn one(disk: &Path, count: usize) {
    let journal = written(disk, count);
    let state = tempfile::tempdir_in(disk).unwrap();
    let site = state.path().join("site");
    let cozyup = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cozyup"));
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    };
    let mut lab = cozyup().args(["lab", "serve", "--speed", "600", "--dir"]).arg(&site).spawn().unwrap();
    let served =
        until(|| serde_json::from_slice::<serde_json::Value>(&std::fs::read(site.join("site.json")).ok()?).ok());
    let clock = format!("{},{},{}", served["clock_origin"].as_str().unwrap(), served["clock_wall_ms"], served["speed"]);
    let run = state.path().join("runs/standard");
    std::fs::create_dir_all(&run).unwrap();
    std::fs::copy(&journal, run.join("journal.jsonl")).unwrap();
    let mut command = cozyup();
    command
        .arg("--state-dir")
        .arg(state.path())
        .arg("run")
        .arg(site.join("plan.yaml"))
        .args(["--until", "1", "--detach"]);
    let began = command.env("COZYUP_CLOCK", clock).status().unwrap();
    assert!(began.success(), "the worker did not start");
    let pid = until(|| lock::holder(&run.join("lock")).ok().flatten()).pid;
    let process = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        // Day 0 takes less: it then waits for somebody to begin day 1.
        tokio::time::sleep(Duration::from_secs(3)).await;
        print(&format!("{count} records: waiting"), pid);
        let (_, first) = client::join(&run, "a bench", true).await.unwrap();
        print(&format!("{count} records: with a screen ({} received)", first.history.len()), pid);
        let (_, second) = client::join(&run, "a bench", true).await.unwrap();
        print(&format!("{count} records: with two ({} received)", second.history.len()), pid);
    });
    rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
    lab.kill().unwrap();
    lab.wait().unwrap();
}

fn print(what: &str, pid: u32) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mebibytes = |key: &str| {
        let line = status.lines().find(|l| l.starts_with(key)).unwrap_or_default();
        let kib: f64 = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or_default();
        format!("{:.1} MiB", kib / 1024.0)
    };
    println!("  {what:<56} now {:>10}  most {:>10}", mebibytes("VmRSS:"), mebibytes("VmHWM:"));
}

fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "not within a minute");
        std::thread::sleep(Duration::from_millis(10));
    }
}
