//! From a file to a plan that passed its rules.
use super::finding::{Finding, Severity};
use super::lint;
use super::model::Plan;
use super::read::{self, Places};
use super::tree::{self, Place, Value};
use crate::base::file::{Unfit, read_patiently};
use crate::base::place;
use crate::base::text::hex;
use aws_lc_rs::digest;
use std::io;
use std::path::{Path, PathBuf};

/// A plan file is a few kilobytes; what is larger is something else.
pub const SIZE_LIMIT: u64 = 1 << 20;

/// A plan without an error.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The plan, without an error of form and without one of the rules.
    pub plan: Plan,
    /// Warnings and notes, in the order of the text.
    pub findings: Vec<Finding>,
    /// The text of the plan, as it was read.
    pub text: String,
    /// SHA-256 of `text`, lower-case hexadecimal.
    pub digest: String,
}

/// A plan that has the right form; its rules may be broken. For editing.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// The plan; it may break rules.
    pub plan: Plan,
    /// The findings of the rules, errors among them, in the order of the text.
    pub findings: Vec<Finding>,
}

/// Display names the file and the reason; [`PlanError::next`] says what to do.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// There is no file of this name.
    #[error("plan file {} does not exist", .path.display())]
    Missing {
        /// Path as the user named it.
        path: PathBuf,
    },
    /// The name is that of a folder.
    #[error("{} is a folder, not a plan file", .path.display())]
    Folder {
        /// Path as the user named it.
        path: PathBuf,
    },
    /// The operating system refuses to read the file.
    #[error("plan file {} can't be read", .path.display())]
    Unreadable {
        /// Path as the user named it.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The file is larger than [`SIZE_LIMIT`].
    #[error("plan file {} is larger than 1 MiB", .path.display())]
    TooLarge {
        /// Path as the user named it.
        path: PathBuf,
    },
    /// The file is not UTF-8.
    #[error("plan file {} is not UTF-8 text: the first wrong byte is in line {line}", .path.display())]
    NotText {
        /// Path as the user named it.
        path: PathBuf,
        /// Number of the line with the first wrong byte, from 1.
        line: usize,
    },
    /// The file holds nothing but white space.
    #[error("plan file {} is empty", .path.display())]
    Empty {
        /// Path as the user named it.
        path: PathBuf,
    },
    /// Others have a hand in it, or nothing came of it.
    #[error("the plan can't be trusted: {0}")]
    Unsafe(Unfit),
    /// The name is that of something that gives no plan, such as a pipe that nobody writes to.
    #[error("the plan can't be read: {0}")]
    Silent(Unfit),
    /// The plan has an error of form, or breaks a rule.
    #[error("plan file {} has {} to mend", .path.display(), counted(.findings))]
    Refused {
        /// Path as the user named it.
        path: PathBuf,
        /// All findings, warnings and notes included.
        findings: Vec<Finding>,
    },
}

impl PlanError {
    /// The next action, in plain words.
    pub fn next(&self) -> String {
        match self {
            PlanError::Missing { path } | PlanError::Empty { path } => {
                format!("check the name, or write a plan with `cozyup plan new {}`", path.display())
            }
            PlanError::Folder { path } => format!("name the file in it, e.g. {}", path.join("plan.yaml").display()),
            PlanError::Unreadable { path, .. } => format!("check the permissions of {}", path.display()),
            PlanError::TooLarge { .. } => "check the name: a plan has a few kilobytes".into(),
            PlanError::NotText { .. } => "save the file as UTF-8".into(),
            PlanError::Unsafe(unfit) => {
                format!("whoever changes a plan decides where the token goes and what is made; {}", unfit.next())
            }
            PlanError::Silent(unfit) => unfit.next(),
            PlanError::Refused { path, .. } => {
                format!("mend the errors, then ask again with `cozyup plan check {}`", path.display())
            }
        }
    }

    /// The findings of a plan that was read and refused.
    pub fn findings(&self) -> &[Finding] {
        match self {
            PlanError::Refused { findings, .. } => findings,
            PlanError::Missing { .. }
            | PlanError::Folder { .. }
            | PlanError::Unreadable { .. }
            | PlanError::TooLarge { .. }
            | PlanError::NotText { .. }
            | PlanError::Empty { .. }
            | PlanError::Unsafe(_)
            | PlanError::Silent(_) => &[],
        }
    }
}

fn counted(findings: &[Finding]) -> String {
    match findings.iter().filter(|f| f.severity == Severity::Error).count() {
        1 => "1 error".into(),
        n => format!("{n} errors"),
    }
}

/// Reads, decodes and lints the plan at `path`.
///
/// # Errors
/// See [`PlanError`]; `Refused` carries the findings, warnings and notes included.
pub fn load(path: &Path) -> Result<Loaded, PlanError> {
    of_text(&read_text(path)?, path)
}

/// [`load`] of a plan that is to be acted on: in nobody else's hand.
///
/// # Errors
/// See [`PlanError`].
pub fn load_own(path: &Path) -> Result<Loaded, PlanError> {
    place::named(path).map_err(PlanError::Unsafe)?;
    load(path)
}

/// [`load`] of a text that was read from `path` before.
///
/// # Errors
/// `Refused`.
pub fn of_text(text: &str, path: &Path) -> Result<Loaded, PlanError> {
    parse(text, &path.display().to_string())
        .map_err(|findings| PlanError::Refused { path: path.to_path_buf(), findings })
}

/// The text of the plan file at `path`.
///
/// # Errors
/// Every [`PlanError`] but `Refused`.
pub fn read_text(path: &Path) -> Result<String, PlanError> {
    let path = path.to_path_buf();
    let bytes = match read_patiently(&path, SIZE_LIMIT) {
        Ok(bytes) => bytes,
        Err(Unfit::Io { source, .. }) => {
            return Err(match source.kind() {
                io::ErrorKind::NotFound => PlanError::Missing { path },
                io::ErrorKind::IsADirectory => PlanError::Folder { path },
                _ => PlanError::Unreadable { path, source },
            });
        }
        Err(silent) => return Err(PlanError::Silent(silent)),
    };
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > SIZE_LIMIT {
        return Err(PlanError::TooLarge { path });
    }
    match String::from_utf8(bytes) {
        Ok(text) if text.trim().is_empty() => Err(PlanError::Empty { path }),
        Ok(text) => Ok(text),
        Err(error) => {
            let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
            let line = 1 + good.iter().filter(|b| **b == b'\n').count();
            Err(PlanError::NotText { path, line })
        }
    }
}

/// Decodes and lints `text`; `file` is the name that findings carry.
///
/// # Errors
/// All findings, when one of them is an error.
pub fn parse(text: &str, file: &str) -> Result<Loaded, Vec<Finding>> {
    let Decoded { plan, findings } = decode(text, file)?;
    if findings.iter().any(|f| f.severity == Severity::Error) {
        return Err(findings);
    }
    Ok(Loaded { plan, findings, text: text.to_string(), digest: sha256(text) })
}

/// Like [`parse`], but a plan that breaks rules is handed out with them, so that it can be mended in the form.
///
/// # Errors
/// The errors of form, when there is one: no plan can be made of the text.
pub fn decode(text: &str, file: &str) -> Result<Decoded, Vec<Finding>> {
    let whole = |rule: &str, place: Place, what: String, why: &str, write: &str| Finding {
        rule: rule.into(),
        severity: Severity::Error,
        file: file.into(),
        line: place.line,
        column: place.column,
        key: String::new(),
        what,
        why: why.into(),
        write: write.into(),
    };
    let document = tree::read(text).map_err(|error| {
        let why = "the text is no YAML from here on";
        vec![whole("yaml-syntax", error.place, error.reason, why, "one YAML document, indented with spaces")]
    })?;
    if matches!(document.value, Value::Null) {
        let why = "a plan starts with `version: 1`";
        let write = "a plan with `cozyup plan new`";
        return Err(vec![whole("empty-plan", Place::START, "there is no plan in this text".into(), why, write)]);
    }
    let (plan, places) = read::plan(&document, file)?;
    let findings = located(lint::lint(&plan), file, &places);
    Ok(Decoded { plan, findings })
}

/// Gives each finding the place of its key, or of the nearest section around it.
fn located(mut findings: Vec<Finding>, file: &str, places: &Places) -> Vec<Finding> {
    for finding in &mut findings {
        let mut key = finding.key.as_str();
        let place = loop {
            match places.get(key) {
                Some(place) => break *place,
                None => match key.rfind(['.', '[']) {
                    Some(end) => key = key.get(..end).unwrap_or_default(),
                    None => break Place::START,
                },
            }
        };
        finding.file = file.into();
        finding.line = place.line;
        finding.column = place.column;
    }
    findings.sort_by_key(|f| (f.line, f.column, f.severity));
    findings
}

fn sha256(text: &str) -> String {
    hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}
