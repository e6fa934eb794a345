//! A file of the plan on its way, for its digest.
use super::FormModel;
use crate::plan::pin::{FirstUse, Pin};
use crate::tui::NoContact;
use std::time::Duration;

/// What comes of fetching a file for its digest.
#[derive(Debug, Default)]
pub enum FormFetch {
    #[default]
    Nothing,
    Underway {
        pin: Pin,
        /// Of the plan when it was asked for: another one is another file.
        source: String,
        /// Of the wall.
        since: Duration,
        done: u64,
        total: Option<u64>,
    },
    Failed {
        pin: Pin,
        why: NoContact,
    },
    /// It came, and the plan has the digest of another file.
    Other(FirstUse),
}

impl FormFetch {
    pub fn is_underway(&self) -> bool {
        matches!(self, FormFetch::Underway { .. })
    }

    /// The field that it is about.
    pub fn pin(&self) -> Option<Pin> {
        match self {
            FormFetch::Nothing => None,
            FormFetch::Underway { pin, .. } | FormFetch::Failed { pin, .. } => Some(*pin),
            FormFetch::Other(file) => Some(file.pin),
        }
    }
}

impl FormModel {
    /// The digest of a file that came; the one before it is forgotten.
    pub fn trust(&mut self, file: FirstUse) {
        let id = self.all_ids().into_iter().find(|id| id.key() == file.pin.key());
        if let Some(id) = id {
            self.put(id, &file.sha256);
        }
        self.trusted.retain(|other| other.pin != file.pin);
        self.trusted.push(file);
    }

    /// What was trusted on first use for this field, while the plan has it.
    pub fn trusted_of(&self, pin: Pin) -> Option<&FirstUse> {
        self.trusted.iter().find(|file| file.pin == pin && file.holds(&self.plan))
    }
}
