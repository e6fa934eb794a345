//! Backups that are broken off, of which parts can't be read, or that do not belong where they are to go.
use super::{backup, files, manifest, take};
use crate::api_server::{Server, ok, status};
use crate::common::{Served, ToItsEnd, cozyup, send, text, until};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A cluster of three kinds, whose uid is `uid`.
fn small(path: &str, uid: &str) -> (u16, Vec<u8>) {
    let kind = |name: &str, kind: &str, namespaced| json!({"name": name, "kind": kind, "namespaced": namespaced, "verbs": ["list"]});
    let object = |name: &str| json!({"metadata": {"name": name, "namespace": "a", "uid": name}, "data": {"x": "y"}});
    match path.split('?').next().unwrap() {
        "/version" => ok(json!({"gitVersion": "v1.33.3"})),
        "/api" => ok(json!({"versions": ["v1"]})),
        "/apis" => ok(
            json!({"groups": [{"name": "apps", "versions": [{"version": "v1"}], "preferredVersion": {"version": "v1"}}]}),
        ),
        "/api/v1" => {
            ok(json!({"resources": [kind("configmaps", "ConfigMap", true), kind("services", "Service", true)]}))
        }
        "/apis/apps/v1" => ok(json!({"resources": [kind("deployments", "Deployment", true)]})),
        "/api/v1/namespaces/kube-system" => ok(json!({"metadata": {"name": "kube-system", "uid": uid}})),
        _ => ok(json!({"metadata": {"resourceVersion": "1"}, "items": [object("one"), object("two")]})),
    }
}

fn names(dir: &Path) -> Vec<String> {
    files(dir).iter().map(|f| f.strip_prefix(dir).unwrap().display().to_string()).collect()
}

#[test]
fn a_backup_that_was_broken_off_goes_on_where_it_was_and_ends_as_any_other() {
    let (away, maps) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let (is_away, asked) = (away.clone(), maps.clone());
    let server = Server::start(move |path| {
        asked.fetch_add(usize::from(path.starts_with("/api/v1/configmaps")), Ordering::Relaxed);
        if path.contains("/deployments") && is_away.load(Ordering::Relaxed) {
            // An end in the middle of an answer.
            return (0, b"{\"metadata\":".to_vec());
        }
        small(path, "u-1")
    });
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("backup");
    let broken = take(&server.kubeconfig(), &to, &[]);
    let said = text(&broken);
    assert_eq!(broken.status.code(), Some(1), "{said}");
    assert!(said.contains("PARTIAL (") && said.contains("the same command goes on"), "{said}");
    let looked = backup(&["verify", to.to_str().unwrap()]);
    assert!(looked.status.code() == Some(2) && text(&looked).contains("not finished"), "{}", text(&looked));
    // As a process that was killed leaves it: half a line, half a kind.
    fs::create_dir(to.join("objects/.deployments.apps.part")).unwrap();
    fs::write(to.join("objects/.deployments.apps.part/a.yaml"), "half").unwrap();
    let progress = fs::read_to_string(to.join("unfinished.jsonl")).unwrap();
    fs::write(to.join("unfinished.jsonl"), format!("{progress}{{\"resource\":\"half")).unwrap();
    away.store(false, Ordering::Relaxed);
    let whole = take(&server.kubeconfig(), &to, &[]);
    assert_eq!(whole.status.code(), Some(0), "{}", text(&whole));
    assert_eq!(maps.load(Ordering::Relaxed), 1, "what is whole is not read again");
    assert!(text(&whole).contains("2 kinds were whole from an earlier attempt"), "{}", text(&whole));
    let other = dir.path().join("other");
    assert_eq!(take(&server.kubeconfig(), &other, &[]).status.code(), Some(0));
    assert_eq!(names(&to), names(&other));
    assert_eq!(backup(&["verify", to.to_str().unwrap()]).status.code(), Some(0));
}

#[test]
fn a_backup_that_is_killed_in_the_middle_goes_on_and_a_second_one_beside_it_is_refused() {
    let hold = Arc::new(AtomicBool::new(true));
    let asked = Arc::new(AtomicUsize::new(0));
    let (held, counted) = (hold.clone(), asked.clone());
    let server = Server::start(move |path| {
        if path.contains("/services") {
            counted.fetch_add(1, Ordering::Relaxed);
        }
        while path.contains("/services") && held.load(Ordering::Relaxed) {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        small(path, "u-1")
    });
    let dir = tempfile::tempdir().unwrap();
    let (state, to, kubeconfig) = (tempfile::tempdir().unwrap(), dir.path().join("backup"), server.kubeconfig());
    let arguments = ["backup", "--kubeconfig", kubeconfig.to_str().unwrap(), "--to", to.to_str().unwrap()];
    for signal in [Signal::KILL, Signal::TERM] {
        let before = asked.load(Ordering::Relaxed);
        let mut command = cozyup(state.path(), &arguments);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        until("a kind is whole", || to.join("objects/configmaps/a.yaml").exists().then_some(()));
        until("the services are asked for", || (asked.load(Ordering::Relaxed) > before).then_some(()));
        let second = take(&kubeconfig, &to, &[]);
        assert!(
            second.status.code() == Some(2) && text(&second).contains("another cozyup writes"),
            "{}",
            text(&second)
        );
        send(child.id(), signal).unwrap();
        let code = child.wait().unwrap().code();
        assert_eq!(code, if signal == Signal::TERM { Some(3) } else { None });
    }
    hold.store(false, Ordering::Relaxed);
    let whole = take(&kubeconfig, &to, &[]);
    assert_eq!(whole.status.code(), Some(0), "{}", text(&whole));
    assert!(text(&whole).contains("from an earlier attempt"), "{}", text(&whole));
}

#[test]
fn a_disk_that_is_full_ends_it_by_name_and_with_room_it_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start("old-cluster", "1", &dir.path().join("site"));
    let kubeconfig = served.site.old_kubeconfig.clone().unwrap();
    let to = dir.path().join("backup");
    let arguments = ["backup", "--kubeconfig", kubeconfig.to_str().unwrap(), "--to", to.to_str().unwrap()];
    // No file may grow beyond 8 KiB; the signal that tells of it is ignored, so the write fails as on a full disk.
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 16; exec \"$@\"", "sh", crate::common::PROGRAM]).args(arguments);
    let full = limited.ended();
    let said = text(&full);
    assert!(full.status.code() == Some(1) && said.contains("PARTIAL (") && said.contains("make room"), "{said}");
    let whole = take(&kubeconfig, &to, &[]);
    assert_eq!(whole.status.code(), Some(0), "{}", text(&whole));
    assert_eq!(backup(&["verify", to.to_str().unwrap()]).status.code(), Some(0));
}

#[test]
fn another_cluster_other_things_and_a_whole_backup_are_refused_and_nothing_is_changed() {
    let (one, other) = (Server::start(|path| small(path, "u-1")), Server::start(|path| small(path, "u-2")));
    let dir = tempfile::tempdir().unwrap();
    let refused = |server: &Server, to: &Path, says: &str| {
        let before = names(to);
        let output = take(&server.kubeconfig(), to, &[]);
        assert!(output.status.code() == Some(2) && text(&output).contains(says), "{}", text(&output));
        assert!(text(&output).contains("next: ") && names(to) == before, "{}", text(&output));
    };
    let to = dir.path().join("backup");
    assert_eq!(take(&one.kubeconfig(), &to, &[]).status.code(), Some(0));
    refused(&one, &to, "is a whole backup already");
    let strange = dir.path().join("strange");
    fs::create_dir(&strange).unwrap();
    fs::write(strange.join("letters.txt"), "dear").unwrap();
    refused(&one, &strange, "holds other things");
    // Begun for one cluster, gone on with for another.
    let begun = dir.path().join("begun");
    assert_eq!(take(&one.kubeconfig(), &begun, &[]).status.code(), Some(0));
    let kinds = manifest(&begun);
    let header = json!({"schema": 1, "cluster": kinds["cluster"], "began": kinds["began"], "sealed_for": null});
    fs::remove_file(begun.join("manifest.json")).unwrap();
    fs::write(begun.join("unfinished.jsonl"), format!("{header}\n")).unwrap();
    refused(&other, &begun, "is a backup of another cluster");
    let recipient = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";
    let secrets = take(&one.kubeconfig(), &begun, &["--secrets", "--recipient", recipient]);
    assert!(text(&secrets).contains("was begun without Secrets"), "{}", text(&secrets));
}

#[test]
fn what_can_not_be_read_is_a_named_gap_and_the_next_attempt_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start("old-cluster", "1", &dir.path().join("site"));
    let kubeconfig = served.site.old_kubeconfig.clone().unwrap();
    let to = dir.path().join("backup");
    let partial = take(&kubeconfig.with_file_name("old-kubeconfig-viewer"), &to, &[]);
    let said = text(&partial);
    assert_eq!(partial.status.code(), Some(1), "{said}");
    assert!(said.contains("GAP       configmaps: these credentials may not read it"), "{said}");
    let verified = backup(&["verify", to.to_str().unwrap()]);
    assert!(verified.status.code() == Some(1) && text(&verified).contains("GAP  "), "{}", text(&verified));
    let whole = take(&kubeconfig, &to, &[]);
    assert_eq!((whole.status.code(), &manifest(&to)["gaps"]), (Some(0), &json!([])), "{}", text(&whole));
    assert!(text(&whole).contains("were whole from an earlier attempt"), "{}", text(&whole));
}

#[test]
fn a_list_without_an_end_an_api_behind_which_nobody_is_and_a_name_that_leads_elsewhere_are_gaps() {
    let pages = AtomicUsize::new(0);
    let server = Server::start(move |path| match path {
        p if p.starts_with("/api/v1/configmaps") => {
            let n = pages.fetch_add(1, Ordering::Relaxed);
            ok(
                json!({"metadata": {"continue": format!("page-{n}")}, "items": [{"metadata": {"name": format!("m-{n}"), "namespace": "a"}}]}),
            )
        }
        p if p.starts_with("/api/v1/services") => {
            ok(json!({"items": [{"metadata": {"name": "x", "namespace": "../../.."}}]}))
        }
        "/apis/apps/v1" => status(503, "error trying to reach service"),
        p => small(p, "u-1"),
    });
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("backup");
    let output = take(&server.kubeconfig(), &to, &[]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for says in [
        "configmaps: the list goes on; reading ended after 1500 answers",
        "services: no usable answer",
        "apps/v1: no answer",
    ] {
        assert!(said.contains(says), "{says}: {said}");
    }
    let gaps: Vec<Value> = manifest(&to)["gaps"].as_array().unwrap().clone();
    assert_eq!(gaps.len(), 3, "{gaps:#?}");
    assert!(names(dir.path()).iter().all(|name| name.starts_with("backup/")));
}
