//! The folder with a run's files. Folders are 0700, files 0600.
use crate::base::file::{Unfit, own, own_dir, own_entries, remove_half_written};
use crate::base::place;
use std::path::{Path, PathBuf};

/// The folder of one run.
#[derive(Debug, Clone)]
pub struct RunFolder(PathBuf);

impl RunFolder {
    /// Opens or makes the folder and its `secrets` folder, and makes sure that they and everything in them are this user's
    /// alone. What was repaired is said in a sentence each.
    ///
    /// # Errors
    /// When something in it is a link, somebody else's, or could be changed by others.
    pub fn open(path: &Path) -> Result<(RunFolder, Vec<String>), Unfit> {
        let folder = RunFolder(path.to_path_buf());
        let mut words: Vec<String> = own_dir(path)?.into_iter().collect();
        words.extend(own_dir(&folder.secrets())?);
        words.extend(own_entries(path)?);
        words.extend(own_entries(&folder.secrets())?);
        Ok((folder, words))
    }

    /// The folder of a run that is there, judged and repaired in the same way before a byte of it is read; nothing is made.
    ///
    /// # Errors
    /// See [`RunFolder::open`].
    pub fn existing(path: &Path) -> Result<(RunFolder, Vec<String>), Unfit> {
        let folder = RunFolder(path.to_path_buf());
        place::way_to(path)?;
        let mut words: Vec<String> = own(path)?.into_iter().collect();
        words.extend(own_entries(path)?);
        if folder.secrets().exists() {
            words.extend(own_entries(&folder.secrets())?);
        }
        Ok((folder, words))
    }

    /// For the holder of the run's lock: removes what a killed process left half written.
    ///
    /// # Errors
    /// The operating system's.
    pub fn tidy(&self) -> Result<(), Unfit> {
        remove_half_written(&self.0)?;
        remove_half_written(&self.secrets())
    }

    /// The folder itself, under the path that it was opened with.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The journal: one record per line, written only by the holder of the run's lock.
    pub fn journal(&self) -> PathBuf {
        self.0.join("journal.jsonl")
    }

    /// The file that [`RunLock`](super::lock::RunLock) locks.
    pub fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// The plan as the run was started with it.
    pub fn plan(&self) -> PathBuf {
        self.0.join("plan.yaml")
    }

    /// The file with what the worker printed outside of its records.
    pub fn log(&self) -> PathBuf {
        self.0.join("worker.log")
    }

    /// Secrets bundle, machine configs, kubeconfig, talosconfig, tokens.
    pub fn secrets(&self) -> PathBuf {
        self.0.join("secrets")
    }

    /// Images fetched to the jump host; may be deleted at any time.
    pub fn cache(&self) -> PathBuf {
        self.0.join("cache")
    }
}

/// The folder that holds all state: `--state-dir`, else `COZYUP_STATE_DIR`, else the platform's state folder.
///
/// # Errors
/// When there is no home folder and nothing was given.
pub fn state_dir(given: Option<PathBuf>) -> Result<PathBuf, String> {
    if let Some(dir) = given {
        return Ok(dir);
    }
    let dirs = directories::ProjectDirs::from("dev", "cozyup", "cozyup")
        .ok_or("there is no home folder to keep the run's state in: give --state-dir DIR")?;
    Ok(dirs.state_dir().unwrap_or(dirs.data_local_dir()).to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt;

    /// harm.md S10, S12
    #[test]
    fn a_run_is_looked_at_only_in_a_folder_that_nobody_else_has_a_hand_in() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join("runs/cozy");
        let set = |path: &Path, mode| set_permissions(path, Permissions::from_mode(mode)).unwrap();
        let (folder, _) = RunFolder::open(&path).unwrap();
        write(folder.secrets().join("kubeconfig"), "x").unwrap();
        set(&folder.secrets().join("kubeconfig"), 0o644);
        let (_, words) = RunFolder::existing(&path).unwrap();
        assert!(words.iter().any(|w| w.contains("kubeconfig could be read by others (mode 644)")), "{words:?}");
        assert!(RunFolder::existing(&path).unwrap().1.is_empty());
        for open in [path.clone(), folder.secrets(), state.path().join("runs"), state.path().to_path_buf()] {
            set(&open, 0o777);
            let refused = RunFolder::existing(&path).unwrap_err();
            assert!(refused.to_string().contains("may be written to by"), "{refused}");
            assert!(RunFolder::open(&path).is_err());
            set(&open, 0o700);
        }
        RunFolder::existing(&path).unwrap();
    }
}
