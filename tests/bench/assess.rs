//! The cost of an assessment of a large cluster: the real program, against the lab's old cluster with a crowd in it.
use cozyup::lab::site::Site;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

pub fn cost(disk: &Path) {
    println!("\nassess (time on the wall, memory at most, requests)");
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
    let began = Instant::now();
    let (output, most) = measured(&served.old_kubeconfig.unwrap());
    let took = began.elapsed();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["counts"]["pods"].as_u64().unwrap() > pods as u64, "{report}");
    println!(
        "  {pods:>6} pods, {releases:>5} releases   {:>7.2} s   {:>6.1} MiB   {:>4} requests",
        took.as_secs_f64(),
        most as f64 / 1024.0,
        report["calls"]
    );
    lab.kill().unwrap();
    lab.wait().unwrap();
}

/// What it printed, and the memory that it took at most, in KiB.
fn measured(kubeconfig: &Path) -> (Output, u64) {
    let child = Command::new(env!("CARGO_BIN_EXE_cozyup"))
        .args(["assess", "--json", "--kubeconfig"])
        .arg(kubeconfig)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
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
    (child.wait_with_output().unwrap(), most.join().unwrap())
}
