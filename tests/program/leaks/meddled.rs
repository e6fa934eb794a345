//! Files and peers that somebody has meddled with: the journal, the plan, the worker at the other end of the socket.
use super::search::must_be_harmless;
use crate::common::{ToItsEnd, cozyup};
use cozyup::base::day::Day;
use cozyup::engine::failure::{Class, Failure};
use cozyup::engine::journal::Journal;
use cozyup::engine::record::{Event, Record};
use cozyup::engine::step::{Outline, StepId};
use cozyup::engine::wait::Band;
use cozyup::session::protocol::{Control, Ended, FromWorker, PROTOCOL, ToWorker, Welcome};
use cozyup::session::socket;
use jiff::Timestamp;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

const BAD: &str = "BAD\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}\u{2066}\u{200b}\u{e0041}\0\r\nline";

/// That it tells of it at all, and harmlessly.
fn must_tell(output: &Output, what: &str) {
    for (place, bytes) in [("standard output", &output.stdout), ("standard error", &output.stderr)] {
        must_be_harmless(place, bytes);
        assert!(bytes.len() < 1 << 20, "{} bytes on {place}", bytes.len());
    }
    let all = [output.stdout.as_slice(), &output.stderr].concat();
    assert!(String::from_utf8_lossy(&all).contains(what), "no {what} in {}", String::from_utf8_lossy(&all));
}

fn folder(state: &Path) -> PathBuf {
    let folder = state.join("runs/meddled");
    cozyup::base::file::private_dir(&folder).unwrap();
    folder
}

/// A run whose one step is blocked; every word in it is bad.
fn records() -> Vec<Record> {
    let step = StepId::new("day0.api");
    let outline = Outline {
        id: step.clone(),
        day: Day::Number(0),
        title: BAD.into(),
        after: Vec::new(),
        queue: None,
        band: Band::new(1, 2),
        changes: false,
        momentary: false,
        cleanup: false,
        put_right_by: None,
        by_hand: BAD.into(),
    };
    let session = serde_json::json!({
        "event": "session", "run": BAD, "plan": BAD, "plan_digest": BAD, "cozyup": BAD, "host": BAD, "pid": 1, "course": {"forward": {"until": 0}},
        "steps": [outline],
    });
    let failure = Failure {
        class: Class::Refused,
        what: format!("{BAD}{}", "x".repeat(1 << 18)),
        next: BAD.into(),
        crowded: false,
    };
    let log = Event::Log { step: step.clone(), source: BAD.into(), line: BAD.into() };
    [
        serde_json::from_value(session).unwrap(),
        log,
        Event::GateOpened { day: Day::Number(0), by: BAD.into() },
        Event::Blocked { step, failure, again_at: Timestamp::UNIX_EPOCH },
    ]
    .into_iter()
    .enumerate()
    .map(|(i, event)| Record { seq: i as u64 + 1, at: Timestamp::UNIX_EPOCH, event })
    .collect()
}

#[test]
fn a_journal_that_was_rewritten_by_hand_is_shown_harmlessly() {
    let state = tempfile::tempdir().unwrap();
    let path = folder(state.path()).join("journal.jsonl");
    let (mut journal, _) = Journal::open(&path).unwrap();
    records().iter().for_each(|record| journal.append(record).unwrap());
    assert!(std::fs::read(&path).unwrap().windows(6).any(|w| w == b"\\u001b"), "what is in the file is bad");
    for arguments in
        [&["status"][..], &["status", "--json"], &["status", BAD.trim_matches('\0').split('\0').next().unwrap()]]
    {
        must_tell(&cozyup(state.path(), arguments).ended(), "BAD");
    }
    for bad in [
        "\u{1b}]0;owned\u{7}\n".as_bytes(),
        b"\xff\xfe\x01\x1b[2J\n{}\n",
        b"{\"v\":1,\"\x1b[31m\":2,\"sum\":\"0123456789abcdef\"}\n{}\n",
    ] {
        std::fs::write(&path, bad).unwrap();
        must_tell(&cozyup(state.path(), &["status"]).ended(), "damaged at line 1");
    }
}

#[test]
fn a_plan_that_somebody_else_wrote_is_refused_harmlessly() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("plan.yaml");
    let bad = r#""BAD\e[2J\e]0;owned\a\u009b31m\u202e\u2066\u200b""#;
    let long = "x".repeat(1 << 18);
    for text in [
        format!("version: 1\nname: {bad}\nsite:\n  url: {bad}\n  token_id: {bad}\n{bad}: {bad}\n"),
        format!("version: {bad}\nname: \"{long}\"\n"),
        "version: 1\nBAD\u{1b}[2J\u{202e}: [\n".to_string(),
    ] {
        std::fs::write(&path, text).unwrap();
        for command in [&["plan", "check"][..], &["plan", "show"], &["run", "--lines"]] {
            let arguments = [command, &[path.to_str().unwrap()]].concat();
            let output = cozyup(dir.path(), &arguments).ended();
            assert_eq!(output.status.code(), Some(2));
            must_tell(&output, "next:");
        }
    }
    for bytes in [&b"\xff\xfe\x1b[2J"[..], b"name: \0\x1b"] {
        std::fs::write(&path, bytes).unwrap();
        must_tell(&cozyup(dir.path(), &["plan", "check", path.to_str().unwrap()]).ended(), "next:");
    }
    let worse = dir.path().join("\u{1b}]0;BAD\u{7}\u{202e}.yaml");
    must_tell(&cozyup(dir.path(), &["plan", "check", worse.to_str().unwrap()]).ended(), "BAD");
    must_tell(&cozyup(dir.path(), &["run", "--until", "\u{1b}[31mBAD\u{202e}"]).ended(), "BAD");
}

/// A worker of somebody else's making, for one screen.
async fn speak(listener: &tokio::net::UnixListener, denies: bool) {
    let (stream, _) = listener.accept().await.unwrap();
    let mut lines = socket::lines(stream);
    let _: Option<ToWorker> = socket::receive(&mut lines).await.unwrap();
    let mut said = Vec::new();
    if denies {
        said.push(FromWorker::Denied { why: BAD.into(), next: BAD.into() });
    } else {
        said.push(FromWorker::Welcome(Welcome {
            protocol: PROTOCOL,
            cozyup: BAD.into(),
            pid: 1,
            clock: Some(BAD.into()),
            title: BAD.into(),
            control: Control { yours: false, by: Some((BAD.into(), Timestamp::UNIX_EPOCH)) },
        }));
        said.extend(records().into_iter().map(|record| FromWorker::Record(Box::new(record))));
        said.push(FromWorker::CaughtUp);
        said.push(FromWorker::Denied { why: BAD.into(), next: BAD.into() });
        let summary = serde_json::json!({"kind": "summary", "BAD": BAD}).to_string();
        said.push(FromWorker::Ended(Ended { exit: 1, text: BAD.into(), summary }));
    }
    for message in said {
        // It may have hung up.
        let _ = socket::send(&mut lines, &message).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_none_is_shown_harmlessly() {
    let state = tempfile::tempdir().unwrap();
    let folder = folder(state.path());
    let (mut journal, _) = Journal::open(&folder.join("journal.jsonl")).unwrap();
    records().iter().for_each(|record| journal.append(record).unwrap());
    let listener = socket::listen(&folder).unwrap();
    for (how, denies) in [("--lines", false), ("--json", false), ("--lines", true)] {
        let screen =
            cozyup(state.path(), &["attach", how]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        speak(&listener, denies).await;
        let output = screen.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(if denies { 2 } else { 1 }));
        must_tell(&output, "BAD [2J ]0;owned 31m");
        if how == "--json" {
            for line in String::from_utf8(output.stdout).unwrap().lines() {
                serde_json::from_str::<serde_json::Value>(line).unwrap();
            }
        }
    }
}
