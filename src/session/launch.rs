//! Starting a worker: a process of a session of its own, which no hang-up reaches.
use crate::base::logind;
use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

/// The first and only line of a worker's standard output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Started {
    /// It listens; the records of this session begin with this number.
    Ready {
        /// Number of the first record of this session in the journal.
        first: u64,
        /// Findings of the plan that do not stop the run, each as text for a person.
        findings: Vec<String>,
    },
    /// The worker ends without having started the run.
    Refused {
        /// The exit code for the command that started the worker.
        exit: u8,
        /// The reason and the next action, ready to be shown.
        text: String,
    },
}

/// Runs `command` in a scope of the user's own systemd manager when that outlives every login (linger): logind then ends
/// no process of it, whatever KillUserProcesses says. `None` where there is no such manager.
pub async fn in_user_scope(command: &std::process::Command) -> Option<Command> {
    let uid = rustix::process::geteuid().as_raw();
    // Not from the environment: `su` keeps another user's, `su -` and `sudo` have none.
    let runtime = Path::new("/run/user").join(uid.to_string());
    let manager = runtime.join("systemd/private").exists();
    (manager && logind::user(uid).await.is_some_and(|user| user.lingers)).then(|| scoped(command, &runtime))
}

fn scoped(command: &std::process::Command, runtime: &Path) -> Command {
    let mut scope = Command::new("systemd-run");
    // In scope mode it becomes the program: the process and its pipes stay.
    scope.args(["--user", "--scope", "--quiet", "--collect", "--"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => scope.env(name, value),
            None => scope.env_remove(name),
        };
    }
    scope.env("XDG_RUNTIME_DIR", runtime).env_remove("DBUS_SESSION_BUS_ADDRESS");
    // A manager that hangs would else be waited for 25 s.
    scope.env("SYSTEMD_BUS_TIMEOUT", "5s");
    scope
}

/// Starts `command` (this very program as a worker) and waits until it listens or has refused. What it says later goes to
/// `log`. What is said to it, secrets too, goes over its standard input, where no list of processes shows it.
///
/// # Errors
/// When it can't be started or ends without a word.
pub async fn start(mut command: Command, log: &Path, said: &[u8]) -> io::Result<Started> {
    let log_file = OpenOptions::new().create(true).append(true).mode(0o600).open(log)?;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log_file).kill_on_drop(false);
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A worker that is gone already says why below.
        let _ = stdin.write_all(said).await;
    }
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut line).await?;
    }
    serde_json::from_str(&line).map_err(|_| {
        let said = std::fs::read_to_string(log).unwrap_or_default();
        let last = said.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("it said nothing").to_string();
        io::Error::other(format!("the worker ended as it started: {last}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_runs_the_same_program_with_the_same_environment() {
        let mut worker = std::process::Command::new("/usr/bin/cozyup");
        worker.args(["worker", "plan.yaml"]).env("COZYUP_CLOCK", "x").env_remove("COZYUP_PROXMOX_TOKEN");
        let scope = scoped(&worker, Path::new("/run/user/1001"));
        let scope = scope.as_std();
        let words: Vec<_> = scope.get_args().collect();
        assert_eq!(scope.get_program(), "systemd-run");
        assert_eq!(
            words,
            ["--user", "--scope", "--quiet", "--collect", "--", "/usr/bin/cozyup", "worker", "plan.yaml"]
        );
        let set: Vec<_> = scope.get_envs().collect();
        assert!(worker.get_envs().all(|of_worker| set.contains(&of_worker)));
        // The manager of this very user is asked, whatever a `su` has left in the environment.
        assert!(set.contains(&("XDG_RUNTIME_DIR".as_ref(), Some("/run/user/1001".as_ref()))));
        assert!(set.contains(&("DBUS_SESSION_BUS_ADDRESS".as_ref(), None)));
    }

    #[tokio::test]
    async fn a_worker_that_ends_without_a_word_is_told_with_its_last_line() {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "echo no room >&2; exit 3"]);
        let error = start(command, &dir.path().join("log"), b"").await.unwrap_err().to_string();
        assert_eq!(error, "the worker ended as it started: no room");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", r#"read secret; echo "{\"kind\":\"refused\",\"exit\":2,\"text\":\"$secret\"}""#]);
        let said = start(command, &dir.path().join("log"), b"heard\n").await.unwrap();
        assert_eq!(said, Started::Refused { exit: 2, text: "heard".into() });
    }
}
