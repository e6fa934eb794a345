//! `cozyup secrets seal|unseal|show`: the secrets of a run, encrypted at rest or not.
use super::exit::Exit;
use super::keys::{self, told};
use super::output::{print, print_error, print_note, with_next};
use super::runs::{find, judged, name_of};
use crate::base::text::with_cause;
use crate::base::vault::{self, Vault, VaultError};
use crate::session::folder::RunFolder;
use crate::session::lock::{LockError, Owner, RunLock};
use clap::Subcommand;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub struct Secrets {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Encrypt the secrets of a run, present and future, with a passphrase or an age key; also before its first start
    Seal {
        /// The plan's name, or its file
        run: Option<String>,
    },
    /// Bring the plain files back
    Unseal {
        /// The plan's name, or its file
        run: Option<String>,
    },
    /// Print one secret of a run, e.g. kubeconfig; without a name, what there is
    Show {
        /// The plan's name, or its file
        run: String,
        /// kubeconfig, talosconfig, secrets.yaml ...
        name: Option<String>,
    },
}

impl Secrets {
    pub fn run(self, state_dir: &Path) -> Exit {
        let done = match &self.command {
            Sub::Seal { run } => changed(state_dir, run.as_deref(), |dir| {
                let key = keys::new_key()?;
                vault::seal(dir, &key, vault::WORK).map_err(|e| told(&e))?;
                Ok("are sealed; whoever loses the key or passphrase loses them, and with them the cluster")
            }),
            Sub::Unseal { run } => changed(state_dir, run.as_deref(), |dir| {
                if !vault::is_sealed(dir).map_err(|e| told(&e))? {
                    return Err(told(&VaultError::NotSealed { dir: dir.display().to_string() }));
                }
                let identity = keys::identity(dir)?;
                vault::unseal(dir, &identity).map_err(|e| told(&e))?;
                Ok("are plain files again (0600)")
            }),
            Sub::Show { run, name } => shown(state_dir, run, name.as_deref()),
        };
        match done {
            Ok(()) => Exit::Proven,
            Err((exit, why)) => {
                print_error(&why);
                exit
            }
        }
    }
}

type Done = Result<(), (Exit, String)>;

fn usage(why: String) -> (Exit, String) {
    (Exit::Usage, why)
}

/// Name and folder of a run, or of the one that a plan file will make.
fn folder_of(state_dir: &Path, run: Option<&str>) -> Result<(String, PathBuf), String> {
    match run.map(Path::new).filter(|path| path.is_file()) {
        Some(plan) => {
            let name = crate::plan::load(plan).map_err(|e| crate::compose::plan_error(&e))?.plan.name;
            Ok((name.clone(), state_dir.join("runs").join(name)))
        }
        None => find(state_dir, run).map(|folder| (name_of(&folder), folder)),
    }
}

/// Does something to the secrets' folder while no worker is at it.
fn changed(state_dir: &Path, run: Option<&str>, work: impl Fn(&Path) -> Result<&'static str, String>) -> Done {
    let (name, path) = folder_of(state_dir, run).map_err(usage)?;
    let (folder, words) = RunFolder::open(&path).map_err(|e| usage(with_next(&e, &e.next())))?;
    words.iter().for_each(|word| print_note(word));
    let _lock = RunLock::take(&folder.lock(), &Owner::here()).map_err(|e| match e {
        LockError::Held(by) => {
            (Exit::Locked, format!("the run {name} is held by {by}\nnext: `cozyup stop {name}` stops it"))
        }
        LockError::Io { .. } => usage(with_cause(&e)),
    })?;
    let what = work(&folder.secrets()).map_err(usage)?;
    print(&format!("the secrets of {name} in {} {what}", folder.secrets().display()));
    Ok(())
}

fn shown(state_dir: &Path, run: &str, name: Option<&str>) -> Done {
    let (run, folder) = folder_of(state_dir, Some(run)).map_err(usage)?;
    let dir = judged(&folder).map_err(usage)?.secrets();
    let there = vault::list(&dir).map_err(|e| usage(told(&e)))?;
    let Some(name) = name else {
        there.iter().for_each(|name| print(name));
        return Ok(());
    };
    if !there.iter().any(|known| known == name) {
        return Err(usage(format!("run {run} has no secret {name}; there are: {}", there.join(", "))));
    }
    let keys = keys::of_run(&dir).map_err(usage)?;
    let read = Vault::open(&dir, keys.identity.as_ref()).and_then(|vault| vault.read(name));
    let secret = read.map_err(|e| usage(told(&e)))?;
    // The one place where a secret is printed: somebody asked for it by name.
    let mut out = std::io::stdout();
    match out.write_all(secret.expose().as_bytes()).and_then(|()| out.flush()) {
        // Whoever wanted the first line has it.
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(usage(format!("standard output can't be written: {e}"))),
        Ok(()) | Err(_) => Ok(()),
    }
}
