//! Writes a tape archive (POSIX ustar) of small files, in memory.
use std::io;

const BLOCK: usize = 512;
/// Longest name that the plain header takes.
const NAME: usize = 99;

/// An archive that grows.
#[derive(Default)]
pub struct Tar(Vec<u8>);

impl Tar {
    /// A folder with mode 0700; `name` without a slash at its end.
    ///
    /// # Errors
    /// When the name is too long.
    pub fn folder(&mut self, name: &str) -> io::Result<()> {
        self.entry(&format!("{name}/"), 0o700, b'5', &[])
    }

    /// A file with mode 0600.
    ///
    /// # Errors
    /// When the name is too long.
    pub fn file(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.entry(name, 0o600, b'0', bytes)
    }

    /// The archive, with its end.
    pub fn finish(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 2 * BLOCK, 0);
        self.0
    }

    fn entry(&mut self, name: &str, mode: u32, kind: u8, bytes: &[u8]) -> io::Result<()> {
        if name.len() > NAME || !name.is_ascii() {
            return Err(io::Error::other(format!("the name {name} does not fit into an archive")));
        }
        let mut header = [0_u8; BLOCK];
        let mut put = |at: usize, text: &str| {
            if let Some(slot) = header.get_mut(at..at + text.len()) {
                slot.copy_from_slice(text.as_bytes());
            }
        };
        put(0, name);
        put(100, &format!("{mode:07o}"));
        // Owner and group are those of whoever unpacks it.
        put(108, "0000000");
        put(116, "0000000");
        put(124, &format!("{:011o}", bytes.len()));
        put(136, "00000000000");
        put(148, "        ");
        put(156, &char::from(kind).to_string());
        put(257, "ustar\u{0}00");
        let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
        let sum = format!("{sum:06o}\u{0} ");
        if let Some(slot) = header.get_mut(148..148 + sum.len()) {
            slot.copy_from_slice(sum.as_bytes());
        }
        self.0.extend_from_slice(&header);
        self.0.extend_from_slice(bytes);
        let padded = self.0.len().next_multiple_of(BLOCK);
        self.0.resize(padded, 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_has_whole_blocks_a_right_sum_and_an_end() {
        let mut tar = Tar::default();
        tar.folder("a").unwrap();
        tar.file("a/b", &[7; 513]).unwrap();
        let bytes = tar.finish();
        assert_eq!(bytes.len(), BLOCK * (1 + 1 + 2 + 2));
        let header = &bytes[BLOCK..2 * BLOCK];
        assert_eq!(
            (&header[..4], &header[124..135], &header[257..265]),
            (&b"a/b\0"[..], &b"00000001001"[..], &b"ustar\x0000"[..])
        );
        let sum: u32 =
            header.iter().enumerate().map(|(n, b)| if (148..156).contains(&n) { 32 } else { u32::from(*b) }).sum();
        assert_eq!(std::str::from_utf8(&header[148..154]).unwrap(), format!("{sum:06o}"));
        assert!(Tar::default().file(&"x".repeat(100), &[]).is_err());
    }
}
