//! Files that only their owner may read, written whole or not at all (write, fsync, rename, fsync the folder), and what
//! must hold of a file or folder before a secret is read from it or put into it.
use super::place;
use super::secret::Secret;
use super::text::quoted;
use rustix::fs::OFlags;
use std::fs::{self, File, FileType, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// No secret and no file that people write comes near this.
const LONGEST_TEXT: u64 = 1 << 20;
const OTHERS: u32 = 0o077;
const OTHERS_WRITE: u32 = 0o022;

/// The reason why a file or folder can't be trusted with a secret.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    #[error("{path} can't be used")]
    Io { path: String, source: io::Error },
    #[error("{path} is a symbolic link")]
    Link { path: String },
    #[error("{path} is neither a file, a folder nor a socket")]
    Strange { path: String },
    #[error("{path} is {what}, not a file or a pipe")]
    NoFile { path: String, what: &'static str },
    #[error("{path} belongs to user {owner}, and this is user {us}")]
    Foreign { path: String, owner: u32, us: u32 },
    #[error("{path} may be read by others (mode {mode:o})")]
    Readable { path: String, mode: u32 },
    #[error("{path} may be written to by others (mode {mode:o})")]
    Writable { path: String, mode: u32 },
    #[error("{path} is not a text of at most 1 MiB")]
    NoText { path: String },
    #[error("{} belongs to user {owner}, and this is user {us}", on_the_way(.folder, .path))]
    ForeignFolder { folder: String, path: String, owner: u32, us: u32 },
    /// `own`: it belongs to this user.
    #[error("{} may be written to by {by} (mode {mode:o})", on_the_way(.folder, .path))]
    OpenFolder { folder: String, path: String, by: String, mode: u32, own: bool },
    #[error("the link {link}, on the way to {path}, belongs to user {owner}, and this is user {us}")]
    ForeignLink { link: String, path: String, owner: u32, us: u32 },
    #[error("{path} may be written to by {by} (mode {mode:o})")]
    OpenFile { path: String, by: String, mode: u32 },
    #[error("nothing came from {path} within {seconds} s")]
    Silent { path: String, seconds: u64 },
}

fn on_the_way(folder: &str, path: &str) -> String {
    if folder == path { format!("the folder {folder}") } else { format!("the folder {folder}, on the way to {path},") }
}

impl Unfit {
    /// The next action for a person.
    pub fn next(&self) -> String {
        match self {
            Unfit::Io { path, .. } => format!("check that {path} is there, its permissions, and free space"),
            Unfit::Link { path } => {
                format!("whoever made the link decides where secrets go: put a real file or folder at {path}")
            }
            Unfit::Strange { path } => format!("look what it is (ls -l {}) and take it away", quoted(path)),
            Unfit::NoFile { path, .. } => format!("look whether {path} is the file that was meant"),
            Unfit::Foreign { path, owner, .. } => {
                format!(
                    "work as user {owner}, or make it yours once you trust what is in it: chown -R \"$(id -u)\" {}",
                    quoted(path)
                )
            }
            Unfit::Readable { path, .. } => format!(
                "chmod 600 {}; if others use this machine, take it that they have read it and make a new secret",
                quoted(path)
            ),
            Unfit::Writable { path, .. } => {
                format!("look whether everything in it is yours, then: chmod -R go-rwx {}", quoted(path))
            }
            Unfit::NoText { path } => format!("look whether {path} is the file that was meant"),
            Unfit::ForeignFolder { folder, owner, .. } => format!(
                "its owner can put another file in the place of any in it: use a place that is yours, work as user {owner}, or give \
                 the folder to yourself (as root: chown \"$(id -u)\" {0})",
                quoted(folder)
            ),
            Unfit::OpenFolder { folder, own, .. } => format!(
                "others can put another file in the place of any in it: look whether what is in it is yours, then{}: chmod go-w {} \
                 (or use another place)",
                if *own { "" } else { " as root" },
                quoted(folder)
            ),
            Unfit::ForeignLink { link, .. } => {
                format!(
                    "whoever made the link decides where it leads: name the place itself, or look at it (ls -l {})",
                    quoted(link)
                )
            }
            Unfit::OpenFile { path, .. } => {
                format!("read it through, since others could have written it, then: chmod go-w {}", quoted(path))
            }
            Unfit::Silent { path, .. } => format!("look who is to write to {path}"),
        }
    }
}

/// Makes `dir` and its missing parents, the leaf with mode 0700.
///
/// # Errors
/// The operating system's, with the folder's name in front; also when a link or somebody else's folder is in its place.
pub fn private_dir(dir: &Path) -> io::Result<()> {
    own_dir(dir).map(|_| ()).map_err(|unfit| match unfit {
        Unfit::Io { source, .. } => named(dir, source),
        other => io::Error::other(other.to_string()),
    })
}

/// [`private_dir`] that says whether the folder was open to others before.
///
/// # Errors
/// See [`Unfit`].
pub fn own_dir(dir: &Path) -> Result<Option<String>, Unfit> {
    place::way_to(dir)?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| unusable(dir, e))?;
    own(dir)
}

/// Makes sure that `path` is this user's own and nobody else's: repairs a mode that lets others read, and says so; refuses
/// what others could have put or changed there. A mode tells what others may do from now on, an owner or a link what they
/// have done already: the one can be repaired, the other can't.
///
/// # Errors
/// See [`Unfit`].
pub fn own(path: &Path) -> Result<Option<String>, Unfit> {
    let found = fs::symlink_metadata(path).map_err(|e| unusable(path, e))?;
    let kind = found.file_type();
    if kind.is_symlink() {
        return Err(Unfit::Link { path: shown(path) });
    }
    if !(kind.is_file() || kind.is_dir() || kind.is_socket()) {
        return Err(Unfit::Strange { path: shown(path) });
    }
    of_this_user(path, &found)?;
    let mode = found.mode() & 0o777;
    if kind.is_dir() && mode & OTHERS_WRITE != 0 {
        return Err(Unfit::Writable { path: shown(path), mode });
    }
    if mode & OTHERS == 0 {
        return Ok(None);
    }
    let closed = mode & !OTHERS;
    fs::set_permissions(path, Permissions::from_mode(closed)).map_err(|e| unusable(path, e))?;
    Ok(Some(format!(
        "{} could be read by others (mode {mode:o}); it is {closed:o} now. If others use this machine, take it that they \
         have read it",
        shown(path)
    )))
}

/// [`own`] for everything in `dir`.
///
/// # Errors
/// See [`Unfit`].
pub fn own_entries(dir: &Path) -> Result<Vec<String>, Unfit> {
    let mut words = Vec::new();
    for entry in fs::read_dir(dir).map_err(|e| unusable(dir, e))? {
        let path = entry.map_err(|e| unusable(dir, e))?.path();
        match own(&path) {
            // A worker at work replaces its files.
            Err(Unfit::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {}
            word => words.extend(word?),
        }
    }
    Ok(words)
}

/// Removes what a write left half done when its process was killed.
///
/// # Errors
/// The operating system's.
pub fn remove_half_written(dir: &Path) -> Result<(), Unfit> {
    for entry in fs::read_dir(dir).map_err(|e| unusable(dir, e))? {
        let entry = entry.map_err(|e| unusable(dir, e))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') && name.ends_with(".tmp") {
            fs::remove_file(entry.path()).map_err(|e| unusable(&entry.path(), e))?;
        }
    }
    Ok(())
}

/// A secret from a file (or a pipe) that nobody else may read, without spaces and line breaks around it.
///
/// # Errors
/// See [`Unfit`].
pub fn read_private(path: &Path) -> Result<Secret<String>, Unfit> {
    // Whoever can put another file there can have any other one of ours read as this secret.
    place::way_to(path)?;
    let file = open_at_once(path)?;
    // Of the open file: between a look at the name and the opening another file could come into its place.
    let found = file.metadata().map_err(|e| unusable(path, e))?;
    // Before its mode: nobody is to be told to change that of a device, or of a folder like /tmp.
    no_file(path, found.file_type())?;
    of_this_user(path, &found)?;
    let mode = found.mode() & 0o777;
    if mode & OTHERS != 0 {
        return Err(Unfit::Readable { path: shown(path), mode });
    }
    let bytes = Zeroizing::new(drained(file, path, LONGEST_TEXT, ASKING)?);
    let text = std::str::from_utf8(&bytes).ok().filter(|text| text.len() as u64 <= LONGEST_TEXT);
    let text = text.ok_or_else(|| Unfit::NoText { path: shown(path) })?;
    Ok(Secret::new(text.trim().to_string()))
}

fn no_file(path: &Path, kind: FileType) -> Result<(), Unfit> {
    let what = match kind {
        _ if kind.is_dir() => "a folder",
        _ if kind.is_char_device() || kind.is_block_device() => "a device",
        _ => return Ok(()),
    };
    Err(Unfit::NoFile { path: shown(path), what })
}

/// The time that a pipe, a terminal or a device may say nothing.
const SILENCE: Duration = Duration::from_secs(10);
/// And one that a password store is behind, which may ask a person first.
const ASKING: Duration = Duration::from_secs(120);

/// At most `limit` bytes and one more of what is at `path`. A regular file is read as it is; anything else is read once, and
/// not waited for when nothing comes.
///
/// # Errors
/// [`Unfit::Io`] and [`Unfit::Silent`].
pub fn read_patiently(path: &Path, limit: u64) -> Result<Vec<u8>, Unfit> {
    read_within(path, limit, SILENCE)
}

/// The text of at most 1 MiB at `path`, read as [`read_patiently`] does.
///
/// # Errors
/// See [`read_patiently`], and [`Unfit::NoText`].
pub fn read_text(path: &Path) -> Result<String, Unfit> {
    let bytes = read_patiently(path, LONGEST_TEXT)?;
    let text =
        Some(bytes).filter(|bytes| bytes.len() as u64 <= LONGEST_TEXT).and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| Unfit::NoText { path: shown(path) })
}

fn read_within(path: &Path, limit: u64, silence: Duration) -> Result<Vec<u8>, Unfit> {
    drained(open_at_once(path)?, path, limit, silence)
}

/// Opens for reading; a named pipe without a writer is not waited for.
fn open_at_once(path: &Path) -> Result<File, Unfit> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|e| unusable(path, e))
}

fn drained(file: File, path: &Path, limit: u64, silence: Duration) -> Result<Vec<u8>, Unfit> {
    let io = |e| unusable(path, e);
    let found = file.metadata().map_err(io)?;
    if found.is_dir() {
        return Err(io(ErrorKind::IsADirectory.into()));
    }
    let is_named = found.file_type().is_fifo() && !is_nameless(&file);
    let (mut bytes, mut file) = (Vec::new(), file.take(limit + 1));
    if found.is_file() {
        file.read_to_end(&mut bytes).map_err(io)?;
        return Ok(bytes);
    }
    let (mut heard, mut buffer) = (Instant::now(), Zeroizing::new([0; 8192]));
    loop {
        match file.read(buffer.as_mut_slice()) {
            // A named pipe that nobody has opened for writing yet reads as if it were at its end.
            Ok(0) if bytes.is_empty() && is_named => {}
            Ok(0) => return Ok(bytes),
            Ok(n) => {
                bytes.extend_from_slice(buffer.get(..n).unwrap_or_default());
                heard = Instant::now();
                continue;
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(e) => return Err(io(e)),
        }
        if heard.elapsed() > silence {
            return Err(Unfit::Silent { path: shown(path), seconds: silence.as_secs() });
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// True for a pipe between two processes that has no name: it is complete when it ends.
fn is_nameless(file: &File) -> bool {
    let open = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
    open.is_ok_and(|target| target.to_string_lossy().starts_with("pipe:["))
}

/// The text of a regular file of at most `limit` bytes, links followed; anything else is none. Never waits.
pub fn read_regular(path: &Path, limit: u64) -> Option<String> {
    let file = open_at_once(path).ok()?;
    let found = file.metadata().ok()?;
    let mut text = String::new();
    let fits = found.is_file() && found.len() <= limit;
    (fits && file.take(limit).read_to_string(&mut text).is_ok()).then_some(text)
}

fn of_this_user(path: &Path, found: &Metadata) -> Result<(), Unfit> {
    let us = rustix::process::geteuid().as_raw();
    if found.uid() == us { Ok(()) } else { Err(Unfit::Foreign { path: shown(path), owner: found.uid(), us }) }
}

/// Replaces `path` by `bytes`, mode 0600; a crash leaves either the old file or the new one.
///
/// # Errors
/// The operating system's, with the file's name in front; the old file is then still whole.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_with_mode(path, bytes, 0o600)
}

/// [`write_private`] for a file with no secret in it (mode 0644).
///
/// # Errors
/// See [`write_private`].
pub fn write_public(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_with_mode(path, bytes, 0o644)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Brings to disk that `path` is there, or is there no more: a name is its folder's.
///
/// # Errors
/// The operating system's.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

fn write_with_mode(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary: PathBuf = folder_of(path).join(format!(".{name}.{}.tmp", std::process::id()));
    // A file that is there already was left by an older process with the same number, or is a trap: it is never written
    // through.
    let _ = fs::remove_file(&temporary);
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        sync_folder_of(path)
    })();
    if written.is_err() {
        // The half-written copy is ours and of no use; that it can't be removed changes nothing.
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(|e| named(path, e))
}

fn named(path: &Path, e: io::Error) -> io::Error {
    io::Error::new(e.kind(), format!("{}: {e}", path.display()))
}

fn unusable(path: &Path, source: io::Error) -> Unfit {
    Unfit::Io { path: shown(path), source }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests;
