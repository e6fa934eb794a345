//! Where a run keeps its files. Folders are 0700, files 0600.
use crate::base::file::{Unfit, own_dir, own_entries, remove_half_written};
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

    /// For the holder of the run's lock: removes what a killed process left half written.
    ///
    /// # Errors
    /// The operating system's.
    pub fn tidy(&self) -> Result<(), Unfit> {
        remove_half_written(&self.0)?;
        remove_half_written(&self.secrets())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn journal(&self) -> PathBuf {
        self.0.join("journal.jsonl")
    }

    pub fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// The plan as the run was started with it.
    pub fn plan(&self) -> PathBuf {
        self.0.join("plan.yaml")
    }

    /// What the worker said beside its records.
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
