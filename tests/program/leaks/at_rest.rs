//! The run's folder: who may have it, and what lies in it sealed.
use super::search::Secrets;
use super::site::Site;
use crate::common::{ToItsEnd, text};
use age::secrecy::ExposeSecret;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

#[test]
fn a_folder_that_others_could_have_changed_is_refused_before_anything_happens() {
    let site = Site::new("standard");
    let run = || site.run(&["--lines", "--until", "0"]).ended();
    let folder = site.folder();
    fs::create_dir_all(&folder).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
    let refused = run();
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused).contains("may be written to by others (mode 777)"), "{}", text(&refused));
    assert!(text(&refused).contains("next: look whether everything in it is yours"), "{}", text(&refused));
    fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    symlink(site.state.path(), folder.join("secrets")).unwrap();
    let refused = run();
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused).contains("secrets is a symbolic link"), "{}", text(&refused));
    assert!(!folder.join("journal.jsonl").exists());
    fs::remove_file(folder.join("secrets")).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    let repaired = run();
    assert_eq!(repaired.status.code(), Some(0), "{}", text(&repaired));
    assert!(text(&repaired).contains("note: ") && text(&repaired).contains("it is 700 now"), "{}", text(&repaired));
}

fn key_file(dir: &Path, name: &str, mode: u32) -> String {
    let key = age::x25519::Identity::generate();
    let path = dir.join(name);
    fs::write(&path, format!("# a key of one's own\n{}\n", key.to_string().expose_secret())).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    path.display().to_string()
}

#[test]
fn a_run_with_sealed_secrets_needs_its_key_and_keeps_nothing_in_the_clear() {
    let site = Site::new("standard");
    let keys = tempfile::tempdir().unwrap();
    let (right, wrong) = (key_file(keys.path(), "right", 0o600), key_file(keys.path(), "wrong", 0o600));
    let open = key_file(keys.path(), "open", 0o644);
    let plan = site.plan.to_str().unwrap().to_string();
    let say = |arguments: &[&str], key: Option<&str>| {
        let mut command = site.cozyup(arguments);
        if let Some(key) = key {
            command.env("COZYUP_SECRETS_KEY", key);
        }
        let output = command.ended();
        (output.status.code(), text(&output))
    };
    let (code, said) = say(&["secrets", "seal", &plan], Some(&open));
    assert!(code == Some(2) && said.contains("may be read by others (mode 644)"), "{said}");
    let (code, said) = say(&["secrets", "seal", &plan], Some(&right));
    assert!(code == Some(0) && said.contains("are sealed"), "{said}");

    let run = ["run", &plan, "--yes", "--lines", "--until", "2"];
    let (code, said) = say(&run, None);
    assert!(code == Some(2) && said.contains("are sealed") && said.contains("--secrets-key"), "{said}");
    let (code, said) = say(&run, Some(&wrong));
    assert!(code == Some(2) && said.contains("does not open"), "{said}");
    assert!(!site.folder().join("journal.jsonl").exists(), "nothing happens before the secrets are open");
    let (code, said) = say(&run, Some(&right));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("secrets/kubeconfig.age"), "{said}");

    let (code, kubeconfig) = say(&["secrets", "show", &site.name, "kubeconfig"], Some(&right));
    assert!(code == Some(0) && kubeconfig.contains("client-key-data"), "{kubeconfig}");
    let (_, names) = say(&["secrets", "show", &site.name], None);
    assert!(names.contains("talosconfig") && !names.contains("recipient"), "{names}");
    let mut secrets = Secrets::default();
    for name in names.lines() {
        let (code, text) = say(&["secrets", "show", &site.name, name], Some(&right));
        assert_eq!(code, Some(0), "{text}");
        secrets.add_text(name, &text);
    }
    for entry in fs::read_dir(site.folder().join("secrets")).unwrap() {
        let path = entry.unwrap().path();
        secrets.must_not_be_in(&path.display().to_string(), &String::from_utf8_lossy(&fs::read(&path).unwrap()));
    }
    secrets.must_not_be_in("the journal", &site.journal());
    secrets.must_not_be_in("the lines", &said);

    // A second start goes on with the same secrets; then they are files again, the very same.
    let (code, said) = say(&run, Some(&right));
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = say(&["secrets", "unseal", &site.name], Some(&right));
    assert!(code == Some(0) && said.contains("plain files again"), "{said}");
    assert_eq!(fs::read_to_string(site.folder().join("secrets/kubeconfig")).unwrap(), kubeconfig);
    assert!(
        fs::read_dir(site.folder().join("secrets")).unwrap().all(|e| e
            .unwrap()
            .path()
            .extension()
            .is_none_or(|x| x != "age"))
    );
    let (code, said) = say(&run, None);
    assert_eq!(code, Some(0), "{said}");
}
