//! `cozyup watch` on a cluster that cozyup did not install, on a real terminal, and where it can't get in.
use crate::common::{Kept, Served, ToItsEnd, cozyup, text};
use crate::terminal::Terminal;
use std::path::{Path, PathBuf};

fn watch(kubeconfig: &Path) -> std::process::Command {
    let mut command = cozyup(Path::new("/nonexistent"), &["watch", "--kubeconfig", kubeconfig.to_str().unwrap()]);
    command.env_remove("KUBECONFIG");
    command
}

fn old(served: &Served) -> PathBuf {
    served.site.old_kubeconfig.clone().unwrap()
}

#[test]
fn a_cluster_that_cozyup_did_not_install_is_watched_on_a_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start("old-cluster", "1", dir.path());
    let mut screen = Terminal::start(watch(&old(&served)), (160, 45));
    screen.shows(&["mgr-cozy1", "mgr.example.org", "v1.32.1", "kubeovn", "UpgradeFailed", "ImagePullBackOff"]);
    screen.keys("2/KUBEOVN\r");
    screen.shows(&["KUBEOVN"]);
    screen.keys("\r");
    screen.shows(&["helmreleases.helm.toolkit.fluxcd.io", "cozy-kubeovn/kubeovn"]);
    screen.keys("\u{1b}");
    std::thread::sleep(std::time::Duration::from_millis(100));
    screen.keys("3y");
    screen.shows(&["containerStatuses:", "without", "secret"]);
    screen.keys("l");
    screen.shows(&["container", "pull", "image"]);
    screen.keys("q");
    assert_eq!(screen.ended().code(), Some(0));
    assert!(!screen.text().contains("panicked"), "{}", screen.text());
}

#[test]
fn a_cluster_without_flux_and_one_whose_api_goes_away_are_told_on_the_screen() {
    let lab = Kept::with_run_until("2");
    let screen = Terminal::start(watch(&lab.run_folder().join("secrets/kubeconfig")), (80, 24));
    screen.shows(&["cozy-new-cp1"]);
    let mut screen = screen;
    screen.keys("2");
    screen.shows(&["HelmReleases:"]);
    drop(lab);
    screen.shows(&["SILENT"]);
    screen.keys("q");
    assert_eq!(screen.ended().code(), Some(0));
}

/// What it says without a terminal, and the exit code.
fn refused(command: &mut std::process::Command) -> String {
    let output = command.ended();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    text(&output)
}

#[test]
fn who_can_not_get_in_is_told_why_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start("old-cluster", "1", dir.path());
    let good = std::fs::read_to_string(old(&served)).unwrap();
    let file = dir.path().join("other");
    let with = |change: &dyn Fn(&str) -> String| {
        std::fs::write(&file, change(&good)).unwrap();
        refused(&mut watch(&file))
    };
    let mut stranger = String::new();
    for line in good.lines().filter(|line| !line.contains("client-key-data")) {
        let indent = &line[..line.len() - line.trim_start().len()];
        match line.contains("client-certificate-data") {
            true => stranger.push_str(&format!("{indent}token: 0a1b-no-token-of-this-cluster\n")),
            false => stranger.push_str(&format!("{line}\n")),
        }
    }
    let wrong = with(&|_| stranger.clone());
    assert!(wrong.contains("does not accept the kubeconfig's credentials") && wrong.contains("next: "), "{wrong}");
    assert!(!wrong.contains("0a1b"), "{wrong}");
    let server = good.lines().find(|line| line.contains("server:")).unwrap();
    let silent = with(&|good| good.replace(server, "    server: https://127.0.0.1:1"));
    assert!(silent.contains("not reached") && silent.contains("next: check that this machine reaches"), "{silent}");
    let none = refused(&mut watch(&dir.path().join("nowhere")));
    assert!(none.contains("nowhere") && none.contains("next: "), "{none}");
    let mut nothing = cozyup(dir.path(), &["watch"]);
    let said = refused(nothing.env_remove("KUBECONFIG").env("HOME", dir.path()));
    assert!(said.contains("there is no kubeconfig") && said.contains("next: give --kubeconfig FILE"), "{said}");
    let mut several = cozyup(dir.path(), &["watch"]);
    let said = refused(several.env("KUBECONFIG", "/a/one:/b/two"));
    assert!(said.contains("KUBECONFIG names several files"), "{said}");
    let pipe = refused(&mut watch(&old(&served)));
    assert!(pipe.contains("this is no terminal"), "{pipe}");
}
