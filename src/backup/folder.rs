//! The folder of a backup while it is made: whose it is, what is whole so far, and that nobody else writes to it.
use super::digest_of;
use super::fault::{Fault, within};
use super::manifest::{self, Cluster, KindKept, Manifest};
use crate::base::file::{own_dir, remove_half_written, write_private};
use crate::base::place;
use crate::base::sealing::Recipient;
use crate::base::vault::{self, Key};
use jiff::Timestamp;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

pub const UNFINISHED: &str = "unfinished.jsonl";
pub const OBJECTS: &str = "objects";
pub const SEALED: &str = "sealed";
/// Longest file of what is whole so far, in bytes.
const LONGEST: u64 = 64 << 20;

/// For whom Secrets are encrypted.
#[derive(Debug, Clone)]
pub enum Sealing {
    /// None are taken.
    No,
    /// For a public key alone: whoever makes the backup can't open it.
    To(Recipient),
    /// For a key of age's, or a passphrase.
    By(Key),
}

/// The first line of what is whole so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    schema: u32,
    cluster: Cluster,
    began: Timestamp,
    sealed_for: Option<String>,
}

pub struct Folder {
    pub dir: PathBuf,
    /// Locked for as long as this value lives.
    progress: File,
    pub began: Timestamp,
    pub recipient: Option<Recipient>,
    /// Kinds that are whole, from earlier attempts too.
    pub whole: Vec<KindKept>,
    /// Words on what was repaired.
    pub words: Vec<String>,
}

enum There {
    Nothing,
    Unfinished,
    Partial(Box<Manifest>),
}

impl Folder {
    /// Begins a backup of `cluster` in `dir`, or goes on with it.
    ///
    /// # Errors
    /// When the folder is somebody else's, another backup's, or can't be written to.
    pub fn open(dir: &Path, cluster: &Cluster, sealing: &Sealing, now: Timestamp) -> Result<Folder, Fault> {
        place::way_to(dir)?;
        let there = there(dir)?;
        let words = own_dir(dir)?.into_iter().collect();
        let path = dir.join(UNFINISHED);
        let mut progress = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(&path)
            .map_err(Fault::io(&path))?;
        if rustix::fs::flock(&progress, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(Fault::Busy { dir: shown(dir) });
        }
        remove_half_written(dir)?;
        let kept = match there {
            There::Partial(manifest) => Some(of_manifest(*manifest)),
            There::Nothing | There::Unfinished => of_file(&mut progress).map_err(Fault::io(&path))?,
        };
        let (header, whole) = match kept {
            Some((header, whole)) => {
                judged(dir, &header, cluster, sealing)?;
                (header, whole.into_iter().filter(|kind| is_as_written(dir, kind)).collect())
            }
            None => (begun(dir, cluster, sealing, now)?, Vec::new()),
        };
        let recipient = header.sealed_for.as_deref().map(str::parse).transpose();
        let recipient = recipient.map_err(|why| Fault::Key { why })?;
        let mut folder = Folder { dir: dir.to_path_buf(), progress, began: header.began, recipient, whole, words };
        folder.rewrite(&header)?;
        folder.remove_rest()?;
        Ok(folder)
    }

    /// The file anew, with what is whole; then a manifest with gaps is none any more.
    fn rewrite(&mut self, header: &Header) -> Result<(), Fault> {
        let path = self.dir.join(UNFINISHED);
        let mut text = line(header);
        self.whole.iter().for_each(|kind| text.push_str(&line(kind)));
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(text.as_bytes())?;
            file.sync_data()
        };
        write(&mut self.progress).map_err(Fault::io(&path))?;
        remove_file(&self.dir.join(manifest::NAME))
    }

    /// Notes that a kind is whole.
    ///
    /// # Errors
    /// The operating system's.
    pub fn keep(&mut self, kind: KindKept) -> Result<(), Fault> {
        let path = self.dir.join(UNFINISHED);
        let written = self.progress.write_all(line(&kind).as_bytes()).and_then(|()| self.progress.sync_data());
        written.map_err(Fault::io(&path))?;
        self.whole.push(kind);
        Ok(())
    }

    /// Removes what belongs to no kind that is whole: an earlier attempt left it.
    fn remove_rest(&self) -> Result<(), Fault> {
        let whole: BTreeSet<&str> = self.whole.iter().map(|k| k.resource.as_str()).collect();
        for top in [OBJECTS, SEALED] {
            let top = self.dir.join(top);
            let entries = match fs::read_dir(&top) {
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                entries => entries.map_err(Fault::io(&top))?,
            };
            for entry in entries {
                let entry = entry.map_err(Fault::io(&top))?;
                let name = entry.file_name().to_string_lossy().to_string();
                if entry.file_type().is_ok_and(|t| t.is_dir()) && !whole.contains(name.as_str()) {
                    remove_dir(&entry.path())?;
                }
            }
        }
        Ok(())
    }

    /// The manifest, once everything before it is on the disk.
    ///
    /// # Errors
    /// The operating system's.
    pub fn finish(self, manifest: &Manifest) -> Result<(), Fault> {
        let dir = File::open(&self.dir).map_err(Fault::io(&self.dir))?;
        rustix::fs::syncfs(&dir).map_err(|e| Fault::io(&self.dir)(e.into()))?;
        let path = self.dir.join(manifest::NAME);
        write_private(&path, manifest.text().as_bytes()).map_err(Fault::io(&path))?;
        remove_file(&self.dir.join(UNFINISHED))
    }
}

fn shown(dir: &Path) -> String {
    dir.display().to_string()
}

fn line(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string(value).unwrap_or_default();
    text.push('\n');
    text
}

fn there(dir: &Path) -> Result<There, Fault> {
    let mut entries = match fs::read_dir(dir) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(There::Nothing),
        entries => entries.map_err(Fault::io(dir))?,
    };
    if dir.join(manifest::NAME).exists() {
        let manifest = Manifest::read(dir)?;
        let is_whole = manifest.gaps.is_empty();
        return if is_whole {
            Err(Fault::Complete { dir: shown(dir) })
        } else {
            Ok(There::Partial(Box::new(manifest)))
        };
    }
    if dir.join(UNFINISHED).exists() {
        return Ok(There::Unfinished);
    }
    if entries.next().is_some() { Err(Fault::Stranger { dir: shown(dir) }) } else { Ok(There::Nothing) }
}

/// The kinds that were read to their end; the others are read again.
fn of_manifest(manifest: Manifest) -> (Header, Vec<KindKept>) {
    let header = Header {
        schema: manifest.schema,
        cluster: manifest.cluster,
        began: manifest.began,
        sealed_for: manifest.sealed_for,
    };
    let gaps: BTreeSet<String> = manifest.gaps.into_iter().map(|g| g.what).collect();
    (header, manifest.kinds.into_iter().filter(|k| !gaps.contains(&k.resource)).collect())
}

/// `None` when nothing was whole: the attempt ended before its first line.
fn of_file(file: &mut File) -> io::Result<Option<(Header, Vec<KindKept>)>> {
    let mut bytes = Vec::new();
    Read::take(&mut *file, LONGEST).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    // The last line of a killed process may be half a line.
    let mut lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let Some(header) = lines.next().and_then(|line| serde_json::from_str(line).ok()) else { return Ok(None) };
    Ok(Some((header, lines.map_while(|line| serde_json::from_str(line).ok()).collect())))
}

fn judged(dir: &Path, header: &Header, cluster: &Cluster, sealing: &Sealing) -> Result<(), Fault> {
    let (there, here) = (&header.cluster, cluster);
    let is_same = match (&there.uid, &here.uid) {
        (Some(a), Some(b)) => a == b,
        (None, _) | (_, None) => there.server == here.server,
    };
    if !is_same || header.schema != manifest::SCHEMA {
        let name = |c: &Cluster| format!("{} ({})", c.server, c.uid.as_deref().unwrap_or("uid unknown"));
        return Err(Fault::OtherCluster { dir: shown(dir), there: name(there), here: name(here) });
    }
    let other = |there, here| Err(Fault::OtherSecrets { dir: shown(dir), there, here });
    match (&header.sealed_for, sealing) {
        (None, Sealing::No) | (Some(_), Sealing::By(Key::Passphrase(_))) => Ok(()),
        (None, Sealing::To(_) | Sealing::By(_)) => other("without", "with"),
        (Some(_), Sealing::No) => other("with", "without"),
        (Some(kept), Sealing::To(wanted)) if *kept == wanted.to_string() => Ok(()),
        (Some(kept), Sealing::By(Key::Identity(identity)))
            if Recipient::of_identity(identity).is_some_and(|r| r.to_string() == *kept) =>
        {
            Ok(())
        }
        (Some(_), Sealing::To(_) | Sealing::By(_)) => Err(Fault::OtherRecipient { dir: shown(dir) }),
    }
}

fn begun(dir: &Path, cluster: &Cluster, sealing: &Sealing, now: Timestamp) -> Result<Header, Fault> {
    for top in [OBJECTS, SEALED] {
        remove_dir(&dir.join(top))?;
    }
    let folder = |name: &str| {
        let path = dir.join(name);
        DirBuilder::new().mode(0o700).create(&path).map_err(Fault::io(&path)).map(|()| path)
    };
    folder(OBJECTS)?;
    let sealed_for = match sealing {
        Sealing::No => None,
        Sealing::To(recipient) => {
            let [name, _] = vault::OWN;
            let path = folder(SEALED)?.join(name);
            write_private(&path, format!("{recipient}\n").as_bytes()).map_err(Fault::io(&path))?;
            Some(recipient.to_string())
        }
        Sealing::By(key) => {
            let sealed = folder(SEALED)?;
            vault::seal(&sealed, key, vault::WORK).map_err(|e| Fault::Key { why: e.to_string() })?;
            let [name, _] = vault::OWN;
            let path = sealed.join(name);
            Some(fs::read_to_string(&path).map_err(Fault::io(&path))?.trim().to_string())
        }
    };
    Ok(Header { schema: manifest::SCHEMA, cluster: cluster.clone(), began: now, sealed_for })
}

/// True when every file of it lies there as it was written; another one is read again.
fn is_as_written(dir: &Path, kind: &KindKept) -> bool {
    kind.files.iter().all(|kept| {
        let file = within(dir, &kept.path).and_then(|path| File::open(path).ok());
        file.and_then(|file| digest_of(file).ok()).is_some_and(|(bytes, sum)| bytes == kept.bytes && sum == kept.sha256)
    })
}

/// # Errors
/// The operating system's; a folder that is not there is removed already.
pub fn remove_dir(path: &Path) -> Result<(), Fault> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Fault::io(path)(e)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn remove_file(path: &Path) -> Result<(), Fault> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Fault::io(path)(e)),
        Ok(()) | Err(_) => Ok(()),
    }
}
