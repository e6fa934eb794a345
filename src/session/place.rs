//! The machine that a run's folder is on. A jump host that was cloned from another has its machine id, its name and its
//! files; the copy does not have the addresses of its network cards.
use super::folder::RunFolder;
use crate::base::file::{Unfit, read_regular, write_private};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::path::Path;

const NAME: &str = "place";
const NETWORK: &str = "/sys/class/net";
/// Far more than any machine's cards take, in bytes.
const LONGEST: u64 = 1 << 16;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    /// Drawn at random when the run begins here. Empty for a run of a version that kept none.
    id: String,
    /// Hardware addresses of this machine's network cards when the run was here last.
    cards: BTreeSet<String>,
}

impl RunFolder {
    /// For the holder of the run's lock, before the journal is opened: removes what a killed process left half written, and
    /// says what tells this machine's folder from the same folder on a copy of this machine.
    ///
    /// # Errors
    /// The operating system's, or when the file is none of ours.
    pub fn take_up(&self) -> Result<String, Unfit> {
        self.tidy()?;
        let path = self.path().join(NAME);
        let is_new = std::fs::metadata(self.journal()).map_or(true, |journal| journal.len() == 0);
        of(&path, is_new).map_err(|source| Unfit::Io { path: path.display().to_string(), source })
    }

    /// What the last holder of the lock wrote as its place, as far as this machine still is that place; empty when it is
    /// not known. Nothing is written.
    pub fn place(&self) -> String {
        let kept = read_regular(&self.path().join(NAME), LONGEST).and_then(|text| serde_json::from_str(&text).ok());
        judged(kept, cards(Path::new(NETWORK)), false, String::new).id
    }
}

fn of(path: &Path, is_new: bool) -> io::Result<String> {
    let kept = match read_regular(path, LONGEST) {
        Some(text) => Some(serde_json::from_str(&text).map_err(|e| io::Error::new(ErrorKind::InvalidData, e))?),
        None => None,
    };
    let here = judged(kept.clone(), cards(Path::new(NETWORK)), is_new, || format!("{:016x}", fastrand::u64(..)));
    if kept.as_ref() != Some(&here) {
        write_private(path, serde_json::to_string(&here)?.as_bytes())?;
    }
    Ok(here.id)
}

/// A machine that has none of the cards that it had is another one; one that keeps a card is the same with new parts.
fn judged(kept: Option<Place>, cards: BTreeSet<String>, is_new: bool, draw: impl FnOnce() -> String) -> Place {
    let id = match kept {
        None if is_new => draw(),
        None => String::new(),
        Some(kept) if kept.cards.is_empty() || kept.cards.intersection(&cards).next().is_some() => kept.id,
        Some(_) => draw(),
    };
    Place { id, cards }
}

/// The addresses of cards, without bridges and other things that the kernel makes up anew.
fn cards(network: &Path) -> BTreeSet<String> {
    let address = |entry: io::Result<std::fs::DirEntry>| {
        let path = entry.ok()?.path();
        let is_card = path.join("device").exists();
        is_card.then(|| std::fs::read_to_string(path.join("address")).ok())?.map(|text| text.trim().to_string())
    };
    std::fs::read_dir(network).into_iter().flatten().filter_map(address).filter(|a| !a.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(id: &str, cards: &[&str]) -> Place {
        Place { id: id.into(), cards: cards.iter().map(ToString::to_string).collect() }
    }

    /// harm.md: "two jump hosts cloned with one machine-id, hostname and path are one place".
    #[test]
    fn a_copy_of_a_machine_is_another_place_and_a_machine_with_a_new_card_is_not() {
        let known = || Some(place("one", &["aa", "bb"]));
        let of = |kept, cards: &[&str], is_new| judged(kept, place("", cards).cards, is_new, || "drawn".into());
        assert_eq!(of(known(), &["aa", "bb"], false), place("one", &["aa", "bb"]));
        assert_eq!(of(known(), &["bb", "cc"], false), place("one", &["bb", "cc"]));
        assert_eq!(of(known(), &["cc"], false), place("drawn", &["cc"]));
        assert_eq!(of(known(), &[], false), place("drawn", &[]));
        assert_eq!(of(None, &["aa"], true).id, "drawn");
        assert_eq!(of(None, &["aa"], false), place("", &["aa"]), "a run of an older version stays where it is");
        assert_eq!(of(Some(place("one", &[])), &["aa"], false).id, "one", "where no card was known nothing is judged");
    }

    #[test]
    fn a_folder_keeps_its_place_and_a_meddled_one_is_refused() {
        let state = tempfile::tempdir().unwrap();
        let (folder, _) = RunFolder::open(&state.path().join("run")).unwrap();
        let first = folder.take_up().unwrap();
        assert_eq!((first.len(), folder.take_up().unwrap()), (16, first));
        std::fs::write(folder.path().join(NAME), "x").unwrap();
        assert!(folder.take_up().is_err());
    }
}
