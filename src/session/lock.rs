//! One writer per run: an advisory lock on a file that says who holds it. It goes away with its process.
use crate::base::clock::between;
use crate::base::held::Held;
use crate::base::process;
use crate::base::text;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The process that holds a run's lock, as it wrote itself into the lock file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Host name as the holder's kernel gives it.
    pub host: String,
    /// Process id on `host`; it says nothing on another host.
    pub pid: u32,
    /// Wall time at which the lock was taken.
    pub since: jiff::Timestamp,
    /// See [`process::started`]; 0 where an older cozyup wrote it.
    #[serde(default)]
    pub started: u64,
}

impl Owner {
    /// This process, from now on.
    pub fn here() -> Owner {
        let pid = std::process::id();
        Owner {
            host: host_name(),
            pid,
            since: jiff::Timestamp::now(),
            started: process::started(pid).unwrap_or_default(),
        }
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let age = text::format_duration(between(self.since, jiff::Timestamp::now()));
        let since = self.since.strftime("%F %T UTC");
        write!(f, "process {} on {} since {since}, for {age}", self.pid, text::clean(&self.host))
    }
}

/// Held for as long as the value lives.
#[derive(Debug)]
pub struct RunLock {
    #[allow(dead_code, reason = "the lock lives as long as the open file")]
    file: File,
    held: Held,
}

/// The reason why a run's lock could not be taken or read.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds the lock; the text names it, or says "another process" when the file can't be read as an
    /// owner.
    #[error("the run is held by {0}")]
    Held(String),
    /// The operating system refused to open, lock, read or write the file, or the file has lost its name to another
    /// one.
    #[error("the lock file {path} can't be used")]
    Io {
        /// Path of the lock file.
        path: String,
        /// The operating system's error.
        source: std::io::Error,
    },
}

impl RunLock {
    /// Takes the lock at once or says who has it.
    ///
    /// # Errors
    /// [`LockError::Held`] when another process works on the run.
    pub fn take(path: &Path, owner: &Owner) -> Result<RunLock, LockError> {
        let io = |source| LockError::Io { path: path.display().to_string(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(real_file())
            .open(path)
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut held = String::new();
                file.read_to_string(&mut held).map_err(io)?;
                let owner = serde_json::from_str::<Owner>(&held).map(|o| o.to_string());
                return Err(LockError::Held(owner.unwrap_or_else(|_| "another process".to_string())));
            }
            Err(TryLockError::Error(e)) => return Err(io(e)),
        }
        // Whoever removed the file between the opening and the lock has given way to somebody else.
        let held = Held::of(path, &file).map_err(io)?;
        held.check().map_err(|e| io(std::io::Error::other(e)))?;
        let text = serde_json::to_string(owner).map_err(|e| io(std::io::Error::other(e)))?;
        file.set_len(0).map_err(io)?;
        file.rewind().map_err(io)?;
        file.write_all(text.as_bytes()).map_err(io)?;
        Ok(RunLock { file, held })
    }

    /// The lock's file, and whether its name still leads to it.
    pub fn held(&self) -> &Held {
        &self.held
    }
}

/// Neither a link nor a pipe that is waited for.
fn real_file() -> i32 {
    (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed()
}

/// The owner of the lock now; `None` when nobody holds it.
///
/// # Errors
/// When the file can't be read.
pub fn holder(path: &Path) -> Result<Option<Owner>, LockError> {
    let io = |source| LockError::Io { path: path.display().to_string(), source };
    let mut file = match OpenOptions::new().read(true).custom_flags(real_file()).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(io(e)),
    };
    match file.try_lock_shared() {
        Ok(()) => return Ok(None),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(e)) => return Err(io(e)),
    }
    let mut held = String::new();
    file.read_to_string(&mut held).map_err(io)?;
    serde_json::from_str(&held).map(Some).map_err(|e| io(std::io::Error::other(e)))
}

/// This machine's name, for the lock and the journal.
pub fn host_name() -> String {
    let raw = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = text::clean(&raw);
    if name.is_empty() { "unknown host".to_string() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_taker_is_told_who_holds_the_run() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let owner = Owner { host: "jump1".into(), pid: 4711, since: jiff::Timestamp::UNIX_EPOCH, started: 7 };
        let held = RunLock::take(&path, &owner).unwrap();
        let error = RunLock::take(&path, &owner).unwrap_err().to_string();
        assert!(error.contains("process 4711 on jump1 since 1970-01-01"), "{error}");
        assert_eq!(holder(&path).unwrap(), Some(owner.clone()));
        drop(held);
        // A child that another test starts in this moment has the file open until it becomes its program.
        let began = std::time::Instant::now();
        while holder(&path).unwrap().is_some() && began.elapsed().as_secs() < 10 {
            std::thread::yield_now();
        }
        assert_eq!(holder(&path).unwrap(), None);
        RunLock::take(&path, &owner).unwrap();
    }
}
