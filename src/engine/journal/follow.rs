//! Reading a journal while its one writer goes on writing it: the file itself is the buffer of every screen, so a slow
//! screen costs the worker nothing.
use super::JournalError;
use crate::base::json;
use crate::engine::record::Record;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A reader of a journal that keeps its place in the file.
pub struct Follower {
    path: PathBuf,
    file: File,
    /// Bytes of a line that is not whole yet.
    rest: Vec<u8>,
    lines: usize,
}

impl Follower {
    /// From the first record on.
    ///
    /// # Errors
    /// When the file can't be opened.
    pub fn open(path: &Path) -> Result<Follower, JournalError> {
        let file = super::open(OpenOptions::new().read(true), path)?;
        Ok(Follower { path: path.to_path_buf(), file, rest: Vec::new(), lines: 0 })
    }

    /// The records that were written since the last call. The chain of checksums is not looked at: whoever opened the
    /// journal for writing has done that.
    ///
    /// # Errors
    /// When the file can't be read, or a whole line of it is no record.
    pub fn news(&mut self) -> Result<Vec<Record>, JournalError> {
        let io = |source: io::Error| JournalError::Io { path: self.path.display().to_string(), verb: "read", source };
        self.file.read_to_end(&mut self.rest).map_err(io)?;
        let whole = self.rest.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
        let rest = self.rest.split_off(whole);
        let lines = std::mem::replace(&mut self.rest, rest);
        let mut records = Vec::new();
        for line in lines.split_inclusive(|b| *b == b'\n') {
            self.lines += 1;
            let record = json::read(line).map_err(|e| JournalError::Damaged {
                path: self.path.display().to_string(),
                line: self.lines,
                why: e.to_string(),
            })?;
            records.push(record);
        }
        Ok(records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::journal::Journal;
    use crate::engine::record::Event;
    use crate::engine::state::tests::at;
    use std::io::Write;

    fn record(seq: u64) -> Record {
        Record { seq, at: at(1), event: Event::StopAsked { by: "ann".into() } }
    }

    #[test]
    fn a_follower_gets_every_record_once_and_waits_for_the_end_of_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.jsonl");
        let (mut journal, _) = Journal::open(&path).unwrap();
        let mut follower = Follower::open(&path).unwrap();
        assert_eq!(follower.news().unwrap(), []);
        journal.append(&record(1)).unwrap();
        journal.append(&record(2)).unwrap();
        assert_eq!(follower.news().unwrap(), [record(1), record(2)]);
        let mut raw = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        raw.write_all(br#"{"v":1,"seq":3,"at":"1970-01-01T00:00:01Z","event":"stop_asked","#).unwrap();
        assert_eq!(follower.news().unwrap(), []);
        raw.write_all(b"\"by\":\"ann\",\"sum\":\"\"}\n").unwrap();
        assert_eq!(follower.news().unwrap(), [record(3)]);
        assert_eq!(follower.news().unwrap(), []);
    }
}
