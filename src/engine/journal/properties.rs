//! The properties that hold for any bytes in the place of a journal.
#![allow(clippy::panic, clippy::unwrap_used, reason = "compiled for tests and for fuzzing alone")]
use super::JournalError;
use super::line::{Sum, encode, sealed};
use super::recover::read_back;
use crate::engine::record::Record;
use crate::engine::state::RunState;
use std::path::Path;

/// The first four bytes say where damage is done, the lines after them what was recorded.
pub fn journal(bytes: &[u8]) {
    recovers_or_refuses(bytes);
    let Some((&[a, b, c, d], rest)) = bytes.split_first_chunk() else { return };
    let (place, bit) = (usize::from(u16::from_le_bytes([a, b])), c % 8);
    sealed_lines_recover_or_refuse(rest);

    let mut records: Vec<Record> = Vec::new();
    let (mut file, mut sum) = (Vec::new(), Sum::default());
    for line in rest.split(|b| *b == b'\n') {
        let Ok(mut record) = serde_json::from_slice::<Record>(line) else { continue };
        record.seq = records.len() as u64 + 1;
        let Ok((line, next)) = encode(&record, sum) else { panic!("can't be written: {record:?}") };
        file.extend(line.bytes());
        sum = next;
        records.push(record);
    }
    let back = recovers_or_refuses(&file).unwrap_or_else(|| panic!("a whole journal is refused"));
    assert_eq!(back, records);
    if file.is_empty() {
        return;
    }
    let place = place % file.len();
    let (cut, _) = file.split_at(place);
    let back = recovers_or_refuses(cut).unwrap_or_else(|| panic!("a journal cut at byte {place} is refused"));
    assert!(records.starts_with(&back));
    if let Some(byte) = file.get_mut(place) {
        *byte ^= 1 << bit;
    }
    // A flip in the last line's end may make it a torn one; elsewhere it is found.
    if let Some(back) = recovers_or_refuses(&file) {
        assert!(back.len() < records.len() && records.starts_with(&back), "bit {bit} of byte {place}, case {d}");
    }
}

/// Lines with a right checksum and anything inside.
fn sealed_lines_recover_or_refuse(bodies: &[u8]) {
    let (mut file, mut sum) = (Vec::new(), Sum::default());
    for body in bodies.split(|b| *b == b'\n') {
        let Some(open) = std::str::from_utf8(body).ok().and_then(|b| b.strip_suffix('}')) else { continue };
        let (line, next) = sealed(open.to_string(), sum);
        file.extend(line.bytes());
        sum = next;
    }
    recovers_or_refuses(&file);
}

/// Recovered records have numbers without a gap, are the same the second time, and fold; a refusal names a line and a
/// next action.
fn recovers_or_refuses(bytes: &[u8]) -> Option<Vec<Record>> {
    let lines = bytes.split(|b| *b == b'\n').count();
    match read_back(bytes, Path::new("journal")) {
        Ok(read) => {
            let whole = bytes.get(..read.good).unwrap_or_else(|| panic!("more is good than there is"));
            assert!(whole.is_empty() || whole.ends_with(b"\n"));
            let again = read_back(whole, Path::new("journal")).unwrap_or_else(|e| panic!("what was recovered: {e}"));
            assert_eq!((&again.records, again.good), (&read.records, read.good));
            assert!(read.records.iter().zip(1..).all(|(record, seq)| record.seq == seq), "numbers with a gap");
            assert_eq!(RunState::of(&read.records).seq, read.records.len() as u64);
            Some(read.records)
        }
        Err(e) => {
            assert!(!e.next().is_empty());
            match e {
                JournalError::Damaged { line, .. } | JournalError::Newer { line, .. } => {
                    assert!((1..=lines).contains(&line), "line {line} of {lines}");
                }
                JournalError::Io { .. }
                | JournalError::Misplaced { .. }
                | JournalError::Held { .. }
                | JournalError::Displaced(_) => panic!("no file was opened"),
            }
            None
        }
    }
}

#[test]
fn every_journal_that_was_found_by_fuzzing_keeps_the_property() {
    crate::base::properties::seeds("journal", journal);
}
