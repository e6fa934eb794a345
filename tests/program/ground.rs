//! The ground that a command stands on: folders, files, streams and limits as a machine may have them, and whose they are.

use crate::common::{PROGRAM, Served, ToItsEnd, cozyup, exit, send, text, until, worker_of};
use cozyup::engine::journal::Journal;
use cozyup::engine::record::{Event, Outcome, Record};
use rustix::process::Signal;
use serde_json::Value;
use std::fs::{self, Permissions, set_permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn set(path: &Path, mode: u32) {
    set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A state folder with the journal of a run in it.
struct Past {
    state: tempfile::TempDir,
}

impl Past {
    fn new(events: &[Value]) -> Past {
        let past = Past { state: tempfile::tempdir().unwrap() };
        cozyup::base::file::private_dir(&past.folder().join("secrets")).unwrap();
        fs::write(past.folder().join("secrets/kubeconfig"), "hush").unwrap();
        set(&past.folder().join("secrets/kubeconfig"), 0o600);
        let (mut journal, _) = Journal::open(&past.folder().join("journal.jsonl")).unwrap();
        for (event, seq) in events.iter().zip(1..) {
            let event: Event = serde_json::from_value(event.clone()).unwrap();
            journal.append(&Record { seq, at: jiff::Timestamp::UNIX_EPOCH, event }).unwrap();
        }
        past
    }

    fn folder(&self) -> PathBuf {
        self.state.path().join("runs/cozy")
    }

    fn ask(&self, arguments: &[&str]) -> Output {
        cozyup(self.state.path(), arguments).ended()
    }
}

fn session(steps: usize) -> Value {
    let outline = |n: usize| {
        serde_json::json!({"id": format!("day1.s{n}"), "day": 1, "title": "t", "after": [], "band": {"usual_s": 1, "late_s": 2},
            "changes": true, "by_hand": ""})
    };
    serde_json::json!({"event": "session", "run": "0a0b0c0d", "plan": "cozy", "plan_digest": "", "cozyup": "0", "host": "jump",
        "pid": 1, "course": {"forward": {"until": 5}}, "steps": (0..steps).map(outline).collect::<Vec<_>>()})
}

/// harm.md S10, S12: the promise is of every command, not of `run` alone.
#[test]
fn every_command_refuses_a_folder_that_others_can_write_to_before_it_reads_from_it() {
    let past = Past::new(&[session(3)]);
    let commands: [&[&str]; 6] = [
        &["status"],
        &["status", "--json"],
        &["attach", "--lines"],
        &["stop"],
        &["secrets", "show", "cozy", "kubeconfig"],
        &["secrets", "seal", "cozy"],
    ];
    for open in [past.folder(), past.state.path().join("runs"), past.state.path().to_path_buf()] {
        for mode in [0o777, 0o772] {
            set(&open, mode);
            for command in commands {
                let output = past.ask(command);
                let said = text(&output);
                assert_eq!(output.status.code(), Some(2), "{command:?} with {} {mode:o}: {said}", open.display());
                assert!(said.contains("may be written to by") && said.contains("next: "), "{command:?}: {said}");
                assert!(!said.contains("hush") && !said.contains("0a0b0c0d"), "{command:?}: {said}");
            }
            assert_eq!(fs::metadata(&open).unwrap().permissions().mode() & 0o777, mode, "it was repaired, not refused");
        }
        set(&open, 0o700);
    }
    set(&past.folder().join("secrets"), 0o777);
    let shown = past.ask(&["secrets", "show", "cozy", "kubeconfig"]);
    assert_eq!(shown.status.code(), Some(2), "{}", text(&shown));
    set(&past.folder().join("secrets"), 0o755);
    set(&past.folder().join("secrets/kubeconfig"), 0o644);
    let shown = past.ask(&["secrets", "show", "cozy", "kubeconfig"]);
    assert_eq!(String::from_utf8_lossy(&shown.stdout), "hush");
    assert!(text(&shown).contains("kubeconfig could be read by others (mode 644)"), "{}", text(&shown));
}

/// harm.md S4: a lab that another user laid out, with a process of his and a plan that names a file of ours.
#[test]
fn a_lab_that_somebody_else_laid_out_is_refused_and_nothing_that_it_names_is_touched() {
    let state = tempfile::tempdir().unwrap();
    let lab = state.path().join("lab/standard");
    cozyup::base::file::private_dir(&lab).unwrap();
    let mut other = Command::new("sleep").args(["300"]).spawn().unwrap();
    let site = serde_json::json!({"pid": other.id(), "started": cozyup::base::process::started(other.id()), "scenario": "standard",
        "scenario_file": "standard", "speed": 1.0, "url": "https://127.0.0.1:1", "fingerprint": "x", "token_id": "a@pve!b",
        "token_file": "/etc/hostname", "password_file": "/etc/hostname", "plan": "/etc/hostname",
        "clock_origin": "2026-01-01T00:00:00Z", "clock_wall_ms": 0, "critical_path_s": 1.0});
    fs::write(lab.join("site.json"), site.to_string()).unwrap();
    let ask = |arguments: &[&str]| cozyup(state.path(), arguments).ended();
    let refused = |why: &str| {
        for command in [&["lab", "run", "--until", "0"][..], &["lab", "teardown", "--confirm", "standard"]] {
            let output = ask(command);
            assert_eq!(output.status.code(), Some(2), "{command:?}: {}", text(&output));
            assert!(text(&output).contains(why), "{command:?}: {}", text(&output));
        }
    };
    for open in [state.path().to_path_buf(), state.path().join("lab"), lab.clone()] {
        set(&open, 0o777);
        refused("may be written to by");
        set(&open, 0o700);
    }
    // Only root can make a file somebody else's.
    if is_root() {
        for theirs in [lab.join("site.json"), lab.clone(), state.path().join("lab")] {
            chown(&theirs, Some(4711), None).unwrap();
            refused("belongs to user 4711");
            chown(&theirs, Some(0), None).unwrap();
        }
    }
    assert!(other.try_wait().unwrap().is_none(), "the process that it named was ended");
    other.kill().unwrap();
    other.wait().unwrap();
}

/// harm.md S4: whoever can change a plan decides where the token goes.
#[test]
fn a_plan_that_others_can_change_is_not_acted_on() {
    let dir = tempfile::tempdir().unwrap();
    let (state, plan) = (dir.path().join("state"), dir.path().join("plans/plan.yaml"));
    fs::create_dir(dir.path().join("plans")).unwrap();
    fs::write(&plan, "version: 1\n").unwrap();
    let name = plan.to_str().unwrap();
    let refused = |why: &str| {
        for command in [&["run", name, "--lines"][..], &["check", name], &["teardown", name, "--list"]] {
            let output = cozyup(&state, command).ended();
            assert_eq!(output.status.code(), Some(2), "{command:?}: {}", text(&output));
            assert!(
                text(&output).contains("the plan can't be trusted") && text(&output).contains(why),
                "{}",
                text(&output)
            );
        }
    };
    set(&plan, 0o666);
    refused("may be written to by everybody");
    set(&plan, 0o644);
    set(&dir.path().join("plans"), 0o777);
    refused("may be written to by everybody");
    set(&dir.path().join("plans"), 0o755);
    if is_root() {
        chown(&plan, Some(4711), None).unwrap();
        refused("belongs to user 4711");
    }
}

/// harm.md S16
#[test]
fn an_answer_that_is_lost_on_its_way_out_is_no_success_and_a_reader_that_has_enough_is_no_failure() {
    let past = Past::new(&[session(0), serde_json::json!({"event": "ended", "outcome": "proven"})]);
    assert_eq!(past.ask(&["status"]).status.code(), Some(0));
    let commands: [&[&str]; 6] = [
        &["status"],
        &["status", "--json"],
        &["lab", "list"],
        &["--help"],
        &["--version"],
        &["secrets", "show", "cozy", "kubeconfig"],
    ];
    for command in commands {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = cozyup(past.state.path(), command).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{command:?}: {}", text(&output));
        assert!(text(&output).contains("standard output can't be written"), "{command:?}: {}", text(&output));
        // The reader is gone before the first line.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = cozyup(past.state.path(), command).stdout(writer).output().unwrap();
        assert_eq!((output.status.code(), text(&output).as_str()), (Some(0), ""), "{command:?}");
    }
}

/// harm.md S16
#[test]
fn an_end_that_the_records_do_not_bear_out_is_neither_told_nor_exited_as_one() {
    let past = Past::new(&[session(98), serde_json::json!({"event": "ended", "outcome": Outcome::Proven})]);
    let output = past.ask(&["status"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let head = text(&output).lines().next().unwrap().to_string();
    assert!(head.contains("0 of 98 steps proven") && head.contains("do not bear out"), "{head}");
    let output = past.ask(&["status", "--json"]);
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&value["outcome"], &value["disputed"], output.status.code()), (&Value::Null, &true.into(), Some(1)));
}

/// harm.md S18
#[test]
fn a_process_that_may_open_no_file_says_so_instead_of_panicking() {
    for files in ["4", "6", "8", "12", "20"] {
        let mut limited = Command::new("sh");
        limited.args(["-c", &format!("ulimit -n {files}; exec \"$@\""), "sh", PROGRAM, "status"]);
        let output = limited.stdin(Stdio::null()).ended();
        let said = text(&output);
        assert_eq!(output.status.code(), Some(2), "{files}: {said}");
        assert!(
            said.contains(&format!("may open only {files} files")) && said.contains("next: raise the limit"),
            "{said}"
        );
        assert!(!said.contains("panic"), "{said}");
    }
}

/// A lab that serves, and a state folder beside it.
struct Site {
    state: tempfile::TempDir,
    lab: Served,
}

impl Site {
    fn new() -> Site {
        let state = tempfile::tempdir().unwrap();
        Site { lab: Served::start("standard", "60", &state.path().join("site")), state }
    }

    fn cozyup(&self, arguments: &[&str]) -> Command {
        let mut command = cozyup(self.state.path(), arguments);
        command.env("COZYUP_CLOCK", self.lab.clock());
        command
    }

    fn plan(&self) -> &str {
        self.lab.site.plan.to_str().unwrap()
    }

    fn worker(&self) -> Option<u32> {
        worker_of(&self.state.path().join("runs/standard"))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(pid) = self.worker() {
            let _ = send(pid, Signal::KILL);
        }
    }
}

/// harm.md S14
#[test]
fn a_worker_that_somebody_stopped_is_told_as_that_and_soon() {
    let site = Site::new();
    let started = site.cozyup(&["run", site.plan(), "--detach", "--until", "1"]).ended();
    assert!(started.status.success(), "{}", text(&started));
    let worker = site.worker().expect("a worker");
    let goes_on = site.cozyup(&["status"]).ended();
    assert!(text(&goes_on).contains(&format!("goes on in process {worker}")), "{}", text(&goes_on));
    send(worker, Signal::STOP).unwrap();
    // The signal reaches each thread at its own time.
    until("it is stopped", || {
        let tasks = std::fs::read_dir(format!("/proc/{worker}/task")).unwrap();
        let stat = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        let is_stopped = |stat: &str| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'));
        tasks.flatten().all(|task| is_stopped(&stat(task))).then_some(())
    });
    // Whoever waits for an answer of it waits for ever.
    let mut asking = site.cozyup(&["status"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("status answers", || asking.try_wait().unwrap());
    let stopped = asking.wait_with_output().unwrap();
    assert!(text(&stopped).contains(&format!("`kill -CONT {worker}` lets it go on")), "{}", text(&stopped));
    assert!(!text(&stopped).contains("goes on in"), "{}", text(&stopped));
    let value = site.cozyup(&["status", "--json"]).ended();
    let value: Value = serde_json::from_slice(&value.stdout).unwrap();
    assert_eq!(
        (&value["worker"]["pid"], &value["worker"]["answers"], &value["worker"]["stopped"]),
        (&worker.into(), &false.into(), &true.into())
    );
    send(worker, Signal::CONT).unwrap();
    until("it goes on", || {
        let status = site.cozyup(&["status", "--json"]).ended();
        let value: Value = serde_json::from_slice(&status.stdout).unwrap();
        (value["worker"]["answers"] == true).then_some(())
    });
}

/// harm.md S6: what else may be cleared away under a run.
#[test]
fn a_run_whose_socket_was_removed_is_found_again() {
    let site = Site::new();
    let started = site.cozyup(&["run", site.plan(), "--detach", "--until", "1"]).ended();
    assert!(started.status.success(), "{}", text(&started));
    let worker = site.worker().expect("a worker");
    fs::remove_file(site.state.path().join("runs/standard/socket")).unwrap();
    until("it answers again", || {
        let status = site.cozyup(&["status", "--json"]).ended();
        let value: Value = serde_json::from_slice(&status.stdout).unwrap();
        (value["worker"]["answers"] == true).then_some(())
    });
    assert_eq!(site.worker(), Some(worker));
    let stopped = site.cozyup(&["stop"]).ended();
    assert_eq!(stopped.status.code(), Some(3), "{}", text(&stopped));
}

/// reports.md, "Seen beside the reports"
#[test]
fn a_plan_comes_through_a_pipe_and_a_check_that_is_ended_leaves_no_worker() {
    let site = Site::new();
    let program = site.cozyup(&["check", "--once"]);
    let mut piped = Command::new("bash");
    piped.args(["-c", "plan=$1; shift; exec \"$@\" <(cat \"$plan\")", "bash", site.plan()]);
    piped.arg(program.get_program()).args(program.get_args()).env("COZYUP_CLOCK", site.lab.clock());
    let output = piped.stdin(Stdio::null()).ended();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let plan = fs::read_to_string(site.plan()).unwrap().replace("bridge: vmbr0", "bridge: vmbr9");
        let wrong = site.state.path().join("wrong.yaml");
        fs::write(&wrong, plan).unwrap();
        let mut check = site.cozyup(&["check", wrong.to_str().unwrap()]);
        let mut check = check.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // It is blocked, and would look for ever.
        let mut out = std::io::BufReader::new(check.stdout.take().unwrap());
        until("it is blocked", || {
            let mut line = String::new();
            if std::io::BufRead::read_line(&mut out, &mut line).unwrap() == 0 {
                let why = std::io::read_to_string(check.stderr.take().unwrap()).unwrap();
                panic!("the check ended before {signal:?} was sent: {why}");
            }
            line.contains("BLOCKED").then_some(())
        });
        let worker = site.worker().expect("a worker");
        send(check.id(), signal).unwrap();
        std::io::copy(&mut out, &mut std::io::sink()).unwrap();
        let status = exit(&mut check).expect("an end");
        assert_eq!(status.code(), Some(3), "{signal:?}");
        until("the worker is gone", || (!Path::new(&format!("/proc/{worker}")).exists()).then_some(()));
    }
}
