//! The write-ahead journal: one JSON object a line, each chained to the line before it.
//!
//! A line ends in `,"sum":"<16 hex>"}`: the first 8 bytes of SHA-256 over the previous sum and the line without
//! its own. A torn last line is what a crash leaves and is cut off; damage anywhere else is refused, never guessed at.
pub mod follow;

use super::record::Record;
use crate::base::json;
use aws_lc_rs::digest;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Version of a journal line.
const LINE_VERSION: u32 = 1;
const SUM_LENGTH: usize = 16;

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("the journal {path} can't be {verb}")]
    Io { path: String, verb: &'static str, source: io::Error },
    #[error("the journal {path} is damaged at line {line}: {why}")]
    Damaged { path: String, line: usize, why: String },
    #[error(
        "the journal {path} was written by a newer cozyup (line version {version}); this one reads version {LINE_VERSION}"
    )]
    Newer { path: String, version: u64 },
}

impl JournalError {
    /// What a person does about it.
    pub fn next(&self) -> String {
        match self {
            JournalError::Io { path, .. } => {
                format!("check free space and permissions of {path}; nothing was changed after the last record on disk")
            }
            JournalError::Damaged { path, line, .. } => format!(
                "restore {path} from a copy, or cut it before line {line} (head -n {}): cozyup then looks at the target again",
                line.saturating_sub(1)
            ),
            JournalError::Newer { .. } => "use the newer cozyup for this run".to_string(),
        }
    }
}

/// The one writer of a journal file.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    sum: String,
    next_seq: u64,
}

/// What was read back.
#[derive(Debug)]
pub struct Recovered {
    pub records: Vec<Record>,
    /// Bytes of a torn last line that were cut off.
    pub torn: u64,
}

impl Journal {
    /// Opens or makes the journal (mode 0600), reads it back and cuts off a torn last line.
    ///
    /// # Errors
    /// When the file can't be read or written, is damaged before its last line, or comes from a newer version.
    pub fn open(path: &Path) -> Result<(Journal, Recovered), JournalError> {
        let io = |verb| move |source| JournalError::Io { path: path.display().to_string(), verb, source };
        let mut file =
            OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path).map_err(io("opened"))?;
        if !file.metadata().map_err(io("read"))?.is_file() {
            return Err(io("opened")(io::Error::other("it is not a regular file")));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io("read"))?;
        let read = read_back(&bytes, path)?;
        let torn = (bytes.len() - read.good) as u64;
        if torn > 0 {
            file.set_len(read.good as u64).map_err(io("repaired"))?;
        }
        file.sync_all().map_err(io("written"))?;
        let next_seq = read.records.last().map_or(1, |r| r.seq + 1);
        let journal = Journal { path: path.to_path_buf(), file, sum: read.sum, next_seq };
        Ok((journal, Recovered { records: read.records, torn }))
    }

    /// A new journal on a file that is open already; for tests of a disk that refuses.
    #[doc(hidden)]
    pub fn on_open_file(path: &Path, file: File) -> Journal {
        Journal { path: path.to_path_buf(), file, sum: String::new(), next_seq: 1 }
    }

    /// Reads a journal that another process may be writing; changes nothing.
    ///
    /// # Errors
    /// See [`Journal::open`].
    pub fn read(path: &Path) -> Result<Recovered, JournalError> {
        let bytes = std::fs::read(path).map_err(|source| JournalError::Io {
            path: path.display().to_string(),
            verb: "read",
            source,
        })?;
        let read = read_back(&bytes, path)?;
        Ok(Recovered { records: read.records, torn: (bytes.len() - read.good) as u64 })
    }

    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Appends one record; when it is durable the line is on disk before this returns.
    ///
    /// # Errors
    /// When the disk refuses. Nothing may be acted on then.
    pub fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        let io = |source| JournalError::Io { path: self.path.display().to_string(), verb: "written", source };
        let (line, sum) = encode(record, &self.sum).map_err(|e| io(io::Error::other(e)))?;
        self.file.write_all(line.as_bytes()).map_err(io)?;
        if record.event.is_durable() {
            self.file.sync_data().map_err(io)?;
        }
        self.sum = sum;
        self.next_seq = record.seq + 1;
        Ok(())
    }
}

fn encode(record: &Record, previous: &str) -> Result<(String, String), serde_json::Error> {
    let mut value = serde_json::to_value(record)?;
    if let Some(map) = value.as_object_mut() {
        map.insert("v".into(), LINE_VERSION.into());
    }
    let body = value.to_string();
    let sum = chain(previous, &body);
    let open = body.strip_suffix('}').unwrap_or(&body);
    Ok((format!("{open},\"sum\":\"{sum}\"}}\n"), sum))
}

fn chain(previous: &str, body: &str) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(previous.as_bytes());
    context.update(body.as_bytes());
    context.finish().as_ref().iter().take(SUM_LENGTH / 2).map(|b| format!("{b:02x}")).collect()
}

struct ReadBack {
    records: Vec<Record>,
    sum: String,
    /// Bytes up to the end of the last good line.
    good: usize,
}

fn read_back(bytes: &[u8], path: &Path) -> Result<ReadBack, JournalError> {
    let mut out = ReadBack { records: Vec::new(), sum: String::new(), good: 0 };
    let name = || path.display().to_string();
    let mut lines = bytes.split_inclusive(|b| *b == b'\n').enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        let is_last = lines.peek().is_none();
        match decode(line, &out.sum) {
            Ok((record, sum)) => {
                let expected = out.records.last().map_or(record.seq, |r| r.seq + 1);
                if record.seq != expected {
                    let why = format!("record {} follows record {}", record.seq, expected.saturating_sub(1));
                    return Err(JournalError::Damaged { path: name(), line: number + 1, why });
                }
                out.records.push(record);
                out.sum = sum;
                out.good += line.len();
            }
            Err(Flaw::Newer(version)) => return Err(JournalError::Newer { path: name(), version }),
            // Without its line end the line never was complete: the crash came while it was written.
            Err(Flaw::Torn) if is_last => break,
            Err(Flaw::Torn) => {
                return Err(JournalError::Damaged {
                    path: name(),
                    line: number + 1,
                    why: "the line is cut off".into(),
                });
            }
            Err(Flaw::Wrong(why)) => return Err(JournalError::Damaged { path: name(), line: number + 1, why }),
        }
    }
    Ok(out)
}

enum Flaw {
    Torn,
    Newer(u64),
    Wrong(String),
}

fn decode(line: &[u8], previous: &str) -> Result<(Record, String), Flaw> {
    let Some(line) = line.strip_suffix(b"\n") else { return Err(Flaw::Torn) };
    let text = std::str::from_utf8(line).map_err(|_| Flaw::Wrong("it is not UTF-8".into()))?;
    let wrong = || Flaw::Wrong("its checksum is missing".into());
    let (body, sum) = text.rsplit_once(",\"sum\":\"").ok_or_else(wrong)?;
    let sum = sum.strip_suffix("\"}").filter(|s| s.len() == SUM_LENGTH).ok_or_else(wrong)?;
    let body = format!("{body}}}");
    if chain(previous, &body) != sum {
        return Err(Flaw::Wrong("its checksum does not fit the lines before it".into()));
    }
    let mut value: serde_json::Value = serde_json::from_str(&body).map_err(|e| Flaw::Wrong(e.to_string()))?;
    match value.get("v").and_then(serde_json::Value::as_u64) {
        Some(v) if v == u64::from(LINE_VERSION) => {}
        Some(v) => return Err(Flaw::Newer(v)),
        None => return Err(Flaw::Wrong("it has no version".into())),
    }
    json::clean(&mut value);
    let record = serde_json::from_value(value).map_err(|e| Flaw::Wrong(e.to_string()))?;
    Ok((record, sum.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::record::Event;
    use crate::engine::state::tests::{at, outline, proof, session};
    use crate::engine::step::StepId;
    use proptest::prelude::*;

    fn records() -> Vec<Record> {
        let step = StepId::new("day1.a");
        [
            session(vec![outline("day1.a", 1, &[])]),
            Event::Intended { step: step.clone(), attempt: 1 },
            Event::HandleKept { step: step.clone(), handle: "UPID:\"},\"sum\":\"x".into() },
            Event::Proven { step, proof: proof() },
        ]
        .into_iter()
        .enumerate()
        .map(|(i, event)| Record { seq: i as u64 + 1, at: at(i as i64), event })
        .collect()
    }

    fn written(dir: &Path) -> (PathBuf, Vec<u8>) {
        let path = dir.join("journal.jsonl");
        let (mut journal, _) = Journal::open(&path).unwrap();
        for record in records() {
            journal.append(&record).unwrap();
        }
        let bytes = std::fs::read(&path).unwrap();
        (path, bytes)
    }

    #[test]
    fn what_was_written_is_read_back_and_goes_on_from_there() {
        let dir = tempfile::tempdir().unwrap();
        let (path, _) = written(dir.path());
        let (mut journal, recovered) = Journal::open(&path).unwrap();
        assert_eq!(recovered.records, records());
        assert_eq!(recovered.torn, 0);
        let next = Record { seq: journal.next_seq(), at: at(9), event: Event::StopAsked { by: "ann".into() } };
        journal.append(&next).unwrap();
        assert_eq!(Journal::read(&path).unwrap().records.len(), 5);
    }

    #[test]
    fn a_line_of_a_newer_version_is_refused_with_what_to_do() {
        let body = r#"{"v":2,"seq":1,"at":"1970-01-01T00:00:00Z","event":"stop_asked","by":"x"}"#;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("j");
        let sum = chain("", body);
        std::fs::write(&path, format!("{},\"sum\":\"{sum}\"}}\n", body.strip_suffix('}').unwrap())).unwrap();
        let error = Journal::open(&path).unwrap_err();
        assert!(matches!(error, JournalError::Newer { version: 2, .. }), "{error}");
        assert!(error.next().contains("newer cozyup"));
    }

    #[test]
    fn a_journal_in_no_folder_is_an_error_that_names_it() {
        let error = Journal::open(Path::new("/nonexistent/j")).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/j"), "{error}");
    }

    proptest! {
        #[test]
        fn a_journal_cut_at_any_byte_gives_a_prefix_of_its_records(cut in 0usize..5000) {
            let dir = tempfile::tempdir().unwrap();
            let (path, bytes) = written(dir.path());
            let cut = cut % (bytes.len() + 1);
            std::fs::write(&path, &bytes[..cut]).unwrap();
            let (_, recovered) = Journal::open(&path).unwrap();
            let all = records();
            prop_assert_eq!(&recovered.records[..], &all[..recovered.records.len()]);
            prop_assert_eq!(std::fs::metadata(&path).unwrap().len() + recovered.torn, cut as u64);
        }

        #[test]
        fn a_flipped_bit_never_gives_other_records(place in 0usize..5000, bit in 0u8..8) {
            let dir = tempfile::tempdir().unwrap();
            let (path, mut bytes) = written(dir.path());
            let place = place % bytes.len();
            bytes[place] ^= 1 << bit;
            std::fs::write(&path, &bytes).unwrap();
            if let Ok((_, recovered)) = Journal::open(&path) {
                let all = records();
                prop_assert!(recovered.records.len() < all.len());
                prop_assert_eq!(&recovered.records[..], &all[..recovered.records.len()]);
            }
        }
    }
}
