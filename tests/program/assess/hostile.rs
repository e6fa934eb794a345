//! Kubeconfigs and servers that are wrong, or mean harm: each is refused by name, or leaves a gap that the report names.
use super::{assess, json};
use crate::api_server::{Server, identity, kubeconfig, ok, status};
use crate::common::text;
use serde_json::{Value, json as value};
use std::path::Path;

/// What a small, healthy cluster answers.
fn healthy(path: &str) -> (u16, Vec<u8>) {
    let list = |items: Value| ok(value!({"metadata": {"resourceVersion": "1"}, "items": items}));
    let path = path.split('?').next().unwrap();
    match path.rsplit('/').next().unwrap() {
        "version" => ok(value!({"gitVersion": "v1.33.3", "platform": "linux/amd64"})),
        "nodes" => {
            list(value!([{"metadata": {"name": "cp1"}, "status": {"conditions": [{"type": "Ready", "status": "True"}],
            "nodeInfo": {"osImage": "Talos (v1.10.6)", "kubeletVersion": "v1.33.3"}}}]))
        }
        "cozystack" if path.contains("deployments") => {
            ok(value!({"metadata": {"name": "cozystack"}, "spec": {"template": {"spec": {
            "containers": [{"image": "ghcr.io/cozystack/cozystack/installer:v0.37.2"}]}}}}))
        }
        "cozystack" | "cozystack-version" => ok(value!({"data": {"bundle-name": "paas-full", "version": "21"}})),
        "pods" => list(
            value!([{"metadata": {"name": "coredns", "namespace": "kube-system"}, "status": {"phase": "Running"}}]),
        ),
        "helmreleases" => list(value!([{"metadata": {"name": "cilium", "namespace": "cozy-cilium", "generation": 1},
            "status": {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True", "reason": "UpgradeSucceeded"}]}}])),
        "backups" => status(404, "the server could not find the requested resource"),
        _ => list(value!([])),
    }
}

#[test]
fn a_small_healthy_cluster_goes() {
    let server = Server::start(healthy);
    let output = assess(&server.kubeconfig(), &["--json"]);
    assert_eq!(
        (output.status.code(), &json(&output)["verdict"]["decision"]),
        (Some(0), &"go".into()),
        "{}",
        text(&output)
    );
}

/// Of the definitions that the platform brings, the half is gone.
#[test]
fn half_of_the_definitions_missing_is_no_verdict_and_the_missing_are_named() {
    let server = Server::start(|path| match path {
        p if p.contains("toolkit.fluxcd.io") || p.contains("piraeus.io") => {
            status(404, "the server could not find the requested resource")
        }
        p => healthy(p),
    });
    let output = assess(&server.kubeconfig(), &[]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    let shown = text(&output);
    for kind in ["helmreleases.helm.toolkit.fluxcd.io", "linstorsatellites.piraeus.io"] {
        assert!(shown.contains(&format!("{kind}: the API server serves no such kind")), "{shown}");
    }
}

/// A server that shows nothing is no cluster without faults.
#[test]
fn empty_lists_are_no_healthy_cluster() {
    for kind in ["/nodes", "/pods", "/helmreleases"] {
        let server = Server::start(move |path| match path.split('?').next().unwrap() {
            p if p.ends_with(kind) => ok(value!({"metadata": {}, "items": []})),
            p => healthy(p),
        });
        let output = assess(&server.kubeconfig(), &[]);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        assert!(text(&output).contains("the list is empty"), "{}", text(&output));
    }
}

#[test]
fn a_list_without_end_is_given_up_and_makes_no_verdict() {
    let pages = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::start(move |path| match path {
        p if p.starts_with("/api/v1/pods") => {
            let n = pages.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            ok(
                value!({"metadata": {"continue": format!("page-{n}")}, "items": [{"metadata": {"name": format!("p-{n}"), "namespace": "a"}}]}),
            )
        }
        p => healthy(p),
    });
    let output = assess(&server.kubeconfig(), &["--json"]);
    let report = json(&output);
    assert_eq!((output.status.code(), &report["counts"]["pods"]), (Some(2), &500.into()), "{report:#}");
    let lack = report["lacks"].as_array().unwrap().iter().find(|l| l["what"] == "pods").unwrap();
    assert_eq!(lack["limit"]["pages"], 500, "{lack}");
}

#[test]
fn an_answer_of_31_mebibytes_is_not_read_and_is_named() {
    let server = Server::start(|path| match path {
        p if p.starts_with("/api/v1/pods") => (200, vec![b' '; 31 << 20]),
        p => healthy(p),
    });
    let output = assess(&server.kubeconfig(), &[]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(
        text(&output).contains("pods: no usable answer") && text(&output).contains("longer than 8 MiB"),
        "{}",
        text(&output)
    );
}

#[test]
fn a_page_that_is_too_long_is_asked_for_in_halves() {
    let server = Server::start(|path| match path {
        p if p.starts_with("/api/v1/pods") && p.contains("limit=125") => (200, vec![b' '; 9 << 20]),
        p => healthy(p),
    });
    let output = assess(&server.kubeconfig(), &["--json"]);
    assert_eq!(json(&output)["verdict"]["decision"], "go", "{}", text(&output));
}

#[test]
fn names_with_control_characters_reach_no_terminal() {
    let server = Server::start(|path| match path {
        p if p.starts_with("/api/v1/pods") => ok(value!({"metadata": {}, "items": [
            {"metadata": {"name": "\u{1b}]0;owned\u{7}\u{202e}p", "namespace": "a\u{1b}[2J"}, "status": {"phase": "Unknown"}}]})),
        p => healthy(p),
    });
    for form in [&[][..], &["--json"], &["--markdown"], &["--html"]] {
        let output = assess(&server.kubeconfig(), form);
        let shown = text(&output);
        assert!(shown.contains("owned"), "{shown}");
        assert!(!shown.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{form:?}: {shown:?}");
    }
}

#[test]
fn a_kubeconfig_that_runs_a_program_or_names_files_is_refused_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("ran");
    let exec =
        format!("exec: {{apiVersion: client.authentication.k8s.io/v1, command: touch, args: ['{}']}}", mark.display());
    for (user, says) in [
        (exec.as_str(), "gets its credentials from a program; cozyup runs none"),
        ("client-certificate: /etc/hostname, client-key: /etc/hostname", "names a file, and cozyup reads none"),
    ] {
        let file = dir.path().join("kubeconfig");
        std::fs::write(&file, kubeconfig("https://127.0.0.1:1", &identity().1, user)).unwrap();
        let output = assess(&file, &[]);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output).contains(says) && text(&output).contains("next: "), "{}", text(&output));
    }
    assert!(!mark.exists());
}

#[test]
fn a_server_that_is_away_or_another_and_a_file_that_is_none_are_refused_with_a_next_action() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("kubeconfig");
    std::fs::write(&file, kubeconfig("https://127.0.0.1:1", &identity().1, "token: t")).unwrap();
    refused(&file, "kubernetes api not reached");
    let other = Server::start(healthy);
    let real = std::fs::read_to_string(other.kubeconfig()).unwrap();
    let at = real.split('\'').nth(1).unwrap();
    std::fs::write(&file, kubeconfig(at, &identity().1, "token: t")).unwrap();
    refused(&file, "the server's certificate is not the cluster's");
    std::fs::write(&file, "password: hush\n").unwrap();
    let said = refused(&file, "kubeconfig: ");
    assert!(!said.contains("hush"), "{said}");
    refused(&dir.path().join("none"), "none");
    let unknown = Server::start(|_| status(401, "Unauthorized"));
    refused(&unknown.kubeconfig(), "does not accept the kubeconfig's credentials");
}

fn refused(file: &Path, says: &str) -> String {
    let output = assess(file, &[]);
    let said = text(&output);
    assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(2), true), "{said}");
    assert!(said.contains(says) && said.contains("next: "), "{said}");
    said
}
