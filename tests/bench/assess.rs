//! The cost of an assessment, a backup and an inventory of a large cluster: the real program, against the lab's old cluster with
//! a crowd in it; beside them kubectl, where tier 2 has built one.
use super::served::Lab;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
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
    let lab = Lab::begin(dir.path(), scenario.to_str().unwrap(), 1);
    let kubeconfig = lab.site.old_kubeconfig.clone().unwrap();
    let access = ["--kubeconfig", kubeconfig.to_str().unwrap()];
    for command in ["assess", "inventory"] {
        let cozyup = Command::new(env!("CARGO_BIN_EXE_cozyup"));
        let (output, _, figure) = measured(cozyup, &[&[command, "--json"][..], &access].concat());
        let report: serde_json::Value = serde_json::from_slice(&output).unwrap();
        let read = report["counts"]["pods"].as_u64().or(report["items"].as_array().map(|i| i.len() as u64));
        assert!(read.unwrap() > 0, "{report}");
        print(command, pods, releases, &figure, &report["calls"].to_string());
    }
    backup(&access, &dir.path().join("backup"), pods, releases);
    by_kubectl(&access, pods, releases);
}

fn backup(access: &[&str], to: &Path, pods: usize, releases: usize) {
    let cozyup = Command::new(env!("CARGO_BIN_EXE_cozyup"));
    let (output, _, figure) = measured(cozyup, &[&["backup"], access, &["--to", to.to_str().unwrap()]].concat());
    let said = String::from_utf8_lossy(&output);
    let calls = said.split("requests  ").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or("?");
    print("backup", pods, releases, &figure, calls);
}

/// The kinds that an inventory reads, where tier 2 has built kubectl.
fn by_kubectl(access: &[&str], pods: usize, releases: usize) {
    let Some(kubectl) = kubectl() else { return };
    let kinds = "namespaces,pods,persistentvolumes,persistentvolumeclaims,services,ingresses,deployments,statefulsets,\
                 daemonsets,cronjobs,jobs,helmreleases.helm.toolkit.fluxcd.io,tenants.apps.cozystack.io,\
                 postgreses.apps.cozystack.io,redises.apps.cozystack.io,vminstances.apps.cozystack.io,\
                 clusters.postgresql.cnpg.io,virtualmachines.kubevirt.io,clusters.cluster.x-k8s.io";
    // So loud that it names its requests.
    let (_, said, figure) =
        measured(Command::new(kubectl), &[&["-v=6", "get", "-A", "-o", "yaml", kinds], access].concat());
    let calls = said.lines().filter(|line| line.contains("GET") && line.contains("https://")).count();
    print("kubectl", pods, releases, &figure, &calls.to_string());
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

/// What it printed, what it said beside that, and the time and memory (in KiB) that it took at most.
fn measured(mut command: Command, arguments: &[&str]) -> (Vec<u8>, String, (Duration, u64)) {
    let began = Instant::now();
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
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
    let took = began.elapsed();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code().is_some_and(|code| code < 2), "{arguments:?}: {}\n{said}", output.status);
    (output.stdout, said, (took, most.join().unwrap()))
}
