//! What was typed into the form and is not saved as a plan yet. It is kept at each field, so that a lost connection costs
//! nothing.
use super::model::Plan;
use super::pin::FirstUse;
use super::{load, write};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Longest draft that is read, in bytes.
pub const SIZE: u64 = 1 << 20;
/// Of the form of the file.
const VERSION: u32 = 1;

/// A plan in the making.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// All that is a value already.
    pub plan: Plan,
    /// Texts that are no values, by key.
    pub wrong: BTreeMap<String, String>,
    /// The plan file that was opened.
    pub file: Option<PathBuf>,
    /// The digests that were had by fetching.
    pub trusted: Vec<FirstUse>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    /// As a plan file.
    plan: String,
    wrong: BTreeMap<String, String>,
    file: Option<PathBuf>,
    #[serde(default)]
    trusted: Vec<FirstUse>,
}

impl Draft {
    /// `None` for a plan that can't be written, of which there is none.
    pub fn text(&self) -> Option<String> {
        let plan = write::render(&self.plan).ok()?;
        let stored = Stored {
            version: VERSION,
            plan,
            wrong: self.wrong.clone(),
            file: self.file.clone(),
            trusted: self.trusted.clone(),
        };
        serde_json::to_string(&stored).ok()
    }

    /// `None` for anything else than a draft of this version: it is then left where it is until another one takes its place.
    pub fn of_text(text: &str) -> Option<Draft> {
        let stored: Stored = serde_json::from_str(text).ok().filter(|s: &Stored| s.version == VERSION)?;
        let plan = load::decode(&stored.plan, "draft").ok()?.plan;
        Some(Draft { plan, wrong: stored.wrong, file: stored.file, trusted: stored.trusted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::defaults::{Defaults, plan};
    use crate::plan::pin::Pin;

    #[test]
    fn a_draft_is_read_back_whole_and_anything_else_is_none() {
        let mut plan = plan(&Defaults::default());
        plan.name = "half-done".into();
        let wrong = BTreeMap::from([("network.vip".to_string(), "10.0.0".to_string())]);
        let trusted = FirstUse {
            pin: Pin::Image,
            source: plan.image.url.clone(),
            url: plan.image.url.clone(),
            sha256: "a".repeat(64),
            bytes: 9,
            at: jiff::Timestamp::UNIX_EPOCH,
        };
        let draft = Draft { plan, wrong, file: Some("/home/ann/a.yaml".into()), trusted: vec![trusted] };
        let text = draft.text().unwrap();
        assert_eq!(Draft::of_text(&text), Some(draft));
        for other in
            ["", "{}", "version: 1", &text.replacen("\"version\":1", "\"version\":2", 1), &text[..text.len() / 2]]
        {
            assert_eq!(Draft::of_text(other), None, "{other}");
        }
    }
}
