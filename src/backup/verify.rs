//! Compares a backup with its manifest: every file, every byte.
use super::digest_of;
use super::fault::{Fault, within};
use super::folder::UNFINISHED;
use super::manifest::{self, FileKept, Manifest};
use crate::base::text::clean;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;

/// Folders in folders of a backup.
const DEEPEST: usize = 4;

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// The digest that a person kept is not this backup's.
    OtherDigest {
        wanted: String,
    },
    Missing {
        path: String,
    },
    /// Shorter than it was: cut off.
    Truncated {
        path: String,
        bytes: u64,
        of: u64,
    },
    Changed {
        path: String,
    },
    /// The manifest does not name it.
    Added {
        path: String,
    },
    /// A link or a device in the place of a file.
    NoFile {
        path: String,
    },
    Unreadable {
        path: String,
        why: String,
    },
}

#[derive(Debug)]
pub struct Verdict {
    pub manifest: Manifest,
    pub differences: Vec<Difference>,
}

/// # Errors
/// When the folder is no finished backup, or its manifest was changed.
pub fn verify(dir: &Path, digest: Option<&str>) -> Result<Verdict, Fault> {
    let manifest = Manifest::read(dir)?;
    let mut differences = Vec::new();
    if let Some(wanted) = digest.filter(|d| !d.trim().eq_ignore_ascii_case(&manifest.digest())) {
        differences.push(Difference::OtherDigest { wanted: clean(wanted) });
    }
    differences.extend(manifest.files().filter_map(|file| compared(dir, file)));
    let mut known: BTreeSet<String> = manifest.files().map(|f| f.path.clone()).collect();
    // Left by a process that was killed right after the manifest was written.
    known.extend([manifest::NAME.to_string(), UNFINISHED.to_string()]);
    added(dir, "", 0, &known, &mut differences)?;
    differences.sort();
    Ok(Verdict { manifest, differences })
}

fn compared(dir: &Path, kept: &FileKept) -> Option<Difference> {
    let path = clean(&kept.path);
    let Some(at) = within(dir, &kept.path) else { return Some(Difference::NoFile { path }) };
    let found = match fs::symlink_metadata(&at) {
        Ok(found) => found,
        Err(e) if e.kind() == ErrorKind::NotFound => return Some(Difference::Missing { path }),
        Err(e) => return Some(Difference::Unreadable { path, why: e.to_string() }),
    };
    if !found.is_file() {
        return Some(Difference::NoFile { path });
    }
    if found.len() < kept.bytes {
        return Some(Difference::Truncated { path, bytes: found.len(), of: kept.bytes });
    }
    match File::open(&at).and_then(digest_of) {
        Err(e) => Some(Difference::Unreadable { path, why: e.to_string() }),
        Ok((bytes, sum)) => (bytes != kept.bytes || sum != kept.sha256).then_some(Difference::Changed { path }),
    }
}

fn added(
    dir: &Path,
    below: &str,
    depth: usize,
    known: &BTreeSet<String>,
    into: &mut Vec<Difference>,
) -> Result<(), Fault> {
    let here = dir.join(below);
    for entry in fs::read_dir(&here).map_err(Fault::io(&here))? {
        let entry = entry.map_err(Fault::io(&here))?;
        let name = entry.file_name().to_string_lossy().to_string();
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        let is_dir = entry.file_type().is_ok_and(|t| t.is_dir());
        if is_dir && depth < DEEPEST {
            added(dir, &path, depth + 1, known, into)?;
        } else if !known.contains(&path) {
            into.push(Difference::Added { path: clean(&path) });
        }
    }
    Ok(())
}
