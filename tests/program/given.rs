//! What a person gives a command: files that are none, a standard output that takes nothing, and a process of somebody else
//! behind the run's socket.

use crate::common::{SOON, Served, cozyup, text, until, worker_of};
use cozyup::session::folder::RunFolder;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};

/// The output of a command that is to end by itself.
fn ended(mut command: Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let began = std::time::Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > SOON {
            child.kill().unwrap();
            panic!("{command:?} does not end");
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

/// harm.md S15: the kind, for every file that a person can name.
#[test]
fn whatever_a_person_names_as_a_file_is_read_to_a_limit() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_string();
    // All of them with an ending, since a scenario needs one.
    let (device, folder, large) = (at("zero.yaml"), at("folder.yaml"), at("large.yaml"));
    symlink("/dev/zero", &device).unwrap();
    fs::create_dir(&folder).unwrap();
    fs::File::create(&large).unwrap().set_len(1 << 40).unwrap();
    for private in [&folder, &large] {
        fs::set_permissions(private, fs::Permissions::from_mode(0o700)).unwrap();
    }
    RunFolder::open(&dir.path().join("runs/cozy")).unwrap();
    fs::write(dir.path().join("runs/cozy/journal.jsonl"), "").unwrap();
    let token = ["plan", "new", "new.yaml", "--url", "https://127.0.0.1:1", "--token-id", "a@pve!b", "--token-file"];
    let commands: [&[&str]; 6] = [
        &["plan", "check"],
        &["plan", "show"],
        &["run", "--lines"],
        &["lab", "run", "--until", "0", "--scenario"],
        &token,
        &["secrets", "seal", "cozy", "--secrets-key"],
    ];
    for command in commands {
        for (file, said) in [(&device, ""), (&folder, "folder"), (&large, "1 MiB")] {
            let output = ended(cozyup(dir.path(), &[command, &[file]].concat()));
            let said_all = text(&output);
            assert_eq!(output.status.code(), Some(2), "{command:?} {file}: {said_all}");
            let names_it = said_all.contains(file) || said_all.contains("runs/cozy");
            assert!(names_it && said_all.contains(said), "{command:?} {file}: {said_all}");
        }
    }
}

/// harm.md S16: the kind, for every command that answers.
#[test]
fn no_command_whose_answer_is_lost_exits_as_if_it_had_answered() {
    let state = tempfile::tempdir().unwrap();
    let lab = Served::start("standard", "60", &state.path().join("site"));
    let (plan, new) = (lab.site.plan.to_str().unwrap(), state.path().join("new.yaml"));
    let full = |arguments: &[&str]| {
        let mut command = cozyup(state.path(), arguments);
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = command.env("COZYUP_CLOCK", lab.clock()).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output));
        let said = text(&output);
        assert!(said.contains("standard output can't be written"), "{arguments:?}: {said}");
    };
    full(&["plan", "check", plan]);
    full(&["plan", "show", plan, "--commands"]);
    full(&["plan", "new", new.to_str().unwrap()]);
    full(&["check", plan, "--once"]);
    full(&["run", plan, "--yes", "--json", "--until", "0"]);
    full(&["run", plan, "--detach", "--until", "1"]);
    full(&["status", "--json"]);
    let folder = state.path().join("runs/standard");
    until("the worker is there", || worker_of(&folder));
    full(&["stop"]);
    until("the worker is gone", || worker_of(&folder).is_none().then_some(()));
    full(&["teardown", plan, "--list"]);
    full(&["teardown", plan, "--confirm", "standard", "--json"]);
    full(&["lab", "list"]);
    full(&["run", "--help"]);
}

/// A process that ends with the test, however that ends.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const LISTEN: &str = "COZYUP_TEST_LISTEN";

/// Listens where it is told and keeps what it hears, for the test below, which starts it as another user.
#[test]
fn a_process_of_another_user_that_listens_behind_a_socket() {
    let Some(path) = std::env::var_os(LISTEN).map(std::path::PathBuf::from) else { return };
    for stream in UnixListener::bind(&path).unwrap().incoming() {
        let heard = std::io::read_to_string(stream.unwrap()).unwrap();
        fs::write(path.with_extension(format!("heard.{}", heard.len())), heard).unwrap();
    }
}

/// harm.md S12: a socket that somebody laid there before the folder was closed to him. Only root can be another user.
#[test]
fn nothing_is_said_to_a_process_of_another_user_behind_the_runs_socket() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (state, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::set_permissions(theirs.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let (folder, socket) = (state.path().join("runs/cozy"), theirs.path().join("socket"));
    RunFolder::open(&folder).unwrap();
    fs::write(folder.join("journal.jsonl"), "").unwrap();
    // By this name also where the way to the program is closed to others.
    let mut other = Command::new("/proc/self/exe");
    other.args(["--exact", "given::a_process_of_another_user_that_listens_behind_a_socket"]).env(LISTEN, &socket);
    let other = other.uid(4711).gid(4711).current_dir("/").stdout(Stdio::null()).stderr(Stdio::null());
    let mut other = Ends(other.spawn().unwrap());
    until("it listens", || {
        assert!(other.0.try_wait().unwrap().is_none(), "it does not listen");
        socket.exists().then_some(())
    });
    fs::rename(&socket, folder.join("socket")).unwrap();
    chown(folder.join("socket"), Some(0), Some(0)).unwrap();
    for command in [&["attach", "--lines"][..], &["attach", "--json"], &["stop"]] {
        let output = ended(cozyup(state.path(), command));
        assert_eq!(output.status.code(), Some(2), "{command:?}: {}", text(&output));
        assert!(text(&output).contains("process of user 4711, not of this one"), "{command:?}: {}", text(&output));
    }
    // The connections have come to it; nothing was said over them.
    until("it has seen the end of a connection", || theirs.path().join("socket.heard.0").exists().then_some(()));
    assert_eq!(fs::read_dir(theirs.path()).unwrap().count(), 1);
}
