//! etcd's snapshot, through Talos: the only part of a backup that shows one moment of the whole cluster. It holds every
//! Secret, so it is only ever written encrypted.
use super::Hashing;
use super::fault::Fault;
use super::manifest::FileKept;
use crate::base::sealing::Recipient;
use crate::talos::Secure;
use crate::talos::secrets::Access;
use aws_lc_rs::digest::{Context, SHA256};
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{BufWriter, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

pub const FILE: &str = "sealed/etcd.snapshot.age";
/// Bytes of the digest at its end.
const SUM: usize = 32;
/// Where bbolt's sign stands in its first page, and the sign (bbolt v1.3, `internal/common`).
const SIGN_AT: usize = 16;
const SIGN: u32 = 0xED0C_DAED;
/// Bytes of the beginning that are looked at.
const BEGINNING: usize = SIGN_AT + 4;

/// Compares a snapshot's digest with the one at its end, as `etcdutl snapshot status` does.
struct Checked {
    context: Context,
    /// The last bytes so far: they may be the digest.
    held: Vec<u8>,
    beginning: Vec<u8>,
}

impl Checked {
    fn new() -> Checked {
        Checked { context: Context::new(&SHA256), held: Vec::new(), beginning: Vec::new() }
    }

    fn take(&mut self, bytes: &[u8]) {
        let room = BEGINNING.saturating_sub(self.beginning.len());
        self.beginning.extend(bytes.iter().take(room));
        self.held.extend_from_slice(bytes);
        let known = self.held.len().saturating_sub(SUM);
        self.context.update(self.held.get(..known).unwrap_or_default());
        self.held.drain(..known);
    }

    fn finish(self) -> Result<(), Fault> {
        let sign = self.beginning.get(SIGN_AT..BEGINNING).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
        if sign != Some(SIGN) {
            return Err(Fault::Snapshot { why: "it does not begin as a database of etcd" });
        }
        if self.context.finish().as_ref() != self.held.as_slice() {
            return Err(Fault::Snapshot {
                why: "it is not the one that its own digest is of: it was cut off or changed",
            });
        }
        Ok(())
    }
}

/// Takes the snapshot of the first endpoint that gives one, and says which it was. `nodes` are addresses of the cluster's nodes.
///
/// # Errors
/// When the machines are of another cluster, or none gives a whole snapshot: then the last one's reason.
pub async fn snapshot(
    dir: &Path,
    access: &Access,
    recipient: &Recipient,
    nodes: &BTreeSet<IpAddr>,
) -> Result<(FileKept, String), Fault> {
    let of_this_cluster: Vec<IpAddr> = access.endpoints.iter().copied().filter(|a| nodes.contains(a)).collect();
    let mut last = Fault::OtherTalos;
    for address in of_this_cluster {
        match one(dir, access, recipient, address).await {
            Ok(kept) => return Ok((kept, address.to_string())),
            Err(e @ Fault::Io { .. }) => return Err(e),
            Err(e) => last = e,
        }
    }
    // What is half written is of no use.
    let _ = fs::remove_file(dir.join(FILE));
    Err(last)
}

async fn one(dir: &Path, access: &Access, recipient: &Recipient, address: IpAddr) -> Result<FileKept, Fault> {
    let node = Secure::connect(address, &access.certificate).await?;
    let path = dir.join(FILE);
    let io = Fault::io(&path);
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).map_err(&io)?;
    let mut sealed = recipient.seal(Hashing::new(BufWriter::new(file))).map_err(&io)?;
    let mut checked = Checked::new();
    node.etcd_snapshot(|piece: &[u8]| {
        checked.take(piece);
        sealed.write_all(piece).map_err(&io)
    })
    .await?;
    checked.finish()?;
    let (bytes, sha256, buffered) = sealed.finish().map_err(&io)?.finish();
    buffered.into_inner().map_err(|e| io(e.into_error()))?;
    Ok(FileKept { path: FILE.to_string(), bytes, sha256, objects: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::digest::digest;

    fn whole() -> Vec<u8> {
        let mut bytes = vec![7; 4096 * 3];
        bytes[SIGN_AT..BEGINNING].copy_from_slice(&SIGN.to_le_bytes());
        let sum = digest(&SHA256, &bytes);
        bytes.extend(sum.as_ref());
        bytes
    }

    fn judged(bytes: &[u8], piece: usize) -> Result<(), Fault> {
        let mut checked = Checked::new();
        bytes.chunks(piece).for_each(|piece| checked.take(piece));
        checked.finish()
    }

    #[test]
    fn a_snapshot_that_was_cut_off_or_changed_is_told_by_its_own_digest() {
        let bytes = whole();
        for piece in [1, 31, 4096, 1 << 20] {
            judged(&bytes, piece).unwrap();
            for cut in [0, 1, 40, 4096, bytes.len() - 1] {
                assert!(matches!(judged(&bytes[..cut], piece), Err(Fault::Snapshot { .. })), "{cut}");
            }
        }
        for at in [17, 5000, bytes.len() - 1] {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(judged(&changed, 100).is_err());
        }
    }
}
