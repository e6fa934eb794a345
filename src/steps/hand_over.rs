//! The hand-over record on the jump host: where it lies, and whether what lies there is whole and of now.
use super::site::Reading;
use crate::base::file::read_regular;
use crate::base::text::hex;
use aws_lc_rs::digest;
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;

/// The folder in the run's own.
const FOLDER: &str = "handover";
/// As `sha256sum -c` reads it.
pub const SUMS: &str = "SHA256SUMS";
/// The form that says of which proofs it tells.
const DATA: &str = "record.json";
/// Far more than the record of any run, in bytes.
const LONGEST: u64 = 64 << 20;

/// The record as the run's journal makes it now.
pub struct HandOverFiles {
    /// A digest of all proofs that it tells of.
    pub proofs: String,
    /// Name and content of each form.
    pub files: Vec<(&'static str, String)>,
}

/// Makes the record; the reason when the journal can't be read.
pub type Scribe = Arc<dyn Fn() -> Result<HandOverFiles, String> + Send + Sync>;

/// What lies in the folder.
#[derive(Debug, PartialEq, Eq)]
pub enum Kept {
    Nothing,
    /// This file is missing, or is not as it was written.
    Broken(String),
    /// Every file is as it was written.
    Whole {
        proofs: String,
        /// The content of [`SUMS`].
        sums: String,
    },
}

pub fn folder(site: &Reading) -> PathBuf {
    site.secrets.with_file_name(FOLDER)
}

pub fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// The lines of [`SUMS`] for these files.
pub fn sums(files: &[(&'static str, String)]) -> String {
    files.iter().map(|(name, text)| format!("{}  {name}\n", sha256(text.as_bytes()))).collect()
}

/// Reads what is there. Names in the list of sums are followed only when they are names of forms.
pub fn kept(folder: &std::path::Path, names: &[&str]) -> Kept {
    let read = |name: &str| read_regular(&folder.join(name), LONGEST);
    let Some(listed) = read(SUMS) else { return Kept::Nothing };
    let mut proofs = String::new();
    let mut lines = listed.lines();
    for name in names {
        let Some(text) = read(name) else { return Kept::Broken((*name).to_string()) };
        if lines.next() != Some(format!("{}  {name}", sha256(text.as_bytes())).as_str()) {
            return Kept::Broken((*name).to_string());
        }
        if *name == DATA {
            let data: Option<Value> = serde_json::from_str(&text).ok();
            proofs = data.and_then(|d| Some(d.get("proofs_sha256")?.as_str()?.to_string())).unwrap_or_default();
        }
    }
    Kept::Whole { proofs, sums: listed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_only_while_every_file_is_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let files = [("record.html", "<p>".to_string()), (DATA, r#"{"proofs_sha256":"aa"}"#.to_string())];
        let names = ["record.html", DATA];
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        assert_eq!(kept(dir.path(), &names), Kept::Nothing);
        files.iter().for_each(|(name, text)| write(name, text));
        write(SUMS, &sums(&files));
        assert_eq!(kept(dir.path(), &names), Kept::Whole { proofs: "aa".into(), sums: sums(&files) });
        write("record.html", "<p>other");
        assert_eq!(kept(dir.path(), &names), Kept::Broken("record.html".into()));
        std::fs::remove_file(dir.path().join("record.html")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("record.html")).unwrap();
        assert_eq!(kept(dir.path(), &names), Kept::Broken("record.html".into()));
    }
}
