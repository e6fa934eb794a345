//! `cozyup support [RUN]`: packs what a helper needs to see of a run, without secrets.
use super::exit::Exit;
use super::output::{print, print_error, with_next};
use super::runs::{find, judged, name_of};
use crate::base::file::{read_private, read_regular, write_private};
use crate::base::secret::Secret;
use crate::base::text::clean;
use crate::compose;
use crate::engine::journal::Journal;
use crate::plan;
use crate::report::support::{About, FileSeen, Parts, bundle};
use crate::session::folder::RunFolder;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Far more than any file of a run that is read here, in bytes.
const LONGEST: u64 = 256 << 20;

#[derive(Debug, clap::Args)]
pub struct Support {
    /// The plan's name (default: the run that was touched last)
    pub run: Option<String>,
    /// The file to write (default: support-NAME.tar.xz here)
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

impl Support {
    pub async fn run(self, state_dir: &Path) -> Exit {
        match self.packed(state_dir) {
            Ok(words) => {
                print(&words);
                Exit::Proven
            }
            Err(why) => {
                print_error(&why);
                Exit::Usage
            }
        }
    }

    fn packed(&self, state_dir: &Path) -> Result<String, String> {
        let path = find(state_dir, self.run.as_deref())?;
        let folder = judged(&path)?;
        // `run` is the folder of a run in the lab; a bundle has it under the name by which a person knows it.
        let name = name_of(&path);
        let secrets = remember_secrets(&folder).err();
        let (records, damage) = match Journal::read(&folder.journal()) {
            Ok(read) => (read.records, None),
            Err(e) => (Vec::new(), Some(with_next(&e, &e.next()))),
        };
        let raw = damage.as_ref().and_then(|_| read_regular(&folder.journal(), LONGEST));
        let (plan, log) = (read_regular(&folder.plan(), LONGEST), read_regular(&folder.log(), LONGEST));
        let about = About {
            cozyup: env!("CARGO_PKG_VERSION").to_string(),
            system: system(),
            journal: damage.clone(),
            secrets: secrets.clone(),
            files: files(folder.path()),
        };
        let parts = Parts {
            name: &name,
            records: &records,
            damaged: raw.as_deref(),
            plan: plan.as_deref(),
            log: log.as_deref(),
            about,
        };
        let packed = bundle(&parts).map_err(|e| format!("the bundle can't be made: {e}"))?;
        let out = self.out.clone().unwrap_or_else(|| PathBuf::from(format!("support-{name}.tar.xz")));
        write_private(&out, &packed).map_err(|e| {
            format!(
                "{} can't be written: {e}\nnext: give a file in a folder that you may write to: --out FILE",
                out.display()
            )
        })?;
        let mut words = vec![format!("written: {} ({} bytes, {} records)", out.display(), packed.len(), records.len())];
        words.extend(damage.map(|why| format!("note: {why}; what can be read of it as text is in the bundle")));
        words.extend(secrets.map(|why| {
            format!(
                "note: {why}: only what has the form of a secret was looked for; read the bundle before you send it"
            )
        }));
        words
            .push(format!("look into it: tar -xf {0}; cozyup --state-dir support-{name} status {name}", out.display()));
        Ok(words.join("\n"))
    }
}

/// Reads every secret of the run, so that each is known and hidden wherever it stands.
///
/// # Errors
/// When one can't be read, such as a sealed one.
fn remember_secrets(folder: &RunFolder) -> Result<(), String> {
    let token = plan::load_own(&folder.plan()).ok().map(|loaded| compose::token_secret(&loaded.plan));
    // A token that is not here any more may still stand in a text; the forms of tokens are looked for.
    drop(token);
    let entries = match std::fs::read_dir(folder.secrets()) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(format!("the run's secrets can't be read: {e}")),
    };
    let mut unread = None;
    for path in entries.flatten().map(|e| e.path()) {
        let is_sealed = path.extension().is_some_and(|e| e == "age");
        match (is_sealed, read_private(&path)) {
            (false, Ok(text)) => drop(Secret::new(text.expose().to_string())),
            (true, _) | (_, Err(_)) => unread = Some(path),
        }
    }
    unread.map_or(Ok(()), |path| Err(format!("{} is sealed or can't be read", path.display())))
}

fn system() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{} {} {}", std::env::consts::OS, clean(&release), std::env::consts::ARCH)
}

/// Names, sizes and modes below the run's folder, two levels deep.
fn files(folder: &Path) -> Vec<FileSeen> {
    let mut all = Vec::new();
    let mut dirs = vec![folder.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            let Ok(found) = entry.metadata() else { continue };
            let path = entry.path();
            let name = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
            let mode = format!("{:o}", found.permissions().mode() & 0o7777);
            all.push(FileSeen { name: clean(&name), bytes: found.len(), mode });
            if found.is_dir() && dir == folder {
                dirs.push(path);
            }
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}
