//! What a package ships beside the program: man pages, completions, and what the binary says of itself.
use crate::common::{ToItsEnd, cozyup};

#[test]
fn a_man_page_is_made_for_each_command_that_the_help_shows() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man");
    std::fs::create_dir(&pages).unwrap();
    let made = cozyup(folder.path(), &["man", "--to", pages.to_str().unwrap()]).ended();
    assert!(made.status.success(), "{made:?}");
    let page = |name: &str| std::fs::read_to_string(pages.join(name));
    assert!(page("cozyup.1").unwrap().contains("Exit codes: 0 proven"));
    assert!(page("cozyup-run.1").unwrap().contains("\\-\\-take\\-over"));
    assert!(page("cozyup-plan-new.1").unwrap().contains("fingerprint"));
    assert!(page("cozyup-worker.1").is_err(), "the worker is no command for people");

    let nowhere = folder.path().join("nowhere");
    let refused = cozyup(folder.path(), &["man", "--to", nowhere.to_str().unwrap()]).ended();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("nowhere") && said.contains("next: "), "{said}");
}

#[test]
fn every_shell_gets_completions_that_know_the_commands() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let made = cozyup(folder.path(), &["completions", shell]).ended();
        let text = String::from_utf8_lossy(&made.stdout);
        assert!(made.status.success() && text.contains("teardown"), "{shell}: {text:.300}");
    }
}

#[test]
fn a_binary_tells_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let said = cozyup(folder.path(), &["version", "--json"]).ended();
    let facts: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(facts["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(facts["architecture"], std::env::consts::ARCH);
    assert!(facts["cozystack"].as_array().unwrap().contains(&"v0.37.2".into()), "{facts}");
    let lines = String::from_utf8(cozyup(folder.path(), &["version"]).ended().stdout).unwrap();
    assert!(lines.starts_with("cozyup ") && lines.contains("v0.37.2"), "{lines}");
}
