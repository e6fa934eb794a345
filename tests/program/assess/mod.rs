//! `cozyup assess` against the lab's old cluster, a cluster that cozyup itself has made, and servers that mean harm.
mod hostile;

use crate::common::{Kept, Served, ToItsEnd, cozyup, text};
use serde_json::Value;
use std::path::Path;
use std::process::Output;

pub fn assess(kubeconfig: &Path, more: &[&str]) -> Output {
    let state = tempfile::tempdir().unwrap();
    let file = kubeconfig.to_str().unwrap();
    cozyup(state.path(), &[&["assess", "--kubeconfig", file][..], more].concat()).ended()
}

pub fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(output)))
}

fn old(dir: &Path) -> Served {
    Served::start("old-cluster", "1", dir)
}

fn pods<'a>(report: &'a Value, trouble: &str) -> &'a Value {
    let all = report["findings"].as_array().unwrap();
    all.iter().find(|f| f["rule"] == "failing-pods" && f["trouble"] == trouble).unwrap()
}

/// product.md: what took four hours by hand, and its end: 30 to 44 hours at 30 to 40 %, so a fresh install.
#[test]
fn the_seeds_old_cluster_gets_the_seeds_own_verdict() {
    let dir = tempfile::tempdir().unwrap();
    let served = old(dir.path());
    let kubeconfig = served.site.old_kubeconfig.clone().unwrap();
    let output = assess(&kubeconfig, &["--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let report = json(&output);
    let verdict = &report["verdict"];
    assert_eq!(verdict["decision"], "fresh_install", "{report:#}");
    assert_eq!(verdict["upgrade"], serde_json::json!({"hours": [30, 44], "percent": [31, 40]}));
    assert_eq!(report["cluster"]["cozystack"]["tag"], "v0.28.0-54-g22cf18ff");
    assert_eq!((&report["cluster"]["age_days"], &report["cluster"]["bundle"]), (&219.into(), &"paas-full".into()));
    assert_eq!(report["cluster"]["kubernetes"], "v1.32.1");
    let counts = &report["counts"];
    assert_eq!((&counts["nodes_ready"], &counts["nodes"], &counts["pods_failing"]), (&4.into(), &4.into(), &20.into()));
    let found =
        ["image_pull", "crash_loop", "out_of_cpu", "unknown"].map(|t| pods(&report, t)["count"].as_u64().unwrap());
    assert_eq!(found, [9, 5, 4, 1]);
    assert_eq!((&pods(&report, "image_pull")["newest_days"], &report["way"]["minors"]), (&52.into(), &9.into()));
    assert_eq!(pods(&report, "crash_loop")["oldest_days"], 203);
    let cascade = &report["findings"][0];
    assert_eq!((&cascade["rule"], &cascade["socket_warnings"]), (&"network-cascade".into(), &14.into()));
    assert_eq!(
        (&cascade["dns_down"], &cascade["sources_down"], &cascade["cni_down"]),
        (&2.into(), &3.into(), &2.into())
    );
    let unused = |change: &str| {
        let all = report["findings"].as_array().unwrap();
        all.iter().any(|f| f["change"] == change && f["fact"] == "change_not_in_use")
    };
    assert!(unused("ferret_db") && unused("seaweed_fs") && !unused("resources"), "{report:#}");
}

#[test]
fn the_report_is_text_markdown_and_html_too_and_says_what_it_lacks() {
    let dir = tempfile::tempdir().unwrap();
    let served = old(dir.path());
    let kubeconfig = served.site.old_kubeconfig.clone().unwrap();
    for (form, verdict, missing) in [
        (&[][..], "FRESH INSTALL: install v0.37.2 beside this cluster", "etcd: --talosconfig gives access to it"),
        (&["--markdown"][..], "**FRESH INSTALL: install v0.37.2", "etcd: --talosconfig gives access to it"),
        (&["--html"][..], "<p class=\"lead\">FRESH INSTALL: install v0.37.2", "etcd: --talosconfig gives access to it"),
    ] {
        let output = assess(&kubeconfig, form);
        let shown = String::from_utf8(output.stdout.clone()).unwrap();
        assert!(shown.contains(verdict) && shown.contains(missing), "{}", text(&output));
        assert!(shown.contains("kube-ovn-daemon.sock") && shown.contains("v0.34.8"), "{shown}");
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
fn whoever_may_not_read_all_is_told_what_and_gets_no_verdict() {
    let dir = tempfile::tempdir().unwrap();
    let served = old(dir.path());
    let kubeconfig = served.site.old_kubeconfig.clone().unwrap().with_file_name("old-kubeconfig-viewer");
    let output = assess(&kubeconfig, &[]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("NO VERDICT"), "{shown}");
    assert!(shown.contains("helmreleases.helm.toolkit.fluxcd.io: these credentials may not read it"), "{shown}");
    assert!(shown.contains("20 of "), "what may be read is told: {shown}");
}

/// The cluster of the lab's own run, at its end: nothing to upgrade, and nothing broken.
#[test]
fn a_cluster_that_cozyup_has_made_is_another_verdict() {
    let lab = Kept::with_run_until("4");
    let secrets = lab.run_folder().join("secrets");
    let talosconfig = secrets.join("talosconfig");
    let output = assess(&secrets.join("kubeconfig"), &["--json", "--talosconfig", talosconfig.to_str().unwrap()]);
    let report = json(&output);
    assert_eq!(report["verdict"]["decision"], "go", "{report:#}");
    assert_eq!((output.status.code(), &report["way"]["standing"]), (Some(0), &"there".into()));
    assert_eq!(report["etcd"].as_array().unwrap().len(), 3, "{report:#}");
    assert!(report["etcd"][0]["fault"].is_null() && report["etcd"][0]["members"] == 3, "{report:#}");
}

#[test]
fn a_crowded_cluster_is_read_page_by_page() {
    let dir = tempfile::tempdir().unwrap();
    let scenario = dir.path().join("crowded.yaml");
    let crowd =
        "extends: old-cluster\nname: crowded\nabout: many pods\nold_cluster:\n  crowd: { pods: 1000, releases: 300 }\n";
    std::fs::write(&scenario, crowd).unwrap();
    let served = Served::start(scenario.to_str().unwrap(), "1", &dir.path().join("site"));
    let report = json(&assess(&served.site.old_kubeconfig.clone().unwrap(), &["--json"]));
    assert_eq!(report["counts"]["pods"], 1031, "{report:#}");
    assert_eq!((&report["counts"]["releases"], &report["verdict"]["decision"]), (&310.into(), &"fresh_install".into()));
    assert!(report["calls"].as_u64().unwrap() >= 9 + 3 + 12, "{}", report["calls"]);
}
