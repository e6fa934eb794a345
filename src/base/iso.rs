//! Writes a small ISO 9660 image: one folder, a few files. Their names stand in Rock Ridge and in Joliet, since either is
//! what an operating system looks at first; ISO 9660's own names have neither dashes nor small letters.
//!
//! From ECMA-119 (ISO 9660), IEEE P1282 (Rock Ridge) and the Joliet specification. The same input gives the same bytes:
//! dates are fixed.
use zeroize::Zeroizing;

const SECTOR: usize = 2048;
/// The first 16 sectors are the system's own.
const SYSTEM_AREA: u32 = 16;
const PRIMARY_TABLE: u32 = 19;
const JOLIET_TABLE: u32 = 21;
const PRIMARY_ROOT: u32 = 23;
/// Holds what does not fit into the root's own record.
const CONTINUATION: u32 = 24;
const JOLIET_ROOT: u32 = 25;
const FIRST_FILE: u32 = 26;
/// Of a path table with nothing but the root in it.
const TABLE_BYTES: u32 = 10;
/// 2020-01-01 00:00:00 UTC, as directory records have it.
const DATE: [u8; 7] = [120, 1, 1, 0, 0, 0, 0];
const FOLDER: u8 = 2;
/// A folder that everybody may read, a file that only its owner may.
const FOLDER_MODE: u32 = 0o040_555;
const FILE_MODE: u32 = 0o100_400;

/// A file of the image; the name has lower-case letters, digits and dashes, at most 30 of them.
pub struct File<'a> {
    pub name: &'a str,
    pub bytes: &'a [u8],
}

/// The image: volume identifier `label` (at most 16 characters) and `files` in the order of their names.
pub fn image(label: &str, files: &[File<'_>]) -> Zeroizing<Vec<u8>> {
    let mut placed: Vec<(&File<'_>, u32)> = files.iter().map(|f| (f, 0)).collect();
    placed.sort_by_key(|(f, _)| f.name);
    let mut next = FIRST_FILE;
    for (file, sector) in &mut placed {
        *sector = next;
        next = next.saturating_add(sectors(file.bytes.len()));
    }
    // At its full size from the start: a vector that grows leaves copies of what it held behind.
    let whole = usize::try_from(next).unwrap_or_default().saturating_mul(SECTOR);
    let mut out = Image(Zeroizing::new(Vec::with_capacity(whole)));
    out.pad_to(SYSTEM_AREA);
    out.put(descriptor(label, next, false));
    out.put(descriptor(label, next, true));
    out.put([&[255][..], b"CD001", &[1]].concat());
    for (big, root) in [(false, PRIMARY_ROOT), (true, PRIMARY_ROOT), (false, JOLIET_ROOT), (true, JOLIET_ROOT)] {
        out.put(path_table(root, big));
    }
    out.put(folder(&placed, PRIMARY_ROOT, false));
    out.put(extension());
    out.put(folder(&placed, JOLIET_ROOT, true));
    for (file, _) in &placed {
        out.0.extend_from_slice(if file.bytes.is_empty() { &[0] } else { file.bytes });
        out.end_sector();
    }
    out.0
}

struct Image(Zeroizing<Vec<u8>>);

impl Image {
    /// Whole sectors.
    fn put(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.extend_from_slice(bytes.as_ref());
        self.end_sector();
    }

    fn end_sector(&mut self) {
        let end = self.0.len().div_ceil(SECTOR).saturating_mul(SECTOR);
        self.0.resize(end, 0);
    }

    fn pad_to(&mut self, sector: u32) {
        self.0.resize(usize::try_from(sector).unwrap_or_default().saturating_mul(SECTOR), 0);
    }
}

fn sectors(bytes: usize) -> u32 {
    // An empty file has a sector too, so that every file has a place of its own.
    u32::try_from(bytes.div_ceil(SECTOR).max(1)).unwrap_or(u32::MAX)
}

fn both16(n: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (n.to_le_bytes(), n.to_be_bytes());
    [a, b, c, d]
}

fn both32(n: u32) -> [u8; 8] {
    let ([a, b, c, d], [e, f, g, h]) = (n.to_le_bytes(), n.to_be_bytes());
    [a, b, c, d, e, f, g, h]
}

fn joliet(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// A text field of a volume descriptor, filled up with spaces.
fn field(text: &str, width: usize, is_joliet: bool) -> Vec<u8> {
    if is_joliet {
        let mut bytes = joliet(text);
        bytes.truncate(width);
        while bytes.len() < width {
            bytes.extend_from_slice(if width - bytes.len() == 1 { &[0] } else { &[0, b' '] });
        }
        bytes
    } else {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(width, b' ');
        bytes
    }
}

fn descriptor(label: &str, sectors: u32, is_joliet: bool) -> Vec<u8> {
    let text = |text: &str, width| field(text, width, is_joliet);
    let (kind, table, root) = if is_joliet { (2, JOLIET_TABLE, JOLIET_ROOT) } else { (1, PRIMARY_TABLE, PRIMARY_ROOT) };
    let mut out = [&[kind][..], b"CD001", &[1, 0]].concat();
    out.extend(text("", 32));
    out.extend(text(label, 32));
    out.extend([0; 8]);
    out.extend(both32(sectors));
    // UCS-2 level 3.
    let mut escapes = if is_joliet { b"%/E".to_vec() } else { Vec::new() };
    escapes.resize(32, 0);
    out.extend(escapes);
    for n in [1, 1, 2048] {
        out.extend(both16(n));
    }
    out.extend(both32(TABLE_BYTES));
    out.extend(table.to_le_bytes());
    out.extend([0; 4]);
    out.extend((table + 1).to_be_bytes());
    out.extend([0; 4]);
    out.extend(record(&[0], root, 2048, FOLDER, &[]));
    for width in [128, 128, 128, 128, 37, 37, 37] {
        out.extend(text("", width));
    }
    // Made, changed, expires, valid from: none is told.
    for _ in 0..4 {
        out.extend([b'0'; 16]);
        out.push(0);
    }
    out.extend([1, 0]);
    out
}

/// The root alone.
fn path_table(root: u32, big: bool) -> Vec<u8> {
    let place = if big { root.to_be_bytes() } else { root.to_le_bytes() };
    let parent = if big { 1_u16.to_be_bytes() } else { 1_u16.to_le_bytes() };
    [&[1, 0][..], &place, &parent, &[0, 0]].concat()
}

/// A directory record; `system` is its system use field.
fn record(name: &[u8], sector: u32, bytes: u32, flags: u8, system: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 0];
    out.extend(both32(sector));
    out.extend(both32(bytes));
    out.extend(DATE);
    out.extend([flags, 0, 0]);
    out.extend(both16(1));
    out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(name);
    even(&mut out);
    out.extend_from_slice(system);
    even(&mut out);
    let length = u8::try_from(out.len()).unwrap_or(u8::MAX);
    if let Some(first) = out.first_mut() {
        *first = length;
    }
    out
}

fn even(out: &mut Vec<u8>) {
    if !out.len().is_multiple_of(2) {
        out.push(0);
    }
}

fn folder(files: &[(&File<'_>, u32)], root: u32, is_joliet: bool) -> Vec<u8> {
    let (own, parent) = match is_joliet {
        true => (Vec::new(), Vec::new()),
        false => ([shared().as_slice(), &posix(FOLDER_MODE, 2), &continued()].concat(), posix(FOLDER_MODE, 2)),
    };
    let mut out = record(&[0], root, 2048, FOLDER, &own);
    out.extend(record(&[1], root, 2048, FOLDER, &parent));
    for (file, sector) in files {
        let bytes = u32::try_from(file.bytes.len()).unwrap_or(u32::MAX);
        out.extend(match is_joliet {
            true => record(&joliet(file.name), *sector, bytes, 0, &[]),
            false => {
                let plain = format!("{}.;1", file.name.to_ascii_uppercase().replace('-', "_"));
                let system = [posix(FILE_MODE, 1), alternate(file.name)].concat();
                record(plain.as_bytes(), *sector, bytes, 0, &system)
            }
        });
    }
    out
}

/// `SP`: this image uses the system use fields.
fn shared() -> [u8; 7] {
    [b'S', b'P', 7, 1, 0xBE, 0xEF, 0]
}

/// `PX`: mode and links, owned by root.
fn posix(mode: u32, links: u32) -> Vec<u8> {
    let mut out = vec![b'P', b'X', 36, 1];
    for n in [mode, links, 0, 0] {
        out.extend(both32(n));
    }
    out
}

/// `NM`: the name as it is.
fn alternate(name: &str) -> Vec<u8> {
    let length = u8::try_from(name.len() + 5).unwrap_or(u8::MAX);
    [&[b'N', b'M', length, 1, 0][..], name.as_bytes()].concat()
}

/// `CE`: where [`extension`] stands.
fn continued() -> Vec<u8> {
    let length = u32::try_from(extension().len()).unwrap_or_default();
    [&[b'C', b'E', 28, 1][..], &both32(CONTINUATION), &both32(0), &both32(length)].concat()
}

/// `ER`: the system use fields are Rock Ridge's. Without it Linux does not look at them.
fn extension() -> Vec<u8> {
    let (id, about, source) = ("RRIP_1991A", "ROCK RIDGE", "IEEE P1282");
    let byte = |n: usize| u8::try_from(n).unwrap_or(u8::MAX);
    let length = byte(8 + id.len() + about.len() + source.len());
    let head = [b'E', b'R', length, 1, byte(id.len()), byte(about.len()), byte(source.len()), 1];
    [&head[..], id.as_bytes(), about.as_bytes(), source.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let long = vec![b'x'; 5000];
        let files = [
            File { name: "user-data", bytes: &long },
            File { name: "meta-data", bytes: b"m" },
            File { name: "network-config", bytes: b"" },
        ];
        image("cidata", &files).to_vec()
    }

    fn sector(image: &[u8], n: usize) -> &[u8] {
        &image[n * SECTOR..(n + 1) * SECTOR]
    }

    #[test]
    fn descriptors_stand_where_a_reader_looks_and_count_every_sector() {
        let image = sample();
        assert_eq!(image.len() % SECTOR, 0);
        assert_eq!((&sector(&image, 16)[..6], &sector(&image, 17)[..6]), (&b"\x01CD001"[..], &b"\x02CD001"[..]));
        assert_eq!(&sector(&image, 18)[..6], b"\xffCD001");
        assert_eq!(&sector(&image, 16)[40..72], format!("{:32}", "cidata").as_bytes());
        let count = u32::from_le_bytes(sector(&image, 16)[80..84].try_into().unwrap());
        assert_eq!(usize::try_from(count).unwrap() * SECTOR, image.len());
        assert_eq!(&sector(&image, 17)[88..91], b"%/E");
        // Three files of 1, 1 and 3 sectors behind 26 others.
        assert_eq!(image.len() / SECTOR, 31);
        assert_eq!(sector(&image, 28)[0], b'x');
    }

    #[test]
    fn the_same_files_give_the_same_bytes_in_any_order() {
        let (a, b) = (File { name: "a", bytes: b"1" }, File { name: "b", bytes: b"2" });
        let one = image("l", &[a, b]);
        let two = image("l", &[File { name: "b", bytes: b"2" }, File { name: "a", bytes: b"1" }]);
        assert_eq!(one, two);
    }

    #[test]
    fn no_record_is_longer_than_its_length_can_tell() {
        let name = "a-name-of-thirty-characters-xx";
        for is_joliet in [false, true] {
            let bytes = folder(&[(&File { name, bytes: b"" }, 26)], 23, is_joliet);
            let (mut at, mut count) = (0, 0);
            while at < bytes.len() {
                assert!(bytes[at] > 0 && bytes[at].is_multiple_of(2));
                at += usize::from(bytes[at]);
                count += 1;
            }
            assert_eq!((at, count), (bytes.len(), 3));
        }
    }
}
