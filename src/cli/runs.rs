//! The runs that this machine keeps, found by name.
use super::output::{print_note, with_next};
use crate::session::folder::RunFolder;
use std::path::{Path, PathBuf};

/// The folder of a run, after the check that nobody else can write to it; repairs have been reported.
///
/// # Errors
/// With what is wrong and what to do.
pub fn judged(folder: &Path) -> Result<RunFolder, String> {
    let (folder, words) = RunFolder::existing(folder).map_err(|e| with_next(&e, &e.next()))?;
    words.iter().for_each(|word| print_note(word));
    Ok(folder)
}

/// Folders of runs: of plans, and of the lab's scenarios.
fn folders(state_dir: &Path) -> Vec<PathBuf> {
    let inside = |dir: PathBuf| {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        entries.map(|e| e.path()).collect::<Vec<_>>()
    };
    let mut all = inside(state_dir.join("runs"));
    all.extend(inside(state_dir.join("lab")).into_iter().map(|d| d.join("run")));
    all.retain(|d| d.join("journal.jsonl").is_file());
    all
}

/// The name under which a person finds the run in this folder.
pub fn name_of(folder: &Path) -> String {
    let name = if folder.ends_with("run") { folder.parent().and_then(Path::file_name) } else { folder.file_name() };
    name.unwrap_or_default().to_string_lossy().into_owned()
}

/// The folders of the runs that were touched last, newest first.
pub fn last_runs(state_dir: &Path, most: usize) -> Vec<PathBuf> {
    let mut all = folders(state_dir);
    all.sort_by_key(|d| std::cmp::Reverse(std::fs::metadata(d.join("journal.jsonl")).and_then(|m| m.modified()).ok()));
    all.truncate(most);
    all
}

/// The folder of the run of this name, or of the one that was touched last.
///
/// # Errors
/// When there is none, with what there is.
pub fn find(state_dir: &Path, wanted: Option<&str>) -> Result<PathBuf, String> {
    let mut all = folders(state_dir);
    all.sort_by_key(|d| std::fs::metadata(d.join("journal.jsonl")).and_then(|m| m.modified()).ok());
    match wanted {
        None => all.pop().ok_or_else(|| {
            format!(
                "there is no run in {}\nnext: start one with `cozyup run PLAN` or `cozyup lab run`",
                state_dir.display()
            )
        }),
        Some(name) => all.iter().rev().find(|d| name_of(d) == name).cloned().ok_or_else(|| {
            let known: Vec<String> = all.iter().map(|d| name_of(d)).collect();
            let known = if known.is_empty() { "none".to_string() } else { known.join(", ") };
            format!("there is no run {name} in {}; there are: {known}", state_dir.display())
        }),
    }
}
