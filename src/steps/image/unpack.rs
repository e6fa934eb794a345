//! Files of the jump host: checksums, and the raw image out of its xz, with holes where the image is empty.
use crate::base::file::sync_folder_of;
use crate::base::text::{self, hex};
use crate::engine::failure::Failure;
use crate::engine::step::Context;
use crate::engine::wait::{Band, Wait};
use aws_lc_rs::digest;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc as std_mpsc};
use tokio::sync::watch;

/// The first bytes of every xz stream.
pub const XZ: [u8; 6] = [0xfd, b'7', b'z', b'X', b'Z', 0];
const BLOCK: usize = 64 << 10;
/// No Talos image comes near this; a file that unpacks to more is not one. Holes count.
const LIMIT: u64 = 16 << 30;
/// The room that an image leaves free on the disk for the journal and the secrets, in bytes.
pub const SPARE: u64 = 1 << 30;
/// The memory that unpacking may take, in KiB; the dictionary of `xz -9` has 64 MiB.
const MEMORY: u32 = 256 << 10;
const STEPS: u64 = 20;

pub struct Sum(digest::Context);

impl Default for Sum {
    fn default() -> Self {
        Sum(digest::Context::new(&digest::SHA256))
    }
}

impl Sum {
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Lower-case hexadecimal.
    pub fn text(self) -> String {
        hex(self.0.finish().as_ref())
    }
}

/// The callbacks with which a long piece of work reports and asks meanwhile.
pub struct Work<'a> {
    pub cx: &'a dyn Context,
    condition: &'a str,
    band: Band,
    told: AtomicU64,
}

impl<'a> Work<'a> {
    pub fn new(cx: &'a dyn Context, condition: &'a str, band: Band) -> Self {
        Work { cx, condition, band, told: AtomicU64::new(u64::MAX) }
    }

    /// # Errors
    /// When the run is to stop.
    pub fn go_on(&self) -> Result<(), Failure> {
        if self.cx.stopping() {
            return Err(Failure::retryable(format!("stopped before {}", self.condition), "run again to go on"));
        }
        Ok(())
    }

    /// Says how far it is, in large steps: every word becomes a record on disk.
    pub fn report(&self, verb: &str, done: u64, total: Option<u64>) {
        const MIB: u64 = 1 << 20;
        let size = (total.unwrap_or(STEPS * 64 * MIB) / STEPS).max(1);
        let steps = done / size;
        if self.told.swap(steps, Ordering::Relaxed) == steps {
            return;
        }
        let wait = Wait::new(self.condition, format!("{verb} {}", text::size(steps * size)), self.band);
        self.cx.waiting(match total {
            Some(total) => wait.with_progress((steps * size).div_ceil(MIB), total.div_ceil(MIB), "MiB"),
            None => wait,
        });
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    pub sha256: String,
    pub size: u64,
}

/// SHA-256 of a file, in hexadecimal.
///
/// # Errors
/// The operating system's; that the run is to stop.
pub async fn sum(work: &Work<'_>, path: &Path) -> Result<String, Failure> {
    let path = path.to_path_buf();
    let job = move |report: &Report| {
        let mut file = File::open(&path)?;
        let mut sum = Sum::default();
        let mut block = vec![0; BLOCK];
        let mut done = 0;
        loop {
            let n = file.read(&mut block)?;
            if n == 0 {
                return Ok(sum.text());
            }
            sum.update(block.get(..n).unwrap_or_default());
            done += n as u64;
            report.at(done)?;
        }
    };
    aside(work, "checked", None, job).await
}

/// Unpacks `from` into `to` when it is xz, moves it otherwise. `to` is there only when it is whole.
///
/// # Errors
/// When the disk is full, the file is damaged, or the run is to stop.
pub async fn unpack(work: &Work<'_>, from: &Path, to: &Path) -> Result<Made, Failure> {
    let total = std::fs::metadata(from).map_err(|e| disk(&e))?.len();
    let (from, to) = (from.to_path_buf(), to.to_path_buf());
    aside(work, "unpacked", Some(total), move |report| make(&from, &to, report)).await
}

fn make(from: &Path, to: &Path, report: &Report) -> io::Result<Made> {
    let source = File::open(from)?;
    let mut start = [0; XZ.len()];
    let packed = (&source).read_exact(&mut start).is_ok() && start == XZ;
    (&source).seek(SeekFrom::Start(0))?;
    let part = to.with_extension("part");
    let made = make_part(&source, packed, &part, report);
    if made.is_err() {
        // The whole image will not come; if the part can't be removed, that changes nothing.
        let _ = std::fs::remove_file(&part);
    }
    let made = made?;
    std::fs::rename(&part, to)?;
    sync_folder_of(to)?;
    Ok(made)
}

fn make_part(source: &File, packed: bool, part: &Path, report: &Report) -> io::Result<Made> {
    let target = File::create(part)?;
    let room = free(part)?.saturating_sub(SPARE);
    let mut handle = source;
    let mut position = move || handle.stream_position();
    let made = if packed {
        let reader = lzma_rust2::XzReader::new_mem_limit(BufReader::with_capacity(BLOCK, source), true, MEMORY);
        copy(reader, &target, room, || report.at(position()?))?
    } else {
        copy(source, &target, room, || report.at(position()?))?
    };
    target.sync_all()?;
    Ok(made)
}

/// Bytes that are free where `path` is.
///
/// # Errors
/// The operating system's.
pub fn free(path: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(path)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Copies, leaving out blocks that are all zero. At most `room` bytes are written, and the whole is at most [`LIMIT`] long.
fn copy(mut from: impl Read, mut to: &File, room: u64, mut each: impl FnMut() -> io::Result<()>) -> io::Result<Made> {
    let mut sum = Sum::default();
    let mut block = vec![0; BLOCK];
    let (mut size, mut written) = (0_u64, 0_u64);
    loop {
        let mut filled = 0;
        while let Some(rest) = block.get_mut(filled..).filter(|r| !r.is_empty()) {
            match from.read(rest)? {
                0 => break,
                n => filled += n,
            }
        }
        let bytes = block.get(..filled).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        sum.update(bytes);
        size += filled as u64;
        if size > LIMIT {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is larger than any Talos image"));
        }
        if bytes.iter().all(|b| *b == 0) {
            to.seek(SeekFrom::Start(size))?;
        } else {
            written += filled as u64;
            if written > room {
                return Err(io::ErrorKind::StorageFull.into());
            }
            to.write_all(bytes)?;
        }
        each()?;
    }
    to.set_len(size)?;
    Ok(Made { sha256: sum.text(), size })
}

/// The line between a blocking job and the step that waits for it.
struct Report {
    done: watch::Sender<u64>,
    stop: Arc<AtomicBool>,
}

impl Report {
    fn at(&self, done: u64) -> io::Result<()> {
        self.done.send_replace(done);
        if self.stop.load(Ordering::Relaxed) { Err(io::Error::other("stopped")) } else { Ok(()) }
    }
}

/// Stops the job also when the step itself is dropped.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn aside<T: Send + 'static>(
    work: &Work<'_>,
    verb: &str,
    total: Option<u64>,
    job: impl FnOnce(&Report) -> io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let (done, mut progress) = watch::channel(0);
    let stop = StopOnDrop(Arc::default());
    let report = Report { done, stop: stop.0.clone() };
    let (give, result) = std_mpsc::channel();
    let task = tokio::task::spawn_blocking(move || {
        // The other end waits for exactly this one word, or is gone.
        let _ = give.send(job(&report));
    });
    while progress.changed().await.is_ok() {
        work.go_on()?;
        let done = *progress.borrow_and_update();
        if total.is_some() {
            work.report(verb, done, total);
        }
    }
    let lost = || Failure::defect("the work on the image ended without a result");
    task.await.map_err(|_| lost())?;
    result.recv().map_err(|_| lost())?.map_err(|e| match e.kind() {
        io::ErrorKind::InvalidData
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::Unsupported
        | io::ErrorKind::OutOfMemory => Failure::person(
            format!("the fetched image can't be unpacked: {e}"),
            "check image.url: it must be a raw disk image, plain or packed with xz",
        ),
        _ => disk(&e),
    })
}

/// The failure for an answer of the operating system about the state folder.
pub fn disk(e: &io::Error) -> Failure {
    let next = match e.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room in the state folder, or give another one with --state-dir DIR; the step goes on by itself"
        }
        _ => "mend the state folder, or give another one with --state-dir DIR",
    };
    Failure::person(format!("can't keep the image on the jump host: {e}"), next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::day0::tests::Silent;
    use std::os::unix::fs::MetadataExt;

    const BAND: Band = Band::new(1, 1);

    fn image() -> Vec<u8> {
        let mut raw = vec![0_u8; 3 << 20];
        raw[100] = 7;
        raw[2 << 20] = 9;
        raw.extend([0; 77]);
        raw
    }

    async fn unpacked(bytes: &[u8]) -> (Result<Made, Failure>, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("image.fetched");
        std::fs::write(&from, bytes).unwrap();
        let cx = Silent::new();
        let work = Work::new(&cx, "done", BAND);
        (unpack(&work, &from, &dir.path().join("image.raw")).await, dir)
    }

    fn xz(bytes: &[u8]) -> Vec<u8> {
        let mut writer = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(0)).unwrap();
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    #[tokio::test]
    async fn an_image_is_the_same_packed_or_not_and_its_empty_parts_take_no_room() {
        let raw = image();
        let (packed, dir) = unpacked(&xz(&raw)).await;
        let (plain, _other) = unpacked(&raw).await;
        let made = packed.unwrap();
        assert_eq!(made, plain.unwrap());
        let path = dir.path().join("image.raw");
        assert_eq!(std::fs::read(&path).unwrap(), raw);
        assert_eq!(made.size, raw.len() as u64);
        assert!(std::fs::metadata(&path).unwrap().blocks() * 512 < 1 << 20);
        let cx = Silent::new();
        let work = Work::new(&cx, "done", BAND);
        assert_eq!(sum(&work, &path).await.unwrap(), made.sha256);
    }

    #[tokio::test]
    async fn a_damaged_file_leaves_no_image_behind() {
        let mut bytes = xz(&image());
        bytes.truncate(bytes.len() / 2);
        let (made, dir) = unpacked(&bytes).await;
        let failure = made.unwrap_err();
        assert!(failure.what.contains("can't be unpacked"), "{failure:?}");
        assert!(!dir.path().join("image.raw").exists() && !dir.path().join("image.part").exists());
    }

    /// CRC-32 as xz has it.
    fn crc(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |sum, byte| {
            (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 })
        })
    }

    /// A few bytes of xz can ask for a dictionary of 4 GiB.
    #[tokio::test]
    async fn a_packed_file_that_asks_for_more_memory_than_any_image_does_is_given_up() {
        let mut bytes = xz(&image());
        // Behind the head of the stream stands that of the block, with its length in words; in it filter 0x21, one byte
        // of properties, and the size of the dictionary as an exponent.
        let head = 12..12 + usize::from(bytes[12]) * 4;
        let filter = head.start + bytes[head.clone()].windows(2).position(|pair| pair == [0x21, 1]).unwrap();
        bytes[filter + 2] = 40;
        let sum = crc(&bytes[head.clone()]);
        bytes[head.end..head.end + 4].copy_from_slice(&sum.to_le_bytes());
        let failure = unpacked(&bytes).await.0.unwrap_err();
        assert!(failure.what.contains("can't be unpacked") && failure.what.contains("mem"), "{failure:?}");
    }

    /// harm.md S9
    #[test]
    fn no_more_is_written_than_there_is_room_for() {
        let dir = tempfile::tempdir().unwrap();
        let to = File::create(dir.path().join("image.part")).unwrap();
        let raw = vec![1_u8; 1 << 20];
        let error = copy(raw.as_slice(), &to, 100 << 10, || Ok(())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(to.metadata().unwrap().len() <= 100 << 10);
        // Holes take no room.
        assert_eq!(copy(vec![0_u8; 1 << 20].as_slice(), &to, 0, || Ok(())).unwrap().size, 1 << 20);
    }

    #[tokio::test]
    async fn a_run_that_is_to_stop_stops_unpacking() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("image.fetched");
        std::fs::write(&from, image()).unwrap();
        let cx = Silent::new();
        cx.stop();
        let work = Work::new(&cx, "the image is here", BAND);
        let failure = unpack(&work, &from, &dir.path().join("image.raw")).await.unwrap_err();
        assert!(failure.what.contains("stopped before the image is here"), "{failure:?}");
    }
}
