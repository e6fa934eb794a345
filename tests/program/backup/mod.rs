//! `cozyup backup` against the lab's old cluster, a cluster that cozyup itself has made, and servers that break off.
mod broken;

use crate::common::{Kept, Served, ToItsEnd, cozyup, text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub fn backup(arguments: &[&str]) -> Output {
    let state = tempfile::tempdir().unwrap();
    cozyup(state.path(), &[&["backup"][..], arguments].concat()).ended()
}

pub fn take(kubeconfig: &Path, to: &Path, more: &[&str]) -> Output {
    let whole = ["--kubeconfig", kubeconfig.to_str().unwrap(), "--to", to.to_str().unwrap()];
    backup(&[&whole[..], more].concat())
}

pub fn manifest(dir: &Path) -> Value {
    serde_json::from_slice::<Value>(&fs::read(dir.join("manifest.json")).unwrap()).unwrap()["manifest"].clone()
}

pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        found.extend(if path.is_dir() { files(&path) } else { vec![path] });
    }
    found.sort();
    found
}

fn old(dir: &Path) -> (Served, PathBuf) {
    let served = Served::start("old-cluster", "1", dir);
    let kubeconfig = served.site.old_kubeconfig.clone().unwrap();
    (served, kubeconfig)
}

fn show(dir: &Path, arguments: &[&str]) -> Output {
    backup(&[&["show", dir.to_str().unwrap()][..], arguments].concat())
}

/// Every planted secret of the lab's old cluster begins so, and stands nowhere else.
const PLANTED: &str = "hush-";

fn holds_a_secret(bytes: &[u8]) -> bool {
    let encoded = STANDARD.encode("hush-in-secret-7c1f");
    [PLANTED.as_bytes(), encoded.as_bytes()].iter().any(|part| bytes.windows(part.len()).any(|w| w == *part))
}

#[test]
fn a_backup_without_secrets_holds_every_kind_and_no_secret_in_any_form() {
    let dir = tempfile::tempdir().unwrap();
    let (_served, kubeconfig) = old(&dir.path().join("site"));
    let to = dir.path().join("backup");
    let output = take(&kubeconfig, &to, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let manifest = manifest(&to);
    let kind = |name: &str| manifest["kinds"].as_array().unwrap().iter().find(|k| k["resource"] == name).cloned();
    for (name, objects) in [
        ("pods", 31),
        ("helmreleases.helm.toolkit.fluxcd.io", 10),
        ("virtualmachines.kubevirt.io", 1),
        ("postgreses.apps.cozystack.io", 1),
        ("customresourcedefinitions.apiextensions.k8s.io", 2),
        ("proxmoxclusters.infrastructure.cluster.x-k8s.io", 1),
        ("endpoints", 1),
    ] {
        assert_eq!(kind(name).unwrap_or_default()["objects"], objects, "{name}");
    }
    let left: Vec<&str> =
        manifest["left_out"].as_array().unwrap().iter().map(|k| k["resource"].as_str().unwrap()).collect();
    assert!(["events", "secrets", "leases.coordination.k8s.io"].iter().all(|k| left.contains(k)), "{left:?}");
    assert!(kind("secrets").is_none() && manifest["gaps"] == serde_json::json!([]), "{manifest:#}");
    // Values, variables, arguments, files, URLs, user data and the last applied configuration.
    for file in files(&to) {
        assert!(!holds_a_secret(&fs::read(&file).unwrap()), "{}", file.display());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
        assert_eq!(fs::metadata(file.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    }
    assert!(manifest["kinds"].as_array().unwrap().iter().map(|k| k["withheld"].as_u64().unwrap()).sum::<u64>() >= 6);
    let sums = Command::new("sha256sum").args(["-c", "--quiet", "SHA256SUMS"]).current_dir(&to).ended();
    assert!(sums.status.success(), "{}", text(&sums));
    let verified = backup(&["verify", to.to_str().unwrap()]);
    assert_eq!(verified.status.code(), Some(0), "{}", text(&verified));
}

#[test]
fn an_object_is_shown_ready_to_be_applied_and_safe_for_a_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let (_served, kubeconfig) = old(&dir.path().join("site"));
    let to = dir.path().join("backup");
    assert_eq!(take(&kubeconfig, &to, &[]).status.code(), Some(0));
    let service = show(&to, &["service", "web"]);
    assert_eq!(service.status.code(), Some(0), "{}", text(&service));
    let object: Value = serde_saphyr::from_str(std::str::from_utf8(&service.stdout).unwrap()).unwrap();
    assert_eq!(
        object,
        serde_json::json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "tenant-root"},
            "spec": {"type": "LoadBalancer", "selector": {"app": "web"}, "ports": [{"port": 80}]}})
    );
    let map = show(&to, &["cm", "web"]);
    assert_eq!(map.status.code(), Some(2), "a short name is none that the backup knows: {}", text(&map));
    let map = show(&to, &["ConfigMap", "web"]);
    let shown = String::from_utf8(map.stdout.clone()).unwrap();
    assert!(shown.contains("welcome\\x1b[2J") && !shown.contains('\u{1b}'), "{shown:?}");
    assert!(map.status.code() == Some(1) && text(&map).contains("NOT ready to be applied"), "{}", text(&map));
    for (arguments, says) in [
        (&["clusters", "postgres-app"][..], "clusters.cluster.x-k8s.io, clusters.postgresql.cnpg.io"),
        (&["pods", "nobody"], "no pods in the backup has the name nobody"),
        (&["gadgets", "x"], "nothing in the backup is a gadgets"),
        (&["secrets", "postgres-app-credentials"], "nothing in the backup is a secrets"),
    ] {
        let refused = show(&to, arguments);
        assert!(refused.status.code() == Some(2) && refused.stdout.is_empty(), "{}", text(&refused));
        assert!(text(&refused).contains(says) && text(&refused).contains("next: "), "{}", text(&refused));
    }
    let owned = show(&to, &["replicasets.apps", "web-5d4f8", "-n", "tenant-root"]);
    assert!(text(&owned).contains("a controller has made this object"), "{}", text(&owned));
}

#[test]
fn secrets_are_only_ever_written_encrypted_and_opened_by_their_key() {
    let dir = tempfile::tempdir().unwrap();
    let (_served, kubeconfig) = old(&dir.path().join("site"));
    let (to, key) = (dir.path().join("backup"), dir.path().join("key"));
    fs::write(&key, "four words in a row").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let refused = take(&kubeconfig, &to, &["--secrets"]);
    assert!(refused.status.code() == Some(2) && !to.exists(), "{}", text(&refused));
    let key = ["--secrets-key", key.to_str().unwrap()];
    let output = take(&kubeconfig, &to, &[&["--secrets"], &key[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    for file in files(&to) {
        assert!(!holds_a_secret(&fs::read(&file).unwrap()), "{}", file.display());
    }
    let opened = |arguments: &[&str]| text(&show(&to, &[&key[..], arguments].concat()));
    assert!(opened(&["secret", "postgres-app-credentials"]).contains(&STANDARD.encode("hush-in-secret-7c1f")));
    let whole = opened(&["deployment", "web"]);
    assert!(whole.contains("hush-in-env-7c1f") && whole.contains("hush-in-args-7c1f"), "{whole}");
    assert!(!whole.contains("withheld") && !whole.contains("uid"), "{whole}");
    let without = show(&to, &["secret", "postgres-app-credentials"]);
    assert_eq!((without.status.code(), without.stdout.len()), (Some(2), 0), "{}", text(&without));
    let without = show(&to, &["deployment", "web"]);
    assert!(text(&without).contains("--secrets-key FILE shows the whole object"), "{}", text(&without));
}

#[test]
fn a_look_at_a_backup_names_what_was_changed_is_missing_was_added_or_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let (_served, kubeconfig) = old(&dir.path().join("site"));
    let to = dir.path().join("backup");
    let taken = text(&take(&kubeconfig, &to, &[]));
    let digest = taken.split("--digest ").nth(1).unwrap().split_whitespace().next().unwrap().to_string();
    let verify = |more: &[&str]| backup(&[&["verify", to.to_str().unwrap()][..], more].concat());
    assert_eq!(verify(&["--digest", &digest]).status.code(), Some(0));
    let other = verify(&["--digest", &"0".repeat(64)]);
    assert!(other.status.code() == Some(4) && text(&other).contains("CHANGED    the whole"), "{}", text(&other));
    let web = to.join("objects/deployments.apps/tenant-root.yaml");
    let whole = fs::read(&web).unwrap();
    let changed = String::from_utf8(whole.clone()).unwrap().replace("nginx:1.27", "nginx:6.66");
    for (bytes, says) in [
        (Some(changed.as_bytes()), "CHANGED    objects/deployments.apps/tenant-root.yaml"),
        (Some(&whole[..10]), "TRUNCATED  objects/deployments.apps/tenant-root.yaml: 10 of "),
        (None, "MISSING    objects/deployments.apps/tenant-root.yaml"),
    ] {
        match bytes {
            Some(bytes) => fs::write(&web, bytes).unwrap(),
            None => fs::remove_file(&web).unwrap(),
        }
        let output = verify(&[]);
        assert!(output.status.code() == Some(4) && text(&output).contains(says), "{}", text(&output));
        let shown = show(&to, &["deployment", "web"]);
        assert!(shown.status.code() == Some(4) && shown.stdout.is_empty(), "{}", text(&shown));
    }
    fs::write(&web, &whole).unwrap();
    fs::write(to.join("objects/pods/more.yaml"), "x").unwrap();
    let added = verify(&[]);
    assert!(added.status.code() == Some(4) && text(&added).contains("ADDED      objects/pods/more.yaml"));
    fs::remove_file(to.join("objects/pods/more.yaml")).unwrap();
    let real = fs::read_to_string(to.join("manifest.json")).unwrap();
    for (from, into) in [("\"objects\": 31", "\"objects\": 30"), ("\"schema\": 1", "\"schema\": 2"), ("{", "[")] {
        fs::write(to.join("manifest.json"), real.replacen(from, into, 1)).unwrap();
        let output = verify(&[]);
        assert!(output.status.code() == Some(4) && text(&output).contains("next: "), "{from}: {}", text(&output));
    }
}

/// Its etcd is the one of the machines that the talosconfig names.
#[test]
fn a_snapshot_of_etcd_is_taken_through_talos_and_only_ever_encrypted() {
    let lab = Kept::with_run_until("3");
    let secrets = lab.run_folder().join("secrets");
    let dir = tempfile::tempdir().unwrap();
    let (to, key) = (dir.path().join("backup"), dir.path().join("key"));
    fs::write(&key, "four words in a row").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let talosconfig = secrets.join("talosconfig");
    let talosconfig = ["--talosconfig", talosconfig.to_str().unwrap()];
    let refused = take(&secrets.join("kubeconfig"), &to, &talosconfig);
    assert!(refused.status.code() == Some(2) && text(&refused).contains("--secrets"), "{}", text(&refused));
    let more = [&talosconfig[..], &["--secrets", "--secrets-key", key.to_str().unwrap()]].concat();
    let output = take(&secrets.join("kubeconfig"), &to, &more);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let manifest = manifest(&to);
    assert!(manifest["etcd_of"].is_string(), "{manifest:#}");
    let snapshot = fs::read(to.join("sealed/etcd.snapshot.age")).unwrap();
    assert!(snapshot.starts_with(b"age-encryption.org/v1") && snapshot.len() > 4096, "{}", snapshot.len());
}
