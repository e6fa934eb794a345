//! The form and the plan's site, and the draft that is kept of the form.
use super::{FieldId, FormModel};
use crate::plan::defaults::{Defaults, plan};
use crate::plan::draft::Draft;
use crate::plan::offer::{Choice, Offer, Rights};
use crate::tui::NoContact;
use std::time::Duration;

/// How the form stands with the plan's site.
#[derive(Debug)]
pub enum FormSite {
    Unasked,
    Asked {
        /// Of the wall.
        since: Duration,
    },
    Silent(NoContact),
    Met {
        offer: Box<Offer>,
        /// The number of values that the plan took from it.
        taken: usize,
    },
}

/// What lies over the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// The values to choose from for a field.
    Of { id: FieldId, at: usize },
    /// What the site said.
    Said { scroll: usize },
}

impl FormModel {
    /// A form as it was left.
    pub fn of_draft(draft: Draft) -> Self {
        let kept = Some(draft.clone());
        let mut form = FormModel::new(draft.plan, draft.file);
        form.trusted = draft.trusted;
        // What it was before is not known: all of it is unsaved.
        form.saved = plan(&Defaults::default());
        let ids = form.all_ids();
        for (key, text) in draft.wrong {
            if let Some(id) = ids.iter().find(|id| id.key() == key) {
                form.put(*id, &text);
            }
        }
        form.kept = kept;
        form
    }

    /// A new plan, as if nothing had been typed.
    pub fn begin_anew(&mut self) {
        let kept = self.kept.take();
        *self = FormModel::new(plan(&Defaults::default()), None);
        self.kept = kept;
    }

    /// The draft to keep now (`Some(None)`: to take away), or `None` when there is nothing new.
    pub fn to_keep(&mut self) -> Option<Option<String>> {
        if self.edit.is_some() {
            return None;
        }
        let now = self.is_unsaved().then(|| {
            let wrong = self.wrong.iter().map(|(id, wrong)| (id.key(), wrong.text.clone())).collect();
            Draft { plan: self.plan.clone(), wrong, file: self.path.clone(), trusted: self.trusted.clone() }
        });
        if now == self.kept {
            return None;
        }
        self.kept = now;
        Some(self.kept.as_ref().and_then(Draft::text))
    }

    /// The values to choose from for a field, of a site that was asked.
    pub fn choices(&self, id: FieldId) -> Vec<Choice> {
        match &self.site {
            FormSite::Met { offer, .. } => offer.choices(&id.key()),
            FormSite::Unasked | FormSite::Asked { .. } | FormSite::Silent(_) => Vec::new(),
        }
    }

    /// Those of the token, as far as the site told them.
    pub fn rights(&self) -> Option<&Rights> {
        match &self.site {
            FormSite::Met { offer, .. } => offer.rights.as_ref().ok(),
            FormSite::Unasked | FormSite::Asked { .. } | FormSite::Silent(_) => None,
        }
    }

    pub fn has_list(&self) -> bool {
        self.list.is_some()
    }
}
