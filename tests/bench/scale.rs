//! A site that grows: so many hosts with local storages, so many machines on them, to the end of day 2. Time of the run by the lab's
//! clock, memory of the worker, and what Proxmox VE is asked in the busiest minute.
use super::served::{Lab, until};
use cozyup::session::lock;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Of the lab, by the wall: two cores have to play every machine.
const SPEED: u32 = 20;

pub fn cost(disk: &Path) {
    println!(
        "\nscale: machines on hosts with local storages, to the end of day 2 (lab time; worker at most; requests to Proxmox VE)"
    );
    for (hosts, machines) in [(1, 7), (2, 15), (4, 30), (8, 60)] {
        one(disk, hosts, machines);
    }
}

fn one(disk: &Path, hosts: usize, machines: usize) {
    let state = tempfile::tempdir_in(disk).unwrap();
    let scenario = state.path().join("scale.yaml");
    std::fs::write(&scenario, site(hosts, machines)).unwrap();
    let lab = Lab::begin(state.path(), scenario.to_str().unwrap(), SPEED);
    let clock = lab.site.clock();
    let (began, at) = (Instant::now(), clock.now());
    let mut command = Command::new(env!("CARGO_BIN_EXE_cozyup"));
    command
        .arg("--state-dir")
        .arg(state.path())
        .arg("run")
        .arg(&lab.site.plan)
        .args(["--yes", "--until", "2", "--detach"]);
    command.env("COZYUP_CLOCK", clock.spec().unwrap()).stdin(Stdio::null()).stdout(Stdio::null());
    assert!(command.status().unwrap().success(), "the worker did not start");
    let run = state.path().join("runs/standard");
    let run = if run.exists() { run } else { state.path().join("runs/scale") };
    let worker = until(|| lock::holder(&run.join("lock")).ok().flatten()).pid;
    let (mut most, mut processor) = (0, 0);
    while let Some((kib, ms)) = figures(worker) {
        (most, processor) = (kib.max(most), ms.max(processor));
        assert!(began.elapsed() < Duration::from_secs(1200), "it does not end");
        std::thread::sleep(Duration::from_millis(50));
    }
    let lasted = cozyup::base::clock::between(at, clock.now());
    let journal = std::fs::read_to_string(run.join("journal.jsonl")).unwrap();
    assert!(journal.lines().last().unwrap().contains(r#""outcome":"proven""#), "{}", journal.lines().last().unwrap());
    let (all, busiest) = asked(&lab.site.plan.with_file_name("disturbances.jsonl"));
    println!(
        "  {hosts} hosts, {machines:>2} machines   {:>6.0} s   worker {:>5.1} MiB, {processor:>6} ms of processor   {all:>6} requests, {busiest:>4} in \
         the busiest minute   {:>5} records",
        lasted.as_secs_f64(),
        most as f64 / 1024.0,
        journal.lines().count(),
    );
}

/// The most memory so far in KiB, and milliseconds of processor; `None` once it has ended.
fn figures(pid: u32) -> Option<(u64, u64)> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kib = status.lines().find(|l| l.starts_with("VmHWM:"))?.split_whitespace().nth(1)?.parse().ok()?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit(") ").next()?.split(' ').collect();
    let ticks = |n: usize| fields.get(n).and_then(|t| t.parse::<u64>().ok());
    Some((kib, (ticks(11)? + ticks(12)?) * 10))
}

/// Requests in all, and in the busiest minute of the lab.
fn asked(account: &Path) -> (usize, usize) {
    let mut minutes: BTreeMap<String, usize> = BTreeMap::new();
    for line in std::fs::read_to_string(account).unwrap_or_default().lines() {
        let met: serde_json::Value = serde_json::from_str(line).unwrap();
        let minute: String = met["at"].as_str().unwrap().chars().take(16).collect();
        *minutes.entry(minute).or_default() += 1;
    }
    (minutes.values().sum(), minutes.values().copied().max().unwrap_or_default())
}

fn site(hosts: usize, machines: usize) -> String {
    let mut text =
        String::from("extends: standard\nname: scale\nabout: a site that grows\nproxmox:\n  guests: []\n  nodes:\n");
    for host in 1..=hosts {
        writeln!(text, "    - {{ name: pve{host}, cores: 96, memory_gib: 512 }}").unwrap();
    }
    text.push_str("nodes:\n");
    for n in 0..machines {
        let (role, host) = (if n < 3 { "controlplane" } else { "worker" }, n % hosts + 1);
        writeln!(
            text,
            "  - {{ name: m{n}, role: {role}, vmid: {}, address: {}, host: pve{host}, cores: 8, memory_mib: 24576, \
             system_disk_gib: 50, data_disk_gib: 256 }}",
            1001 + n,
            100 + n
        )
        .unwrap();
    }
    text.push_str("copies:\n");
    for host in 2..=hosts {
        writeln!(text, "  - {{ host: pve{host}, vmid: {}, image_storage: local }}", 9100 + host).unwrap();
    }
    if hosts == 1 {
        text = text.replace("copies:\n", "");
    }
    // It answers what the server would; while it lasts, every request to that API is written down.
    text.push_str(
        "disturbances:\n  - { api: proxmox, kind: answer, match: \"GET /api2/json/version$\", code: 200, \
         body: '{\"data\":{\"version\":\"9.1.2\",\"release\":\"9.1\",\"repoid\":\"1\"}}' }\n",
    );
    text
}
