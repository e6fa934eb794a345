//! A run and its screens: the worker goes on whatever happens to them, and says who may ask what.

use crate::common::{SOON, Served, ToItsEnd, cozyup, exit, records, send, text, until, worker_of};
use cozyup::base::day::Day;
use cozyup::engine::course::Course;
use cozyup::engine::journal::Journal;
use cozyup::engine::record::{Event, Record};
use cozyup::session::client::{self, JoinError};
use cozyup::session::protocol::{Attachment, Control, Request};
use cozyup::session::socket;
use rustix::process::Signal;
use serde_json::Value;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Lab seconds per second: slow enough that a run is still going on when a test looks.
const SPEED: &str = "60";
/// A lab that is served, and a state folder of its own.
struct Site {
    state: tempfile::TempDir,
    plan: PathBuf,
    lab: Served,
}

impl Site {
    fn new() -> Site {
        let state = tempfile::tempdir().unwrap();
        let lab = Served::start("standard", SPEED, &state.path().join("site"));
        Site { plan: lab.site.plan.clone(), state, lab }
    }

    fn cozyup(&self, arguments: &[&str]) -> Command {
        let mut command = cozyup(self.state.path(), arguments);
        command.env("COZYUP_CLOCK", self.lab.clock());
        command
    }

    fn run(&self, more: &[&str]) -> Command {
        let mut command = self.cozyup(&["run", self.plan.to_str().unwrap(), "--yes", "--until", "1"]);
        command.args(more);
        command
    }

    fn folder(&self) -> PathBuf {
        self.state.path().join("runs/standard")
    }

    fn worker(&self) -> Option<u32> {
        worker_of(&self.folder())
    }

    fn events(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder().join("journal.jsonl")).unwrap_or_default();
        text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect()
    }

    fn count(&self, event: &str) -> usize {
        self.events().iter().filter(|e| e["event"] == event).count()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(pid) = self.worker() {
            let _ = send(pid, Signal::KILL);
        }
    }
}

#[test]
fn the_work_goes_on_when_its_screen_is_ended_and_a_new_one_sees_it_from_the_first_record_on() {
    let site = Site::new();
    let mut screen = site.run(&["--json"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("something is done", || (site.count("proven") > 3).then_some(()));
    let worker = site.worker().expect("a worker");
    // A logout that ends the session; a closed terminal; a kill -9.
    for signal in [Signal::TERM, Signal::HUP, Signal::KILL] {
        send(screen.id(), signal).unwrap();
        screen.wait().unwrap();
        screen = site.cozyup(&["attach", "--json"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        // It is there once it shows something.
        screen.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    }
    screen.kill().unwrap();
    assert!(exit(&mut screen).is_some(), "the screen does not end with the run");
    assert_eq!(site.count("stop_asked"), 0);
    let output = site.cozyup(&["attach", "--json"]).ended();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let told = records(&output);
    let (last, told) = told.split_last().unwrap();
    assert_eq!((&last["kind"], &last["outcome"]), (&"summary".into(), &"proven".into()));
    let kept = told.iter().filter(|r| r["kind"] == "record");
    let numbers: Vec<u64> = kept.map(|r| r["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    assert_eq!(numbers.len(), site.events().len());
    let sessions: Vec<&Value> = told.iter().filter(|r| r["event"] == "session").collect();
    assert_eq!(sessions.len(), 1, "one process did all of it");
    assert_eq!(sessions[0]["pid"], worker);
    until("the worker is gone", || site.worker().is_none().then_some(()));
}

#[test]
fn a_detached_run_is_found_refused_to_a_second_one_stopped_and_taken_up_again() {
    let site = Site::new();
    let detached = site.run(&["--detach"]).ended();
    assert_eq!(detached.status.code(), Some(0), "{}", text(&detached));
    assert!(text(&detached).contains("cozyup attach standard"), "{}", text(&detached));
    let worker = site.worker().expect("a worker");
    until("something is done", || (site.count("proven") > 3).then_some(()));

    let status = site.cozyup(&["status"]).ended();
    assert!(text(&status).contains(&format!("goes on in process {worker} on")), "{}", text(&status));
    let second = site.run(&["--lines"]).ended();
    assert_eq!(second.status.code(), Some(5), "{}", text(&second));
    assert!(text(&second).contains(&format!("held by process {worker}")), "{}", text(&second));

    let stopped = site.cozyup(&["stop", "standard"]).ended();
    assert_eq!(stopped.status.code(), Some(3), "{}", text(&stopped));
    assert!(text(&stopped).contains("Nothing is undone"), "{}", text(&stopped));
    until("the worker is gone", || site.worker().is_none().then_some(()));
    let status = site.cozyup(&["status"]).ended();
    assert!(
        text(&status).contains("stopped, asked by ") && text(&status).contains("` goes on with it"),
        "{}",
        text(&status)
    );
    let status = site.cozyup(&["status", "--json"]).ended();
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!((&status["outcome"], &status["worker"]), (&"stopped".into(), &Value::Null));
    let nobody = site.cozyup(&["stop"]).ended();
    assert_eq!(nobody.status.code(), Some(2));
    assert!(text(&nobody).contains("no worker runs for it"), "{}", text(&nobody));

    let again = site.run(&["--lines"]).ended();
    assert_eq!(again.status.code(), Some(0), "{}", text(&again));
    let tasks = site.events().iter().filter_map(|e| e["handle"].as_str().map(str::to_string)).collect::<Vec<_>>();
    let clones = tasks.iter().filter(|h| h.contains(":qmclone:")).count();
    assert_eq!(clones, 4, "each machine is cloned once: {tasks:#?}");
}

async fn denial(screen: &mut Attachment) -> String {
    tokio::time::timeout(SOON, screen.denials.recv()).await.expect("a denial in time").expect("a denial")
}

async fn controlled(screen: &mut Attachment, wanted: impl Fn(&Control) -> bool) -> Control {
    let found = tokio::time::timeout(SOON, screen.control.wait_for(|c| wanted(c))).await;
    found.expect("control changes in time").unwrap().clone()
}

async fn join(folder: &Path, who: &str, read_only: bool) -> Attachment {
    client::join(folder, who, read_only).await.unwrap().1
}

#[tokio::test(flavor = "multi_thread")]
async fn one_screen_has_control_the_others_look_on_until_they_take_it() {
    let site = Site::new();
    assert!(site.run(&["--detach"]).ended().status.success());
    let folder = site.folder();
    let mut ann = join(&folder, "ann on pts/1", false).await;
    assert!(ann.control.borrow().yours, "who comes first has control");
    let mut bob = join(&folder, "bob\u{1b}[31m on pts/2", false).await;
    let seen = bob.control.borrow().clone();
    assert!(!seen.yours && seen.by.as_ref().is_some_and(|(who, _)| who == "ann on pts/1"), "{seen:?}");

    bob.requests.send(Request::Stop).unwrap();
    assert_eq!(
        denial(&mut bob).await,
        "this screen may not stop the run: ann on pts/1 has control; take control first"
    );
    let mut carl = join(&folder, "carl", true).await;
    carl.requests.send(Request::TakeControl).unwrap();
    assert!(denial(&mut carl).await.contains("--read-only"));

    bob.requests.send(Request::TakeControl).unwrap();
    controlled(&mut bob, |c| c.yours).await;
    let ann_sees = controlled(&mut ann, |c| !c.yours).await;
    let holder = ann_sees.by.expect("a holder").0;
    assert!(holder.starts_with("bob") && !holder.contains(char::is_control), "{holder:?}");
    bob.requests.send(Request::Stop).unwrap();
    for screen in [ann, bob, carl] {
        let ended = tokio::time::timeout(SOON, screen.ended).await.unwrap().unwrap();
        assert_eq!(ended.exit, 3, "{}", ended.text);
    }
    let events = site.events();
    let by = |event: &str| events.iter().find(|e| e["event"] == event).unwrap()["by"].as_str().unwrap().to_string();
    assert!(by("control_taken").starts_with("bob"), "who asks is who said hello, not what a request claims");
    assert!(by("stop_asked").starts_with("bob"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_bears_screens_that_talk_nonsense_or_nothing() {
    let site = Site::new();
    assert!(site.run(&["--detach"]).ended().status.success());
    let folder = site.folder();
    let mode = std::fs::metadata(folder.join("socket")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    for nonsense in ["\n", "{}\n", "null\n", "\u{0}\u{1b}]0;x\u{7}\n", "{\"kind\":\"ask\",\"ask\":\"stop\"}\n"] {
        let mut stream = socket::connect(&folder).await.unwrap();
        stream.write_all(nonsense.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await.expect("the worker hangs up").unwrap();
        assert_eq!(answer, b"", "{nonsense:?}");
    }
    let mut old = socket::connect(&folder).await.unwrap();
    let hello = "{\"kind\":\"hello\",\"protocol\":99,\"cursor\":0,\"who\":\"x\",\"read_only\":false}\n";
    old.write_all(hello.as_bytes()).await.unwrap();
    let mut answer = String::new();
    old.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("denied") && answer.contains("version 99"), "{answer}");
    // One that never says a word must not keep others out.
    let silent = socket::connect(&folder).await.unwrap();
    let screen = join(&folder, "ann", false).await;
    assert!(screen.control.borrow().yours);
    assert!(site.worker().is_some());
    drop(silent);
}

#[tokio::test]
async fn where_no_worker_is_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(client::join(folder.path(), "ann", false).await, Err(JoinError::Nobody)));
    // A socket that a killed worker left behind.
    drop(socket::listen(folder.path()).unwrap());
    assert!(matches!(client::join(folder.path(), "ann", false).await, Err(JoinError::Nobody)));
}

#[test]
fn the_tokens_secret_is_in_no_list_of_processes() {
    let site = Site::new();
    let secret = std::fs::read_to_string(site.plan.with_file_name("token")).unwrap();
    let started = site.run(&["--detach"]).env("COZYUP_PROXMOX_TOKEN", &secret).ended();
    assert!(started.status.success(), "{}", text(&started));
    let worker = site.worker().expect("a worker");
    for file in ["cmdline", "environ"] {
        let bytes = match std::fs::read(format!("/proc/{worker}/{file}")) {
            // Without root not even the same user may look.
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied && file == "environ" => continue,
            bytes => bytes.unwrap(),
        };
        let shown = String::from_utf8_lossy(&bytes);
        assert!(!shown.is_empty() && !shown.contains(secret.trim()), "{file}");
    }
    until("the secret is used all the same", || (site.count("proven") > 3).then_some(()));
}

#[test]
fn a_worker_whose_disk_is_full_ends_with_the_reason_and_goes_on_when_there_is_room() {
    let site = Site::new();
    let run = site.run(&["--lines"]);
    let mut without_room = Command::new("sh");
    // 64 KiB: the first record with its many steps fits, the day does not.
    without_room.args(["-c", "ulimit -f 128; exec \"$@\"", "sh"]).arg(run.get_program()).args(run.get_args());
    without_room.env("COZYUP_CLOCK", site.lab.clock()).stdin(Stdio::null());
    let output = without_room.ended();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let journal = site.folder().join("journal.jsonl");
    let said = text(&output);
    assert!(said.contains(&format!("the journal {} can't be written: File too large", journal.display())), "{said}");
    assert!(said.contains(&format!("next: make room for {}", journal.display())), "{said}");
    until("the worker is gone", || site.worker().is_none().then_some(()));
    let left = Journal::read(&journal).unwrap();
    assert!(!left.records.is_empty() && left.torn > 0, "{} records, {} bytes torn", left.records.len(), left.torn);
    assert!(!left.records.iter().any(|r| matches!(r.event, Event::Ended { .. })));

    let again = site.run(&["--lines"]).ended();
    assert_eq!(again.status.code(), Some(0), "{}", text(&again));
    assert_eq!((site.count("session"), site.count("ended")), (2, 1));
}

/// harm.md S5
#[test]
fn a_lock_that_somebody_removed_lets_no_second_worker_in() {
    let site = Site::new();
    assert!(site.run(&["--detach"]).ended().status.success());
    let worker = site.worker().expect("a worker");
    std::fs::remove_file(site.folder().join("lock")).unwrap();
    // Whoever comes now is refused, or waits until the first one has seen it and ended: the two never write at once.
    let second = site.run(&["--lines"]).ended();
    assert!(matches!(second.status.code(), Some(0 | 5)), "{}", text(&second));
    until("the first worker is gone", || (!Path::new(&format!("/proc/{worker}")).exists()).then_some(()));
    let records = Journal::read(&site.folder().join("journal.jsonl")).expect("a whole journal").records;
    assert!(records.iter().filter(|r| matches!(r.event, Event::Session { .. })).count() <= 2);
}

/// harm.md S6
#[test]
fn a_run_whose_folder_is_taken_away_ends_with_the_reason_before_its_next_act() {
    let site = Site::new();
    let screen = site.run(&["--lines"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("something is done", || (site.count("proven") > 3).then_some(()));
    let moved = site.state.path().join("runs/elsewhere");
    std::fs::rename(site.folder(), &moved).unwrap();
    let output = screen.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("was taken away or changed, so nothing more is done"), "{}", text(&output));
    assert!(text(&output).contains("next: put the run's folder back as it was"), "{}", text(&output));
    assert!(!site.folder().exists(), "nothing was made in its place");
    std::fs::rename(&moved, site.folder()).unwrap();
    until("the worker is gone", || site.worker().is_none().then_some(()));
    assert_eq!(site.count("ended"), 0);
    let again = site.run(&["--lines"]).ended();
    assert_eq!(again.status.code(), Some(0), "{}", text(&again));
    let run = |n: usize| site.events().iter().filter(|e| e["event"] == "session").nth(n).unwrap()["run"].clone();
    assert_eq!(run(0), run(1), "it is the same run that went on");
}

#[test]
fn the_journal_of_another_plan_is_refused_with_both_names() {
    let site = Site::new();
    std::fs::create_dir_all(site.folder()).unwrap();
    let (mut journal, _) = Journal::open(&site.folder().join("journal.jsonl")).unwrap();
    let event = Event::Session {
        run: "0a0b0c0d".into(),
        plan: "elsewhere".into(),
        plan_digest: String::new(),
        cozyup: "0.1.0".into(),
        host: "jump".into(),
        pid: 1,
        course: Course::Forward { until: Day::Number(1) },
        take_over: None,
        adopted: vec![],
        steps: Vec::new(),
    };
    journal.append(&Record { seq: 1, at: jiff::Timestamp::UNIX_EPOCH, event }).unwrap();
    drop(journal);
    let output = site.run(&["--lines"]).ended();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("is of the plan elsewhere, not of standard"), "{}", text(&output));
    assert_eq!(site.count("session"), 1, "nothing was written to it");
}
