//! What a worker needs: the real program, against a lab, over a journal that has grown.
use super::served::{Lab, until};
use super::written;
use cozyup::session::{client, lock};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

pub fn of_a_worker(disk: &Path) {
    println!("\nmemory of a worker that waits at a gate (resident now, and at most)");
    for count in [1, 10_000, 100_000] {
        one(disk, count);
    }
}

fn one(disk: &Path, count: usize) {
    let journal = written(disk, count);
    let state = tempfile::tempdir_in(disk).unwrap();
    let lab = Lab::begin(state.path(), "standard", 600);
    let run = state.path().join("runs/standard");
    std::fs::create_dir_all(&run).unwrap();
    std::fs::copy(&journal, run.join("journal.jsonl")).unwrap();
    detached(&lab, state.path(), &["--until", "1"]);
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
}

/// A whole run of the standard site, with a full screen of 160x45 beside it from the first record to the last.
pub fn of_a_whole_run(disk: &Path) {
    println!("\nmemory of a worker and a screen together, over a whole run of the standard site (at most)");
    let state = tempfile::tempdir_in(disk).unwrap();
    let lab = Lab::begin(state.path(), "standard", 240);
    let run = state.path().join("runs/standard");
    detached(&lab, state.path(), &["--yes"]);
    let worker = until(|| lock::holder(&run.join("lock")).ok().flatten()).pid;
    // A terminal of its own, from util-linux.
    let attach = format!(
        "stty rows 45 cols 160; exec '{}' --state-dir '{}' attach standard",
        env!("CARGO_BIN_EXE_cozyup"),
        state.path().display()
    );
    let mut script = Command::new("script");
    script.args(["-qfec", &attach, "/dev/null"]).env("TERM", "xterm-256color").env("COZYUP_CLOCK", clock(&lab));
    let mut terminal = script.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let screen = until(|| child_of(terminal.id()));
    let (mut of_worker, mut of_screen, mut both, mut data) = (0, 0, 0, 0);
    while let Some((kib, own)) = share(worker) {
        let (on_screen, its_own) = share(screen).expect("the screen ended before the run");
        both = both.max(kib + on_screen);
        data = data.max(own + its_own);
        of_worker = of_worker.max(field(worker, "VmHWM:").unwrap_or_default());
        of_screen = of_screen.max(field(screen, "VmHWM:").unwrap_or_default());
        std::thread::sleep(Duration::from_millis(20));
    }
    let records = std::fs::read_to_string(run.join("journal.jsonl")).unwrap().lines().count();
    let mebibytes = |kib: u64| format!("{:.1} MiB", kib as f64 / 1024.0);
    println!(
        "  {records} records: together {} ({} of it data, the rest program text, which they share); by itself the worker {}, the screen {}",
        mebibytes(both),
        mebibytes(data),
        mebibytes(of_worker),
        mebibytes(of_screen)
    );
    terminal.kill().unwrap();
    terminal.wait().unwrap();
}

/// What a process takes in KiB, a page that several processes have divided among them; and how much of it is data.
/// `None` once it has ended.
fn share(pid: u32) -> Option<(u64, u64)> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let kib = |key: &str| rollup.lines().find(|l| l.starts_with(key))?.split_whitespace().nth(1)?.parse().ok();
    Some((kib("Pss:")?, kib("Pss_Anon:")?))
}

/// The one child of a process, once it is the program that the shell became.
fn child_of(pid: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    let child: u32 = children.split_whitespace().next()?.parse().ok()?;
    let program = std::fs::read_link(format!("/proc/{child}/exe")).ok()?;
    (program.file_name()? == "cozyup").then_some(child)
}

/// Begins a run of the lab's own plan without a screen.
fn detached(lab: &Lab, state: &Path, more: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cozyup"));
    command.arg("--state-dir").arg(state).arg("run").arg(&lab.site.plan);
    command.args(more).arg("--detach").env("COZYUP_CLOCK", clock(lab));
    let began = command.stdin(Stdio::null()).stdout(Stdio::null()).status().unwrap();
    assert!(began.success(), "the worker did not start");
}

/// For programs beside the lab.
fn clock(lab: &Lab) -> String {
    lab.site.clock().spec().unwrap()
}

/// A figure of the process in KiB; `None` once it has ended.
fn field(pid: u32, key: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find(|l| l.starts_with(key))?.split_whitespace().nth(1)?.parse().ok()
}

fn print(what: &str, pid: u32) {
    let mebibytes = |key: &str| format!("{:.1} MiB", field(pid, key).unwrap_or_default() as f64 / 1024.0);
    println!("  {what:<56} now {:>10}  most {:>10}", mebibytes("VmRSS:"), mebibytes("VmHWM:"));
}
