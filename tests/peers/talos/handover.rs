//! What cozyup leaves for the user, in the hands of `talosctl`: the talosconfig, the configs, the cluster itself.
use super::Talosctl;
use crate::lab::Served;
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
    assert!(info.contains("Roles:               os:admin"), "{info}");
    assert!(info.contains("Certificate expires: 11 months from now") || info.contains("1 year from now"), "{info}");
    for node in ["cp1", "cp2", "cp3", "worker1"] {
        let file = talosctl.file(&format!("{node}.yaml"), &secret(&run, &format!("machine-cozy-new-{node}.yaml")));
        talosctl.ok(&["validate", "--mode", "metal", "--strict", "-c", &file]);
    }
    // What a user has already stays; the new context is beside it.
    let theirs = "context: mine\ncontexts:\n    mine:\n        endpoints: [192.0.2.1]\n        nodes: []\n";
    let user = Talosctl::with(theirs);
    user.ok(&["config", "merge", talosctl.talosconfig().to_str().unwrap()]);
    let contexts = user.ok(&["config", "contexts"]);
    assert!(contexts.contains("mine") && contexts.contains("standard"), "{contexts}");

    let (first, all) = (lab.address(201), ["--control-plane-nodes", "--worker-nodes"]);
    let nodes = [[201, 202, 203].map(|h| lab.address(h)).join(","), lab.address(211)];
    let given = [all[0], &nodes[0], all[1], &nodes[1]];
    // CozyStack turns discovery off: the server falls back on Kubernetes' own list of nodes.
    let early = talosctl.refused(&["health", "--wait-timeout", "60s"]);
    let mut found: Vec<String> = [201, 202, 203, 211].map(|h| format!("{:?}", lab.address(h))).to_vec();
    found.sort();
    assert!(early.contains(&format!("discovered nodes: [{}]", found.join(" "))), "{early}");
    assert!(early.contains("waiting for all control plane components to be ready: OK"), "{early}");
    assert!(early.contains("waiting for all k8s nodes to report ready: some nodes are not ready: [cozy-new-cp1 "), "{early}");
    assert!(early.contains("code = DeadlineExceeded desc = context deadline exceeded"), "{early}");
    let early = talosctl.refused(&[&["health", "--server=false", "--wait-timeout", "3s"], &given[..]].concat());
    assert!(early.contains("all control plane components to be ready: OK"), "{early}");
    assert!(early.contains("some nodes are not ready"), "{early}");

    lab.run_until(3);
    let healthy = talosctl.ok(&["-n", &first, "health"]);
    assert!(healthy.contains("waiting for kube-proxy to report ready: SKIP"), "{healthy}");
    assert!(healthy.ends_with("waiting for all k8s nodes to report schedulable: OK\n"), "{healthy}");
    let healthy = talosctl.ok(&[&["health", "--server=false"], &given[..]].concat());
    assert!(healthy.contains("waiting for coredns to report ready: OK"), "{healthy}");
    assert!(healthy.ends_with("waiting for all k8s nodes to report schedulable: OK\n"), "{healthy}");
}
