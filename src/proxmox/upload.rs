//! Uploading a file into a storage: multipart, streamed, its length known before the first byte.
//!
//! pveproxy takes no chunked body and reads the fields in one fixed order with the file last.
use super::changer::{Changer, upid};
use super::error::Error;
use super::path::Path;
use super::upid::Upid;
use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt};
use std::io;
use std::time::Duration;
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::watch;
use zeroize::Zeroizing;

const WITHOUT_PROGRESS: Duration = Duration::from_secs(30);
/// From the last byte to the answer: the server still hands the file to a task.
const ANSWER: Duration = Duration::from_secs(60);
/// The time that a refusal may take which is asked for without the file; pveproxy holds one back for 3 s.
const REFUSAL: Duration = Duration::from_secs(6);
const CHUNK: usize = 256 << 10;

impl Changer {
    /// Sends `file` as `filename` (letters, digits, `.`, `_`, `-`, `+`, `=`) with content type `iso`, `import` or
    /// `vztmpl`; the server checks `sha256` (hexadecimal) in the task. A file of that name is replaced. `progress`
    /// gets bytes sent and bytes in all, of the whole request. Ends after 30 s without a byte moving.
    ///
    /// The file is spooled on the node that was contacted: it needs the room twice when that is also `node`.
    ///
    /// # Errors
    /// [`Error::File`] when `file` can't be read or changed its length meanwhile.
    #[allow(clippy::too_many_arguments)] // each names one field of the request
    pub async fn upload(
        &self,
        node: &str,
        storage: &str,
        content: &str,
        filename: &str,
        sha256: &str,
        file: &std::path::Path,
        progress: impl Fn(u64, u64),
    ) -> Result<Upid, Error> {
        check(content, filename, sha256)?;
        let unreadable = |e: io::Error| Error::File { what: format!("{}: {e}", file.display()) };
        let _place = self.connection.upload_place().await?;
        let open = File::open(file).await.map_err(unreadable)?;
        let size = open.metadata().await.map_err(unreadable)?.len();
        let whole = Whole { size, bytes: Box::new(open), shown: file.display().to_string() };
        self.send([node, storage, content, filename, sha256], whole, progress).await
    }

    /// The same for bytes that lie on no disk: what is secret.
    ///
    /// # Errors
    /// As [`Changer::upload`].
    pub async fn upload_bytes(
        &self,
        node: &str,
        storage: &str,
        content: &str,
        filename: &str,
        sha256: &str,
        bytes: Zeroizing<Vec<u8>>,
    ) -> Result<Upid, Error> {
        check(content, filename, sha256)?;
        let _place = self.connection.upload_place().await?;
        let size = bytes.len() as u64;
        let whole = Whole { size, bytes: Box::new(io::Cursor::new(bytes)), shown: filename.to_string() };
        self.send([node, storage, content, filename, sha256], whole, |_, _| ()).await
    }

    async fn send(
        &self,
        [node, storage, content, filename, sha256]: [&str; 5],
        whole: Whole,
        progress: impl Fn(u64, u64),
    ) -> Result<Upid, Error> {
        let Whole { size, bytes, shown } = whole;
        let envelope = Envelope::new(content, filename, sha256);
        let total = envelope.head.len() as u64 + size + envelope.tail.len() as u64;
        let path = Path::of(&["nodes", node, "storage", storage, "upload"])?;
        let content_type = format!("multipart/form-data; boundary={}", envelope.boundary);

        let (sent, mut moved) = watch::channel(0_u64);
        let (broken, mut flaw) = watch::channel(None);
        let body = reqwest::Body::wrap_stream(parts(envelope, bytes, size, sent, broken));
        let call = self.connection.send_body(&path, &content_type, total, body);
        tokio::pin!(call);
        let mut watching = true;
        let answer = loop {
            let done = *moved.borrow_and_update();
            let patience = if done < total { WITHOUT_PROGRESS } else { ANSWER };
            tokio::select! {
                answer = &mut call => break answer,
                change = moved.changed(), if watching => match change {
                    Ok(()) => progress(*moved.borrow(), total),
                    Err(_) => watching = false,
                },
                () = tokio::time::sleep(patience) => break Err(Error::Busy {
                    status: None,
                    text: format!("upload of {filename}: nothing moved for {} s at {done} of {total} bytes", patience.as_secs()),
                }),
            }
        };
        if let Some(what) = flaw.borrow_and_update().clone() {
            return Err(Error::File { what: format!("{shown}: {what}") });
        }
        match answer {
            Err(cut @ Error::Unreachable { .. }) => {
                let envelope = Envelope::new(content, filename, sha256);
                Err(self.why_refused(&path, envelope, total).await.unwrap_or(cut))
            }
            answer => upid(&answer?, "upload"),
        }
    }

    /// pveproxy looks at token and right before it reads a body, holds its refusal back for three seconds, and closes the
    /// connection when more of the body comes meanwhile than it buffers: the refusal of a large upload is never seen
    /// (measured on 8.4.1 and 9.1.2). So the same request is sent again without the file, and the answer waited for. A
    /// server that waits for the file has not refused.
    async fn why_refused(&self, path: &Path, envelope: Envelope, total: u64) -> Option<Error> {
        let content_type = format!("multipart/form-data; boundary={}", envelope.boundary);
        let head = stream::once(async { Ok::<_, io::Error>(Bytes::from(envelope.head)) });
        let body = reqwest::Body::wrap_stream(head.chain(stream::pending()));
        let call = self.connection.send_body(path, &content_type, total, body);
        match tokio::time::timeout(REFUSAL, call).await {
            Ok(Err(
                refused @ (Error::Unauthorized { .. }
                | Error::Forbidden { .. }
                | Error::InFront { .. }
                | Error::NotFound { .. }
                | Error::Server { .. }
                | Error::Parameters { .. }),
            )) => Some(refused),
            _ => None,
        }
    }
}

type Source = Box<dyn AsyncRead + Send + Unpin>;

/// The file to send, with the name that a failure gives it.
struct Whole {
    size: u64,
    bytes: Source,
    shown: String,
}

fn check(content: &str, filename: &str, sha256: &str) -> Result<(), Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-+=".contains(c);
    if filename.is_empty() || filename.len() > 255 || filename.starts_with('.') || !filename.chars().all(plain) {
        return Err(Error::parameter("filename", "only letters, digits and . _ - + = are allowed"));
    }
    if content.is_empty() || !content.chars().all(|c| c.is_ascii_lowercase()) {
        return Err(Error::parameter("content", "not a content type"));
    }
    if sha256.len() != 64 || !sha256.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(Error::parameter("checksum", "not a SHA-256 in hexadecimal"));
    }
    Ok(())
}

/// The text before and after the file's bytes.
struct Envelope {
    boundary: String,
    head: String,
    tail: String,
}

impl Envelope {
    fn new(content: &str, filename: &str, sha256: &str) -> Self {
        let boundary = format!("cozyup{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        let field = |name: &str, value: &str| {
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let head = [
            field("content", content),
            field("checksum-algorithm", "sha256"),
            field("checksum", sha256),
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"filename\"; filename=\"{filename}\"\r\n"),
            "Content-Type: application/octet-stream\r\n\r\n".to_string(),
        ]
        .concat();
        let tail = format!("\r\n--{boundary}--\r\n");
        Envelope { boundary, head, tail }
    }
}

enum Next {
    Head(Envelope, Source),
    File(Source, u64, String),
    End,
}

/// Exactly head, `size` bytes of the file and tail; each yielded byte is counted in `sent`. What is wrong with the
/// file is noted in `broken`, since the HTTP client reports only that the body ended early.
fn parts(
    envelope: Envelope,
    file: Source,
    size: u64,
    sent: watch::Sender<u64>,
    broken: watch::Sender<Option<String>>,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::try_unfold(Next::Head(envelope, file), move |next| {
        let (sent, broken) = (sent.clone(), broken.clone());
        async move {
            let (chunk, next) = match next {
                Next::Head(envelope, file) => (Bytes::from(envelope.head), Next::File(file, size, envelope.tail)),
                Next::File(mut file, left, tail) => {
                    let chunk = read(&mut file, left).await.inspect_err(|e| {
                        broken.send_replace(Some(e.to_string()));
                    })?;
                    let left = left - chunk.len() as u64;
                    if chunk.is_empty() {
                        (Bytes::from(tail), Next::End)
                    } else {
                        (chunk, Next::File(file, left, tail))
                    }
                }
                Next::End => return Ok(None),
            };
            sent.send_modify(|count| *count += chunk.len() as u64);
            Ok(Some((chunk, next)))
        }
    })
}

/// The next at most `left` bytes; empty when `left` is 0.
async fn read(file: &mut Source, left: u64) -> io::Result<Bytes> {
    let want = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
    let mut chunk = Vec::with_capacity(want);
    file.take(want as u64).read_to_end(&mut chunk).await?;
    if chunk.is_empty() && want > 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter while it was read"));
    }
    Ok(Bytes::from(chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_break_out_of_its_header_is_refused() {
        let sum = "a".repeat(64);
        assert!(check("iso", "seed-9101.iso", &sum).is_ok());
        for wrong in ["", ".iso", "a\"b.iso", "a/b.iso", "a\r\nb.iso", "ä.iso"] {
            assert!(check("iso", wrong, &sum).is_err(), "{wrong:?}");
        }
        assert!(check("iso\r\n", "a.iso", &sum).is_err());
        assert!(check("iso", "a.iso", "abc").is_err());
    }
}
