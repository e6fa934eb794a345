//! A file that this process holds open, and whether its name still leads to it. A lock and a journal are of use only
//! under their names: who removes, renames or replaces them makes room for a second process that knows nothing of the first.
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The file that `path` led to. Good for as long as the file stays open: until then its number is given to no other.
#[derive(Debug, Clone)]
pub struct Held {
    path: PathBuf,
    device: u64,
    inode: u64,
}

/// The reason why the name of a held file no longer leads to it.
#[derive(Debug, thiserror::Error)]
pub enum Displaced {
    #[error("{path} is gone")]
    Gone { path: String },
    #[error("{path} is another file now")]
    Replaced { path: String },
    #[error("something else wrote to {path} or cut it")]
    Changed { path: String },
    #[error("{path} can't be looked at")]
    Unseen { path: String, source: io::Error },
}

impl Held {
    /// # Errors
    /// The operating system's.
    pub fn of(path: &Path, file: &File) -> io::Result<Held> {
        let found = file.metadata()?;
        Ok(Held { path: path.to_path_buf(), device: found.dev(), inode: found.ino() })
    }

    /// # Errors
    /// When the name leads to nothing, or to something else.
    pub fn check(&self) -> Result<(), Displaced> {
        let path = || self.path.display().to_string();
        match fs::symlink_metadata(&self.path) {
            Ok(found) if (found.dev(), found.ino()) == (self.device, self.inode) => Ok(()),
            Ok(_) => Err(Displaced::Replaced { path: path() }),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                Err(Displaced::Gone { path: path() })
            }
            Err(source) => Err(Displaced::Unseen { path: path(), source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_removed_renamed_or_replaced_is_no_longer_the_one_that_its_name_leads_to() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("run/lock"), dir.path().join("run/other"));
        fs::create_dir(dir.path().join("run")).unwrap();
        let file = File::create(&path).unwrap();
        let held = Held::of(&path, &file).unwrap();
        held.check().unwrap();
        fs::rename(&path, &other).unwrap();
        assert!(matches!(held.check(), Err(Displaced::Gone { .. })));
        fs::write(&path, "").unwrap();
        assert!(matches!(held.check(), Err(Displaced::Replaced { .. })));
        std::os::unix::fs::symlink(&other, dir.path().join("run/link")).unwrap();
        fs::rename(dir.path().join("run/link"), &path).unwrap();
        assert!(matches!(held.check(), Err(Displaced::Replaced { .. })), "a link to it is not it");
        fs::rename(&other, &path).unwrap();
        held.check().unwrap();
        fs::rename(dir.path().join("run"), dir.path().join("old")).unwrap();
        assert!(matches!(held.check(), Err(Displaced::Gone { .. })));
        fs::write(dir.path().join("run"), "a file where the folder was").unwrap();
        assert!(matches!(held.check(), Err(Displaced::Gone { .. })));
    }
}
