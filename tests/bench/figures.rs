//! Figures, printed and never asserted: `tests/bench/run`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod assess;
mod attach;
mod beside;
mod figure;
mod journal;
mod memory;
mod observe;
mod path;
mod redraw;
mod sample;
mod scale;
mod served;

use std::path::Path;

fn main() {
    // Cargo's own flags are no parts.
    let asked: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let wanted = |part: &str| asked.is_empty() || asked.iter().any(|a| a == part);
    // The disk of the target folder: a temporary folder may be memory, where a sync costs nothing.
    let disk = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    if wanted("append") {
        journal::append(disk.path());
    }
    if wanted("recover") {
        journal::recover(disk.path());
    }
    if wanted("attach") {
        attach::first_frame(disk.path());
    }
    if wanted("redraw") {
        redraw::bytes();
    }
    if wanted("memory") {
        memory::of_a_worker(disk.path());
        memory::of_a_whole_run(disk.path());
    }
    if wanted("assess") {
        assess::cost(disk.path());
    }
    if wanted("path") {
        path::lengths();
    }
    // Some minutes of two cores: only when it is asked for.
    if asked.iter().any(|part| part == "scale") {
        scale::cost(disk.path());
    }
    if wanted("observe") {
        observe::cost(disk.path());
    }
    if wanted("k9s") {
        beside::k9s(disk.path());
    }
}

/// A journal of so many records, written without waiting for the disk where memory can hold it.
fn written(dir: &Path, count: usize) -> std::path::PathBuf {
    let path = dir.join(format!("{count}.jsonl"));
    if !path.exists() {
        let memory = Path::new("/dev/shm");
        let fast = tempfile::tempdir_in(if memory.is_dir() { memory } else { dir }).unwrap();
        let (mut journal, _) = cozyup::engine::journal::Journal::open(&fast.path().join("j")).unwrap();
        for record in sample::records(count) {
            journal.append(&record).unwrap();
        }
        std::fs::copy(fast.path().join("j"), &path).unwrap();
    }
    path
}
