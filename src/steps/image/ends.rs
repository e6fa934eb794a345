//! The ends of an image as it is published. A file that was cut off before it reached the server comes whole, and is no
//! whole image.
use super::unpack::XZ;

/// The last two bytes of every xz stream (xz file format 1.2.1, section 2.1.2.4).
const FOOTER: [u8; 2] = *b"YZ";
/// The last two bytes of the first sector of a disk that can be started from, also of one with a GUID partition table.
const BOOT: [u8; 2] = [0x55, 0xaa];
const SECTOR: usize = 512;

/// The first sector and the last bytes of what passes by.
#[derive(Debug, Default)]
pub struct Ends {
    first: Vec<u8>,
    last: Vec<u8>,
}

/// The reason why a file is no whole image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoImage {
    /// It begins as xz, and does not end so.
    CutOff,
    /// It is neither xz nor a disk.
    Other,
}

impl Ends {
    pub fn see(&mut self, piece: &[u8]) {
        let more = SECTOR.saturating_sub(self.first.len()).min(piece.len());
        self.first.extend_from_slice(piece.get(..more).unwrap_or_default());
        let tail = piece.get(piece.len().saturating_sub(FOOTER.len())..).unwrap_or_default();
        self.last.extend_from_slice(tail);
        self.last.drain(..self.last.len().saturating_sub(FOOTER.len()));
    }

    /// # Errors
    /// See [`NoImage`].
    pub fn judge(&self) -> Result<(), NoImage> {
        if self.first.starts_with(&XZ) {
            return if self.last == FOOTER { Ok(()) } else { Err(NoImage::CutOff) };
        }
        if self.first.get(SECTOR - BOOT.len()..) == Some(&BOOT) { Ok(()) } else { Err(NoImage::Other) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn judged(bytes: &[u8], piece: usize) -> Result<(), NoImage> {
        let mut ends = Ends::default();
        bytes.chunks(piece).for_each(|piece| ends.see(piece));
        ends.judge()
    }

    #[test]
    fn an_image_that_was_cut_off_is_told_from_a_whole_one_in_pieces_of_any_size() {
        let mut raw = vec![0_u8; 4096];
        raw[510..512].copy_from_slice(&BOOT);
        let mut packer = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(0)).unwrap();
        packer.write_all(&raw).unwrap();
        let packed = packer.finish().unwrap();
        for piece in [1, 2, 7, 511, 512, 513, 1 << 20] {
            assert_eq!(judged(&packed, piece), Ok(()));
            assert_eq!(judged(&raw, piece), Ok(()));
            assert_eq!(judged(&packed[..packed.len() - 1], piece), Err(NoImage::CutOff));
            assert_eq!(judged(&packed[..packed.len() / 2], piece), Err(NoImage::CutOff));
            assert_eq!(judged(b"<html>please log in</html>", piece), Err(NoImage::Other));
        }
        assert_eq!(judged(b"", 1), Err(NoImage::Other));
    }
}
