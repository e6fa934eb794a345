//! Writing and reading back.
use super::figure::{print, timed};
use super::{sample, written};
use cozyup::engine::journal::Journal;
use cozyup::engine::record::{Event, Record};
use cozyup::engine::state::RunState;
use jiff::Timestamp;
use std::path::Path;

type Make = fn(usize, Timestamp) -> Event;

pub fn append(disk: &Path) {
    println!("\nappend, on the disk of the target folder");
    let at: Timestamp = "2026-11-25T08:00:00.123456789Z".parse().unwrap();
    let kinds: [(&str, usize, Make); 3] = [
        ("waiting: not durable", 20_000, |n, _| sample::waiting(n)),
        ("intended: durable (fdatasync)", 2_000, |n, _| sample::intended(n)),
        ("proven: durable (fdatasync)", 2_000, sample::proven),
    ];
    for (name, count, event) in kinds {
        let (mut journal, _) = Journal::open(&disk.join(name)).unwrap();
        let mut times = Vec::new();
        for n in 0..count {
            let record = Record { seq: journal.next_seq(), at, event: event(n, at) };
            timed(&mut times, || journal.append(&record)).unwrap();
        }
        let size = std::fs::metadata(disk.join(name)).unwrap().len() / count as u64;
        print(&format!("  {name}, {size} bytes"), times);
    }
}

pub fn recover(disk: &Path) {
    let path = written(disk, 100_000);
    let size = std::fs::metadata(&path).unwrap().len() >> 20;
    println!("\nrecovery of 100,000 records, {size} MiB (aim: under 300 ms)");
    let (mut reading, mut folding, mut opening) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..11 {
        let recovered = timed(&mut reading, || Journal::read(&path)).unwrap();
        let state = timed(&mut folding, || RunState::of(&recovered.records));
        assert_eq!((recovered.records.len(), state.seq), (100_000, 100_000));
        drop(recovered);
        timed(&mut opening, || Journal::open(&path)).unwrap();
    }
    print("  read back, every checksum looked at", reading);
    print("  folded into a state", folding);
    print("  opened for writing (read back, file and folder synced)", opening);
}
