//! `cozyup report` and `cozyup support`: what a run leaves for the next person and for whoever helps.
use crate::common::{ToItsEnd, cozyup, text};
use crate::leaks::search::{Secrets, must_be_harmless};
use crate::rig::worker::{Death, End, live};
use crate::rig::{Rig, Shape};
use cozyup::engine::course::Course;
use cozyup::engine::journal::{self, Journal};
use cozyup::engine::record::{Event, Outcome, Record};
use cozyup::engine::step::StepId;
use serde_json::Value;
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::process::Command;

fn run(until: u8) -> Rig {
    cozyup::base::tls::install_provider();
    let shape = Shape { scenario: "small", until, teardown: false, speed: 240.0 };
    let rig = Rig::new(&shape);
    let life = live(&rig, shape.course(), &Death::Never, false, |work| work);
    assert!(matches!(life.end, End::Ended(Outcome::Proven)), "{:?}", life.end);
    // What the worker's process does before its first record; the engine alone runs here.
    private(&rig.folder().join("plan.yaml"), &std::fs::read(rig.plan()).unwrap());
    rig
}

fn private(path: &Path, bytes: &[u8]) {
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

fn secrets_of(rig: &Rig) -> Secrets {
    let mut secrets = Secrets::default();
    secrets.add_folder(&rig.folder().join("secrets"));
    secrets.add("the token", std::fs::read_to_string(&rig.site().token_file).unwrap().trim());
    assert!(secrets.len() > 100);
    secrets
}

#[test]
fn the_report_of_a_run_tells_it_in_every_form_and_holds_no_secret() {
    let rig = run(2);
    let secrets = secrets_of(&rig);
    let report = |form: &str| {
        let output = cozyup(&rig.state(), &["report", "small", form]).ended();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        let printed = String::from_utf8(output.stdout).unwrap();
        secrets.must_not_be_in(form, &printed);
        must_be_harmless(form, printed.as_bytes());
        printed
    };
    let data: Value = serde_json::from_str(&report("--json")).unwrap();
    assert_eq!(
        (&data["kind"], &data["outcome"], &data["proven"]),
        (&"handover".into(), &"proven".into(), &data["steps_in_all"])
    );
    assert_eq!(data["versions"]["cozystack"], "v0.37.2");
    assert_eq!(data["machines"][0]["name"], "cp1");
    let start = data["steps"].as_array().unwrap().iter().find(|s| s["id"] == "day1.start/cp1").unwrap();
    assert!(start["took_s"].is_u64() && start["evidence"][0]["sha256"].as_str().unwrap().len() == 64, "{start:#}");
    assert!(data["access"].to_string().contains("cozyup secrets show small kubeconfig"), "{}", data["access"]);
    let page = report("--html");
    assert!(
        page.starts_with("<!doctype html>")
            && page.contains("v0.37.2")
            && page.contains("127.")
            && page.contains("<svg")
    );
    let markdown = report("--markdown");
    assert!(markdown.starts_with("# Hand-over of run ") && markdown.contains("\n## Machines\n"), "{markdown}");
    assert!(report("--svg").starts_with("<svg xmlns="));

    for (form, begins) in [("svg", "<svg xmlns="), ("cast", "{\"height\":40,")] {
        let output = cozyup(&rig.state(), &["replay", "small", "--export", form]).ended();
        assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output));
        let printed = String::from_utf8(output.stdout).unwrap();
        secrets.must_not_be_in(form, &printed);
        assert!(printed.starts_with(begins) && printed.replace('\u{a0}', " ").contains("Day 2"), "{printed:.200}");
    }

    goes_to_a_file(&rig, &page);
    // Another plan beside the journal is not taken for the run's.
    private(&rig.folder().join("plan.yaml"), b"version: 1\nname: small\n");
    let data: Value = serde_json::from_str(&report("--json")).unwrap();
    assert!(
        data["machines"].as_array().unwrap().is_empty() && data["risks"].to_string().contains("plan's text"),
        "{:#}",
        data["risks"]
    );
}

fn goes_to_a_file(rig: &Rig, page: &str) {
    let file = rig.state().join("record.html");
    let output = cozyup(&rig.state(), &["report", "small", "--html", "--out", file.to_str().unwrap()]).ended();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(std::fs::read_to_string(&file).unwrap().trim_end(), page.trim_end());
}

#[test]
fn a_signed_report_is_checked_by_openssh_and_a_changed_one_is_not() {
    if Command::new("ssh-keygen").arg("-?").output().is_err() {
        eprintln!("no ssh-keygen on this machine: nothing is shown");
        return;
    }
    let rig = run(0);
    let (key, file) = (rig.state().join("key"), rig.state().join("record.html"));
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "ann", "-f"]).arg(&key).status();
    assert!(made.unwrap().success());
    let report = |key: &Path| {
        let arguments = ["report", "small", "--html", "--out", file.to_str().unwrap(), "--sign", key.to_str().unwrap()];
        cozyup(&rig.state(), &arguments).ended()
    };
    // A key that is none signs nothing, and nothing is written.
    private(&rig.state().join("none"), b"no key\x1b[2J\n");
    let refused = report(&rig.state().join("none"));
    assert!(refused.status.code() == Some(2) && !file.exists(), "{}", text(&refused));
    assert!(text(&refused).contains("next: ") && !text(&refused).contains('\u{1b}'), "{}", text(&refused));
    let signed = report(&key);
    assert!(
        signed.status.code() == Some(0) && text(&signed).contains("check it: ssh-keygen -Y verify"),
        "{}",
        text(&signed)
    );
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    let signers = rig.state().join("signers");
    private(&signers, format!("ann@example.org {public}").as_bytes());
    let verified = |bytes: &[u8]| {
        let mut verify = Command::new("ssh-keygen");
        verify.args(["-Y", "verify", "-n", "cozyup-report", "-I", "ann@example.org", "-f"]).arg(&signers);
        verify.arg("-s").arg(rig.state().join("record.html.sig")).stdin(std::process::Stdio::piped());
        let mut child = verify.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
        // It may have refused before it has read all.
        let _ = child.stdin.take().unwrap().write_all(bytes);
        child.wait().unwrap().success()
    };
    let bytes = std::fs::read(&file).unwrap();
    assert!(verified(&bytes));
    assert!(!verified(&[&bytes[..], b" "].concat()));
}

/// Records that somebody wrote by hand; the chain of a journal is no secret.
const BY_HAND: &str = r#"{"seq":1,"at":"2026-11-29T10:00:00Z","event":"session","run":"r1</title><script>alert(1)</script>","plan":"by-hand","plan_digest":"x","cozyup":"0","host":"<img src=x>","pid":1,"course":{"forward":{"until":1}},"steps":[{"id":"day1.a","day":1,"title":"\u001b[31m<b>a|b</b>","after":[],"band":{"usual_s":1,"late_s":2},"changes":true,"by_hand":"rm -rf /\u0007"}]}
{"seq":2,"at":"2026-11-29T10:00:05Z","event":"blocked","step":"day1.a","failure":{"class":"person","what":"`x` <script>alert(2)</script>\u202e","next":"](http://evil)"},"again_at":"2026-11-29T10:00:15Z"}
{"seq":3,"at":"2026-11-29T10:01:00Z","event":"ended","outcome":"blocked"}
"#;

#[test]
fn the_report_of_a_failed_run_whose_journal_was_written_by_hand_is_harmless() {
    let state = tempfile::tempdir().unwrap();
    let folder = state.path().join("runs/by-hand");
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).unwrap();
    let records = BY_HAND.lines().map(|line| serde_json::from_str::<Record>(line).unwrap());
    private(&folder.join("journal.jsonl"), journal::text_of(records).unwrap().as_bytes());
    for form in ["--html", "--markdown", "--svg", "--json"] {
        let output = cozyup(state.path(), &["report", "by-hand", form]).ended();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        let printed = String::from_utf8(output.stdout).unwrap();
        must_be_harmless(form, printed.as_bytes());
        assert!(form == "--json" || !(printed.contains("<script") || printed.contains("<img")), "{printed}");
    }
    let told = text(&cozyup(state.path(), &["report", "by-hand"]).ended());
    assert!(told.contains("blocked (to the end of day 1): 0 of 1 steps proven"), "{told}");

    private(&folder.join("journal.jsonl"), b"{\"no\":\"record\"}\n");
    let output = cozyup(state.path(), &["report", "by-hand"]).ended();
    assert!(output.status.code() == Some(2) && text(&output).contains("is damaged at line 1"), "{}", text(&output));
    let output = cozyup(state.path(), &["report", "nobody"]).ended();
    assert!(output.status.code() == Some(2) && text(&output).contains("there is no run nobody"), "{}", text(&output));
}

fn unpacked(file: &Path, into: &Path) {
    let mut tar = Vec::new();
    let packed = std::fs::read(file).unwrap();
    lzma_rust2::XzReader::new(&packed[..], false).read_to_end(&mut tar).unwrap();
    std::fs::write(into.join("a.tar"), tar).unwrap();
    let output = Command::new("tar").args(["-xf", "a.tar"]).current_dir(into).ended();
    assert!(output.status.success(), "{}", text(&output));
    std::fs::remove_file(into.join("a.tar")).unwrap();
}

fn texts(dir: &Path, into: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => texts(&path, into),
            false => into.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap())),
        }
    }
}

/// Every secret of the run where none belongs: in a record, in its step's name, in the plan, in the worker's log.
fn plant(rig: &Rig) {
    let token = std::fs::read_to_string(&rig.site().token_file).unwrap().trim().to_string();
    let kubeconfig = std::fs::read_to_string(rig.folder().join("secrets/kubeconfig")).unwrap();
    let bundle = std::fs::read_to_string(rig.folder().join("secrets/secrets.yaml")).unwrap();
    let planted = format!("{token}\n{kubeconfig}\n{bundle}\n");
    let (mut journal, read) = Journal::open(&rig.folder().join("journal.jsonl")).unwrap();
    let last = read.records.last().unwrap();
    let step = StepId::new(&format!("day1.fetch/{token}"));
    let event = Event::Log { step, source: token.clone(), line: planted.clone() };
    journal.append(&Record { seq: last.seq + 1, at: last.at, event }).unwrap();
    private(&rig.folder().join("worker.log"), format!("a panic: {planted}").as_bytes());
    let plan = std::fs::read_to_string(rig.plan()).unwrap();
    let commented = planted.replace('\n', "\n# ");
    private(&rig.folder().join("plan.yaml"), format!("{plan}# {token}\n# {commented}\n").as_bytes());
}

/// The folder with what was in the bundle.
fn bundled(rig: &Rig, words: &str) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("s.tar.xz");
    let output = cozyup(&rig.state(), &["support", "small", "--out", out.to_str().unwrap()]).ended();
    assert!(output.status.code() == Some(0) && text(&output).contains(words), "{}", text(&output));
    unpacked(&out, place.path());
    std::fs::remove_file(&out).unwrap();
    place
}

#[test]
fn a_bundle_holds_no_secret_that_was_planted_anywhere_and_status_and_report_open_it() {
    let rig = run(2);
    let secrets = secrets_of(&rig);
    plant(&rig);
    let place = bundled(&rig, "written: ");
    let mut found = Vec::new();
    texts(place.path(), &mut found);
    let names: Vec<&str> = found.iter().map(|(name, _)| name.rsplit('/').next().unwrap()).collect();
    for name in ["journal.jsonl", "plan.yaml", "worker.log", "about.json"] {
        assert!(names.contains(&name), "{names:?}");
    }
    for (name, text) in &found {
        secrets.must_not_be_in(name, text);
        must_be_harmless(name, text.as_bytes());
    }
    assert!(found.iter().any(|(name, text)| name.ends_with("worker.log") && text.contains("[secret]")));

    let state = place.path().join("support-small");
    let status = cozyup(&state, &["status", "small"]).ended();
    assert!(text(&status).contains("steps proven"), "{}", text(&status));
    let report = cozyup(&state, &["report", "small", "--html"]).ended();
    assert_eq!(report.status.code(), Some(0), "{}", text(&report));
}

/// What help is needed with most.
#[test]
fn a_bundle_of_a_journal_that_can_not_be_read_holds_its_text_without_secrets() {
    let rig = run(2);
    let secrets = secrets_of(&rig);
    plant(&rig);
    let whole = std::fs::read_to_string(rig.folder().join("journal.jsonl")).unwrap();
    private(&rig.folder().join("journal.jsonl"), whole.replacen("\"proven\"", "\"prove\"", 1).as_bytes());
    let place = bundled(&rig, "is damaged at line");
    let found = std::fs::read_to_string(place.path().join("support-small/runs/small/journal.damaged")).unwrap();
    secrets.must_not_be_in("journal.damaged", &found);
    assert!(found.contains("day1.fetch"));
}

fn sums_fit(folder: &Path) -> bool {
    Command::new("sha256sum")
        .args(["--check", "--strict", "--quiet", "SHA256SUMS"])
        .current_dir(folder)
        .ended()
        .status
        .success()
}

#[test]
fn day_10_leaves_a_record_that_can_be_checked_and_that_is_written_anew_when_somebody_changed_it() {
    let rig = run(10);
    let folder = rig.folder().join("handover");
    assert!(sums_fit(&folder));
    let data: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("record.json")).unwrap()).unwrap();
    assert_eq!((&data["outcome"], &data["proven"]), (&"proven".into(), &data["steps_in_all"]), "{:#}", data["risks"]);
    let steps = data["steps"].as_array().unwrap();
    assert!(steps.iter().all(|s| s["id"] != "day10.record") && steps.iter().any(|s| s["id"] == "day5.cleanup"));
    let secrets = secrets_of(&rig);
    for name in ["record.html", "record.md", "record.json"] {
        secrets.must_not_be_in(name, &std::fs::read_to_string(folder.join(name)).unwrap());
    }

    private(&folder.join("record.html"), b"all is well");
    assert!(!sums_fit(&folder));
    let mut verify = cozyup(&rig.state(), &["verify", rig.plan().to_str().unwrap(), "--json"]);
    verify.env("COZYUP_CLOCK", rig.site().clock().spec().unwrap()).env("COZYUP_NAMES", &rig.site().names);
    let output = verify.ended();
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let differs: Vec<&Value> =
        found["steps"].as_array().unwrap().iter().filter(|s| s["result"] == "differs").map(|s| &s["id"]).collect();
    assert_eq!(differs, ["day10.record"]);

    let again = live(&rig, rig.shape.course(), &Death::Never, false, |work| work);
    assert!(matches!(again.end, End::Ended(Outcome::Proven)) && sums_fit(&folder), "{:?}", again.end);
    let before = std::fs::read(folder.join("record.html")).unwrap();
    let confirmed = live(&rig, rig.shape.course(), &Death::Never, false, |work| work);
    assert!(matches!(confirmed.end, End::Ended(Outcome::Proven)), "{:?}", confirmed.end);
    assert!(
        std::fs::read(folder.join("record.html")).unwrap() == before,
        "a session that only confirms writes nothing"
    );
    let back = live(&rig, Course::Back { cluster_is_lost: false }, &Death::Never, false, |work| work);
    assert!(matches!(back.end, End::Ended(Outcome::Proven)) && !folder.exists(), "{:?}", back.end);
}
