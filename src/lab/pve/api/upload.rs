//! Uploads: a streaming reader of the one multipart form that Proxmox accepts. The lab keeps size and checksums; bytes only
//! of small CD-ROMs, which its machines read.
use super::call::{Call, Failure, Outcome, Params, task as upid};
use super::request::BODY_PATIENCE;
use super::storage::{check_content, usable};
use crate::pve::copying::{self, Lane};
use crate::pve::storage::Volume;
use crate::pve::{Version, full, task};
use crate::world::World;
use aws_lc_rs::digest::{self, Context};
use axum::body::Body;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use std::sync::Arc;
use tokio::time::timeout;

pub const ALGORITHMS: &[&str] = &["md5", "sha1", "sha224", "sha256", "sha384", "sha512"];
/// The contents that a host of today takes from an upload; [`file_name`] knows about older ones.
pub const CONTENTS: &[&str] = &["iso", "vztmpl", "import"];
/// Everything before the file has to fit in this many bytes.
const HEAD_LIMIT: usize = 64 << 10;
/// The first bytes of a qcow2 file.
const QCOW2: &[u8] = b"QFI\xfb";
/// The file's first bytes, kept for reading a qcow2 header.
const PEEK: usize = 32;
/// The longest CD-ROM whose bytes are kept.
const KEPT: usize = 4 << 20;

/// A file that was read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    pub size: u64,
    pub sha256: String,
    /// In the algorithm that the form names, where the lab knows it.
    pub checksum: Option<String>,
    /// The content, where that matters: in a CD-ROM, as far as one with a config is large.
    pub bytes: Option<Vec<u8>>,
    /// True when it begins as a qcow2 file does.
    pub qcow2: bool,
    /// Size of the disk inside: from the header of a qcow2 file, else the size of the file.
    pub disk: u64,
}

/// The boundary of a multipart content type.
pub fn boundary(content_type: &str) -> Option<&str> {
    let rest = content_type.strip_prefix("multipart/form-data;")?;
    rest.split(';').find_map(|p| p.trim().strip_prefix("boundary=")).map(|b| b.trim_matches('"'))
}

/// Reads the whole form.
///
/// # Errors
/// A form that Proxmox's server would not read, or a connection that ended early.
pub async fn receive(body: Body, boundary: &str) -> Result<(Params, Received), Failure> {
    let mut pieces = body.into_data_stream().map(|piece| piece.map_err(|e| e.to_string()));
    let mut form = Form::new(boundary);
    while let Some(piece) = next(&mut pieces).await? {
        form.feed(&piece)?;
    }
    form.end()
}

async fn next(pieces: &mut (impl Stream<Item = Result<Bytes, String>> + Unpin)) -> Result<Option<Bytes>, Failure> {
    let piece = timeout(BODY_PATIENCE, pieces.next()).await.map_err(|_| Failure::new(408, "Request Timeout"))?;
    piece.transpose().map_err(|why| Failure::new(400, format!("upload broke off: {why}")))
}

struct Form {
    delimiter: Vec<u8>,
    params: Params,
    /// The bytes that are not parsed yet: of the head, or the file's last bytes, which may hold the closing delimiter.
    held: Vec<u8>,
    file: Option<File>,
}

struct File {
    size: u64,
    peek: Vec<u8>,
    /// Until it is found to be too long.
    kept: Option<Vec<u8>>,
    sha256: Context,
    other: Option<Context>,
}

impl File {
    fn take(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        let room = PEEK.saturating_sub(self.peek.len()).min(bytes.len());
        self.peek.extend(bytes.iter().take(room));
        self.kept = self.kept.take().filter(|kept| kept.len() + bytes.len() <= KEPT);
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(bytes);
        }
        self.sha256.update(bytes);
        if let Some(other) = &mut self.other {
            other.update(bytes);
        }
    }
}

impl Form {
    fn new(boundary: &str) -> Self {
        Form {
            delimiter: format!("\r\n--{boundary}").into_bytes(),
            params: Params::new(),
            // So that the first delimiter looks like the others.
            held: b"\r\n".to_vec(),
            file: None,
        }
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.held.extend_from_slice(bytes);
        while self.file.is_none() {
            if !self.next_part()? {
                if self.held.len() > HEAD_LIMIT {
                    return Err(Failure::new(501, "upload header too large"));
                }
                return Ok(());
            }
        }
        // The closing delimiter, `--` and a line end may be in what comes last.
        let keep = self.delimiter.len() + 4;
        if let Some(file) = &mut self.file
            && self.held.len() > keep
        {
            let sure = self.held.len() - keep;
            file.take(self.held.get(..sure).unwrap_or_default());
            self.held.drain(..sure);
        }
        Ok(())
    }

    /// Takes one field, or opens the file; `false` when more bytes are needed.
    fn next_part(&mut self) -> Result<bool, Failure> {
        let Some(begin) = find(&self.held, &self.delimiter) else { return Ok(false) };
        let from = begin + self.delimiter.len();
        let rest = self.held.get(from..).unwrap_or_default();
        let Some(end) = find(rest, b"\r\n\r\n") else { return Ok(false) };
        let head = String::from_utf8_lossy(rest.get(..end).unwrap_or_default()).into_owned();
        let (name, filename) = disposition(&head);
        let value_at = from + end + 4;
        if let Some(filename) = filename {
            if name != "filename" {
                let why = format!("wrong field name '{name}' for file upload, expected 'filename'");
                return Err(Failure::new(500, why));
            }
            self.params.insert("filename".into(), filename);
            let algorithm = self.params.get("checksum-algorithm").and_then(|a| known(a));
            self.file = Some(File {
                size: 0,
                peek: Vec::new(),
                kept: self.params.get("content").is_some_and(|c| c == "iso").then(Vec::new),
                sha256: Context::new(&digest::SHA256),
                other: algorithm.map(Context::new),
            });
            self.held.drain(..value_at);
            return Ok(true);
        }
        let value = self.held.get(value_at..).unwrap_or_default();
        let Some(stop) = find(value, &self.delimiter) else { return Ok(false) };
        let text = String::from_utf8_lossy(value.get(..stop).unwrap_or_default()).into_owned();
        // Other fields are read over, as Proxmox does.
        if matches!(name.as_str(), "content" | "checksum" | "checksum-algorithm") {
            self.params.insert(name, text);
        }
        self.held.drain(..value_at + stop);
        Ok(true)
    }

    fn end(self) -> Result<(Params, Received), Failure> {
        let Some(mut file) = self.file else {
            return Err(Failure::new(400, "upload without a file"));
        };
        let Some(end) = find(&self.held, &self.delimiter) else {
            return Err(Failure::new(400, "upload broke off: closing boundary is missing"));
        };
        file.take(self.held.get(..end).unwrap_or_default());
        let disk = qcow2_size(&file.peek).unwrap_or(file.size);
        let (bytes, checksum) = (file.kept, file.other.map(hex));
        let qcow2 = file.peek.starts_with(QCOW2);
        let received = Received { size: file.size, sha256: hex(file.sha256), checksum, bytes, qcow2, disk };
        Ok((self.params, received))
    }
}

fn known(algorithm: &str) -> Option<&'static digest::Algorithm> {
    match algorithm {
        "sha1" => Some(&digest::SHA1_FOR_LEGACY_USE_ONLY),
        "sha224" => Some(&digest::SHA224),
        "sha256" => Some(&digest::SHA256),
        "sha384" => Some(&digest::SHA384),
        "sha512" => Some(&digest::SHA512),
        _ => None,
    }
}

fn hex(context: Context) -> String {
    context.finish().as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

/// The virtual size in the header of a qcow2 image: eight bytes at 24, big endian.
fn qcow2_size(head: &[u8]) -> Option<u64> {
    let size: [u8; 8] = head.strip_prefix(QCOW2).and(head.get(24..32))?.try_into().ok()?;
    Some(u64::from_be_bytes(size))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

/// Name and file name of a part.
fn disposition(head: &str) -> (String, Option<String>) {
    let line = head.lines().find(|l| l.to_ascii_lowercase().starts_with("content-disposition:")).unwrap_or_default();
    let value = |key: &str| {
        line.split(';')
            .filter_map(|p| p.trim().split_once('='))
            .find(|(k, _)| *k == key)
            .map(|(_, v)| v.trim_matches('"').to_string())
    };
    (value("name").unwrap_or_default(), value("filename"))
}

/// The file name as it is kept, when such content may have it.
///
/// # Errors
/// The error of Proxmox about content type or file name.
pub fn file_name(world: &World, content: &str, filename: &str) -> Result<String, Failure> {
    if content == "import" && world.pve.version < Version(8, 3, 0) {
        let why = "value 'import' does not have a value in the enumeration 'iso, vztmpl'";
        return Err(Failure::parameter("content", why));
    }
    let name: String = filename
        .rsplit(['/', '\\'])
        .next()
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-') { c } else { '_' })
        .collect();
    let ends_in = |name: &str, endings: &[&str]| endings.iter().any(|e| name.len() > e.len() && name.ends_with(e));
    let lower = name.to_ascii_lowercase();
    let (fine, why) = match content {
        "iso" => (ends_in(&lower, &[".iso", ".img"]), "wrong file extension"),
        "vztmpl" => (ends_in(&lower, &[".tar", ".tar.gz", ".tar.xz", ".tar.zst", ".tar.bz2"]), "wrong file extension"),
        _ if world.pve.version < Version(8, 4, 0) => (ends_in(&name, &[".ova"]), "invalid filename or wrong extension"),
        _ => (ends_in(&name, &[".ova", ".qcow2", ".raw", ".vmdk"]), "invalid filename or wrong extension"),
    };
    if fine { Ok(name) } else { Err(Failure::parameter("filename", why)) }
}

/// # Errors
/// The file has another checksum than the form says.
fn verified(world: &mut World, upid: &str, call: &Call, file: &Received) -> Result<(), String> {
    let Some(want) = call.get("checksum").filter(|_| call.get("checksum-algorithm").is_some()) else { return Ok(()) };
    let got = file.checksum.as_ref().unwrap_or(&file.sha256);
    if got.eq_ignore_ascii_case(want) {
        task::say(world, upid, "calculating checksum...OK, checksum verified");
        return Ok(());
    }
    task::say(world, upid, "calculating checksum...");
    Err(format!("checksum mismatch: got '{got}' != expect '{want}'"))
}

/// The call behind the upload: checks, and the `imgcopy` task that puts the file in its place.
pub fn store(world: &mut World, call: &Call) -> Outcome {
    check_content(call)?;
    let storage = usable(world, call.text("storage"), call.node())?;
    if !storage.file_based() {
        return Err(Failure::died(format!("can't upload to storage type '{}'", storage.kind)));
    }
    let content = call.text("content").to_string();
    let Some(file) = call.upload.clone() else { return Err(Failure::died("missing temporary file name")) };
    let filename = file_name(world, &content, call.text("filename"))?;
    if !storage.holds(&content) {
        return Err(Failure::died(format!("storage '{}' does not support '{content}' content", storage.name)));
    }
    let target = storage.path(&content, &filename);
    let spool = format!("/var/tmp/pveupload-{}", file.sha256.get(..32).unwrap_or_default());
    let (store_name, node) = (storage.name.clone(), call.node().to_string());
    let no_room = file.size > storage.available(&node);
    let no_room = full(world, &store_name) || no_room;

    // On the node that was contacted, whichever the path names.
    let started = task::begin(world, &call.local, "imgcopy", "", &call.who.id());
    task::say(world, &started, format!("starting file import from: {spool}"));
    let mut result = verified(world, &started, call, &file);
    if result.is_ok() && filename.ends_with(".qcow2") && !file.qcow2 {
        result = Err(format!("qemu-img: Could not open '{spool}': Image is not in qcow2 format"));
    }
    if result.is_ok() {
        task::say(world, &started, format!("target node: {node}"));
        task::say(world, &started, format!("target file: {target}"));
        task::say(world, &started, format!("file size is: {}", file.size));
        task::say(world, &started, format!("command: cp -- {spool} {target}"));
    }
    if result.is_ok() && no_room {
        task::say(world, &started, format!("cp: error writing '{target}': No space left on device"));
        result = Err(format!("import failed: command 'cp -- {spool} {target}' failed: exit code 1"));
    }
    let (seconds, id) = (world.scenario.latency.upload_task_s, started.clone());
    let lane = Lane::Line { node: call.local.clone() };
    copying::begin(world, &started, lane, None, seconds, move |world| {
        if result.is_ok() {
            let now = world.now;
            let format = match content.as_str() {
                "iso" => "iso",
                _ => filename.rsplit('.').next().unwrap_or("raw"),
            };
            let volume = Volume {
                content: content.clone(),
                format: format.into(),
                size: file.size,
                used: file.size,
                vmid: None,
                sha256: Some(file.sha256),
                bytes: file.bytes.map(Arc::new),
                ..Volume::disk(0, format, file.disk, now)
            };
            if let Some(storage) = world.pve.storages.get_mut(&store_name) {
                storage.insert(&node, &format!("{content}/{filename}"), volume);
            }
            task::say(world, &id, "finished file import successfully");
        }
        task::finish(world, &id, result);
    });
    upid(started)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(file: &[u8]) -> Vec<u8> {
        let mut all = b"--B\r\nContent-Disposition: form-data; name=\"content\"\r\n\r\nimport\r\n\
            --B\r\nContent-Disposition: form-data; name=\"filename\"; filename=\"t.raw\"\r\n\
            Content-Type: application/octet-stream\r\n\r\n"
            .to_vec();
        all.extend_from_slice(file);
        all.extend_from_slice(b"\r\n--B--\r\n");
        all
    }

    fn read(all: &[u8], step: usize) -> Result<(Params, Received), Failure> {
        let mut form = Form::new("B");
        for piece in all.chunks(step) {
            form.feed(piece)?;
        }
        form.end()
    }

    #[test]
    fn the_file_is_the_same_however_the_body_is_cut() {
        let file: Vec<u8> = b"\r\n--B".iter().cycle().take(997).copied().chain(*b"\r\n--").collect();
        let file: Vec<u8> = file.into_iter().map(|b| if b == b'B' { b'C' } else { b }).collect();
        let all = body(&file);
        for step in [1, 2, 7, 64, all.len()] {
            let (params, received) = read(&all, step).unwrap();
            assert_eq!(received.size, file.len() as u64, "pieces of {step}");
            assert_eq!(
                received.sha256,
                hex({
                    let mut context = Context::new(&digest::SHA256);
                    context.update(&file);
                    context
                })
            );
            assert_eq!(params["content"], "import");
            assert_eq!(params["filename"], "t.raw");
        }
    }

    #[test]
    fn a_body_without_its_closing_boundary_is_refused() {
        let all = body(b"image");
        assert!(read(&all[..all.len() - 8], 5).is_err());
    }

    #[test]
    fn another_field_name_for_the_file_is_refused() {
        let all = String::from_utf8(body(b"x")).unwrap().replace("name=\"filename\"", "name=\"file\"");
        let why = read(all.as_bytes(), 3).unwrap_err().message;
        assert_eq!(why, "wrong field name 'file' for file upload, expected 'filename'");
    }

    #[test]
    fn a_qcow2_file_names_the_size_of_its_disk() {
        let mut head = b"QFI\xfb\0\0\0\x03".to_vec();
        head.resize(24, 0);
        head.extend_from_slice(&1_306_525_696_u64.to_be_bytes());
        let (_, received) = read(&body(&head), 10).unwrap();
        assert_eq!(received.disk, 1_306_525_696);
        assert_eq!(received.size, 32);
    }
}
