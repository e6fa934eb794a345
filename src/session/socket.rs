//! The socket in a run's folder, and lines of JSON over it.
use crate::base::json;
use futures::{SinkExt, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::codec::{Framed, LinesCodec, LinesCodecError};

const NAME: &str = "socket";
/// A record with a large answer in its proof is the longest line there is.
const LONGEST_LINE: usize = 16 * 1024 * 1024;

/// A connection on the run's socket, split into lines.
pub type Lines = Framed<UnixStream, LinesCodec>;

/// A path of the socket that is short enough for the kernel (108 bytes) however deep the folder lies. Good while the
/// folder's file is open.
fn short(folder: &Path) -> io::Result<(File, PathBuf)> {
    let open = File::open(folder)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/{NAME}", open.as_raw_fd()));
    Ok((open, path))
}

/// Listens in the run's folder (socket 0600 in a 0700 folder). Only the holder of the run's lock may call this: a socket
/// that is there is a dead worker's.
///
/// # Errors
/// The operating system's.
pub fn listen(folder: &Path) -> io::Result<UnixListener> {
    remove(folder)?;
    listen_anew(folder)
}

/// True when the socket file of the worker still exists; a cleaner of old files may have removed it.
pub fn is_there(folder: &Path) -> bool {
    folder.join(NAME).exists()
}

/// [`listen`] that removes nothing: what is there is somebody's.
///
/// # Errors
/// The operating system's.
pub fn listen_anew(folder: &Path) -> io::Result<UnixListener> {
    let (_open, path) = short(folder)?;
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(folder.join(NAME), Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// # Errors
/// The operating system's; no worker, no error.
pub fn remove(folder: &Path) -> io::Result<()> {
    match std::fs::remove_file(folder.join(NAME)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// # Errors
/// `NotFound` or `ConnectionRefused` when no worker listens.
pub async fn connect(folder: &Path) -> io::Result<UnixStream> {
    let (_open, path) = short(folder)?;
    UnixStream::connect(&path).await
}

/// Splits a connection into lines; a line of more than 16 MiB is an error.
pub fn lines(stream: UnixStream) -> Lines {
    Framed::new(stream, codec())
}

pub(super) fn codec() -> LinesCodec {
    LinesCodec::new_with_max_length(LONGEST_LINE)
}

/// The user at the other end, unless it is this one or root. Both ends ask before they say a word.
///
/// # Errors
/// The operating system's.
pub fn stranger(stream: &UnixStream) -> io::Result<Option<u32>> {
    let (peer, own) = (stream.peer_cred()?.uid(), rustix::process::geteuid().as_raw());
    Ok((peer != own && peer != 0).then_some(peer))
}

/// # Errors
/// When the other end is gone.
pub async fn send(lines: &mut Lines, message: &impl Serialize) -> io::Result<()> {
    feed(lines, message).await?;
    flush(lines).await
}

/// [`send`] without waiting for it to be on its way.
///
/// # Errors
/// When the other end is gone.
pub async fn feed(lines: &mut Lines, message: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_string(message)?;
    lines.feed(text).await.map_err(other)
}

/// # Errors
/// When the other end is gone.
pub async fn flush(lines: &mut Lines) -> io::Result<()> {
    SinkExt::<String>::flush(lines).await.map_err(other)
}

/// The next message; `None` at the end.
///
/// # Errors
/// When the other end talks nonsense.
pub async fn receive<M: Message>(lines: &mut Lines) -> io::Result<Option<M>> {
    match lines.next().await {
        None => Ok(None),
        Some(line) => parse(&line.map_err(other)?).map(Some),
    }
}

/// A message that another version can make richer.
pub trait Message: DeserializeOwned {
    /// Stands for one that this version does not know.
    fn unknown() -> Self;
}

/// # Errors
/// `InvalidData` for what is no message at all.
pub(super) fn parse<M: Message>(line: &str) -> io::Result<M> {
    let told = |e| io::Error::new(io::ErrorKind::InvalidData, e);
    json::read(line.as_bytes()).or_else(|e| {
        // A known kind with something newer inside: an event, a request.
        let value: serde_json::Value = serde_json::from_str(line).map_err(told)?;
        if value.get("kind").is_some_and(serde_json::Value::is_string) { Ok(M::unknown()) } else { Err(told(e)) }
    })
}

fn other(e: LinesCodecError) -> io::Error {
    match e {
        LinesCodecError::Io(e) => e,
        LinesCodecError::MaxLineLengthExceeded => io::Error::other("a line is longer than any message"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::protocol::ToWorker;
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn a_line_that_is_longer_than_any_message_is_given_up_while_it_comes() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let sending = tokio::spawn(async move {
            let (piece, mut sent) = (vec![b'x'; 1 << 20], 0);
            while theirs.write_all(&piece).await.is_ok() {
                sent += piece.len();
            }
            sent
        });
        let mut lines = lines(ours);
        let error = receive::<ToWorker>(&mut lines).await.unwrap_err();
        assert!(error.to_string().contains("longer than any message"), "{error}");
        drop(lines);
        let sent = sending.await.unwrap();
        assert!((LONGEST_LINE - (1 << 20)..LONGEST_LINE + (4 << 20)).contains(&sent), "{sent}");
    }
}
