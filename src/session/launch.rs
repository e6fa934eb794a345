//! Starting a worker: a process of a session of its own, which no hang-up reaches.
use crate::base::secret::Secret;
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
        first: u64,
        findings: Vec<String>,
    },
    Refused {
        exit: u8,
        text: String,
    },
}

/// Starts `command` (this very program as a worker) and waits until it listens or has refused. What it says later goes to
/// `log`. A secret goes over its standard input, where no list of processes shows it.
///
/// # Errors
/// When it can't be started or ends without a word.
pub async fn start(mut command: Command, log: &Path, secret: Option<&Secret<String>>) -> io::Result<Started> {
    let log_file = OpenOptions::new().create(true).append(true).mode(0o600).open(log)?;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log_file).kill_on_drop(false);
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A worker that is gone already says why below.
        let _ = stdin.write_all(secret.map_or("", |s| s.expose().as_str()).as_bytes()).await;
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
