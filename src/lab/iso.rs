//! Reads an ISO 9660 image as a kernel does: the names of Rock Ridge where the image says that it has them, else those of
//! Joliet, else ISO 9660's own. Only what lies in the root folder.
use std::collections::BTreeMap;

const SECTOR: usize = 2048;
const FIRST_DESCRIPTOR: usize = 16;
/// More are a mistake.
const DESCRIPTORS: usize = 16;
const FOLDER: u8 = 2;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Iso {
    /// The volume identifier, without the spaces behind it.
    pub label: String,
    pub files: BTreeMap<String, Vec<u8>>,
}

/// `None` for what is no such image, or one whose places lie outside of it.
pub fn read(image: &[u8]) -> Option<Iso> {
    let (mut primary, mut joliet) = (None, None);
    for n in FIRST_DESCRIPTOR..FIRST_DESCRIPTOR + DESCRIPTORS {
        let sector = sector(image, n)?;
        if sector.get(1..6)? != b"CD001" {
            return None;
        }
        match sector.first()? {
            1 => primary = Some(sector),
            2 if sector.get(88..91)? == b"%/E" => joliet = Some(sector),
            255 => break,
            _ => {}
        }
    }
    let primary = primary?;
    // A size that is not the image's: QEMU would give a drive that ends too early.
    let blocks = usize::try_from(little(primary.get(80..84)?)?).ok()?;
    if little(primary.get(128..130)?)? != 2048 || blocks.checked_mul(SECTOR)? > image.len() {
        return None;
    }
    let label = String::from_utf8_lossy(primary.get(40..72)?).trim_end().to_string();
    let root = records(image, primary.get(156..190)?)?;
    let is_rock_ridge = root.first().is_some_and(|own| has_rock_ridge(image, own));
    let (records, name): (_, fn(&Record<'_>) -> Option<String>) = match joliet {
        _ if is_rock_ridge => (root, rock_ridge_name),
        Some(joliet) => (self::records(image, joliet.get(156..190)?)?, joliet_name),
        None => (root, plain_name),
    };
    let mut files = BTreeMap::new();
    for record in records.iter().skip(2).filter(|r| r.flags & FOLDER == 0) {
        let (from, to) = (record.place, record.place.checked_add(record.size)?);
        files.insert(name(record)?, image.get(from..to)?.to_vec());
    }
    Some(Iso { label, files })
}

struct Record<'a> {
    /// Bytes from the start of the image.
    place: usize,
    size: usize,
    flags: u8,
    name: &'a [u8],
    system: &'a [u8],
}

fn sector(image: &[u8], n: usize) -> Option<&[u8]> {
    let from = n.checked_mul(SECTOR)?;
    image.get(from..from.checked_add(SECTOR)?)
}

fn little(bytes: &[u8]) -> Option<u32> {
    let mut whole = [0; 4];
    whole.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(u32::from_le_bytes(whole))
}

fn record(bytes: &[u8]) -> Option<Record<'_>> {
    let number = |from: usize| usize::try_from(little(bytes.get(from..from + 4)?)?).ok();
    let length = usize::from(*bytes.get(32)?);
    let behind = 33 + length + usize::from(length.is_multiple_of(2));
    Some(Record {
        place: number(2)?.checked_mul(SECTOR)?,
        size: number(10)?,
        flags: *bytes.get(25)?,
        name: bytes.get(33..33 + length)?,
        system: bytes.get(behind..).unwrap_or_default(),
    })
}

/// The records of the folder that `root` describes; the first two are its own and its parent's.
fn records<'a>(image: &'a [u8], root: &[u8]) -> Option<Vec<Record<'a>>> {
    let Record { place, size, .. } = record(root)?;
    let folder = image.get(place..place.checked_add(size)?)?;
    let (mut at, mut found) = (0, Vec::new());
    while let Some(length) = folder.get(at).map(|l| usize::from(*l)) {
        if length == 0 {
            // No record crosses a sector's end.
            at = (at / SECTOR + 1) * SECTOR;
            continue;
        }
        found.push(record(folder.get(at..at + length)?)?);
        at += length;
    }
    Some(found)
}

/// The system use fields: signature and what is in them.
fn fields(system: &[u8]) -> Vec<(&[u8], &[u8])> {
    let (mut at, mut found) = (0, Vec::new());
    while let Some(head) = system.get(at..at + 4) {
        let length = head.get(2).map_or(0, |l| usize::from(*l));
        let (Some(signature), Some(data)) = (head.get(..2), system.get(at + 4..at + length.max(4))) else { break };
        if length < 4 {
            break;
        }
        found.push((signature, data));
        at += length;
    }
    found
}

fn has_rock_ridge(image: &[u8], own: &Record<'_>) -> bool {
    let here = fields(own.system);
    let is_shared = here.first().is_some_and(|(s, data)| *s == b"SP" && data.starts_with(&[0xBE, 0xEF]));
    let continued = here.iter().find(|(s, _)| *s == b"CE").and_then(|(_, data)| {
        let number = |from: usize| usize::try_from(little(data.get(from..from + 4)?)?).ok();
        let from = number(0)?.checked_mul(SECTOR)?.checked_add(number(8)?)?;
        image.get(from..from.checked_add(number(16)?)?)
    });
    let is_extension = |(signature, data): &(&[u8], &[u8])| {
        let length = data.first().map_or(0, |l| usize::from(*l));
        *signature == b"ER" && data.get(4..4 + length).is_some_and(|id| id.starts_with(b"RRIP_1991A"))
    };
    is_shared && (here.iter().any(is_extension) || continued.is_some_and(|c| fields(c).iter().any(is_extension)))
}

fn rock_ridge_name(record: &Record<'_>) -> Option<String> {
    let fields = fields(record.system);
    let name = fields.iter().find(|(s, _)| *s == b"NM").and_then(|(_, data)| data.get(1..));
    name.map_or_else(|| plain_name(record), |name| String::from_utf8(name.to_vec()).ok())
}

fn joliet_name(record: &Record<'_>) -> Option<String> {
    let units = record.name.chunks(2).map(|pair| match pair {
        [high, low] => u16::from_be_bytes([*high, *low]),
        _ => u16::from(b'?'),
    });
    let name = String::from_utf16(&units.collect::<Vec<_>>()).ok()?;
    Some(name.trim_end_matches(";1").to_string())
}

/// As Linux shows it: small letters, without the version.
fn plain_name(record: &Record<'_>) -> Option<String> {
    let name = String::from_utf8(record.name.to_vec()).ok()?.to_ascii_lowercase();
    Some(name.trim_end_matches(";1").trim_end_matches('.').to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_image_or_is_cut_short_is_not_read() {
        assert_eq!(read(b""), None);
        assert_eq!(read(&[0; 60_000]), None);
        let mut cut = vec![0; 17 * SECTOR];
        cut[16 * SECTOR..16 * SECTOR + 6].copy_from_slice(b"\x01CD001");
        assert_eq!(read(&cut), None);
    }
}
