//! Companies' networks: nodes that reach no registry but a mirror, with an authority of its own and a login; a proxy.
use crate::common::{Kept, ToItsEnd, cozyup, text};
use std::path::Path;

const SECRET: &str = "hush-mirror-login";

/// The files below `dir` that hold the login as it is.
fn holding(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let kind = std::fs::symlink_metadata(&path).unwrap().file_type();
        if kind.is_dir() {
            found.extend(holding(&path));
        } else if kind.is_file() && String::from_utf8_lossy(&std::fs::read(&path).unwrap()).contains(SECRET) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn nodes_pull_through_the_mirror_of_the_plan_and_its_login_stands_in_no_record() {
    let kept = Kept::of("behind-a-mirror", "2");
    let journal = std::fs::read_to_string(kept.run_folder().join("journal.jsonl")).unwrap();
    let plan = std::fs::read_to_string(kept.site().plan).unwrap();
    let mirror = plan.lines().find_map(|line| line.split("endpoint: \"https://").nth(1)?.split('"').next()).unwrap();
    // Day 0 asked the mirror, with the login and by its own authority; the nodes' configs name it.
    assert!(journal.contains(&format!("ghcr.io: {mirror} answers 200")), "{mirror}");
    assert!(journal.contains("skipFallback") || journal.contains(&format!("https://{mirror}")), "{mirror}");
    assert!(!journal.contains(SECRET));
    // Only the secrets of the run hold it, as they hold the cluster's keys.
    let beside: Vec<String> =
        holding(&kept.run_folder()).into_iter().filter(|path| !path.contains("/run/secrets/machine-")).collect();
    assert!(beside.is_empty(), "{beside:?}");
}

#[test]
fn a_login_that_the_mirror_does_not_take_or_that_is_not_there_is_told_on_day_0() {
    let kept = Kept::of("behind-a-mirror", "0");
    let plan = kept.site().plan;
    let check = || text(&cozyup(kept.state(), &["check", plan.to_str().unwrap(), "--once"]).ended());
    let login = kept.folder().join("mirror.login");
    std::fs::write(&login, "nodes:hush-wrong-login").unwrap();
    let wrong = check();
    assert!(wrong.contains("it does not take the login"), "{wrong}");
    std::fs::remove_file(&login).unwrap();
    let gone = check();
    assert!(gone.contains("the login for") && gone.contains("write USER:PASSWORD into"), "{gone}");
    assert!(!wrong.contains("hush-") && !gone.contains("hush-"));
}

/// reports.md B27
#[test]
fn a_site_behind_a_proxy_fetches_and_pulls_by_it_and_its_machines_have_the_mtu_of_the_plan() {
    let kept = Kept::of("behind-a-proxy", "2");
    let journal = std::fs::read_to_string(kept.run_folder().join("journal.jsonl")).unwrap();
    // The proxy alone knows this name, so whoever has the file has it by the proxy.
    assert!(journal.contains("http://releases.example.org/nocloud-amd64.raw.xz"));
    assert!(journal.contains("ghcr.io: ghcr.io answers 401"), "day 0 asks the registries by the proxy too");
    assert!(journal.contains("and an MTU of 1450, as vm 1001"), "by the machine's own word");
    assert!(journal.contains("bridge=vmbr0,mtu=1450"), "by Proxmox VE's");
    let plan = std::fs::read_to_string(kept.site().plan).unwrap();
    let config = std::fs::read_to_string(kept.run_folder().join("secrets/machine-cozy-new-worker1.yaml")).unwrap();
    let proxy = plan.lines().find_map(|line| line.trim().strip_prefix("proxy: ")).unwrap();
    assert!(config.contains(&format!("https_proxy: {proxy}\n")), "{proxy}");
    let check = |plan: &str| {
        let path = kept.folder().join("other.yaml");
        std::fs::write(&path, plan).unwrap();
        let mut command = cozyup(kept.state(), &["check", path.to_str().unwrap(), "--once"]);
        text(&command.env("COZYUP_CLOCK", kept.site().clock().spec().unwrap()).ended())
    };
    let wrong = check(&plan.replace(":3128", ":3129"));
    assert!(wrong.contains("(by the proxy http://") && wrong.contains("check network.proxy of the plan"), "{wrong}");
    let larger = check(&plan.replace("mtu: 1450", "mtu: 1500"));
    assert!(larger.contains("no VM starts on it with the plan's 1500"), "{larger}");
}
