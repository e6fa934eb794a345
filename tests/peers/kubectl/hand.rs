//! Typing kubectl.
use crate::peer::{self, Said};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Of the wall, for one command. kubectl asks the API dozens of times before it says anything.
const DEADLINE: Duration = Duration::from_secs(60);

pub struct Hand {
    /// Where the run keeps `kubeconfig` and `secrets.yaml`.
    secrets: PathBuf,
    /// The address that the cluster's control planes share.
    pub vip: String,
    /// kubectl's caches, and files that scenes write.
    home: tempfile::TempDir,
}

impl Hand {
    pub fn new(secrets: &Path, vip: String) -> Hand {
        Hand { secrets: secrets.into(), vip, home: tempfile::tempdir().unwrap() }
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(peer::program("kubectl"));
        command.args(words(line)).env("KUBECONFIG", self.secrets.join("kubeconfig")).env("HOME", self.home.path());
        command.env_remove("HTTPS_PROXY").env_remove("https_proxy");
        command
    }

    /// Types `kubectl LINE`; words in single quotes are one.
    pub fn say(&self, line: &str) -> Said {
        let said = peer::say(&mut self.command(line), DEADLINE);
        assert!(said.code.is_some(), "kubectl {line} hangs");
        assert!(!said.err.contains("panic"), "kubectl {line}: {}", said.err);
        said
    }

    pub fn ok(&self, line: &str) -> String {
        let said = self.say(line);
        assert!(!said.err.contains("Warning: unknown field"), "kubectl {line}\n{}", said.err);
        said.ok()
    }

    /// The words in which it fails.
    pub fn fails(&self, line: &str) -> String {
        let said = self.say(line);
        assert_eq!(said.code, Some(1), "kubectl {line}\n{}{}", said.out, said.err);
        said.err
    }

    /// A file with this text.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.home.path().join(name);
        std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        path.display().to_string()
    }

    /// The text of the run's `secrets.yaml`.
    pub fn secrets(&self) -> String {
        std::fs::read_to_string(self.secrets.join("secrets.yaml")).unwrap()
    }

    /// Types a command that does not end by itself.
    pub fn follow(&self, line: &str) -> Follow {
        let mut child = self.command(line).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Follow { child, lines }
    }
}

/// Ends with the value.
pub struct Follow {
    child: Child,
    lines: Receiver<String>,
}

impl Follow {
    pub fn line(&self) -> String {
        self.lines.recv_timeout(DEADLINE).expect("a line in time")
    }

    pub fn ends(&self) -> bool {
        while let Ok(_line) = self.lines.recv_timeout(DEADLINE) {}
        self.lines.try_recv() == Err(std::sync::mpsc::TryRecvError::Disconnected)
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
