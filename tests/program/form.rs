//! A plan in the making beside a lab: digests by fetching, and the rights of the token, on the command line and in the form.
use crate::common::{Served, ToItsEnd, cozyup, text, until};
use crate::terminal::Terminal;
use cozyup::plan::defaults::FILL_IN;
use cozyup::plan::draft::Draft;
use cozyup::plan::model::Plan;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;

const SPEED: &str = "240";

/// The plan of a lab, as somebody has it who has not filled in the digests.
fn plan_of(served: &Served) -> Plan {
    let mut plan = cozyup::plan::load(&served.site.plan).unwrap().plan;
    plan.image.sha256 = FILL_IN.into();
    plan.cozystack.installer_sha256 = None;
    plan
}

fn plan_new(dir: &Path, plan: &Plan, more: &[&str]) -> Output {
    let file = dir.join("new.yaml");
    let mut command = cozyup(dir, &["plan", "new"]);
    command.arg(file).args(["--force", "--fetch", "--image-url", &plan.image.url, "--installer-url"]);
    command.arg(&plan.cozystack.installer_url).args(more).ended()
}

/// Lines of comments right above the first line with `text`.
fn above<'a>(yaml: &'a str, text: &str) -> Vec<&'a str> {
    let lines: Vec<&str> = yaml.lines().collect();
    let at = lines.iter().position(|line| line.contains(text)).unwrap_or_else(|| panic!("no {text}:\n{yaml}"));
    lines[..at].iter().rev().take_while(|line| line.trim_start().starts_with('#')).copied().collect()
}

/// issue 15 item 4; issue 14 item 4.
#[test]
fn plan_new_fetches_the_digests_and_says_that_they_are_trusted_on_first_use() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start("standard", SPEED, &dir.path().join("site"));
    let of_lab = cozyup::plan::load(&served.site.plan).unwrap().plan;
    let site = &of_lab.site;
    let fingerprint = site.fingerprint.as_ref().unwrap().to_string();
    let told = ["--url", &site.url.to_string(), "--fingerprint", &fingerprint, "--token-id", &site.token_id];
    let output = plan_new(dir.path(), &of_lab, &[&told[..], &["--token-file", &site.token_file]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("privileges that the plan needs"), "{}", text(&output));
    let yaml = std::fs::read_to_string(dir.path().join("new.yaml")).unwrap();
    for digest in [of_lab.image.sha256.as_str(), "installer_sha256: "] {
        let above = above(&yaml, digest).join("\n");
        assert!(above.contains("Trusted on first use") && above.contains("over http"), "{above}");
    }
    let checked = cozyup(dir.path(), &["plan", "check"]).arg(dir.path().join("new.yaml")).ended();
    assert!(!text(&checked).contains("-checksum"), "{}", text(&checked));
}

#[test]
fn a_download_that_breaks_or_was_cut_off_leaves_the_digest_open_and_the_next_one_fills_it_in() {
    let dir = tempfile::tempdir().unwrap();
    let scenario = dir.path().join("bad-download.yaml");
    let disturbances = "  - { api: web, kind: cut, match: GET /nocloud, times: 1 }\n  - { api: web, kind: truncated, match: GET /nocloud, after_requests: 1, times: 1 }\n";
    let head = "extends: standard\nname: bad-download\nabout: The image breaks off, then comes cut off.\n";
    std::fs::write(&scenario, format!("{head}disturbances:\n{disturbances}")).unwrap();
    let served = Served::start(scenario.to_str().unwrap(), SPEED, &dir.path().join("site"));
    let plan = plan_of(&served);
    for _ in 0..2 {
        let output = plan_new(dir.path(), &plan, &[]);
        assert_ne!(output.status.code(), Some(0), "{}", text(&output));
        let said = text(&output);
        assert!(said.contains("the Talos image has no digest yet") && said.contains("next: "), "{said}");
        let yaml = std::fs::read_to_string(dir.path().join("new.yaml")).unwrap();
        assert!(yaml.contains(&format!("sha256: {FILL_IN}")), "{yaml}");
        assert!(yaml.contains("installer_sha256: "), "the manifest came: {yaml}");
    }
    let output = plan_new(dir.path(), &plan, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
}

/// issue 14 item 4, on a real terminal.
#[test]
fn the_form_tells_what_the_token_lacks_and_fetches_the_digest_into_the_plan() {
    let dir = tempfile::tempdir().unwrap();
    let scenario = dir.path().join("scenario.yaml");
    let faults = "faults:\n  - { fault: missing_privilege, privilege: VM.Clone }\n";
    std::fs::write(&scenario, format!("extends: standard\nname: no-clone\nabout: The token may not clone.\n{faults}"))
        .unwrap();
    let served = Served::start(scenario.to_str().unwrap(), SPEED, &dir.path().join("site"));
    let plan = plan_of(&served);
    let file = dir.path().join(format!("{}.yaml", plan.name));
    let wanted = cozyup::plan::load(&served.site.plan).unwrap().plan.image.sha256;
    let draft = Draft { plan, wrong: BTreeMap::new(), file: None, trusted: Vec::new() };
    std::fs::write(dir.path().join("draft.json"), draft.text().unwrap()).unwrap();
    let mut command = cozyup(dir.path(), &[]);
    command.current_dir(dir.path());
    let mut screen = Terminal::start(command, (100, 40));
    screen.shows(&["draft"]);
    screen.keys("\r");
    screen.shows(&["Sections"]);
    screen.keys("c");
    screen.shows(&["lacks", "VM.Clone", "pveum", "--append"]);
    screen.keys("\r");
    screen.keys("f");
    screen.shows(&[&wanted[..16]]);
    screen.keys("s");
    screen.shows(&["Save"]);
    screen.keys("\r");
    let yaml = until("the plan is saved", || std::fs::read_to_string(&file).ok().filter(|yaml| yaml.contains(&wanted)));
    assert!(above(&yaml, &wanted).join("\n").contains("Trusted on first use"), "{yaml}");
    // The file is there a moment before the form knows, and until it knows it asks before it ends.
    screen.shows(&["saved"]);
    screen.keys("\u{3}");
    assert_eq!(screen.ended().code(), Some(0));
}
