//! From the bytes of a journal to its records. Recovers or refuses, never guesses.
use super::JournalError;
use super::line::{Flaw, Sum, decode};
use crate::engine::record::{Event, Record};
use std::path::Path;

#[derive(Debug)]
pub struct ReadBack {
    pub records: Vec<Record>,
    /// Of the last good line.
    pub sum: Sum,
    /// Bytes up to the end of the last good line.
    pub good: usize,
}

impl ReadBack {
    pub fn next_seq(&self) -> u64 {
        self.records.last().map_or(1, |r| r.seq.saturating_add(1))
    }

    fn cozyup(&self) -> Option<&str> {
        self.records.iter().rev().find_map(|r| {
            let Event::Session { cozyup, .. } = &r.event else { return None };
            Some(cozyup.as_str())
        })
    }
}

/// # Errors
/// When a line is damaged that is not the torn tail of a crash, or when it is from a newer cozyup.
pub fn read_back(bytes: &[u8], path: &Path) -> Result<ReadBack, JournalError> {
    let mut out = ReadBack { records: Vec::new(), sum: Sum::default(), good: 0 };
    let name = || path.display().to_string();
    for (line, number) in bytes.split_inclusive(|b| *b == b'\n').zip(1..) {
        let why = match decode(line, out.sum) {
            Ok((record, sum)) if record.seq == out.next_seq() => {
                out.records.push(record);
                out.sum = sum;
                out.good += line.len();
                continue;
            }
            Ok((record, _)) => format!("record {} stands where {} belongs", record.seq, out.next_seq()),
            // Without its end the line never was complete: the crash came while it was written.
            Err(Flaw::Torn) => break,
            Err(Flaw::Newer(what)) => {
                let by = out.cozyup().unwrap_or("an unknown version").to_string();
                return Err(JournalError::Newer { path: name(), line: number, what, by });
            }
            Err(Flaw::Damaged(_)) if is_tail_of_power_cut(bytes, out.good, line) => break,
            Err(Flaw::Damaged(why)) => why,
        };
        return Err(JournalError::Damaged { path: name(), line: number, why });
    }
    Ok(out)
}

/// After a power cut a file system shows zeros where it had made room and not yet written, and perhaps later lines that
/// it had. All of it was never promised to be on disk, unless a record is among it that is.
fn is_tail_of_power_cut(bytes: &[u8], good: usize, line: &[u8]) -> bool {
    let promised = |line: &[u8]| serde_json::from_slice::<Record>(line).is_ok_and(|r| r.event.is_durable());
    line.contains(&0) && !bytes.get(good..).unwrap_or_default().split(|b| *b == b'\n').any(promised)
}
