//! The write-ahead journal: one JSON object a line, each chained to the line before it. Format and guarantees:
//! docs/JOURNAL.md.
pub mod follow;
mod line;
#[cfg(any(test, fuzzing))]
pub mod properties;
mod recover;
#[cfg(test)]
mod released;
#[cfg(test)]
mod tests;
mod version_1;

use super::record::{Event, Record};
use crate::base::file::sync_folder_of;
use crate::base::held::{Displaced, Held};
use crate::base::text;
use line::Sum;
use recover::{ReadBack, read_back};
use rustix::fs::OFlags;
use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The interval at which an idle journal checks that the run's files are still in place, in wall time.
const LOOK: Duration = Duration::from_secs(1);
/// The longest wait for a lock that another process holds, in wall time.
const LOCK: Duration = Duration::from_secs(1);

/// The reason why a journal can't be opened, read or written. Nothing is acted on after one.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The operating system's refusal.
    #[error("the journal {path} can't be {verb}")]
    Io {
        /// Path of the journal.
        path: String,
        /// The act that failed, as a participle for the message: `read`, `written`, `locked`.
        verb: &'static str,
        /// The operating system's error.
        source: io::Error,
    },
    /// A link, a folder, a pipe: with it two runs could write the same file, or a reader wait for ever.
    #[error("the journal {path} is {what}")]
    Misplaced {
        /// Path that should be a regular file.
        path: String,
        /// The kind of file that is there, with its article: `a symbolic link`.
        what: &'static str,
    },
    /// A whole line is not a record, or does not follow from the line before it.
    #[error("the journal {path} is damaged at line {line}: {why}")]
    Damaged {
        /// Path of the journal.
        path: String,
        /// Number of the first damaged line, from 1.
        line: usize,
        /// The fault of the line.
        why: String,
    },
    /// `by`: the version of cozyup that began the session.
    #[error("line {line} of the journal {path} is one that this cozyup does not know: {what}")]
    Newer {
        /// Path of the journal.
        path: String,
        /// Number of the line, from 1.
        line: usize,
        /// The record or the key that this version does not know.
        what: String,
        /// Version of cozyup that began the session.
        by: String,
    },
    /// `by`: who began the last session in it.
    #[error("the journal {path} is being written by {by}")]
    Held {
        /// Path of the journal.
        path: String,
        /// The process and its host, or "another process".
        by: String,
    },
    /// The run's files were moved or removed under the worker.
    #[error("the run's journal or lock was taken away or changed, so nothing more is done")]
    Displaced(#[source] Displaced),
}

impl JournalError {
    /// The next action for a person.
    pub fn next(&self) -> String {
        match self {
            JournalError::Io { path, source, .. } => {
                let mend = match source.kind() {
                    ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => "make room for",
                    ErrorKind::ReadOnlyFilesystem => "make writable again the disk of",
                    ErrorKind::PermissionDenied => "give this user the right to read and write",
                    _ => "check the disk and the permissions of",
                };
                format!(
                    "{mend} {path}, then run the same command again: it goes on from the target; nothing was changed there after the last record on disk"
                )
            }
            JournalError::Misplaced { path, .. } => {
                format!(
                    "put the run's own file at {path}, or move away what is there; a run with no journal begins anew and leaves alone what another began"
                )
            }
            JournalError::Damaged { path, line, .. } => format!(
                "restore {path} from a copy, or keep a copy of it and cut it before line {line} (head -n {}): cozyup then looks at the target again",
                line.saturating_sub(1)
            ),
            JournalError::Newer { by, .. } => {
                format!(
                    "use the newer cozyup for this run (the last session that could be read was of {by}); cut nothing off: the line is whole"
                )
            }
            JournalError::Held { by, .. } => format!(
                "let that run go on, or end it safely (`cozyup stop`, or one SIGTERM to {by}); then start again. Its lock file was removed or replaced: nobody has to do that, a lock goes away with its process"
            ),
            JournalError::Displaced(_) => {
                "put the run's folder back as it was (from where it was moved to, or a copy), then run the same command again: it goes on from the target. Without its journal a new run leaves alone what this one made".into()
            }
        }
    }
}

/// The one writer of a journal file.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    sum: Sum,
    next_seq: u64,
    /// The expected length of the file while nobody else writes to it.
    length: Option<u64>,
    /// A record was refused by the disk. Whatever came after it would stand behind half a line, or behind a promise that
    /// was not kept: nothing more is taken.
    failed: bool,
    /// Files that the run depends on. When a name no longer leads to its file, another process could be at work.
    held: Vec<Held>,
    /// True when the files are also checked while nothing is recorded.
    watched: bool,
}

/// The content of a journal as it was read back.
#[derive(Debug)]
pub struct Recovered {
    /// All records from the first on, without gaps.
    pub records: Vec<Record>,
    /// Bytes of a torn last line that were cut off.
    pub torn: u64,
}

impl Journal {
    /// Opens or makes the journal (mode 0600), locks it, reads it back and cuts off a torn last line. The lock is on the
    /// file itself and goes away with its process; readers need none.
    ///
    /// # Errors
    /// When another process writes it, the file can't be read or written, is damaged before its last line, or comes from a
    /// newer version.
    pub fn open(path: &Path) -> Result<(Journal, Recovered), JournalError> {
        let io = |verb| move |source| JournalError::Io { path: path.display().to_string(), verb, source };
        let mut options = OpenOptions::new();
        let mut file = open(options.read(true).append(true).create(true).mode(0o600), path)?;
        match locked(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(JournalError::Held { path: path.display().to_string(), by: last_writer(path) });
            }
            Err(TryLockError::Error(e)) => return Err(io("locked")(e)),
        }
        // Another one may have come into its place before it was locked.
        let held = Held::of(path, &file).map_err(io("read"))?;
        held.check().map_err(JournalError::Displaced)?;
        // A copy that a person put back may have become readable for others.
        if file.metadata().map_err(io("read"))?.permissions().mode() & 0o077 != 0 {
            file.set_permissions(Permissions::from_mode(0o600)).map_err(io("made private"))?;
        }
        let (read, torn) = read_whole(&mut file, path)?;
        if torn > 0 {
            file.set_len(read.good as u64).map_err(io("repaired"))?;
        }
        file.sync_all().map_err(io("written"))?;
        sync_folder_of(path).map_err(io("written"))?;
        let (path, next_seq, length) = (path.to_path_buf(), read.next_seq(), Some(read.good as u64));
        let held = vec![held];
        let journal = Journal { path, file, sum: read.sum, next_seq, length, failed: false, held, watched: false };
        Ok((journal, Recovered { records: read.records, torn }))
    }

    /// A new journal on a file that is open already; for tests of a disk that refuses.
    #[doc(hidden)]
    pub fn on_open_file(path: &Path, file: File) -> Journal {
        let path = path.to_path_buf();
        let (sum, held) = (Sum::default(), Vec::new());
        Journal { path, file, sum, next_seq: 1, length: None, failed: false, held, watched: false }
    }

    /// From now on the journal takes records only while `also` is in its place too, and [`Journal::displaced`] looks.
    pub fn watch(&mut self, also: Held) {
        self.held.push(also);
        self.watched = true;
    }

    /// Returns when one of the run's files is no longer in its place; of a journal that is not watched never.
    pub async fn displaced(&self) -> JournalError {
        loop {
            match self.watched {
                true => tokio::time::sleep(LOOK).await,
                false => std::future::pending().await,
            }
            if let Err(displaced) = self.in_place() {
                return displaced;
            }
        }
    }

    fn in_place(&self) -> Result<(), JournalError> {
        self.held.iter().try_for_each(Held::check).and_then(|()| self.untouched()).map_err(JournalError::Displaced)
    }

    /// A file that was cut or written to keeps its name; what is appended to it then fits nothing before it.
    fn untouched(&self) -> Result<(), Displaced> {
        let path = || self.path.display().to_string();
        match (self.length, self.file.metadata()) {
            (None, _) => Ok(()),
            (Some(length), Ok(found)) if found.len() == length => Ok(()),
            (Some(_), Ok(_)) => Err(Displaced::Changed { path: path() }),
            (Some(_), Err(source)) => Err(Displaced::Unseen { path: path(), source }),
        }
    }

    /// Reads a journal that another process may be writing; changes nothing.
    ///
    /// # Errors
    /// See [`Journal::open`].
    pub fn read(path: &Path) -> Result<Recovered, JournalError> {
        let mut file = open(OpenOptions::new().read(true), path)?;
        let (read, torn) = read_whole(&mut file, path)?;
        Ok(Recovered { records: read.records, torn })
    }

    /// Number that the next record must have; 1 in a new journal.
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Appends one record; when it is durable the line is on disk, under the journal's name, before this returns.
    ///
    /// # Errors
    /// When the disk refuses this record, or refused an earlier one, or the journal is no longer in its place. Nothing may be
    /// acted on then.
    pub fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        if !self.failed {
            // Nothing is appended to what somebody else has cut; the rest is looked at behind the write.
            self.untouched().map_err(JournalError::Displaced).inspect_err(|_| self.failed = true)?;
        }
        let written =
            if self.failed { Err(io::Error::other("an earlier record was refused")) } else { self.write(record) };
        self.failed = written.is_err();
        written.map_err(|source| JournalError::Io {
            path: self.path.display().to_string(),
            verb: "written",
            source,
        })?;
        // Behind the write: what is moved away between a look and a write would go unseen.
        self.in_place().inspect_err(|_| self.failed = true)
    }

    fn write(&mut self, record: &Record) -> io::Result<()> {
        let (line, sum) = line::encode(record, self.sum)?;
        self.file.write_all(line.as_bytes())?;
        if record.event.is_durable() {
            self.file.sync_data()?;
        }
        self.sum = sum;
        self.length = self.length.map(|length| length + line.len() as u64);
        self.next_seq = record.seq + 1;
        Ok(())
    }
}

/// The text of a journal that holds these records, with a chain of its own.
///
/// # Errors
/// None that a record of this program could have.
pub fn text_of(records: impl IntoIterator<Item = Record>) -> serde_json::Result<String> {
    let (mut text, mut sum) = (String::new(), Sum::default());
    for record in records {
        let (line, next) = line::encode(&record, sum)?;
        text.push_str(&line);
        sum = next;
    }
    Ok(text)
}

/// Locks the file. A program that a writer was just starting has its files open until it becomes that program.
fn locked(file: &File) -> Result<(), TryLockError> {
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if began.elapsed() < LOCK => std::thread::sleep(LOCK / 200),
            other => return other,
        }
    }
}

/// True when a process has the journal at `path` open for writing.
pub fn is_written(path: &Path) -> bool {
    let file = open(OpenOptions::new().read(true), path);
    file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// The process that began the last session, as far as the file can be read.
fn last_writer(path: &Path) -> String {
    let records = Journal::read(path).map(|read| read.records).unwrap_or_default();
    let session = records.iter().rev().find_map(|r| match &r.event {
        Event::Session { host, pid, .. } => Some(format!("process {pid} on {}", text::clean(host))),
        _ => None,
    });
    session.unwrap_or_else(|| "another process".to_string())
}

/// Opens a regular file; a pipe does not make it wait.
fn open(options: &mut OpenOptions, path: &Path) -> Result<File, JournalError> {
    let misplaced = |what| JournalError::Misplaced { path: path.display().to_string(), what };
    let io = |source: io::Error| match source.kind() {
        ErrorKind::IsADirectory => misplaced("a folder"),
        _ if source.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => misplaced("a symbolic link"),
        _ => JournalError::Io { path: path.display().to_string(), verb: "opened", source },
    };
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = options.custom_flags(flags.bits().cast_signed()).open(path).map_err(io)?;
    if file.metadata().map_err(io)?.is_file() { Ok(file) } else { Err(misplaced("no regular file")) }
}

/// The records, and how many bytes after them are a torn tail.
fn read_whole(file: &mut File, path: &Path) -> Result<(ReadBack, u64), JournalError> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|source| JournalError::Io {
        path: path.display().to_string(),
        verb: "read",
        source,
    })?;
    let read = read_back(&bytes, path)?;
    let torn = bytes.len().saturating_sub(read.good) as u64;
    Ok((read, torn))
}
