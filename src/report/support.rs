//! A bundle for whoever helps: the records, the plan and the worker's log of a run, without secrets, laid out so that
//! `cozyup status` and `cozyup report` open it.
use crate::base::tar::Tar;
use crate::base::{json, known, text};
use crate::engine::journal;
use crate::engine::record::Record;
use lzma_rust2::{XzOptions, XzWriter};
use serde::Serialize;
use std::io::{self, Write};

/// The most of a text file that is taken: its end tells most. In bytes.
const MOST: usize = 4 << 20;
/// A preset of xz: small enough, and done in a moment.
const PRESET: u32 = 3;

/// What is known of the machine and of the run's folder.
#[derive(Debug, Clone, Default, Serialize)]
pub struct About {
    pub cozyup: String,
    /// Kernel, release and machine.
    pub system: String,
    /// Why the journal could not be read.
    pub journal: Option<String>,
    /// Why the secrets could not all be read, so that only their forms were looked for.
    pub secrets: Option<String>,
    /// Files of the folder with size and mode; never what is in the secret ones.
    pub files: Vec<FileSeen>,
}

#[derive(Debug, Clone, Serialize)]
pub struct FileSeen {
    pub name: String,
    pub bytes: u64,
    /// In octal digits.
    pub mode: String,
}

/// The parts of a run that go into the bundle.
pub struct Parts<'a> {
    /// Name of the run's folder.
    pub name: &'a str,
    pub records: &'a [Record],
    /// Of a journal that can't be read: what can be read of it as text.
    pub damaged: Option<&'a str>,
    pub plan: Option<&'a str>,
    pub log: Option<&'a str>,
    pub about: About,
}

/// An xz archive, named `support-NAME` inside.
///
/// # Errors
/// When a name does not fit into an archive.
pub fn bundle(parts: &Parts<'_>) -> io::Result<Vec<u8>> {
    let top = format!("support-{}", parts.name);
    let run = format!("{top}/runs/{}", parts.name);
    let mut tar = Tar::default();
    for folder in [&top, &format!("{top}/runs"), &run] {
        tar.folder(folder)?;
    }
    let records = parts.records.iter().map(|r| Record { event: json::tidied(r.event.clone()), ..r.clone() });
    tar.file(&format!("{run}/journal.jsonl"), journal::text_of(records)?.as_bytes())?;
    for (name, found) in [("plan.yaml", parts.plan), ("worker.log", parts.log), ("journal.damaged", parts.damaged)] {
        if let Some(found) = found {
            tar.file(&format!("{run}/{name}"), without_secrets(found).as_bytes())?;
        }
    }
    let about = serde_json::to_string_pretty(&parts.about)?;
    tar.file(&format!("{top}/about.json"), without_secrets(&about).as_bytes())?;
    let mut packed = XzWriter::new(Vec::new(), XzOptions::with_preset(PRESET))?;
    packed.write_all(&tar.finish())?;
    packed.finish()
}

/// The end of it, hidden before it is cut: half of a secret is hard to find.
fn without_secrets(raw: &str) -> String {
    let hidden = known::hide(raw);
    let mut start = hidden.len().saturating_sub(MOST);
    while !hidden.is_char_boundary(start) {
        start += 1;
    }
    let mut out = text::clean_lines(hidden.get(start..).unwrap_or_default());
    if !out.is_empty() {
        out.push('\n');
    }
    out
}
