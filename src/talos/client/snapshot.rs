//! etcd's own snapshot, of any length, piece by piece.
use super::Secure;
use crate::talos::error::Error;
use crate::talos::wire::machine::EtcdSnapshotRequest;
use std::time::Duration;

/// For the next piece; wall time. A node whose etcd does not run says nothing at all.
const PIECE: Duration = Duration::from_secs(20);
/// More than etcd's largest quota that anybody advises (8 GiB), in bytes.
const LONGEST: u64 = 16 << 30;

impl Secure {
    /// Hands each piece of the snapshot of the node's own etcd to `take`, and returns the length of the whole. Needs the
    /// role `os:operator`, `os:etcd:backup` or `os:admin`.
    ///
    /// # Errors
    /// When the node does not answer, is no control plane or runs no etcd, or when `take` fails.
    pub async fn etcd_snapshot<E: From<Error>>(&self, mut take: impl FnMut(&[u8]) -> Result<(), E>) -> Result<u64, E> {
        let mut client = self.node.machine();
        let opened = self.node.call_within(PIECE, client.etcd_snapshot(EtcdSnapshotRequest {})).await?;
        let mut stream = opened.into_inner();
        let mut length = 0;
        while let Some(piece) = self.node.call_within(PIECE, stream.message()).await? {
            length += piece.bytes.len() as u64;
            if length > LONGEST {
                return Err(Error::Answer { text: "EtcdSnapshot: it does not end".to_string() }.into());
            }
            take(&piece.bytes)?;
        }
        Ok(length)
    }
}
