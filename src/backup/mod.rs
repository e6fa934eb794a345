//! A backup of what an API server holds: every kind that it serves, one file per kind and namespace, which a person can read
//! and `kubectl apply`. It only reads from the cluster.
//!
//! ```text
//! DIR/objects/KIND/NAMESPACE.yaml         what somebody or Helm has made
//!                 /NAMESPACE.owned.yaml   what a controller has made of it, to be read and not to be applied
//!                 /_cluster.yaml          of kinds without a namespace
//!    /sealed/...                          Secrets, etcd's snapshot, and whole objects of which a part was withheld: age
//!    /SHA256SUMS, /manifest.json          the manifest is written last; without it a backup is not finished
//!    /unfinished.jsonl                    what is whole so far, while it is being made
//! ```
//! `choice` says which kinds are left out and why, `withhold` finds secrets in other kinds, `ready` takes away what a server
//! adds, `take` does it, `verify` and `show` read it again. `tell` makes the sentences.
mod choice;
mod document;
mod etcd;
mod fault;
mod folder;
mod manifest;
mod parts;
mod ready;
mod show;
mod take;
mod tell;
mod verify;
mod withhold;
pub mod yaml;

pub use choice::Why;
pub use fault::Fault;
pub use folder::Sealing;
pub use manifest::{Gap, Manifest};
pub use show::{Shown, Wanted, show};
pub use take::{Order, Progress, Taken, bounds, take};
pub use tell::{progress, shown_note, taken, verified};
pub use verify::{Difference, Verdict, verify};
pub use withhold::withhold;

use aws_lc_rs::digest::{Context, SHA256};
use std::io::{self, Read, Write};

/// Longest single read from a file, in bytes.
const CHUNK: usize = 64 << 10;

/// Counts and digests what goes through to `inner`.
struct Hashing<W> {
    inner: W,
    context: Context,
    bytes: u64,
}

impl<W: Write> Hashing<W> {
    fn new(inner: W) -> Hashing<W> {
        Hashing { inner, context: Context::new(&SHA256), bytes: 0 }
    }

    /// Length and SHA-256, and what was written to.
    fn finish(self) -> (u64, String, W) {
        (self.bytes, crate::base::text::hex(self.context.finish().as_ref()), self.inner)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.context.update(bytes.get(..written).unwrap_or(bytes));
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Length and SHA-256 of all that can be read.
fn digest_of(mut from: impl Read) -> io::Result<(u64, String)> {
    let mut to = Hashing::new(io::sink());
    let mut buffer = vec![0; CHUNK];
    loop {
        match from.read(&mut buffer)? {
            0 => break,
            n => to.write_all(buffer.get(..n).unwrap_or_default())?,
        }
    }
    let (bytes, sum, _) = to.finish();
    Ok((bytes, sum))
}
