//! What cozyup leaves for the user, in the hands of `talosctl`: the talosconfig, the configs, the cluster itself.
use super::Talosctl;
use crate::lab::Served;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// Lab seconds per second.
const SPEED: f64 = 240.0;

fn secret(run: &Path, name: &str) -> String {
    std::fs::read_to_string(run.join("secrets").join(name)).unwrap()
}

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn a_run_leaves_a_cluster_that_talosctl_finds_healthy_only_once_there_is_a_network() {
    let lab = Served::start("standard", SPEED);
    let run = lab.run_until(2);
    let talosctl = Talosctl::with(&secret(&run, "talosconfig"));
    let info = talosctl.ok(&["config", "info"]);
    let endpoints = [201, 202, 203].map(|h| lab.address(h)).join(", ");
    assert!(info.contains(&format!("Endpoints:           {endpoints}")), "{info}");
    assert!(info.contains(&format!("Nodes:               {}\n", lab.address(201))), "{info}");
    assert!(info.contains("Roles:               os:admin"), "{info}");
    assert!(info.contains("Certificate expires: 11 months from now") || info.contains("1 year from now"), "{info}");
    the_commands_of_the_proofs_work(&talosctl, &run);
    // What a user has already stays; the new context is beside it.
    let theirs = "context: mine\ncontexts:\n    mine:\n        endpoints: [192.0.2.1]\n        nodes: []\n";
    let user = Talosctl::with(theirs);
    user.ok(&["config", "merge", talosctl.talosconfig().to_str().unwrap()]);
    let contexts = user.ok(&["config", "contexts"]);
    assert!(contexts.contains("mine") && contexts.contains("standard"), "{contexts}");

    let (control_planes, worker) = ([201, 202, 203].map(|h| lab.address(h)).join(","), lab.address(211));
    let given = ["--control-plane-nodes", &control_planes, "--worker-nodes", &worker];
    // CozyStack turns discovery off: the server falls back on Kubernetes' own list of nodes.
    let early = talosctl.refused(&["health", "--wait-timeout", "60s"]);
    let mut found: Vec<String> = [201, 202, 203, 211].map(|h| format!("{:?}", lab.address(h))).to_vec();
    found.sort();
    assert!(early.contains(&format!("discovered nodes: [{}]", found.join(" "))), "{early}");
    assert!(early.contains("waiting for all control plane components to be ready: OK"), "{early}");
    assert!(
        early.contains("waiting for all k8s nodes to report ready: some nodes are not ready: [cozy-new-cp1 "),
        "{early}"
    );
    assert!(early.contains("code = DeadlineExceeded desc = context deadline exceeded"), "{early}");
    let early = talosctl.refused(&[&["health", "--server=false", "--wait-timeout", "3s"], &given[..]].concat());
    assert!(early.contains("all control plane components to be ready: OK"), "{early}");
    assert!(early.contains("some nodes are not ready"), "{early}");

    lab.run_until(3);
    let healthy = talosctl.ok(&["health"]);
    assert!(healthy.contains("waiting for kube-proxy to report ready: SKIP"), "{healthy}");
    assert!(healthy.ends_with("waiting for all k8s nodes to report schedulable: OK\n"), "{healthy}");
    let healthy = talosctl.ok(&[&["health", "--server=false"], &given[..]].concat());
    assert!(healthy.contains("waiting for coredns to report ready: OK"), "{healthy}");
    assert!(healthy.ends_with("waiting for all k8s nodes to report schedulable: OK\n"), "{healthy}");

    // The node comes back ready, which is what `--wait` waits for.
    let rebooted = talosctl.ok(&["-n", &worker, "reboot", "--timeout", "15s"]);
    assert!(rebooted.contains("post check passed"), "{rebooted}");
}

/// Runs every `talosctl` command that the run's journal gives for checking by hand, in the folder of its files.
fn the_commands_of_the_proofs_work(talosctl: &Talosctl, run: &Path) {
    let journal = std::fs::read_to_string(run.join("journal.jsonl")).unwrap();
    let mut commands = BTreeSet::new();
    for line in journal.lines() {
        by_hand(&serde_json::from_str(line).unwrap(), &mut commands);
    }
    let mut ran = 0;
    for command in commands.iter().flat_map(|c| c.split(['\n', ';', '&']).map(str::trim)) {
        let Some(args) = command.strip_prefix("talosctl ") else { continue };
        let args: Vec<&str> = args.split(' ').collect();
        let said = talosctl.say_in(&run.join("secrets"), &args);
        let over = [("--insecure", "tls: certificate required"), ("bootstrap", "etcd data directory is not empty")];
        match over.iter().find(|(word, _)| args.contains(word)) {
            // Done once and for all: the node itself says so.
            Some((_, words)) => assert!(said.err.contains(words), "{command}:\n{}{}", said.out, said.err),
            None if args.starts_with(&["gen"]) => {
                assert!(said.err.contains("already exists"), "{command}: {}", said.err)
            }
            None => assert_eq!(said.code, Some(0), "{command}:\n{}{}", said.out, said.err),
        }
        ran += 1;
    }
    assert!(ran >= 20, "{ran} commands: {commands:?}");
}

fn by_hand(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            into.extend(fields.get("by_hand").and_then(Value::as_str).map(str::to_string));
            fields.values().for_each(|v| by_hand(v, into));
        }
        Value::Array(items) => items.iter().for_each(|v| by_hand(v, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
