//! The cost of an assessment, a backup and an inventory of a large cluster: the real program, against the lab's old cluster with
//! a crowd in it; beside them kubectl, where tier 2 has built one.
use cozyup::lab::site::Site;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

pub fn cost(disk: &Path) {
    println!("\nassess, backup, inventory (time on the wall, memory at most, requests)");
    for (pods, releases) in [(1_000, 200), (10_000, 2_000)] {
        one(disk, pods, releases);
    }
}

fn one(disk: &Path, pods: usize, releases: usize) {
    let dir = tempfile::tempdir_in(disk).unwrap();
    let scenario = dir.path().join("crowd.yaml");
    let crowd = format!(
        "extends: old-cluster\nname: crowd\nabout: a crowd\nold_cluster:\n  crowd: {{ pods: {pods}, releases: {releases} }}\n"
    );
    std::fs::write(&scenario, crowd).unwrap();
    let site = dir.path().join("site");
    let program = env!("CARGO_BIN_EXE_cozyup");
    let mut lab = Command::new(program)
        .args(["lab", "serve", "--scenario"])
        .arg(&scenario)
        .arg("--dir")
        .arg(&site)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let began = Instant::now();
    let served = loop {
        if let Some(served) = Site::of_running(&site) {
            break served;
        }
        assert!(began.elapsed() < Duration::from_secs(120), "the lab does not serve");
        std::thread::sleep(Duration::from_millis(20));
    };
    let kubeconfig = served.old_kubeconfig.unwrap();
    let (access, to) = (["--kubeconfig", kubeconfig.to_str().unwrap()], dir.path().join("backup"));
    for command in ["assess", "inventory"] {
        let (output, figure) = measured(Command::new(program).args([command, "--json"]).args(access));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let read = report["counts"]["pods"].as_u64().or(report["items"].as_array().map(|i| i.len() as u64));
        assert!(read.unwrap() > 0, "{report}");
        print(command, pods, releases, &figure, &report["calls"].to_string());
    }
    whole(&kubeconfig, &to, pods, releases);
    lab.kill().unwrap();
    lab.wait().unwrap();
}

/// A backup of all of it, and the same kinds by kubectl.
fn whole(kubeconfig: &Path, to: &Path, pods: usize, releases: usize) {
    let access = ["--kubeconfig", kubeconfig.to_str().unwrap()];
    let mut backup = Command::new(env!("CARGO_BIN_EXE_cozyup"));
    let (output, figure) = measured(backup.arg("backup").args(access).arg("--to").arg(to));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    let calls = said.split("requests  ").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or("?");
    print("backup", pods, releases, &figure, calls);
    if let Some(kubectl) = kubectl() {
        let kinds = "pods,helmreleases.helm.toolkit.fluxcd.io,configmaps,services,deployments";
        let mut get = Command::new(kubectl);
        let (output, figure) = measured(get.args(["get", "-A", "-o", "yaml", kinds]).args(access));
        assert!(output.status.success(), "kubectl get: {}", output.status);
        print("kubectl", pods, releases, &figure, "?");
    }
}

/// As `tests/peers/run` builds it.
fn kubectl() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let own = || Some(set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?.join("cozyup/peers"));
    let program = set("COZYUP_PEERS_CACHE").or_else(own)?.join("bin/kubectl");
    program.is_file().then_some(program)
}

fn print(what: &str, pods: usize, releases: usize, (took, most): &(Duration, u64), calls: &str) {
    println!(
        "  {what:<10} {pods:>6} pods, {releases:>5} releases   {:>7.2} s   {:>6.1} MiB   {calls:>5} requests",
        took.as_secs_f64(),
        *most as f64 / 1024.0,
    );
}

/// What it printed, and the time and memory (in KiB) that it took at most.
fn measured(command: &mut Command) -> (Output, (Duration, u64)) {
    let began = Instant::now();
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let most = std::thread::spawn(move || {
        let mut most = 0;
        while let Ok(text) = std::fs::read_to_string(&status) {
            let line = text.lines().find(|l| l.starts_with("VmHWM:")).unwrap_or_default();
            most = most.max(line.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or_default());
            if text.contains("State:\tZ") {
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        most
    });
    let output = child.wait_with_output().unwrap();
    (output, (began.elapsed(), most.join().unwrap()))
}
